//! `cargo xtask simulate`: the engine under seeds, optimised.

use clap::Args;

use crate::command::{Failure, command, run};

/// Seeds that CI runs: always the same ones.
const IN_CI: u64 = 3000;

/// What to simulate.
#[derive(Args)]
pub(crate) struct Options {
    /// How many seeds; with `--planted`, how many each bug may take.
    #[arg(long, default_value_t = 2000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// This seed alone, with all that happened.
    #[arg(long)]
    seed: Option<u64>,
    /// Plants bugs, one after the other, and counts the seeds until each is found.
    #[arg(long)]
    planted: bool,
    /// A planted bug to replay `--seed` with.
    #[arg(long, requires = "seed")]
    bug: Option<String>,
}

/// Runs what was asked for.
pub(crate) fn run_seeds(options: &Options) -> Result<(), Failure> {
    let mut arguments = vec![format!("--seeds={}", options.seeds)];
    arguments.push(format!("--from={}", options.from));
    arguments.extend(options.seed.map(|it| format!("--seed={it}")));
    arguments.extend(options.bug.as_ref().map(|it| format!("--bug={it}")));
    arguments.extend(options.planted.then(|| "--planted".to_owned()));
    simulation(&arguments)
}

/// The seeds of CI, then every planted bug.
pub(crate) fn in_ci() -> Result<(), Failure> {
    simulation(&[format!("--seeds={IN_CI}")])?;
    simulation(&["--planted".to_owned(), "--seeds=2000".to_owned()])
}

/// One package alone is built with the feature: it reaches no product build.
fn simulation(arguments: &[String]) -> Result<(), Failure> {
    let mut cargo = command(
        env!("CARGO"),
        &[
            "run",
            "--quiet",
            "--profile=simulation",
            "--package=se-simulation",
            "--features=planted",
            "--",
        ],
    );
    cargo.args(arguments);
    run(cargo)
}
