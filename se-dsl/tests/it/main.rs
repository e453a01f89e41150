//! The language, from outside: expressions, and what `se_dsl::check` says of whole packages.

// `cfg(test)` tells the lints that these modules are tests, down to what their tests share.
#[cfg(test)]
mod advice;
#[cfg(test)]
mod authoring;
#[cfg(test)]
mod cascades;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod edits;
#[cfg(test)]
mod expr;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod mutations;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod parts;
#[cfg(test)]
mod rendering;
#[cfg(test)]
mod sarif;
#[cfg(test)]
mod schemas;
#[cfg(test)]
mod unsupported;
