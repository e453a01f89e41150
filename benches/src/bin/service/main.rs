//! The service as its users meet it: how soon it goes on after a crash, how many it tells at once, how fast it takes
//! jobs in, how little it needs while all wait.
//!
//! Each measurement starts servers of its own and, where there is a floor, a program that does nothing but what must
//! be done, by turns in one run.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![expect(clippy::disallowed_methods, reason = "benchmarks live in real time")]

mod floor;
mod listen;
mod load;
mod process;
mod recovery;
mod server;
mod still;
mod streams;
mod submit;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// The service: recovery, streams, submissions, waiting.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Args)]
struct Options {
    /// The program.
    #[arg(long, default_value = "target/release/se-server")]
    server: PathBuf,
    /// How often everything runs.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How many jobs, or readers.
    #[arg(long, default_value_t = 10_000)]
    count: usize,
}

#[derive(Subcommand)]
enum Command {
    /// From kill -9 to the first new step: with one job, with many, and on another engine.
    Recovery(Options),
    /// One event to all readers of a job.
    Streams(Options),
    /// Submissions that are durable when they are answered, at 64 connections.
    Submit(Options),
    /// Many jobs that wait.
    Still(Options),
    /// Reads a stream many times over; prints when the last got the event named.
    #[command(hide = true)]
    Listen(listen::Options),
    /// Posts as fast as it is answered.
    #[command(hide = true)]
    Load(load::Options),
    /// A server that does only what must be done.
    #[command(hide = true)]
    Floor(floor::Options),
}

fn main() {
    let runtime = se_benches::runtime();
    runtime.block_on(async {
        match Arguments::parse().command {
            Command::Recovery(options) => recovery::run(&options).await,
            Command::Streams(options) => streams::run(&options).await,
            Command::Submit(options) => submit::run(&options).await,
            Command::Still(options) => still::run(&options).await,
            Command::Listen(options) => listen::run(&options).await,
            Command::Load(options) => load::run(&options).await,
            Command::Floor(options) => floor::run(&options).await,
        }
    });
}

/// The median, with the least and the most.
fn spread(mut all: Vec<f64>) -> String {
    all.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (all.first(), all.last()) else {
        return "nothing".to_owned();
    };
    format!("{:.1} ({least:.1}-{most:.1})", all[all.len() / 2])
}
