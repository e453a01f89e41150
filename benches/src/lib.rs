//! What the benchmarks share.

mod packages;
mod world;

pub use packages::{checked, job, package};
pub use world::{Wall, accepted, run, run_on};
