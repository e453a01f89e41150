//! The pure core of ScenarioEngine: a checked package becomes a plan, a plan and events become
//! decisions, events become state and reports.
//!
//! No I/O, no clock, no randomness, no spawning: what the core needs of the world is in [`port`].

pub mod event;
pub mod fault;
pub mod port;
pub mod secret;
mod time;

pub use event::{Accepted, Batch, Event, JobStatus, Record, Summary};
pub use fault::{Fault, FaultKind, StepError};
pub use port::{Actions, Call, Clock, Done, Endpoint, Endpoints, EventLog, LogError, Outcome};
pub use secret::{Secret, Vault};
pub use time::Timestamp;
