//! The language, from outside: expressions, and what `se_dsl::check` says of whole packages.

mod expr;
mod lab;
