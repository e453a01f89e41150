//! Expressions: `${ jq }` in strings, compiled once, evaluated in bounded time and memory.
//!
//! Three types: [`Template`] is a YAML value in which strings may hold expressions, [`Expr`] is one
//! compiled jq program, and [`Scopes`] is what it sees.

mod eval;
mod reads;
mod scopes;
mod template;

pub use eval::{Expr, ExprError, Limits};
pub use reads::Reads;
pub use scopes::{Root, Scopes};
pub use template::{Template, TemplateError};
