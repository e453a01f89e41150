//! Automation of this repository: `cargo xtask --help`.

mod ci;
mod client;
mod command;
mod demo;
mod fuzz;
mod packages;
mod process;
mod simulate;
mod soak;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Automation of the ScenarioEngine repository.
#[derive(Parser)]
#[command(name = "cargo xtask", after_help = "Example: cargo xtask demo --keep")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// The main job on a simulated pod: package in, score report out.
    #[command(after_help = "Example: cargo xtask demo --keep")]
    Demo(demo::Options),
    /// Runs every test; installs the Debian packages they need when it may.
    #[command(after_help = "Example: cargo xtask test -- -p se-dsl")]
    Test(test::Options),
    /// Any bytes against what reads them; installs cargo-fuzz into target/tools if it is missing.
    #[command(after_help = "Example: cargo xtask fuzz --minutes 10 expression")]
    Fuzz(fuzz::Options),
    /// The engine under seeds: schedules, faults, crashes; and the bugs that this would find.
    #[command(after_help = "Example: cargo xtask simulate --seeds 10000")]
    Simulate(simulate::Options),
    /// The service under load for a while: memory and files must not grow.
    #[command(after_help = "Example: cargo xtask soak --minutes 30 --store postgres")]
    Soak(soak::Options),
    /// Everything a change must pass: fmt, clippy, docs, deny, tidy, tests with nothing skipped.
    Ci,
    /// The rules that clippy cannot see.
    Tidy,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Demo(options) => demo::run(&options),
        Task::Test(options) => test::run_tests(&options),
        Task::Fuzz(options) => fuzz::run_targets(&options),
        Task::Simulate(options) => simulate::run_seeds(&options),
        Task::Soak(options) => soak::run(&options),
        Task::Ci => ci::run_all(),
        Task::Tidy => tidy::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            command::say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}
