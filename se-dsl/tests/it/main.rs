//! What `se_dsl::check` says of whole packages.

mod lab;
