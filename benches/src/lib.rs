//! What the benchmarks share.

mod bare;
mod packages;
mod world;

pub use bare::{Bare, bare, run_bare};
pub use packages::{checked, job, package, package_of, package_of_jobs};
pub use world::{Wall, accepted, complete, run, run_on};

use std::time::{Duration, Instant};

/// A runtime on two threads, as the machines have processors.
///
/// # Panics
/// If there are no threads to be had.
#[must_use]
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime needs two threads")
}

/// How long so many calls take together.
#[expect(clippy::disallowed_methods, reason = "a benchmark is about time")]
pub fn elapsed(times: u32, call: impl Fn()) -> Duration {
    let start = Instant::now();
    for _ in 0..times {
        call();
    }
    start.elapsed()
}
