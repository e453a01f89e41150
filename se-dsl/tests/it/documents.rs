//! Documents that are right, and what becomes of them.

use se_dsl::checked::{ConnectorClass, OnError, PodType, ReportClass};
use se_dsl::{Checked, Options, Sources, check, check_documents};

const LIFECYCLE: &str = "apiVersion: pav1
kind: Lifecycle
spec:
  phases: [{ name: only, jobs: [{ definition: only@v1, rubric: rubric, process_type: Grading }] }]
";

fn package(files: &[(&str, &str)]) -> Checked {
    let mut sources = Sources::new();
    sources.add("PAv1/lifecycle.yaml", LIFECYCLE);
    for (path, text) in files {
        sources.add(*path, *text);
    }
    let outcome = check(&sources, Options::default());
    let found = outcome.diagnostics.located(&sources);
    outcome.checked.unwrap_or_else(|| panic!("{found:#?}"))
}

const JOB: (&str, &str) = (
    "PAv1/jobs/only.yaml",
    "apiVersion: pav1
kind: JobDefinition
spec:
  steps:
    - id: report
      uses: collect@v1
      target: rtr01
      with: { command: show clock }
      capture: { output: rtr01.clock }
      on_error: { action: retry, retries: 3, backoff: 0.5 }
    - { id: judge, uses: evaluate.regex@v1 }
",
);

const RUBRIC: (&str, &str) = (
    "PAv1/grading/rubric.yaml",
    "apiVersion: pav1
kind: EvaluationRuleset
spec:
  max_points: 2.5
  items:
    - { id: a, points: 2.5, description: x, checks: [{ source: rtr01.clock, regex: UTC }] }
",
);

const CONNECTORS: (&str, &str) = (
    "PAv1/connectors.yaml",
    "apiVersion: pav1
kind: ConnectorModel
spec:
  connectors:
    - { name: rtr01, class: cisco_common, transport: telnet, prompt: \"${ runtime_env.devices.r1.prompt }\" }
",
);

const FLAT: (&str, &str) = (
    "PAv1/manifest.yaml",
    "format_version: PAv1\nname: x\nversion: 1.10\n",
);

const TOPOLOGY: (&str, &str) = (
    "PAv1/topology/cml.yml",
    "lab: { title: X }
nodes:
  - { label: r1, tags: ['serial:5041', 'pat:5052:22', 'pat:5053:80', other] }
",
);

#[test]
fn a_phase_gives_its_rubric_and_report_to_the_job() {
    let package = package(&[FLAT, JOB, RUBRIC, CONNECTORS, TOPOLOGY]);
    let job = &package.phases[0].jobs[0];
    let ids: Vec<&str> = job.steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(ids, ["report", "judge", "report_2"]);
    let judge = &job.steps[1];
    assert_eq!(judge.rubric.as_ref().unwrap().max_points.hundredths(), 250);
    let clock = ["rtr01".to_owned(), "clock".to_owned()];
    assert!(judge.reads.touches_var(&clock));
    assert_eq!(judge.pointer, "/jobs/only/steps/1");
    assert!(package.content.jobs["only"].steps[1].rubric.is_none());
    let action = se_dsl::catalog::Action::Report(ReportClass::ScoreReport);
    assert_eq!(job.steps[2].uses.action(), Some(action));
    let backoff = std::time::Duration::from_millis(500);
    assert_eq!(
        job.steps[0].on_error,
        OnError::Retry {
            retries: 3,
            backoff
        }
    );
}

#[test]
fn the_pod_type_and_the_ports_come_from_the_topology() {
    let package = package(&[FLAT, JOB, RUBRIC, CONNECTORS, TOPOLOGY]);
    assert_eq!(package.manifest.pod_type, PodType::CmlOnAws);
    assert_eq!(package.manifest.version, "1.10");
    assert!(
        package
            .manifest
            .pod_type_signals
            .contains(&"topology/cml.yml says `cml_on_aws`".to_owned())
    );
    let r1 = &package.content.pod_facts["devices"]["r1"];
    assert_eq!(
        r1,
        &serde_json::json!({"serial_port": 5041, "pat_port": 5052})
    );
    assert_eq!(
        package.content.topology.unwrap().title.as_deref(),
        Some("X")
    );
}

#[test]
fn a_connector_belongs_to_the_device_that_its_expressions_read() {
    let package = package(&[FLAT, JOB, RUBRIC, CONNECTORS, TOPOLOGY]);
    let connector = package.content.connector("rtr01").unwrap();
    assert_eq!(connector.device, "r1");
    assert_eq!(connector.class, ConnectorClass::CiscoCommon);
}

#[test]
fn devices_json_may_be_a_list() {
    let devices = (
        "PAv1/topology/devices.json",
        r#"[{"name": "r1", "prompt": "R1"}]"#,
    );
    let meta = ("mosaic_meta.json", r#"{"form": "A", "track": "T"}"#);
    let package = package(&[FLAT, JOB, RUBRIC, CONNECTORS, TOPOLOGY, devices, meta]);
    assert_eq!(package.content.pod_facts["devices"]["r1"]["prompt"], "R1");
    assert_eq!(package.session["form"], "A");
}

#[test]
fn a_single_document_is_checked_by_itself() {
    let mut sources = Sources::new();
    sources.add("only.yaml", JOB.1.replace("capture", "captures"));
    let found = check_documents(&sources, Options::default());
    let codes: Vec<&str> = found.iter().map(|it| it.code.as_str()).collect();
    assert_eq!(codes, ["SE1103"]);
}
