//! Expressions: `${ jq }` in strings, compiled once, evaluated in bounded time and memory.
//!
//! Three types: [`Template`] is a YAML value in which strings may hold expressions, [`Expr`] is one
//! compiled jq program, and [`Scopes`] is what it sees.
//!
//! # Bounds
//! Every value knows its size and depth as if nothing in it were shared, so none can be made that
//! would be costly to compare, write or free. What makes, copies or walks values pays fuel, and so
//! does every turn of a loop or recursion; a program that runs out stops, whatever it catches. Small
//! programs run on the caller's stack, within a budget; deeper ones on a stack of their own.
//!
//! Memory is bounded by construction: no text or value is larger than `Limits::bytes`, counted as if
//! nothing were shared; making one pays fuel, of which `Limits::fuel` (at most `MAX_FUEL`) is all
//! there is; outputs add up to `Limits::bytes` and are at most `Limits::outputs`; a pattern compiles
//! to at most `LARGEST`, of which `CACHED` are kept; a stack of its own has `LARGE` bytes.
//! Regular expressions pay positions × bytes before a search, at most `MOST_WORK`.
//!
//! Where answers differ from jq 1.7 is listed in `docs/expressions.md`, which a test holds true.

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
pub use reads::{Known, Reads};
pub use scopes::{Root, Scopes};
pub use template::{Part, Template, TemplateError};
