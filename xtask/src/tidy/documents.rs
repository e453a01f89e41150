//! Rules for documents: what they name exists, and what they must name is there.

use std::path::{Path, PathBuf};

use super::{Complaints, read};
use crate::command::{Failure, root};

const REQUIRED: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "deny.toml",
    ".ci/run",
];
const LONGEST_ARCHITECTURE: usize = 200;

pub(super) fn check(files: &[PathBuf]) -> Result<Complaints, Failure> {
    let mut complaints = Complaints::new();
    for name in REQUIRED {
        if !root().join(name).is_file() {
            complaints.push(format!("{name}: missing"));
        }
    }
    if !complaints.is_empty() {
        return Ok(complaints);
    }
    let architecture = read(Path::new("ARCHITECTURE.md"))?;
    let lines = architecture.lines().count();
    if lines > LONGEST_ARCHITECTURE {
        complaints.push(format!(
            "ARCHITECTURE.md: {lines} lines; {LONGEST_ARCHITECTURE} at most"
        ));
    }
    complaints.extend(dependencies(&architecture)?);
    for path in files
        .iter()
        .filter(|path| path.extension().is_some_and(|it| it == "md"))
    {
        complaints.extend(named_files(path, &read(path)?));
    }
    Ok(complaints)
}

/// Every dependency has its reason in ARCHITECTURE.md, and the list is in order.
fn dependencies(architecture: &str) -> Result<Complaints, Failure> {
    let manifest = read(Path::new("Cargo.toml"))?;
    let section = manifest
        .split("[workspace.dependencies]")
        .nth(1)
        .unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let names: Vec<&str> = section
        .lines()
        .filter_map(|line| line.split_once(" = ").map(|(name, _)| name))
        .filter(|name| !name.starts_with("se-") && !name.starts_with('#'))
        .collect();
    let mut complaints = Complaints::new();
    if !names.is_sorted() {
        complaints.push("Cargo.toml: [workspace.dependencies] is not in alphabetical order".into());
    }
    let unexplained = names
        .iter()
        .filter(|name| !architecture.contains(&format!("`{name}`")));
    complaints.extend(
        unexplained.map(|name| format!("ARCHITECTURE.md: no reason for the dependency `{name}`")),
    );
    Ok(complaints)
}

/// Files that a document names in backticks, with a folder and an ending, exist.
fn named_files(document: &Path, text: &str) -> Complaints {
    let folder = document.parent().unwrap_or(Path::new(""));
    let mut complaints = Complaints::new();
    for word in text.split('`').skip(1).step_by(2) {
        let ours = ["se-", "xtask/", "examples/", "docs/", "benches/"];
        let is_path = ours.iter().any(|start| word.starts_with(start))
            && [".rs", ".md", ".toml", ".yaml", ".sql", "/"]
                .iter()
                .any(|end| word.ends_with(end))
            && !word.contains(['*', '<', ' ', '{']);
        let exists = root().join(word).exists() || root().join(folder).join(word).exists();
        if is_path && !exists {
            complaints.push(format!(
                "{}: names `{word}`, which does not exist",
                document.display()
            ));
        }
    }
    complaints
}
