//! Logs written by hand: what became of each step of a plan, in document order, one second apart.

use std::path::Path;
use std::sync::Arc;

use se_dsl::catalog::Action;
use se_dsl::{Checked, Options, Sources};
use se_runtime::event::{Accepted, AfterFault, End, FORMAT, FrozenScopes, Map};
use se_runtime::{Event, Fault, FaultKind, Node, Plan, Record, State, StepError, Timestamp, Vault};
use serde_json::{Value, json};

/// What becomes of a step.
pub(crate) enum Fate {
    Gives(Value),
    Faults(&'static str),
    Skipped,
}

/// A package of these documents.
pub(crate) fn package(documents: &[(&str, String)]) -> Arc<Checked> {
    let mut sources = Sources::new();
    for (path, text) in documents {
        sources.add(*path, text.as_bytes());
    }
    sources.add_asset("PAv1/files/desktop_package.tgz", 1);
    let outcome = se_dsl::check(&sources, Options::default());
    let found = outcome.diagnostics.located(&sources);
    Arc::new(outcome.checked.unwrap_or_else(|| panic!("{found:#?}")))
}

/// The example package of the repository, with some of its text replaced.
#[expect(
    clippy::disallowed_methods,
    reason = "a test reads the example package"
)]
pub(crate) fn lab(replace: &[(&str, &str)]) -> Arc<Checked> {
    const DOCUMENTS: &[&str] = &[
        "PAv1/manifest.yaml",
        "PAv1/lifecycle.yaml",
        "PAv1/connectors.yaml",
        "PAv1/topology/cml.yaml",
        "PAv1/topology/devices.json",
        "PAv1/topology/ports.json",
        "PAv1/jobs/grade.yaml",
        "PAv1/jobs/post_init.yaml",
        "PAv1/grading/rubric.yaml",
        "PAv1/reports/score_report.yaml",
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/lab-0.1");
    let read = |path: &&'static str| {
        let mut text = std::fs::read_to_string(root.join(path)).unwrap();
        for (from, to) in replace {
            text = text.replace(from, to);
        }
        (*path, text)
    };
    let documents: Vec<(&str, String)> = DOCUMENTS.iter().map(read).collect();
    package(&documents)
}

/// A package without a pod: a connector `a`, a phase `main` that runs `reference` to the one job, and any
/// other documents.
pub(crate) fn small(job: &str, reference: &str, others: &[(&str, &str)]) -> Arc<Checked> {
    let document = |kind: &str, spec: &str| {
        format!(
            "apiVersion: pav1\nkind: {kind}\nmetadata: {{ name: job, version: v1 }}\nspec:\n{spec}"
        )
    };
    let manifest = "format_version: PAv1\nname: t\nversion: '1'\ncontent_id: t\npod_type: none\n";
    let connector = "  connectors:\n    - { name: a, class: cisco_common, transport: telnet, port: \"${ runtime_env.devices.a.serial_port }\" }\n";
    let phase = format!("  phases: [{{ name: main, jobs: [{{ {reference} }}] }}]\n");
    let mut documents = vec![
        ("PAv1/manifest.yaml", manifest.to_owned()),
        (
            "PAv1/connectors.yaml",
            document("ConnectorModel", connector),
        ),
        ("PAv1/lifecycle.yaml", document("Lifecycle", &phase)),
        ("PAv1/jobs/job.yaml", document("JobDefinition", job)),
    ];
    documents.extend(
        others
            .iter()
            .map(|(path, text)| (*path, (*text).to_owned())),
    );
    package(&documents)
}

/// The log of a job in which each step meets its fate, as it is stored: sealed.
pub(crate) fn write(
    plan: &Plan,
    phase: &str,
    vault: &Vault,
    fate: &mut dyn FnMut(&Node) -> Option<Fate>,
) -> Vec<Record> {
    let mut events = vec![accepted(phase), Event::JobStarted];
    for (_, node) in plan.steps() {
        match fate(node) {
            None => return sealed(events, vault),
            Some(Fate::Skipped) => events.push(Event::StepSkipped {
                step: node.key.clone(),
            }),
            Some(Fate::Gives(output)) => {
                events.push(started(node));
                events.push(Event::StepCompleted {
                    step: node.key.clone(),
                    attempt: 1,
                    output: object(output),
                    learned: Map::new(),
                });
            }
            Some(Fate::Faults(detail)) => {
                events.push(started(node));
                let fault = Fault::new(FaultKind::Communication, detail);
                events.push(Event::StepFaulted {
                    step: node.key.clone(),
                    error: StepError::new(&fault, &node.step().pointer, 1),
                    then: AfterFault::Continue,
                });
            }
        }
    }
    events.push(Event::JobCompleted {
        end: End::default(),
    });
    sealed(events, vault)
}

/// The state after a log that is read as it is stored.
pub(crate) fn fold(plan: &Plan, log: &[Record]) -> State {
    State::fold(plan, log).unwrap()
}

fn sealed(events: Vec<Event>, vault: &Vault) -> Vec<Record> {
    let numbered = (1_u64..).zip(events);
    numbered
        .map(|(seq, event)| {
            let second = i64::try_from(seq).unwrap() * 1_000_000;
            let at = Timestamp::from_micros(1_764_000_000_000_000 + second);
            Record { seq, at, event }.seal(vault)
        })
        .collect()
}

/// The inputs that can be told without running expressions.
fn started(node: &Node) -> Event {
    let step = node.step();
    let literal = |template: &se_dsl::expr::Template| match template {
        se_dsl::expr::Template::Literal(value) => Some(value.clone()),
        _ => None,
    };
    let inputs = step.with.iter();
    let inputs = inputs.filter_map(|(name, it)| Some((name.clone(), literal(it)?)));
    let target = step.target.as_ref().and_then(literal);
    Event::StepStarted {
        step: node.key.clone(),
        attempt: 1,
        inputs: inputs.collect(),
        target: target.and_then(|it| it.as_str().map(str::to_owned)),
    }
}

fn accepted(phase: &str) -> Event {
    Event::JobAccepted(Box::new(Accepted {
        format: FORMAT,
        job_id: "job-1".into(),
        definition_id: "LAB-0.1".into(),
        version: "1".into(),
        content_hash: "c0ffee".into(),
        session_id: Some("session-7".into()),
        phase: Some(phase.into()),
        scenario: None,
        sequential: false,
        callback_url: None,
        metadata: None,
        scopes: FrozenScopes {
            session: json!({}),
            content: json!({}),
            runtime_env: json!({}),
            vars: Map::new(),
            ..FrozenScopes::default()
        },
        engine_version: "0.1.0".into(),
        origin: None,
    }))
}

pub(crate) fn object(value: Value) -> Map {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}

/// What a step that needs no script gives: every declared output that is always there.
pub(crate) fn nothing_special(node: &Node) -> Fate {
    match node.step().uses.action() {
        Some(Action::Report(_)) => {
            Fate::Gives(json!({"report_ref": format!("job-1:{}", node.key)}))
        }
        _ => Fate::Gives(json!({"ok": true})),
    }
}
