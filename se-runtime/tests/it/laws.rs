//! Laws that hold for every package, plan and job.

mod check;
mod expected;
mod jobs;
mod keys;
mod order;
mod pod;
mod reference;
mod rules;
mod runs;
mod said;
mod told;
mod trace;

use proptest::test_runner::Config;

/// So many packages, drawn anew each time; what fails is told as a package, and becomes a test of its own.
fn config(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    }
}
