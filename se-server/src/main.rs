//! The ScenarioEngine service and command line.

use std::process::ExitCode;

/// Half of what a step costs beside its fsync is allocation.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    se_server::cli::main(std::env::args_os())
}
