//! The ScenarioEngine service and command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    se_server::cli::main(std::env::args_os())
}
