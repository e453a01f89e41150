//! Laws that hold for every job: parallel equals sequential, replaying any prefix equals living
//! through it, a crash anywhere changes nothing that matters.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::test_runner::Config;
use proptest::{collection, prop_assert, prop_assert_eq};
use se_dsl::expr::Root;
use se_runtime::{DriveError, Fault, FaultKind, Plan, State};
use serde_json::Value;

use crate::world::{Run, Script, echo, package};

/// One step of a generated job: what it does and which earlier capture it reads.
#[derive(Clone, Debug)]
enum Kind {
    Exec,
    Collect,
    Judge,
    Pause,
}

#[derive(Clone, Debug)]
struct Step {
    kind: Kind,
    connector: &'static str,
    reads: Option<u8>,
    /// Few names, so that captures meet.
    alias: u8,
    when: Option<u8>,
    /// How long a call takes, and whether it fails (and the job goes on).
    takes: u8,
    fails: bool,
}

fn a_step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        Just(Kind::Exec),
        Just(Kind::Collect),
        Just(Kind::Collect),
        Just(Kind::Judge),
        Just(Kind::Pause)
    ];
    let connector = prop_oneof![Just("a"), Just("b"), Just("c")];
    let few = proptest::option::of(any::<u8>());
    (
        kind,
        connector,
        few.clone(),
        0..4_u8,
        few,
        any::<u8>(),
        proptest::bool::weighted(0.2),
    )
        .prop_map(|(kind, connector, reads, alias, when, takes, fails)| Step {
            kind,
            connector,
            reads,
            alias,
            when,
            takes,
            fails,
        })
}

/// A capture under the name of its step, or under the alias, which several may share.
fn name_of(step: usize, alias: u8, pick: u8) -> String {
    if pick.is_multiple_of(2) {
        format!("s{step}.n{alias}")
    } else {
        format!("n{alias}")
    }
}

/// The steps as text. A step reads a capture of an earlier step.
fn text(steps: &[Step]) -> String {
    let mut text = "  steps:\n".to_owned();
    for (at, step) in steps.iter().enumerate() {
        let earlier = |pick: u8| {
            let from = usize::from(pick).checked_rem(at)?;
            let source = steps.get(from)?;
            (!matches!(source.kind, Kind::Pause)).then(|| name_of(from, source.alias, pick))
        };
        let read = step.reads.and_then(earlier);
        let source = read.map_or_else(|| "nothing".to_owned(), |it| format!("${{ vars.{it} }}"));
        let (uses, with, output) = match step.kind {
            Kind::Exec => ("exec@v1", format!("command: \"{source}\""), "stdout"),
            Kind::Collect => (
                "collect@v1",
                format!("command: \"show {source}\""),
                "output",
            ),
            Kind::Judge => (
                "evaluate.regex@v1",
                format!("source: \"{source}\", regex: \"[ac] says\""),
                "passed",
            ),
            Kind::Pause => ("pause@v1", "seconds: 1".to_owned(), ""),
        };
        let target = match step.kind {
            Kind::Exec | Kind::Collect => format!(", target: {}", step.connector),
            Kind::Judge | Kind::Pause => String::new(),
        };
        let capture = if output.is_empty() {
            String::new()
        } else {
            format!(", capture: {{ {output}: n{} }}", step.alias)
        };
        let when = step
            .when
            .and_then(earlier)
            .map(|it| format!(", when: \"${{ vars.{it} }}\""));
        text += &format!(
            "    - {{ id: s{at}, uses: {uses}{target}, with: {{ {with} }}{capture}{}, on_error: {{ action: continue }} }}\n",
            when.unwrap_or_default(),
        );
    }
    text
}

