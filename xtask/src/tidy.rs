//! The rules that clippy cannot see.
//!
//! Each rule reads the repository and lists what breaks it; all rules run, then the task fails.

mod dependencies;
mod documents;
mod sources;

use std::path::PathBuf;

use crate::command::{Failure, command, output, root, say};

/// What breaks a rule: a place and what to do.
pub(crate) type Complaints = Vec<String>;

/// Checks every rule.
pub(crate) fn run() -> Result<(), Failure> {
    say("\n==> tidy");
    let files = tracked()?;
    let mut complaints = Complaints::new();
    complaints.extend(dependencies::check()?);
    complaints.extend(sources::check(&files)?);
    complaints.extend(documents::check(&files)?);
    for complaint in &complaints {
        say(complaint);
    }
    match complaints.len() {
        0 => Ok(()),
        count => Err(format!("tidy: {count} complaints")),
    }
}

/// Files of the repository, relative to its root.
fn tracked() -> Result<Vec<PathBuf>, Failure> {
    let list = output(command(
        "git",
        &["ls-files", "--cached", "--others", "--exclude-standard"],
    ))?;
    let root = root();
    Ok(list
        .lines()
        .map(PathBuf::from)
        .filter(|path| root.join(path).is_file())
        .collect())
}

/// Reads a file of the repository.
fn read(path: &std::path::Path) -> Result<String, Failure> {
    let full = root().join(path);
    std::fs::read_to_string(&full)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))
}
