//! What is fuzzed: functions from any bytes to nothing, which may not panic, hang or eat the memory.
//!
//! `cargo xtask fuzz` runs them with a fuzzer. The tests of se-runtime and se-content include the modules
//! by path and run them on every file of `corpus/`.
#![forbid(unsafe_code)]

mod entries;
#[cfg(feature = "zip")]
mod zipped;

/// A document: by itself, and as one file of a package, which the first byte selects.
pub fn yaml(bytes: &[u8]) {
    entries::yaml(bytes);
}

/// An expression: alone, and in a text.
pub fn expression(bytes: &[u8]) {
    entries::expression(bytes);
}

/// A rubric and, after a line of `=`, the text that every check looks at.
pub fn rubric(bytes: &[u8]) {
    entries::rubric(bytes);
}

/// A package as a zip.
#[cfg(feature = "zip")]
pub fn zip(bytes: &[u8]) {
    zipped::zip(bytes);
}
