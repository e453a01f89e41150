//! What the benchmarks share.

mod bare;
mod packages;
mod world;

pub use bare::{Bare, bare, run_bare};
pub use packages::{checked, job, package, package_of, package_of_jobs};
pub use world::{Wall, accepted, complete, run, run_on};

use std::time::{Duration, Instant};

/// How long so many calls take together.
#[expect(clippy::disallowed_methods, reason = "a benchmark is about time")]
pub fn elapsed(times: u32, call: impl Fn()) -> Duration {
    let start = Instant::now();
    for _ in 0..times {
        call();
    }
    start.elapsed()
}
