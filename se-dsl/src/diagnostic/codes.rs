//! The codes there are. Diagnostics are made by the named constructors in the files below.

use std::fmt;

/// A stable name of a kind of mistake: `SE1203`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(&'static str);

impl Code {
    /// As text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// The page of a code: what it means, an example, the way out.
#[must_use]
pub fn explain(_code: &str) -> Option<&'static str> {
    None
}
