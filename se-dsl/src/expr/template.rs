//! A YAML value in which strings may hold expressions.

mod depth;
mod scan;

use indexmap::IndexMap;
use serde_json::Value;

use self::scan::{Piece, pieces};
use super::{Expr, ExprError, Known, Limits, Reads, Root, Scopes};

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
    ///
    /// # Example
    /// ```
    /// use se_dsl::expr::{Limits, Scopes, Template};
    /// let both = Template::parse("${ {a: \"}\"} } and $${ b }").unwrap();
    /// let value = both.eval(&Scopes::new(), &Limits::default());
    /// assert_eq!(value, Ok("{\"a\":\"}\"} and ${ b }".into()));
    /// ```
    pub fn parse(text: &str) -> Result<Self, Vec<TemplateError>> {
        let mut parts = Vec::new();
        let mut errors = Vec::new();
        for piece in pieces(text) {
            match piece {
                Piece::Literal(literal) => parts.push(Part::Literal(literal)),
                Piece::Expr(at) => match Expr::compile(&text[at.clone()]) {
                    Ok(expr) => parts.push(Part::Expr(expr)),
                    Err(wrong) => errors.extend(wrong.into_iter().map(|it| placed(it, at.start))),
                },
                Piece::Unclosed(at) => errors.push(unclosed(at)),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(match parts.as_slice() {
            [] => Self::Literal(Value::String(String::new())),
            [Part::Literal(literal)] => Self::Literal(Value::String(literal.clone())),
            [Part::Expr(expr)] => Self::Expr(expr.clone()),
            _ => Self::Text(parts),
        })
    }

    /// A sequence of templates: a literal if all of them are.
    #[must_use]
    pub fn array(items: Vec<Self>) -> Self {
        let literal: Option<Vec<Value>> = items.iter().map(Self::literal).collect();
        literal.map_or(Self::Array(items), |items| {
            Self::Literal(Value::Array(items))
        })
    }

    /// A mapping of templates: a literal if all of them are.
    #[must_use]
    pub fn object(entries: IndexMap<String, Self>) -> Self {
        let literal: Option<serde_json::Map<String, Value>> = entries
            .iter()
            .map(|(key, value)| Some((key.clone(), value.literal()?)))
            .collect();
        literal.map_or(Self::Object(entries), |it| Self::Literal(Value::Object(it)))
    }

    /// The value it stands for.
    ///
    /// # Errors
    /// The first expression that fails, and [`ExprError::Exceeded`] where all of them make too much,
    /// or nest too deeply with what is around them.
    pub fn eval(&self, scopes: &Scopes, limits: &Limits) -> Result<Value, ExprError> {
        let (value, _) = self.sized(scopes, limits)?;
        depth::admitted(self, value)
    }

    /// The value, and how many bytes expressions have put into it. What is literal is bounded with its document.
    fn sized(&self, scopes: &Scopes, limits: &Limits) -> Result<(Value, usize), ExprError> {
        let mut bytes = 0_usize;
        let mut part = |it: &Self| {
            let (value, more) = it.sized(scopes, limits)?;
            bytes = bytes.saturating_add(more);
            // One may be large because the scopes are; many may not add up to more.
            match more > 0 && bytes > more && bytes > most(limits) {
                true => Err(too_large(limits)),
                false => Ok(value),
            }
        };
        let value = match self {
            Self::Literal(value) => value.clone(),
            Self::Expr(expr) => return expr.sized(scopes, limits),
            Self::Text(parts) => {
                let text = rendered(parts, scopes, limits)?;
                bytes = text.len();
                Value::String(text)
            }
            Self::Array(items) => items.iter().map(part).collect::<Result<_, _>>()?,
            Self::Object(entries) => {
                let entries = entries
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), part(value)?)));
                Value::Object(entries.collect::<Result<_, _>>()?)
            }
        };
        Ok((value, bytes))
    }

    /// What it reads.
    #[must_use]
    pub fn reads(&self) -> Reads {
        let mut reads = Reads::new();
        self.add_reads(&mut reads);
        reads
    }

    /// Whether it gives the same whatever the scopes hold.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        self.reads().is_empty()
    }

    /// Whether it is one expression that is null for certain, see [`Expr::always_null`].
    #[must_use]
    pub fn always_null(&self, exists: impl Fn(Root, &[String]) -> Known) -> bool {
        match self {
            Self::Expr(expr) => expr.always_null(exists),
            Self::Literal(_) | Self::Text(_) | Self::Array(_) | Self::Object(_) => false,
        }
    }

    /// Whether it is one expression that is nothing but a path, see [`Expr::is_path`].
    #[must_use]
    pub fn is_path(&self) -> bool {
        matches!(self, Self::Expr(expr) if expr.is_path())
    }

    /// The value, if no expression is in it.
    #[must_use]
    pub fn literal(&self) -> Option<Value> {
        match self {
            Self::Literal(value) => Some(value.clone()),
            Self::Expr(_) | Self::Text(_) => None,
            Self::Array(items) => items.iter().map(Self::literal).collect(),
            Self::Object(entries) => entries
                .iter()
                .map(|(key, value)| Some((key.clone(), value.literal()?)))
                .collect::<Option<_>>()
                .map(Value::Object),
        }
    }

    fn add_reads(&self, reads: &mut Reads) {
        match self {
            Self::Literal(_) => {}
            Self::Expr(expr) => reads.extend(expr.reads()),
            Self::Text(parts) => parts.iter().for_each(|part| match part {
                Part::Literal(_) => {}
                Part::Expr(expr) => reads.extend(expr.reads()),
            }),
            Self::Array(items) => items.iter().for_each(|it| it.add_reads(reads)),
            Self::Object(entries) => entries.values().for_each(|it| it.add_reads(reads)),
        }
    }
}

fn rendered(parts: &[Part], scopes: &Scopes, limits: &Limits) -> Result<String, ExprError> {
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Literal(literal) => text.push_str(literal),
            Part::Expr(expr) => text.push_str(&expr.text(scopes, limits)?),
        }
        if text.len() > limits.bytes {
            return Err(too_long(limits));
        }
    }
    Ok(text)
}

/// As many bytes may all expressions of a list or mapping make.
fn most(limits: &Limits) -> usize {
    limits.bytes.saturating_mul(4)
}

fn too_large(limits: &Limits) -> ExprError {
    let max = most(limits);
    ExprError::Exceeded(format!(
        "and those beside it made a value of more than {max} bytes"
    ))
}

fn too_long(limits: &Limits) -> ExprError {
    let max = limits.bytes;
    ExprError::Exceeded(format!("rendered more than {max} bytes of text"))
}

/// An error of the expression that starts at byte `start` of the string.
fn placed(error: ExprError, start: usize) -> TemplateError {
    let at = match &error {
        ExprError::Invalid { at, .. } => start + at.start..start + at.end,
        ExprError::Failed(_) | ExprError::Exceeded(_) => start..start,
    };
    TemplateError { at, error }
}

fn unclosed(at: std::ops::Range<usize>) -> TemplateError {
    let error = ExprError::Invalid {
        at: 0..at.len(),
        message: "`${` is never closed; add `}`, or write `$${` for a literal `${`".into(),
        suggestion: None,
    };
    TemplateError { at, error }
}
