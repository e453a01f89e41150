//! Sessions of several parts: what a phase means in each of them.

use se_dsl::{Checked, Options, Sources, check};

const FILES: &[(&str, &str)] = &[
    (
        "PAv1/manifest.yaml",
        "apiVersion: pav1
kind: SessionDefinition
metadata: { name: two, content_version: \"1\" }
spec:
  parts: [{ requirement: lab, order: 2 }, { requirement: web, order: 1 }]
",
    ),
    (
        "PAv1/lifecycle.yaml",
        "apiVersion: pav1
kind: Lifecycle
spec:
  part_workflow:
    - name: ready
      jobs: [{ definition: readiness_check@v1 }]
    - name: start
      jobs: [{ definition: cml.lab_start@v1 }]
    - name: collect
      jobs: [{ definition: collect_evidence@v1, scenario: evidence }]
    - name: grade
      jobs: [{ definition: grade_item@v1, process_type: Grading, rubric: rubric }]
    - name: report
      jobs: [{ definition: score_report@v1, process_type: Grading }]
",
    ),
    (
        "PAv1/parts/01-web/part.yaml",
        "apiVersion: pav1
kind: PartDefinition
metadata: { name: web }
spec: { pod_type: none, form_selector: { fqn_pattern: \"*\" }, collect_source: submission }
",
    ),
    (
        "PAv1/parts/01-web/grading/rubric.yaml",
        "apiVersion: pav1
kind: EvaluationRuleset
spec:
  max_points: 1
  items:
    - id: 1
      points: 1
      description: named
      checks: [{ source: submission.answer, regex: HSRP }]
",
    ),
    (
        "PAv1/parts/02-lab/part.yaml",
        "apiVersion: pav1
kind: PartDefinition
metadata: { name: lab }
spec: { pod_type: cml_on_aws, form_selector: { fqn_pattern: \"*\" } }
",
    ),
    (
        "PAv1/parts/02-lab/topology/ports.json",
        "{ \"ports\": [{ \"device\": \"r1\", \"serial\": 5001 }, { \"device\": \"h1\", \"serial\": 5002, \"pat\": { \"5003\": 22 } }] }",
    ),
    (
        "PAv1/parts/02-lab/scenarios/evidence.yaml",
        "apiVersion: pav1
kind: ScenarioDefinition
spec:
  devices: [r1, h1]
  collect:
    - { device: r1, command: show clock, as: r1.clock }
    - { device: h1, command: uptime, as: h1.uptime }
",
    ),
    (
        "PAv1/parts/02-lab/grading/rubric.yaml",
        "apiVersion: pav1
kind: EvaluationRuleset
spec:
  max_points: 1
  items:
    - id: 1
      points: 1
      description: clock
      checks: [{ source: r1.clock, regex: UTC }]
",
    ),
];

fn sources(change: impl Fn(&str, &str) -> String) -> Sources {
    let mut sources = Sources::new();
    for (path, text) in FILES {
        sources.add(*path, change(path, text));
    }
    sources
}

fn findings(path: &str, from: &str, to: &str) -> Vec<String> {
    let sources = sources(|it, text| {
        if it == path {
            assert!(text.contains(from), "{path} has no {from}");
            text.replacen(from, to, 1)
        } else {
            text.to_owned()
        }
    });
    let outcome = check(&sources, Options::default());
    let located = outcome.diagnostics.located(&sources);
    let shown = located
        .iter()
        .map(|it| format!("{} {}:{} {}", it.code, it.file, it.line, it.message));
    shown.collect()
}

fn whole() -> Checked {
    let sources = sources(|_, text| text.to_owned());
    let outcome = check(&sources, Options::default());
    let found = outcome.diagnostics.located(&sources);
    assert!(found.is_empty(), "{found:#?}");
    outcome.checked.expect("nothing is wrong with it")
}

/// Part and step ids of each job of a phase.
fn jobs(package: &Checked, phase: &str) -> Vec<(Option<usize>, String)> {
    let jobs = package.phase(phase).expect("a phase of it").jobs.iter();
    jobs.map(|job| {
        let steps: Vec<&str> = job.steps.iter().map(|step| step.id.as_str()).collect();
        (job.part, steps.join(" "))
    })
    .collect()
}

#[test]
fn a_reference_is_a_job_for_each_part_that_has_what_it_asks_for() {
    let package = whole();
    let names: Vec<&str> = package.parts.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["web", "lab"]);
    let own = |part, steps: &str| (part, steps.to_owned());
    assert_eq!(
        jobs(&package, "ready"),
        [
            own(Some(0), "report"),
            own(Some(1), "lab_converged prompt_r1 prompt_h1 report"),
        ]
    );
    assert_eq!(jobs(&package, "start"), [own(Some(1), "lab_start")]);
    assert_eq!(
        jobs(&package, "collect"),
        [own(Some(1), "r1_clock h1_uptime")]
    );
    assert_eq!(
        jobs(&package, "grade"),
        [own(Some(0), "grade report"), own(Some(1), "grade report")]
    );
    assert_eq!(jobs(&package, "report"), [own(None, "report")]);
}

#[test]
fn devices_without_connectors_yaml_are_connectors_themselves() {
    let package = whole();
    let content = package.content(Some(1));
    let console = content.connector("r1").unwrap();
    assert_eq!(console.device, "r1");
    assert!(console.port.is_some() && console.via_port.is_none());
    let host = content.connector("h1").unwrap();
    assert!(host.via_port.is_some() && host.port.is_none());
    assert!(package.content.connectors.is_empty());
}

#[test]
fn devices_are_connectors_where_a_package_has_nothing_else() {
    let mut sources = Sources::new();
    let lifecycle = "apiVersion: pav1\nkind: Lifecycle\nspec: { phases: [{ name: ready, jobs: [{ definition: readiness_check@v1 }] }] }\n";
    for (path, text) in [
        (
            "PAv1/manifest.yaml",
            "format_version: PAv1\nname: x\nversion: 1\npod_type: none\n",
        ),
        ("PAv1/lifecycle.yaml", lifecycle),
        (
            "PAv1/topology/ports.json",
            r#"{"ports": [{"device": "r1", "serial": 5001}]}"#,
        ),
    ] {
        sources.add(path, text);
    }
    let package = check(&sources, Options::default()).checked.unwrap();
    let steps = package.phases[0].jobs[0].steps.iter();
    let ids: Vec<&str> = steps.map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["prompt_r1", "report"]);
}

#[test]
fn mistakes_of_parts_are_told_in_the_part() {
    const LIFECYCLE: &str = "PAv1/lifecycle.yaml";
    const RUBRIC: &str = "PAv1/parts/02-lab/grading/rubric.yaml";
    const SCENARIO: &str = "PAv1/parts/02-lab/scenarios/evidence.yaml";
    for (path, from, to, expected) in [
        (
            RUBRIC,
            "r1.clock",
            "r1.clok",
            "SE1504 PAv1/parts/02-lab/grading/rubric.yaml:9 job `grade_item` is graded by `r1.clok`, and no step of it captures that",
        ),
        (
            "PAv1/parts/01-web/grading/rubric.yaml",
            "submission.answer",
            "submision.answer",
            "SE1504 PAv1/parts/01-web/grading/rubric.yaml:9 job `grade_item` is graded by `submision.answer`, and no step of it captures that",
        ),
        (
            LIFECYCLE,
            "scenario: evidence",
            "scenario: evidenc",
            "SE1235 PAv1/lifecycle.yaml:10 there is no scenario `evidenc`",
        ),
        (
            LIFECYCLE,
            "rubric: rubric",
            "rubric: rubrik",
            "SE1214 PAv1/lifecycle.yaml:12 there is no rubric `rubrik`",
        ),
        (
            LIFECYCLE,
            ", scenario: evidence",
            "",
            "SE1102 PAv1/lifecycle.yaml:10 `collect_evidence@v1` has no `scenario`",
        ),
        (
            SCENARIO,
            "devices: [r1, h1]\n  collect:\n    - { device: r1,",
            "devices: [r2, h1]\n  collect:\n    - { device: r2,",
            "SE1209 PAv1/parts/02-lab/scenarios/evidence.yaml:6 there is no connector `r2`",
        ),
    ] {
        assert_eq!(findings(path, from, to), [expected], "{to}");
    }
}
