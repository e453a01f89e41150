//! The engine under one seed: clock, chance, order, store, devices, callers and misfortune are all drawn
//! from it, and what is left is compared with a sequential model. The core is the real one.

mod chance;
mod check;
mod db;
mod device;
mod dispatcher;
mod executor;
mod follower;
mod job;
mod lease;
mod log;
mod noted;
mod outbox;
mod outside;
mod package;
mod planted;
mod receiver;
mod reference;
mod replica;
mod run;
mod sender;
mod store;
mod trace;
mod world;

use std::time::Duration;

pub use planted::Planted;
pub use run::{Report, run};

/// When each simulation begins, since the epoch.
const START: Duration = Duration::from_secs(1_764_000_000);
