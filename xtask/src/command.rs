//! Running programs, and saying so.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

/// Why a task stopped: a sentence that says what to do.
pub(crate) type Failure = String;

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let xtask = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().map_or(xtask.clone(), PathBuf::from)
}

/// Writes a line for the person who waits.
#[expect(clippy::print_stderr, reason = "this is the one place that talks")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

/// A command in the root of the repository.
pub(crate) fn command<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// Runs a command to its end and says how long it took.
pub(crate) fn run(mut command: Command) -> Result<(), Failure> {
    let line = line(&command);
    say(&format!("\n==> {line}"));
    #[expect(clippy::disallowed_methods, reason = "this tool lives in real time")]
    let start = Instant::now();
    let status = command
        .status()
        .map_err(|error| format!("cannot start `{line}`: {error}"))?;
    say(&format!("    {:.1} s", start.elapsed().as_secs_f64()));
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{line}` failed: {status}"))
    }
}

/// Runs a command and gives what it prints.
pub(crate) fn output(mut command: Command) -> Result<String, Failure> {
    let line = line(&command);
    let output = command
        .output()
        .map_err(|error| format!("cannot start `{line}`: {error}"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("`{line}` failed: {}\n{why}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// One of the workspace's binaries, as cargo built it.
pub(crate) fn binary(name: &str) -> String {
    built(name, "dev")
}

/// One of the workspace's binaries, as cargo built it in that profile.
pub(crate) fn built(name: &str, profile: &str) -> String {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| root().join("target"));
    let folder = if profile == "dev" { "debug" } else { profile };
    target.join(folder).join(name).display().to_string()
}

/// Whether a command exists and answers.
pub(crate) fn works(program: &str, arguments: &[&str]) -> bool {
    let mut command = command(program, arguments);
    command.output().is_ok_and(|output| output.status.success())
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}
