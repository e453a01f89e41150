//! The ScenarioEngine service and command line.
//!
//! Read in this order: [`config`] says what can be chosen, [`Engine`] puts the parts together, [`jobs`]
//! and [`content`] are what can be done with it, `dispatch` runs jobs, `lease` goes on with those of dead
//! engines, `sender` sends events, [`app`]
//! speaks HTTP, [`cli`] is the command line.

mod announce;
pub mod cli;
mod clock;
pub mod config;
mod consoles;
pub mod content;
mod dispatch;
mod engine;
mod error;
mod fields;
mod housekeeping;
mod http;
pub mod jobs;
mod lease;
mod metrics;
mod ports;
mod sealing;
mod sender;
mod stage;
mod stream;
mod tasks;
mod telemetry;

pub use clock::{Ids, World};
pub use engine::Engine;
pub use error::{Error, Field, Result};
pub use http::{app, openapi};
pub use metrics::{Counter, Gauges, Metrics};
pub use tasks::{TaskKind, Tasks};
