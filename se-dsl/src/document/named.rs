//! What a manifest names for its readers: the lifecycle, jobs and scenarios, and the adapter's version.

use super::paths::Paths;
use super::topology::{as_text, get};
use crate::catalog;
use crate::decode::Sink;
use crate::diagnostic::codes::lints;
use crate::source::Spanned;
use crate::syntax::{Kind, Node};

/// Jobs of the engine, besides those that are primitives.
const BUILT_IN: &[&str] = &[
    "readiness_check",
    "collect_evidence",
    "grade_item",
    "score_report",
];

/// Tells what is not there.
pub(super) fn check(sink: &Sink<'_>, paths: &Paths<'_>, manifest: &Node) {
    if let Some(node) = get(manifest, "required_adapter_version")
        && let Some(text) = as_text(node)
        && !is_range(text)
    {
        sink.push(lints::adapter_version(node.span, text));
    }
    if let Some(node) = get(manifest, "lifecycle_ref")
        && let Some(text) = as_text(node)
    {
        let file = text.trim_start_matches("./").trim_start_matches("PAv1/");
        if !paths.has(&format!("PAv1/{file}")) {
            let name = Spanned::new(text.to_owned(), node.span);
            sink.push(lints::names_nothing(&name, "file", &["lifecycle.yaml"]));
        }
    }
    for (key, what) in [("jobs_used", "job"), ("scenarios_used", "scenario")] {
        let known = known(paths, key);
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        for node in get(manifest, key).map(items).unwrap_or_default() {
            let Some(text) = as_text(node) else { continue };
            let name = text.split('@').next().unwrap_or(text);
            if !known.contains(&name) {
                let name = Spanned::new(text.to_owned(), node.span);
                sink.push(lints::names_nothing(&name, what, &known));
            }
        }
    }
}

/// Names, without versions, that may stand below a key.
fn known(paths: &Paths<'_>, key: &str) -> Vec<String> {
    let folders: &[&str] = match key {
        "jobs_used" => &["PAv1/jobs/"],
        _ => &["PAv1/scenarios/", "PAv1/composites/"],
    };
    let own = folders.iter().flat_map(|it| paths.documents_in(it));
    let mut known: Vec<String> = own.map(|(_, stem)| stem.to_owned()).collect();
    for part in paths.all_below("PAv1/parts/") {
        let folder = if key == "jobs_used" {
            "jobs"
        } else {
            "scenarios"
        };
        let mut parents = part.rsplit('/');
        let file = parents.next().unwrap_or_default();
        if parents.next() == Some(folder) {
            known.extend(file.split('.').next().map(str::to_owned));
        }
    }
    known.extend(BUILT_IN.iter().map(|it| (*it).to_owned()));
    known.extend(catalog::all().iter().map(|it| it.name.to_owned()));
    known
}

fn items(node: &Node) -> &[Node] {
    match &node.kind {
        Kind::Seq(items) => items,
        _ => &[],
    }
}

/// Comparisons of versions with commas or blanks between them: `>=1.0.0, <2`.
fn is_range(text: &str) -> bool {
    let spaced = text.replace(',', " ");
    let mut words = spaced.split_whitespace().peekable();
    if words.peek().is_none() {
        return false;
    }
    while let Some(word) = words.next() {
        let version = word.trim_start_matches(['>', '<', '=', '^', '~']);
        let operator = &word[..word.len() - version.len()];
        let is_operator = ["", ">", "<", ">=", "<=", "=", "==", "^", "~"].contains(&operator);
        // The operator may stand alone: `>= 1.0`.
        let version = match version {
            "" => words.next().unwrap_or_default(),
            version => version,
        };
        if !is_operator || !is_version(version) {
            return false;
        }
    }
    true
}

fn is_version(text: &str) -> bool {
    let text = text.trim_start_matches('v');
    let core = text.split(['-', '+']).next().unwrap_or(text);
    let parts: Vec<&str> = core.split('.').collect();
    let is_part = |it: &&str| {
        matches!(*it, "*" | "x") || !it.is_empty() && it.bytes().all(|b| b.is_ascii_digit())
    };
    parts.len() <= 3 && parts.iter().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::is_range;

    #[test]
    fn ranges_of_versions() {
        for good in [
            ">=1.0.0",
            "1",
            "^1.2",
            "~1.2.3",
            ">=1.0, <2",
            ">= 1 < 2.0",
            "*",
            "1.x",
            "=1.0.0-rc.1",
        ] {
            assert!(is_range(good), "{good}");
        }
        for bad in ["", "latest", ">=", "=>1.0", "1.0.0.0", ">=1..2", "1,,a"] {
            assert!(!is_range(bad), "{bad}");
        }
    }
}
