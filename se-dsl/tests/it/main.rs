//! The language, from outside: expressions, and what `se_dsl::check` says of whole packages.

mod documents;
mod expr;
mod hostile;
mod lab;
mod mutations;
mod pages;
mod rendering;
mod unsupported;
