//! Rules for source files: their size, their names, what they may not say.

use std::path::{Path, PathBuf};

use super::{Complaints, read};
use crate::command::Failure;

/// Lines of a file without its tests.
const LONGEST_FILE: usize = 500;
/// Lines of code of a lib.rs: a table of contents.
const LONGEST_LIB: usize = 80;
const VAGUE_NAMES: &[&str] = &[
    "utils", "util", "common", "helpers", "misc", "manager", "types",
];

pub(super) fn check(files: &[PathBuf]) -> Result<Complaints, Failure> {
    let mut complaints = Complaints::new();
    for path in files
        .iter()
        .filter(|path| path.extension().is_some_and(|it| it == "rs"))
    {
        let text = read(path)?;
        complaints.extend(names(path));
        complaints.extend(sizes(path, &text));
        complaints.extend(words(path, &text));
    }
    complaints.extend(core_lints()?);
    Ok(complaints)
}

fn names(path: &Path) -> Option<String> {
    let stem = path.file_stem()?.to_str()?;
    if stem == "mod" {
        return Some(format!("{}: use name.rs beside name/", path.display()));
    }
    let vague = VAGUE_NAMES.contains(&stem);
    vague.then(|| format!("{}: a vague name; name what it holds", path.display()))
}

fn sizes(path: &Path, text: &str) -> Option<String> {
    let is_test = path.components().any(|it| it.as_os_str() == "tests");
    let own = text.split("#[cfg(test)]").next().unwrap_or(text);
    let lines = own.lines().count();
    if !is_test && lines > LONGEST_FILE {
        return Some(format!(
            "{}: {lines} lines; is it still one concept?",
            path.display()
        ));
    }
    let code = own
        .lines()
        .map(str::trim)
        .filter(|it| !it.is_empty() && !it.starts_with("//"));
    let count = code.count();
    (path.ends_with("src/lib.rs") && count > LONGEST_LIB).then(|| {
        format!(
            "{}: {count} lines of code; lib.rs is a table of contents",
            path.display()
        )
    })
}

fn words(path: &Path, text: &str) -> Complaints {
    // Spelt in two parts, so that this file does not complain of itself.
    let rules = [
        (
            concat!("#[", "allow("),
            "use #[expect(lint, reason = \"…\")]",
        ),
        (concat!("TO", "DO"), "do it, or open an issue"),
        (concat!("FIX", "ME"), "fix it, or open an issue"),
    ];
    let mut complaints = Complaints::new();
    for (number, line) in text.lines().enumerate() {
        for (word, advice) in rules {
            if line.contains(word) {
                complaints.push(format!("{}:{}: {advice}", path.display(), number + 1));
            }
        }
    }
    complaints
}

/// The core crates carry clippy.toml files of their own: at least what the root has.
fn core_lints() -> Result<Complaints, Failure> {
    let root = read(Path::new("clippy.toml"))?;
    let mut complaints = Complaints::new();
    for name in ["se-dsl", "se-runtime"] {
        let own = read(&Path::new(name).join("clippy.toml"))?;
        let missing = root
            .lines()
            .filter(|line| !own.lines().any(|it| it == *line));
        complaints.extend(missing.map(|line| format!("{name}/clippy.toml: lacks `{line}`")));
    }
    Ok(complaints)
}
