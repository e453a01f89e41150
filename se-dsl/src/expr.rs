//! Expressions: `${ jq }` in strings, compiled once, evaluated in bounded time and memory.
//!
//! Three types: [`Template`] is a YAML value in which strings may hold expressions, [`Expr`] is one
//! compiled jq program, and [`Scopes`] is what it sees.

mod compile;
mod eval;
mod meter;
mod natives;
mod reads;
mod scopes;
mod stack;
mod template;
mod value;

pub use eval::{Expr, ExprError, Limits};
pub use reads::Reads;
pub use scopes::{Root, Scopes};
pub use template::{Part, Template, TemplateError};
