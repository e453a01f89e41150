//! A simulated pod: every part speaks the real protocol on a real socket.

mod journal;
mod power;

pub use journal::{Entry, Journal};
pub use power::{NodeState, Power};
