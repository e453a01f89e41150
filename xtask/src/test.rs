//! `cargo xtask test`: every test there is.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use clap::Args;

use crate::command::{Failure, binary, command, run, say, works};
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
    let database = Database::for_tests()?;
    let mut tests = cargo(&arguments);
    if let Some(database) = &database {
        tests.env(SERVER, &database.url);
    }
    run(tests)?;
    if options.runner.is_empty() {
        run(on_a_server(database.as_ref()))?;
    }
    Ok(())
}

/// The tests of the service once more, with jobs in PostgreSQL. Those of commands that keep no jobs are as before,
/// and content that is gone from one machine is fetched again where engines share a database.
fn on_a_server(database: Option<&Database>) -> std::process::Command {
    const OTHERS: [&str; 8] = [
        "cli::",
        "editor::",
        "guide::",
        "keys::",
        "released::",
        "replicas::",
        "content_is_gone",
        "content_that_is_gone",
    ];
    let skip = OTHERS.iter().flat_map(|it| ["--skip", it]);
    let mut tests = if works("cargo", &["nextest", "--version"]) {
        cargo(&[
            "nextest",
            "run",
            "--no-fail-fast",
            "-p",
            "se-server",
            "--test",
            "it",
        ])
    } else {
        cargo(&["test", "--no-fail-fast", "-p", "se-server", "--test", "it"])
    };
    tests.arg("--").args(skip);
    tests.env("SE_TEST_STORE", "postgres");
    if let Some(database) = database {
        tests.env(SERVER, &database.url);
    }
    tests
}

/// Names a PostgreSQL server for the tests, instead of one that is started for them.
const SERVER: &str = "SE_TEST_POSTGRES";

/// A PostgreSQL server that ends with the tests.
struct Database {
    child: Child,
    url: String,
}

impl Database {
    /// None if there is a server for tests already.
    fn for_tests() -> Result<Option<Self>, Failure> {
        if std::env::var_os(SERVER).is_some() {
            return Ok(None);
        }
        say("starting a PostgreSQL server for the tests");
        let failed = |why: &str| format!("no PostgreSQL server for the tests: {why}");
        let mut child = command(&binary("se-sim"), &["postgres"])
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| failed(&error.to_string()))?;
        let mut url = String::new();
        let out = child.stdout.take().map(BufReader::new);
        // It says nothing if it did not start; why, stands above.
        let read = out.map(|mut it| it.read_line(&mut url));
        let mut database = Self { child, url };
        database.url = database.url.trim().to_owned();
        match read {
            Some(Ok(1..)) => Ok(Some(database)),
            _ => Err(failed("it did not start")),
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // It removes its files when it is asked to end; killed, it would leave them.
        let pid = self.child.id().to_string();
        command("kill", &["-TERM", &pid]).status().ok();
        self.child.wait().ok();
    }
}

fn cargo(arguments: &[&str]) -> std::process::Command {
    command(env!("CARGO"), arguments)
}
