//! What content cannot do: write anything but `vars`, or let a secret out.

use std::time::Duration;

use proptest::prelude::{Just, Strategy, prop_oneof, proptest};
use proptest::test_runner::Config;
use proptest::{collection, prop_assert, prop_assert_eq};
use se_dsl::expr::Root;
use se_runtime::cloudevent::{Profile, of_job};
use se_runtime::port::Done;
use se_runtime::{Drive, Event, Plan, Ports, Record, Secret, State, Vault, drive};
use serde_json::{Value, json};

use crate::world::{Run, Script, package_with};

const SECRETS: [&str; 3] = ["hunter-two", "hunter-two-long", "p\"w\\1"];

/// A name that content might hope to overwrite something with.
fn a_name() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("session"),
        Just("content"),
        Just("runtime_env"),
        Just("parameters"),
        Just("vars"),
        Just("devices"),
        Just("__proto__"),
        Just("x"),
    ]
}

/// Where a step captures to, what its device prints, and what surrounds a secret in that.
#[derive(Clone, Debug)]
struct Step {
    path: Vec<&'static str>,
    around: String,
    secret: usize,
    inside: Inside,
}

#[derive(Clone, Copy, Debug)]
enum Inside {
    Job,
    Loop,
    Composite,
}

fn a_step() -> impl Strategy<Value = Step> {
    let inside = prop_oneof![
        Just(Inside::Job),
        Just(Inside::Loop),
        Just(Inside::Composite)
    ];
    let path = collection::vec(a_name(), 1..4);
    (
        path,
        "[a-z \"\\\\\u{F8F0}-\u{F8F1}é]{0,6}",
        0..SECRETS.len(),
        inside,
    )
        .prop_map(|(path, around, secret, inside)| Step {
            path,
            around,
            secret,
            inside,
        })
}

const COMPOSITE: &str = "apiVersion: pav1
kind: CompositeScenario
spec:
  parameters: { command: any }
  export: [got]
  steps:
    - id: inner
      uses: collect@v1
      target: a
      with: { command: \"${ parameters.command | tostring }\" }
      capture: { output: got }
";

fn plan(steps: &[Step]) -> Plan {
    let mut text = "apiVersion: pav1\nkind: JobDefinition\nspec:\n  steps:\n".to_owned();
    for (at, step) in steps.iter().enumerate() {
        let path = step.path.join(".");
        // A step may hand the secret itself on.
        let command = format!("\"${{ runtime_env.secrets[{}] }}\"", step.secret);
        text += &match step.inside {
            Inside::Job => format!(
                "    - {{ id: s{at}, uses: collect@v1, target: a, with: {{ command: {command} }}, capture: {{ output: {path} }} }}\n"
            ),
            Inside::Loop => format!(
                "    - {{ id: s{at}, uses: collect@v1, target: a, for_each: {{ var: it, in: [1, 2] }}, with: {{ command: {command} }}, capture: {{ output: {path} }} }}\n"
            ),
            Inside::Composite => format!(
                "    - {{ id: s{at}, uses: \"composite:inner@v1\", with: {{ command: {command} }}, capture: {{ got: {path} }} }}\n"
            ),
        };
    }
    let files = [
        ("PAv1/composites/inner.yaml", COMPOSITE),
        ("PAv1/jobs/job.yaml", text.as_str()),
    ];
    Plan::of_phase(package_with(&files), "main").unwrap()
}

/// Devices that print what they were asked, with a secret in it.
fn script(steps: &[Step]) -> Box<Script> {
    let steps = steps.to_vec();
    Box::new(move |call| {
        let at: usize = call.step[1..]
            .split(|c: char| !c.is_ascii_digit())
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let step = &steps[at];
        let text = format!(
            "{0}{1}{0}{2}",
            step.around, SECRETS[step.secret], call.inputs["command"]
        );
        let mut done = Done::default();
        done.output.insert("output".to_owned(), Value::from(text));
        (Duration::from_millis(10), Ok(done))
    })
}

fn driven(steps: &[Step]) -> (Run, Vault) {
    let run = Run::new(plan(steps), script(steps));
    let vault = Vault::new(SECRETS.map(Secret::new));
    {
        let mut records = run.log.records.lock().unwrap();
        let Event::JobAccepted(accepted) = &mut records[0].event else {
            panic!("a log begins with job_accepted");
        };
        accepted.scopes.runtime_env["secrets"] = json!(SECRETS);
        let sealed = records[0].clone().seal(&vault);
        records[0] = sealed;
    }
    let opened: Vec<_> = run.log.records.lock().unwrap().clone();
    let opened: Vec<_> = opened.into_iter().map(|it| it.open(&vault)).collect();
    let state = State::fold(&run.plan, &opened).unwrap();
    let ports = Ports {
        log: &run.log,
        actions: &run.actions,
        clock: &run.clock,
        patience: None,
    };
    let (_told, control) = futures_channel::mpsc::unbounded();
    let driving = drive(&run.plan, state, &vault, ports, control);
    let ended = run.clock.0.run(driving);
    assert!(matches!(ended, Some(Ok(Drive::Ended(_)))), "{ended:?}");
    (run, vault)
}

proptest! {
    #![proptest_config(Config { cases: 96, failure_persistence: None, ..Config::default() })]

    #[test]
    fn nothing_but_vars_is_ever_written(steps in collection::vec(a_step(), 1..6)) {
        let (run, vault) = driven(&steps);
        let opened: Vec<_> = run.log.records.lock().unwrap().clone();
        let opened: Vec<_> = opened.into_iter().map(|it| it.open(&vault)).collect();
        let before = State::fold(&run.plan, &opened[..1]).unwrap();
        let after = State::fold(&run.plan, &opened).unwrap();
        for root in [Root::Session, Root::Content, Root::RuntimeEnv, Root::Parameters] {
            prop_assert_eq!(after.scopes().get(root), before.scopes().get(root));
        }
        prop_assert!(after.scopes().get(Root::Vars) != before.scopes().get(Root::Vars));
    }

    #[test]
    fn no_secret_leaves_in_an_event_a_report_or_a_cloud_event(steps in collection::vec(a_step(), 1..6)) {
        let (run, _) = driven(&steps);
        let records = run.log.records.lock().unwrap().clone();
        let mut left: Vec<String> = Vec::new();
        for record in &records {
            left.push(serde_json::to_string(record).unwrap());
            left.push(serde_json::to_string(&record.clone().mask()).unwrap());
        }
        let state = State::fold(&run.plan, &records).unwrap();
        left.extend(se_runtime::report::of(&run.plan, &state).iter().map(|it| it.to_json().to_string()));
        left.extend(se_runtime::report::of(&run.plan, &state).iter().map(|it| it.to_html(None)));
        for profile in [Profile::Seed, Profile::Lcm] {
            left.extend(told(&records, profile));
        }
        for text in &left {
            for secret in SECRETS {
                let written = Value::from(secret).to_string();
                prop_assert!(!text.contains(secret), "{secret} in {text}");
                prop_assert!(!text.contains(written.trim_matches('"')), "{secret} in {text}");
            }
        }
    }
}

/// Every CloudEvent that tells of these records.
fn told(records: &[Record], profile: Profile) -> Vec<String> {
    let Event::JobAccepted(accepted) = &records[0].event else {
        panic!("a log begins with job_accepted");
    };
    let all = records.iter();
    all.filter_map(|record| of_job(profile, "http://127.0.0.1", accepted, record))
        .map(|it| serde_json::to_string(&it).unwrap())
        .collect()
}
