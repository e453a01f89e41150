//! The packages of the repository: nothing is wrong with them, and every phase has the plan that is on record.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use se_dsl::diagnostic::{Format, render};
use se_dsl::{Checked, Options, Severity, Sources, check};
use se_runtime::{Plan, PlanError};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples")
        .join(name)
}

/// What is directly in a folder, sorted.
#[expect(
    clippy::disallowed_methods,
    reason = "a test reads the example packages"
)]
pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|it| it.unwrap().path()).collect();
    paths.sort();
    paths
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test reads the example packages"
)]
pub(crate) fn sources(root: &Path) -> Sources {
    let mut sources = Sources::new();
    let mut open = vec![root.join("PAv1")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(entries(&path));
            continue;
        }
        let inside = path.strip_prefix(root).unwrap().to_str().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        if inside.ends_with(".yaml") || inside.ends_with(".json") {
            sources.add(inside, bytes);
        } else {
            sources.add_asset(inside, bytes.len() as u64);
        }
    }
    sources
}

/// The example, of which not even a strict check finds anything to say.
fn checked(name: &str) -> Arc<Checked> {
    let sources = sources(&folder(name));
    let outcome = check(&sources, Options { strict: true });
    let text = render(&outcome.diagnostics, &sources, Format::Text, false);
    assert_eq!(
        outcome.diagnostics.count(Severity::Error),
        0,
        "{name}:\n{text}"
    );
    assert_eq!(
        outcome.diagnostics.count(Severity::Warning),
        0,
        "{name}:\n{text}"
    );
    Arc::new(outcome.checked.unwrap())
}

/// The plans of all phases, one below the other.
fn plans(name: &str) -> String {
    let package = checked(name);
    let mut text = String::new();
    for phase in &package.phases {
        let plan = match Plan::of_phase(Arc::clone(&package), &phase.name) {
            Ok(plan) => plan.to_text(),
            Err(PlanError::NothingToRun(_)) => "nothing to run\n".to_owned(),
            Err(error) => panic!("{name}, phase {}: {error}", phase.name),
        };
        text.push_str(&format!("== {}\n{plan}\n", phase.name));
    }
    text
}

#[test]
fn each_example_is_sound_and_every_phase_has_its_plan() {
    let folders = entries(&folder(""));
    let names = folders.iter().filter(|it| it.is_dir());
    let names: Vec<&str> = names
        .map(|it| it.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(names, ["lab-0.1", "loops", "session"]);
    for name in names {
        insta::assert_snapshot!(format!("plans_of_{name}"), plans(name));
    }
}
