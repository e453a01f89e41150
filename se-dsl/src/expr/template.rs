//! A YAML value in which strings may hold expressions.

use indexmap::IndexMap;
use serde_json::Value;

use super::{Expr, ExprError, Limits, Reads, Scopes};

/// A value with expressions in its strings.
#[derive(Clone, Debug)]
pub enum Template {
    /// No expression in it.
    Literal(Value),
    /// A string that is exactly one expression: keeps the result's type.
    Expr(Expr),
    /// Text with expressions in it: a string.
    Text(Vec<Part>),
    /// A sequence.
    Array(Vec<Self>),
    /// A mapping.
    Object(IndexMap<String, Self>),
}

/// A piece of a [`Template::Text`].
#[derive(Clone, Debug)]
pub enum Part {
    /// As it is.
    Literal(String),
    /// Rendered: strings as they are, anything else as compact JSON.
    Expr(Expr),
}

/// An expression in a string that does not compile; `at` is a byte range of the string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// Bytes of the string at fault.
    pub at: std::ops::Range<usize>,
    /// What is wrong with it.
    pub error: ExprError,
}

impl Template {
    /// Reads a string: finds `${ … }` by jq's lexical rules, `$${` is a literal `${`.
    ///
    /// # Errors
    /// Every expression that does not compile, and an `${` that is never closed.
    pub fn parse(_text: &str) -> Result<Self, Vec<TemplateError>> {
        unimplemented!("templates")
    }

    /// The value it stands for.
    ///
    /// # Errors
    /// The first expression that fails.
    pub fn eval(&self, _scopes: &Scopes, _limits: &Limits) -> Result<Value, ExprError> {
        unimplemented!("templates")
    }

    /// What it reads.
    #[must_use]
    pub fn reads(&self) -> Reads {
        unimplemented!("templates")
    }

    /// The value, if no expression is in it.
    #[must_use]
    pub fn literal(&self) -> Option<Value> {
        unimplemented!("templates")
    }
}
