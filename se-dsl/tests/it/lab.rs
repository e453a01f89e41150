//! The example package of the repository passes.

use std::path::{Path, PathBuf};

use se_dsl::diagnostic::{Format, render};
use se_dsl::{Checked, Options, Outcome, Severity, Sources, check};

/// Every file of `examples/lab-0.1`, by path in the package.
pub(crate) fn files() -> Vec<(String, Vec<u8>)> {
    files_of("lab-0.1")
}

/// Every file of an example, by path in the package.
#[expect(
    clippy::disallowed_methods,
    reason = "a test reads the example package"
)]
pub(crate) fn files_of(example: &str) -> Vec<(String, Vec<u8>)> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let root = examples.join(example);
    let mut folders = vec![root.join("PAv1")];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let list = if path.is_dir() {
                &mut folders
            } else {
                &mut files
            };
            list.push(path);
        }
    }
    files.sort();
    let name = |path: &PathBuf| {
        path.strip_prefix(&root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    };
    files
        .iter()
        .map(|path| (name(path), std::fs::read(path).unwrap()))
        .collect()
}

pub(crate) fn sources(files: &[(String, Vec<u8>)]) -> Sources {
    let mut sources = Sources::new();
    for (path, bytes) in files {
        if [".yaml", ".yml", ".json"]
            .iter()
            .any(|it| path.ends_with(it))
        {
            sources.add(path.clone(), bytes.clone());
        } else {
            sources.add_asset(path.clone(), bytes.len() as u64);
        }
    }
    sources
}

fn lab() -> Checked {
    let sources = sources(&files());
    let Outcome {
        checked,
        diagnostics,
    } = check(&sources, Options { strict: true });
    checked.unwrap_or_else(|| panic!("{}", render(&diagnostics, &sources, Format::Text, false)))
}

#[test]
fn the_example_has_no_error_and_no_warning() {
    let sources = sources(&files());
    let diagnostics = check(&sources, Options { strict: true }).diagnostics;
    let text = render(&diagnostics, &sources, Format::Text, false);
    assert_eq!(diagnostics.count(Severity::Error), 0, "{text}");
    assert_eq!(diagnostics.count(Severity::Warning), 0, "{text}");
}

#[test]
fn phases_become_jobs_with_steps() {
    let lab = lab();
    let phases = lab.phases.iter();
    let shape: Vec<_> = phases
        .map(|phase| {
            let jobs = phase.jobs.iter().map(|job| {
                let steps = job.steps.iter().map(|step| step.id.as_str());
                (job.name.as_str(), steps.collect::<Vec<_>>())
            });
            (phase.name.as_str(), jobs.collect::<Vec<_>>())
        })
        .collect();
    insta::assert_snapshot!(format!("{shape:#?}"));
}