/// A pod whose devices show how often anything was changed. Outcomes depend on that, on the step and
/// on its inputs; times on `salt` too.
fn script(steps: &[Step], salt: u8) -> Box<Script> {
    let steps = steps.to_vec();
    let changes = AtomicU32::new(0);
    Box::new(move |call| {
        let at: usize = call.step.trim_start_matches('s').parse().unwrap();
        let step = &steps[at];
        let takes = Duration::from_millis(u64::from(step.takes.wrapping_mul(salt | 1)));
        if step.fails {
            return (takes, Err(Fault::new(FaultKind::Communication, "down")));
        }
        let outcome = echo(call).map(|mut done| {
            let command = call.inputs.get("command").cloned().unwrap_or_default();
            if matches!(step.kind, Kind::Exec) {
                changes.fetch_add(1, Ordering::Relaxed);
            }
            let seen = changes.load(Ordering::Relaxed);
            let text = format!(
                "{} says {seen} for {command}",
                call.target.as_ref().map_or("", |it| &it.name)
            );
            for (_, value) in &mut done.output {
                *value = Value::String(text.clone());
            }
            done
        });
        (takes, outcome)
    })
}

fn run(steps: &[Step], sequential: bool, salt: u8) -> Run {
    let execution = if sequential {
        "  execution: sequential\n"
    } else {
        ""
    };
    let package = package(&[("job", &format!("{execution}{}", text(steps)))]);
    Run::new(
        Plan::of_phase(package, "main").unwrap(),
        script(steps, salt),
    )
}

/// What a job leaves: variables, and how each step ended.
fn outcome(run: &Run) -> (Value, Vec<&'static str>) {
    let state = run.state();
    let ended = run
        .plan
        .steps()
        .map(|(index, _)| state.step(index).status.as_str())
        .collect();
    (state.scopes().get(Root::Vars), ended)
}

proptest! {
    #![proptest_config(Config { cases: 128, failure_persistence: None, ..Config::default() })]

    #[test]
    fn parallel_equals_sequential(steps in collection::vec(a_step(), 1..12), salt in any::<u8>()) {
        let sequential = run(&steps, true, 0);
        let parallel = run(&steps, false, salt);
        prop_assert!(matches!(sequential.drive(vec![]), Some(Ok(_))));
        prop_assert!(matches!(parallel.drive(vec![]), Some(Ok(_))));
        prop_assert_eq!(outcome(&parallel), outcome(&sequential));
    }

    #[test]
    fn replaying_any_prefix_equals_living_through_it(steps in collection::vec(a_step(), 1..10), salt in any::<u8>()) {
        let lived = run(&steps, false, salt);
        prop_assert!(matches!(lived.drive(vec![]), Some(Ok(_))));
        let records = lived.log.records.lock().unwrap().clone();
        let mut state = State::begin(&lived.plan, &records[0]).unwrap();
        for at in 1..records.len() {
            state.apply(&lived.plan, &records[at]).unwrap();
            let replayed = State::fold(&lived.plan, &records[..=at]).unwrap();
            prop_assert_eq!(format!("{state:?}"), format!("{replayed:?}"));
        }
    }

    #[test]
    fn a_crash_after_any_commit_changes_no_value_of_repeatable_work(steps in collection::vec(a_step(), 1..8), salt in any::<u8>()) {
        let steps: Vec<Step> = steps.into_iter().map(|step| match step.kind {
            Kind::Exec => Step { kind: Kind::Collect, ..step },
            Kind::Collect | Kind::Judge | Kind::Pause => step,
        }).collect();
        let whole = run(&steps, false, salt);
        prop_assert!(matches!(whole.drive(vec![]), Some(Ok(_))));
        let commits = *whole.log.batches.lock().unwrap();
        for crash in 0..commits {
            let mut broken = run(&steps, false, salt);
            broken.log.fails_after = Some(crash);
            prop_assert!(matches!(broken.drive(vec![]), Some(Err(DriveError::Log(_)))));
            broken.log.fails_after = None;
            prop_assert!(matches!(broken.drive(vec![]), Some(Ok(_))));
            prop_assert_eq!(outcome(&broken), outcome(&whole));
        }
    }
}
