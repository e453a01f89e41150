//! The pure core of ScenarioEngine: a checked package becomes a plan, a plan and events become
//! decisions, events become state and reports.
//!
//! No I/O, no clock, no randomness, no spawning: what the core needs of the world is in [`port`].

mod attempt;
pub mod cloudevent;
pub mod deliver;
pub mod dispatch;
mod drive;
mod endpoint;
pub mod event;
pub mod fault;
pub mod follow;
pub mod grade;
pub mod keep;
pub mod lease;
pub mod machine;
mod plan;
pub mod planted;
pub mod port;
mod primitive;
pub mod report;
mod retry;
pub mod secret;
mod size;
mod stage;
mod state;
mod stored;
mod time;

pub use drive::{Control, Drive, DriveError, PARTS, Ports, drive};
pub use event::{Accepted, Batch, Event, JobStatus, Record, Summary};
pub use fault::{Fault, FaultKind, StepError};
pub use plan::{Block, Edge, Node, Plan, PlanError, Plans, StepIndex, Why};
pub use port::{
    Actions, Call, Clock, Done, Endpoint, Endpoints, EventLog, LogError, Outcome, SshPolicy,
    Unanswered,
};
pub use secret::{Secret, Vault};
pub use stage::{Stage, Stages};
pub use state::{FoldError, State, StepState, StepStatus};
pub use stored::Unreadable;
pub use time::Timestamp;
