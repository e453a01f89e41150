//! What durability costs a step: the engine beside floors that do nothing else, and beside other engines.
//!
//! `durable race` runs everything by turns and prints ratios; `durable work WHO WORKLOAD` is one of
//! its processes, and prints one line of JSON.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![expect(clippy::disallowed_methods, reason = "benchmarks live in real time")]

mod engine;
mod floor;
mod length;
mod memory;
mod race;
mod report;
mod retention;
mod work;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use work::{Figures, Setting, Workload};

/// What the server allocates with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Durable steps: the engine, floors and peers.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything by turns; ratios to the floor of the same round.
    Race(race::Options),
    /// One measurement, in this process.
    Work {
        /// Who works.
        who: Who,
        /// On what.
        workload: Workload,
        /// An empty folder.
        #[arg(long)]
        folder: PathBuf,
        /// An empty database of a PostgreSQL server.
        #[arg(long)]
        postgres: Option<String>,
    },
    /// What a step costs late in a long job, and how long going on with it takes.
    Length {
        /// Steps of the job.
        #[arg(long, default_value_t = 100_000)]
        steps: usize,
    },
    /// What is left of a file after very many jobs were deleted, and what those notice that write meanwhile.
    Retention {
        /// Jobs that are deleted.
        #[arg(long, default_value_t = 1_000_000)]
        jobs: usize,
        /// Jobs that are kept.
        #[arg(long, default_value_t = 10_000)]
        kept: usize,
    },
    /// The engine without a store: no-op steps, and steps with an expression.
    Memory {
        /// Only this of its lines, counted from 0.
        #[arg(long)]
        only: Option<usize>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Who {
    /// A row a step, group commit, nothing else.
    FloorSqlite,
    /// The same, waiting for the disk only at the end of a job.
    FloorAhead,
    /// A row a step on a server, in batches.
    FloorPostgres,
    /// The engine on a file.
    EngineSqlite,
    /// The engine on a server.
    EnginePostgres,
    /// Two engines on one server, each with half of the jobs.
    EnginesPostgres,
}

fn main() {
    let runtime = se_benches::runtime();
    match Arguments::parse().command {
        Command::Race(options) => race::run(&runtime, &options),
        Command::Length { steps } => length::run(&runtime, steps),
        Command::Retention { jobs, kept } => retention::run(&runtime, jobs, kept),
        Command::Memory { only } => memory::run(&runtime, only),
        Command::Work {
            who,
            workload,
            folder,
            postgres,
        } => {
            let setting = Setting { folder, postgres };
            let figures = runtime.block_on(measure(who, workload, &setting));
            println!(
                "{}",
                serde_json::to_string(&figures).expect("figures are numbers")
            );
        }
    }
}

async fn measure(who: Who, workload: Workload, setting: &Setting) -> Figures {
    match who {
        Who::FloorSqlite => floor::sqlite(workload, setting, true).await,
        Who::FloorAhead => floor::sqlite(workload, setting, false).await,
        Who::FloorPostgres => floor::postgres(workload, setting).await,
        Who::EngineSqlite => engine::run(workload, &setting.sqlite(), 1).await,
        Who::EnginePostgres => engine::run(workload, setting.server(), 1).await,
        Who::EnginesPostgres => engine::run(workload, setting.server(), 2).await,
    }
}
