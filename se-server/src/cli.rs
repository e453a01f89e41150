//! The command line: `serve`, and what authors use without a service.

mod check;
pub(crate) mod describe;
mod run;
mod serve;
mod store;
mod validate;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::config::LogFormat;
use crate::error::Error;

/// Runs pod automation for network labs and exams.
#[derive(Debug, Parser)]
#[command(name = "se-server", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the service.
    #[command(
        after_help = "Example:\n  se-server serve --listen 127.0.0.1:0 --data-dir ./data --content-root ./content"
    )]
    Serve(serve::Options),
    /// Checks packages: folders, zips or single documents.
    #[command(
        after_help = "Example:\n  se-server validate examples/lab-0.1 --format github\n  se-server validate examples/lab-0.1 --fix\n\nExit code: 0 clean, 1 errors found, 2 could not read."
    )]
    Validate(validate::Validate),
    /// Shows the DAG of a job or phase: waves, and why each step waits.
    #[command(
        after_help = "Example:\n  se-server plan examples/lab-0.1 --phase grade --format mermaid"
    )]
    Plan(check::Plan),
    /// Runs a phase here and now, without a service.
    #[command(
        after_help = "Example:\n  se-server run examples/lab-0.1 --phase grade --worker worker.yaml --report report.html\n\nExit code: 0 completed, 1 faulted or cancelled, 2 could not begin."
    )]
    Run(run::Options),
    /// Checks a package folder and makes a zip of it: the same bytes for the same content.
    #[command(after_help = "Example:\n  se-server pack examples/lab-0.1 -o lab-0.1.zip")]
    Pack(check::Pack),
    /// Looks after the database.
    #[command(subcommand)]
    Store(store::Store),
    /// Explains a finding, or lists all there are.
    #[command(after_help = "Example:\n  se-server explain SE1203")]
    Explain {
        /// The code, as findings show it.
        code: Option<String>,
    },
    /// Writes the JSON Schemas: to a folder, or all in one object.
    #[command(after_help = "Example:\n  se-server schemas --out schemas/")]
    Schemas {
        /// The folder.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Prints scenario-functions.catalog.json.
    #[command(after_help = "Example:\n  se-server catalog | jq '.functions[].name'")]
    Catalog,
    /// Prints the OpenAPI description of the service.
    #[command(after_help = "Example:\n  se-server openapi > openapi.json")]
    Openapi,
    /// Prints completions for a shell.
    #[command(
        after_help = "Example:\n  se-server completions bash > /etc/bash_completion.d/se-server"
    )]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// How logs look and how much of them there is.
#[derive(Debug, Default, clap::Args)]
struct LogOptions {
    /// How logs are written to stderr [default: text].
    #[arg(long)]
    log_format: Option<LogFormat>,
    /// error, warn, info, debug, trace, or a filter by module [default: info].
    #[arg(long)]
    log_level: Option<String>,
}

/// A command that did not do what it was asked: exit code and text for stderr.
#[derive(Debug)]
struct Failure {
    code: u8,
    text: String,
}

impl Failure {
    fn new(code: u8, text: impl ToString) -> Self {
        Self {
            code,
            text: text.to_string(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(2, crate::error::chain(&error))
    }
}

/// How a command ended: its exit code.
type Ended = Result<u8, Failure>;

/// Does what the arguments say; the exit code tells how it went.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to stdout, mistakes to stderr; nothing is left to say where neither works.
            error.print().ok();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match dispatch(cli.command) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            // Where stderr is closed there is nobody to tell.
            writeln!(io::stderr(), "error: {}", failure.text).ok();
            ExitCode::from(failure.code)
        }
    }
}

fn dispatch(command: Command) -> Ended {
    match command {
        Command::Serve(options) => serve::serve(options),
        Command::Validate(options) => validate::validate(&options),
        Command::Plan(options) => check::plan(&options),
        Command::Run(options) => run::run(options),
        Command::Pack(options) => check::pack(&options),
        Command::Store(command) => store::run(command),
        Command::Explain { code } => describe::explain(code.as_deref()),
        Command::Schemas { out } => describe::write_schemas(out.as_deref()),
        Command::Catalog => print_json(&describe::catalog(&se_adapters::Registry::standard())),
        Command::Openapi => {
            let text = crate::http::openapi().to_pretty_json();
            print(&text.map_err(|error| Failure::new(2, error))?)
        }
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "se-server", &mut io::stdout());
            Ok(0)
        }
    }
}

/// Prints text, with a line's end if it has none. A reader that has gone is no error.
fn print(text: &str) -> Ended {
    let mut out = io::stdout().lock();
    let end = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    match write!(out, "{text}{end}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(2, format!("cannot write to stdout: {error}")))
        }
        _ => Ok(0),
    }
}

fn print_json(value: &serde_json::Value) -> Ended {
    print(&format!("{value:#}"))
}

/// A runtime for commands that talk to the world.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    // An error means that a provider is installed already: it serves as well.
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(2, format!("cannot start: {error}")))
}
