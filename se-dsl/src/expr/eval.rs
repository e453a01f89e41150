//! One compiled jq program and its bounded evaluation.

use std::time::Duration;

use serde_json::Value;

use super::{Reads, Scopes};

/// A compiled jq program. Cheap to clone, `Send + Sync`.
#[derive(Clone, Debug)]
pub struct Expr {
    source: String,
}

/// Bounds of one evaluation.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Steps of work.
    pub fuel: u64,
    /// Wall time.
    pub time: Duration,
    /// Outputs.
    pub outputs: usize,
    /// Bytes of any text or value made.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel: 1_000_000,
            time: Duration::from_millis(200),
            outputs: 10_000,
            bytes: 8 << 20,
        }
    }
}

/// Why an expression does not compile, or gave no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExprError {
    /// It does not parse or names something that does not exist; `at` is a byte range of its source.
    #[error("{message}")]
    Invalid {
        /// Bytes of the expression's source at fault.
        at: std::ops::Range<usize>,
        /// What is wrong.
        message: String,
        /// A name that exists and is near.
        suggestion: Option<String>,
    },
    /// It ran and failed: jq's own message.
    #[error("{0}")]
    Failed(String),
    /// It went over a bound, which is named.
    #[error("the expression {0}")]
    Exceeded(String),
}

impl Expr {
    /// Compiles the text between `${` and `}`.
    ///
    /// # Errors
    /// Every [`ExprError::Invalid`] found.
    pub fn compile(source: &str) -> Result<Self, Vec<ExprError>> {
        Ok(Self {
            source: source.to_owned(),
        })
    }

    /// The text it was compiled from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What it reads.
    #[must_use]
    pub fn reads(&self) -> &Reads {
        unimplemented!("compiled programs know their reads")
    }

    /// Its value: no output is null, one output is that value, several are an array.
    ///
    /// # Errors
    /// [`ExprError::Failed`] and [`ExprError::Exceeded`].
    pub fn eval(&self, _scopes: &Scopes, _limits: &Limits) -> Result<Value, ExprError> {
        unimplemented!("evaluation")
    }
}
