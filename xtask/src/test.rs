//! `cargo xtask test`: every test there is.

use clap::Args;

use crate::command::{Failure, command, run, say, works};
use crate::packages;

/// How to test.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Given to the test runner; then only what it selects is run: `-- -p se-dsl expr`.
    #[arg(last = true)]
    runner: Vec<String>,
}

/// Runs the tests. Nothing is skipped: what a test needs and is not there fails it.
pub(crate) fn run_tests(options: &Options) -> Result<(), Failure> {
    packages::install()?;
    if options.runner.is_empty() {
        run(cargo(&["test", "--workspace", "--doc", "--quiet"]))?;
    }
    // Binaries first: tests start them as a user would.
    run(cargo(&["build", "--workspace", "--bins"]))?;
    let mut arguments: Vec<&str> = if works("cargo", &["nextest", "--version"]) {
        vec!["nextest", "run", "--no-fail-fast"]
    } else {
        say("cargo-nextest is not installed: using cargo test");
        vec!["test", "--no-fail-fast", "--lib", "--bins", "--tests"]
    };
    if !options
        .runner
        .iter()
        .any(|it| it == "-p" || it == "--package")
    {
        arguments.push("--workspace");
    }
    arguments.extend(options.runner.iter().map(String::as_str));
    run(cargo(&arguments))
}

fn cargo(arguments: &[&str]) -> std::process::Command {
    command(env!("CARGO"), arguments)
}
