//! Ids that a controller gives.

use std::fmt;

use se_runtime::{Fault, FaultKind};

/// A lab's id on its controller: letters, digits, `-` and `_`, so that it can stand in a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LabId(String);

/// A node's id on its controller: letters, digits, `-` and `_`, so that it can stand in a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(String);

impl LabId {
    /// Reads an id.
    ///
    /// # Errors
    /// `validation` if it could not be one.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        path_part(text, "lab").map(Self)
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl NodeId {
    /// Reads an id.
    ///
    /// # Errors
    /// `validation` if it could not be one.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        path_part(text, "node").map(Self)
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn path_part(text: &str, what: &str) -> Result<String, Fault> {
    let fits = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_');
    if !text.is_empty() && text.len() <= 128 && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    let shown: String = text.chars().take(80).collect();
    Err(Fault::new(
        FaultKind::Validation,
        format!("`{shown}` is no id of a {what}: letters, digits, `-` and `_` only"),
    ))
}

impl fmt::Display for LabId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
