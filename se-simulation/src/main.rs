//! Runs seeds: `cargo xtask simulate --help`.

#[cfg(feature = "planted")]
mod power;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use se_simulation::run;

/// The engine under seeds.
#[derive(Parser)]
#[command(after_help = "Example: cargo xtask simulate --seed 42")]
struct Arguments {
    /// How many seeds, from the first.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// This one alone, with all that happened.
    #[arg(long)]
    seed: Option<u64>,
    /// Plants each bug in turn, and looks how many seeds it takes to find it.
    #[cfg(feature = "planted")]
    #[arg(long)]
    planted: bool,
    /// A bug to replay the seed with.
    #[cfg(feature = "planted")]
    #[arg(long)]
    bug: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    #[cfg(feature = "planted")]
    if arguments.planted {
        return power::measure(arguments.from, arguments.seeds);
    }
    #[cfg(feature = "planted")]
    let bug = match arguments.bug.as_deref().map(power::plant).transpose() {
        Ok(bug) => bug.flatten(),
        Err(what) => {
            say(&what);
            return ExitCode::FAILURE;
        }
    };
    #[cfg(not(feature = "planted"))]
    let bug = None;
    match arguments.seed {
        Some(seed) => replay(seed, bug),
        None => many(arguments.from, arguments.seeds, bug),
    }
}

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn say(line: &str) {
    println!("{line}");
}

/// One seed with its trace.
fn replay(seed: u64, bug: Option<se_simulation::Planted>) -> ExitCode {
    let report = run(seed, bug, true);
    report.trace.iter().for_each(|it| say(it));
    say(&format!("seed {seed}: trace {:016x}", report.hash));
    match report.broken {
        None => ExitCode::SUCCESS,
        Some(what) => {
            say(&format!("seed {seed} broke a promise: {what}"));
            ExitCode::FAILURE
        }
    }
}

/// Many seeds, up to the first that breaks a promise.
fn many(from: u64, count: u64, bug: Option<se_simulation::Planted>) -> ExitCode {
    #[expect(
        clippy::disallowed_methods,
        reason = "how fast it is is measured in real time"
    )]
    let start = Instant::now();
    for seed in from..from + count {
        if run(seed, bug, false).broken.is_some() {
            return replay(seed, bug);
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = count as f64 / seconds;
    say(&format!(
        "{count} seeds, no promise broken: {rate:.0} seeds/s on one core"
    ));
    ExitCode::SUCCESS
}
