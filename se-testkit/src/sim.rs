//! A simulated pod: every part speaks the real protocol on a real socket.

mod cml;
mod journal;
mod power;
mod serve;
mod sink;

pub use cml::{CmlFault, CmlFaultKind, CmlOptions, CmlSim};
pub use journal::{Entry, Journal};
pub use power::{NodeState, Power};
pub use sink::{Sink, SinkOptions};
