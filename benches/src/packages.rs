//! Packages of any size, generated.

use std::sync::Arc;

use se_dsl::{Checked, Options, Sources};

/// A package with `devices` connectors and one job `main` of `rounds` × `devices` collect steps:
/// those of one device follow each other, those of different devices do not.
#[must_use]
pub fn package(devices: usize, rounds: usize) -> Sources {
    package_of(devices, job(devices, rounds))
}

/// A package with `devices` connectors and one job `main` of this text.
#[must_use]
pub fn package_of(devices: usize, job: String) -> Sources {
    package_of_jobs(devices, vec![job])
}

/// A package with `devices` connectors and a phase `main` of these jobs: `main`, `main1`, `main2`, …
#[must_use]
pub fn package_of_jobs(devices: usize, jobs: Vec<String>) -> Sources {
    let mut sources = Sources::new();
    let manifest =
        "format_version: PAv1\nname: bench\nversion: '1'\ncontent_id: b\npod_type: none\n";
    sources.add("PAv1/manifest.yaml", manifest);
    let head = "apiVersion: pav1\nkind: Lifecycle\nmetadata: { lablet: bench }\n";
    let names = (0..jobs.len()).map(|at| match at {
        0 => "main".to_owned(),
        at => format!("main{at}"),
    });
    let listed = names
        .clone()
        .map(|it| format!("        - definition: {it}@v1\n"));
    let phases = "spec:\n  phases:\n    - name: main\n      jobs:\n";
    let listed: String = listed.collect();
    sources.add("PAv1/lifecycle.yaml", format!("{head}{phases}{listed}"));
    sources.add("PAv1/connectors.yaml", connectors(devices));
    for (name, job) in names.zip(jobs) {
        sources.add(format!("PAv1/jobs/{name}.yaml"), job);
    }
    sources
}

fn connectors(devices: usize) -> String {
    let head = "apiVersion: pav1\nkind: ConnectorModel\nmetadata: { name: bench }\nspec:\n";
    let one = |at: usize| {
        let port = format!("\"${{ runtime_env.devices.d{at}.serial_port }}\"");
        format!("    - {{ name: d{at}, class: cisco_common, transport: telnet, port: {port} }}\n")
    };
    let all: String = (0..devices).map(one).collect();
    format!("{head}  connectors:\n{all}")
}

/// The text of the job `main` of [`package`].
#[must_use]
pub fn job(devices: usize, rounds: usize) -> String {
    let head = "apiVersion: pav1\nkind: JobDefinition\nmetadata: { name: main, version: v1 }\n";
    let mut text = format!("{head}spec:\n  steps:\n");
    for round in 0..rounds {
        for device in 0..devices {
            text.push_str(&format!(
                "    - id: c{device}_{round}\n      uses: collect@v1\n      stage: collect\n      \
                 target: d{device}\n      with: {{ command: \"show {round}\" }}\n      \
                 capture: {{ output: d{device}.r{round} }}\n"
            ));
        }
    }
    text
}

/// Checks a generated package.
///
/// # Panics
/// If it has an error: then the benchmark measures the wrong thing.
#[must_use]
pub fn checked(sources: &Sources) -> Arc<Checked> {
    let outcome = se_dsl::check(sources, Options::default());
    let first = outcome
        .diagnostics
        .iter()
        .next()
        .map(|it| it.message.clone());
    let checked = outcome.checked;
    assert!(
        checked.is_some(),
        "a generated package has an error: {first:?}"
    );
    Arc::new(checked.expect("it was just looked for"))
}
