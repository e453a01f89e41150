//! Jobs run from their log to their end, whatever happens on the way.

mod computing;
mod storing;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use se_runtime::event::{End, Map};
use se_runtime::{
    Call, Control, Done, Drive, DriveError, Event, Fault, FaultKind, JobStatus, Plan, Record,
    State, StepError,
};
use serde_json::{Value, json};

use crate::world::{Run, Script, echo, package_with, plan};

const SECOND: Duration = Duration::from_secs(1);

const GRADE: &str = r#"
    - { id: prepare, uses: exec@v1, target: a, with: { command: x }, capture: { stdout: prepared } }
    - { id: a1, uses: collect@v1, target: a, with: { command: show a }, capture: { output: a.one } }
    - { id: b1, uses: collect@v1, target: b, with: { command: show b }, capture: { output: b.one } }
    - { id: judge, uses: evaluate.regex@v1, with: { source: "${ vars.b.one }", regex: "b says" }, capture: { passed: good } }
    - { id: unless, uses: exec@v1, target: a, when: "${ vars.good | not }", with: { command: y } }
"#;

#[test]
fn a_job_runs_to_its_end_and_tells_each_fact_once() {
    let run = Run::new(plan(GRADE), Box::new(|call| (SECOND, echo(call))));
    assert!(matches!(
        run.drive(vec![]),
        Some(Ok(Drive::Ended(JobStatus::Completed)))
    ));
    let expected = [
        "job_accepted",
        "job_started",
        "step_started prepare",
        "step_completed prepare",
        "step_started a1",
        "step_started b1",
        "step_completed a1",
        "step_completed b1",
        "step_started judge",
        "step_completed judge",
        "step_skipped unless",
        "job_completed",
    ];
    assert_eq!(run.story(), expected);
    let results = Value::Object(run.state().results(&run.plan));
    assert_eq!(results["judge"], json!({"passed": true}));
    assert_eq!(results["a1"], json!({"output": "a says a1"}));
    assert_eq!(run.actions.most.lock().unwrap().1, 2);
}

#[test]
fn one_commit_holds_the_end_of_a_step_and_the_start_of_the_next() {
    let steps = r#"
    - { id: one, uses: exec@v1, target: a, with: { command: x } }
    - { id: two, uses: exec@v1, target: a, with: { command: x } }
"#;
    let run = Run::new(plan(steps), Box::new(|call| (Duration::ZERO, echo(call))));
    assert!(run.drive(vec![]).is_some());
    assert_eq!(*run.log.batches.lock().unwrap(), 3);
}

#[test]
fn retry_waits_and_tries_again_then_fails_with_the_last_error() {
    let step = "    - { id: s, uses: exec@v1, target: a, with: { command: x }, on_error: { action: retry, retries: 2, backoff: 10 } }\n";
    let fails = |_: &_| {
        (
            SECOND,
            Err(Fault::new(FaultKind::Communication, "no answer")),
        )
    };
    let run = Run::new(plan(step), Box::new(fails));
    assert!(matches!(
        run.drive(vec![]),
        Some(Ok(Drive::Ended(JobStatus::Faulted)))
    ));
    let calls = [
        ("s".to_owned(), 1),
        ("s".to_owned(), 2),
        ("s".to_owned(), 3),
    ];
    assert_eq!(*run.actions.calls.lock().unwrap(), calls);
    let error = run.state().error().unwrap().clone();
    assert_eq!(
        (error.attempt, error.status, error.instance.as_str()),
        (3, 503, "/jobs/job/steps/0")
    );
}

/// Every call gives so many bytes.
fn much(bytes: usize) -> Map {
    Map::from_iter([("output".to_owned(), Value::from("x".repeat(bytes)))])
}

fn gives(output: Map) -> Done {
    Done {
        output,
        learned: Map::new(),
    }
}

#[test]
fn a_step_that_gives_more_than_a_job_may_hold_fails() {
    let steps = r#"
    - { id: one, uses: collect@v1, target: a, with: { command: show tech }, capture: { output: one } }
    - { id: two, uses: collect@v1, target: a, with: { command: show tech }, capture: { output: two }, on_error: { action: continue } }
    - { id: three, uses: evaluate.regex@v1, with: { source: "${ vars.two.error.detail }", regex: "more than 128 MiB" }, capture: { passed: told } }
"#;
    let run = Run::new(
        plan(steps),
        Box::new(|_| (SECOND, Ok(gives(much(70 << 20))))),
    );
    assert!(matches!(
        run.drive(vec![]),
        Some(Ok(Drive::Ended(JobStatus::Completed)))
    ));
    let state = run.state();
    let two = state.step(state.find("two").unwrap());
    let error = two.error.as_ref().unwrap();
    assert_eq!(error.status, 422);
    assert!(error.detail.contains("it gave 73400 kB"), "{error:?}");
    let results = Value::Object(state.results(&run.plan));
    assert_eq!(results["three"]["passed"], true);
}

#[test]
fn an_attempt_that_is_due_when_the_one_before_has_failed_is_made() {
    let steps = "
    - { id: s, uses: collect@v1, target: a, with: { command: x }, on_error: { action: retry, retries: 2, backoff: 0.000001 } }
";
    let script = |call: &Call| match call.attempt {
        3 => (SECOND, echo(call)),
        _ => (SECOND, Err(Fault::new(FaultKind::Communication, "no"))),
    };
    let run = Run::new(plan(steps), Box::new(script));
    assert!(matches!(
        run.drive(vec![]),
        Some(Ok(Drive::Ended(JobStatus::Completed)))
    ));
    let calls = run.actions.calls.lock().unwrap().clone();
    let made = |attempt| ("s".to_owned(), attempt);
    assert_eq!(calls, [made(1), made(2), made(3)]);
}

#[test]
fn what_a_step_is_given_counts_too() {
    let steps = r#"
    - { id: one, uses: collect@v1, target: a, with: { command: show tech }, capture: { output: one } }
    - { id: look, uses: evaluate.regex@v1, for_each: { var: n, in: "${ [range(30)] }" }, with: { source: "${ vars.one }", regex: "y" } }
"#;
    let run = Run::new(
        plan(steps),
        Box::new(|_| (SECOND, Ok(gives(much(7 << 20))))),
    );
    assert!(matches!(
        run.drive(vec![]),
        Some(Ok(Drive::Ended(JobStatus::Faulted)))
    ));
    let state = run.state();
    let error = state.error().unwrap();
    assert!(error.detail.contains("it is given 7340 kB"), "{error:?}");
    // 7 MiB from the device, and 7 MiB for each of the first seventeen.
    let failed = state.step(state.find("look[17]").unwrap());
    assert_eq!(failed.status.as_str(), "faulted");
}

#[test]
fn continue_keeps_the_error_where_later_steps_can_read_it() {
    let steps = r#"
    - { id: s, uses: collect@v1, target: a, with: { command: x }, capture: { output: got }, on_error: { action: continue } }
    - { id: t, uses: evaluate.regex@v1, with: { source: "${ vars.s.error.detail }", regex: "no answer" }, capture: { passed: told } }
    - { id: u, uses: evaluate.regex@v1, with: { source: "${ vars.got }", regex: "x" }, capture: { passed: had } }
"#;
    let run = Run::new(
        plan(steps),
        Box::new(|_| (SECOND, Err(Fault::new(FaultKind::Timeout, "no answer")))),
    );
    assert!(matches!(
        run.drive(vec![]),
        Some(Ok(Drive::Ended(JobStatus::Completed)))
    ));
    let results = Value::Object(run.state().results(&run.plan));
    assert_eq!(
        (&results["t"]["passed"], &results["u"]["passed"]),
        (&json!(true), &json!(false))
    );
}

#[test]
fn a_failing_step_stops_reads_and_the_first_failure_in_document_order_is_the_jobs() {
    let steps = r#"
    - { id: slow, uses: collect@v1, target: a, with: { command: x } }
    - { id: bad, uses: collect@v1, target: b, with: { command: x } }
    - { id: never, uses: exec@v1, target: c, with: { command: x } }
"#;
    let run = Run::new(
        plan(steps),
        Box::new(|call| match call.step.as_str() {
            "bad" => (SECOND, Err(Fault::new(FaultKind::Validation, "wrong"))),
            _ => (SECOND * 50, echo(call)),
        }),
    );
    assert!(matches!(
        run.drive(vec![]),
        Some(Ok(Drive::Ended(JobStatus::Faulted)))
    ));
    assert_eq!(run.story().last().unwrap(), "job_faulted");
    assert!(run.story().contains(&"step_cancelled slow".to_owned()));
    assert_eq!(run.actions.calls.lock().unwrap().len(), 2);
    assert_eq!(
        run.actions.most.lock().unwrap().0,
        0,
        "the slow read was dropped"
    );
}

#[test]
fn an_attempt_that_never_ends_is_cut_off_after_its_timeout() {
    let step = "    - { id: s, uses: exec@v1, target: a, with: { command: x }, timeout: 5 }\n";
    let run = Run::new(plan(step), Box::new(|call| (SECOND * 3600, echo(call))));
    assert!(matches!(
        run.drive(vec![]),
        Some(Ok(Drive::Ended(JobStatus::Faulted)))
    ));
    assert_eq!(run.state().error().unwrap().status, 408);
    let ended = run.state().completed_at().unwrap();
    assert_eq!(ended.micros(), 6_000_000);
}

#[test]
fn cancelling_stops_what_runs_and_ends_the_job() {
    let run = Run::new(plan(GRADE), Box::new(|call| (SECOND * 10, echo(call))));
    let told = Control::Cancel {
        reason: "the candidate left".into(),
    };
    assert!(matches!(
        run.drive_until(0, told),
        Some(Ok(Drive::Ended(JobStatus::Cancelled)))
    ));
    let expected = [
        "job_accepted",
        "job_started",
        "step_started prepare",
        "cancel_requested",
        "step_cancelled prepare",
        "job_cancelled",
    ];
    assert_eq!(run.story(), expected);
}

#[test]
fn what_is_told_before_a_driver_begins_lets_nothing_begin() {
    let run = Run::new(plan(GRADE), Box::new(|call| (SECOND, echo(call))));
    let drained = run.drive(vec![Control::Drain]);
    assert!(matches!(drained, Some(Ok(Drive::Drained))));
    let cancel = || Control::Cancel {
        reason: "the candidate left".into(),
    };
    let cancelled = run.drive(vec![cancel(), cancel()]);
    assert!(matches!(
        cancelled,
        Some(Ok(Drive::Ended(JobStatus::Cancelled)))
    ));
    assert_eq!(run.actions.calls.lock().unwrap().len(), 0);
    let story = run.story();
    let told = story.iter().filter(|it| *it == "cancel_requested");
    assert_eq!(told.count(), 1, "{story:?}");
}

#[test]
fn draining_ends_at_a_step_boundary_and_the_job_goes_on_later() {
    let run = Run::new(plan(GRADE), Box::new(|call| (SECOND, echo(call))));
    assert!(matches!(
        run.drive_until(0, Control::Drain),
        Some(Ok(Drive::Drained))
    ));
    assert_eq!(run.story().last().unwrap(), "step_completed prepare");
    assert!(matches!(
        run.drive(vec![]),
        Some(Ok(Drive::Ended(JobStatus::Completed)))
    ));
    assert_eq!(
        run.actions.calls.lock().unwrap().len(),
        3,
        "no step ran twice"
    );
}

#[test]
fn a_back_off_that_is_over_while_draining_keeps_no_driver_busy() {
    let steps = "    - { id: slow, uses: collect@v1, target: a, with: { command: x } }\n    \
                 - { id: again, uses: collect@v1, target: b, with: { command: y }, on_error: { \
                 action: retry, retries: 1, backoff: 2 } }\n";
    let run = Run::new(
        plan(steps),
        Box::new(|call| match (call.step.as_str(), call.attempt) {
            ("slow", _) => (20 * SECOND, echo(call)),
            (_, 1) => (
                SECOND,
                Err(Fault::new(FaultKind::Communication, "no answer")),
            ),
            _ => (SECOND, echo(call)),
        }),
    );
    // Told once `again` waits: its time comes long before `slow` ends, and nothing may follow from it.
    let drained = run.drive_until(1, Control::Drain);
    assert!(matches!(drained, Some(Ok(Drive::Drained))), "{drained:?}");
    assert_eq!(run.story().last().unwrap(), "step_completed slow");
    assert_eq!(run.actions.calls.lock().unwrap().len(), 2);
    let ended = run.drive(vec![]);
    assert!(
        matches!(ended, Some(Ok(Drive::Ended(JobStatus::Completed)))),
        "{ended:?}"
    );
}

#[test]
fn a_pause_keeps_its_remaining_time_over_a_restart() {
    let step = "    - { id: p, uses: pause@v1, with: { seconds: 60 } }\n";
    let mut run = Run::new(plan(step), Box::new(|call| (SECOND, echo(call))));
    assert!(matches!(
        run.drive(vec![Control::Drain]),
        Some(Ok(Drive::Drained))
    ));
    run.log.fails_after = None;
    assert!(matches!(
        run.drive(vec![]),
        Some(Ok(Drive::Ended(JobStatus::Completed)))
    ));
    assert_eq!(run.state().completed_at().unwrap().micros(), 60_000_000);
}

#[test]
fn a_log_that_cannot_be_written_stops_the_job_before_anything_is_done() {
    let mut run = Run::new(plan(GRADE), Box::new(|call| (SECOND, echo(call))));
    run.log.fails_after = Some(0);
    assert!(matches!(run.drive(vec![]), Some(Err(DriveError::Log(_)))));
    assert!(run.actions.calls.lock().unwrap().is_empty());
}

#[test]
fn after_a_crash_what_may_be_repeated_is_and_what_may_not_is_interrupted() {
    for (uses, status, calls) in [
        ("collect@v1", JobStatus::Completed, 2),
        ("exec@v1", JobStatus::Faulted, 1),
    ] {
        let step = format!("    - {{ id: s, uses: {uses}, target: a, with: {{ command: x }} }}\n");
        let mut run = Run::new(plan(&step), Box::new(|call| (SECOND, echo(call))));
        run.log.fails_after = Some(1);
        assert!(
            matches!(run.drive(vec![]), Some(Err(DriveError::Log(_)))),
            "{uses}"
        );
        run.log.fails_after = None;
        let ended = run.drive(vec![]);
        assert!(
            matches!(ended, Some(Ok(Drive::Ended(it))) if it == status),
            "{uses}: {ended:?}"
        );
        assert_eq!(run.actions.calls.lock().unwrap().len(), calls, "{uses}");
        if let Some(error) = run.state().error() {
            assert!(error.url.ends_with("/interrupted"), "{}", error.url);
        }
    }
}

#[test]
fn a_pause_ends_at_its_timeout_if_it_is_longer() {
    for (timeout, ended, after) in [
        (10, JobStatus::Faulted, 10),
        (300, JobStatus::Completed, 300),
        (301, JobStatus::Completed, 300),
    ] {
        let step = format!(
            "    - {{ id: p, uses: pause@v1, with: {{ seconds: \"${{ 300 }}\" }}, timeout: {timeout} }}\n"
        );
        let run = Run::new(plan(&step), Box::new(|call| (SECOND, echo(call))));
        let drive = run.drive(vec![]);
        assert!(
            matches!(drive, Some(Ok(Drive::Ended(it))) if it == ended),
            "{timeout}: {drive:?}"
        );
        let state = run.state();
        let took = state.completed_at().unwrap().since(state.accepted_at());
        assert_eq!(took, SECOND * after);
        if let Some(error) = state.error() {
            assert!(error.url.ends_with("/timeout"), "{}", error.url);
            assert!(error.detail.contains("300 s does not end within 10 s"));
        }
    }
}

#[test]
fn connectors_are_those_of_the_job_s_beginning_however_often_it_is_driven() {
    let connectors = "apiVersion: pav1\nkind: ConnectorModel\nmetadata: { name: t }\nspec:\n  connectors:\n    \
        - { name: a, class: cisco_common, transport: telnet, port: \"${ vars.port // 7 }\" }\n";
    let job = "apiVersion: pav1\nkind: JobDefinition\nspec:\n  steps:\n    \
        - { id: one, uses: collect@v1, target: a, with: { command: x }, capture: { output: port } }\n    \
        - { id: rest, uses: pause@v1, with: { seconds: 60 } }\n    \
        - { id: two, uses: collect@v1, target: a, with: { command: \"${ vars.port }\" } }\n";
    let files = [
        ("PAv1/connectors.yaml", connectors),
        ("PAv1/jobs/job.yaml", job),
    ];
    let plan = Plan::of_phase(package_with(&files), "main").unwrap();
    let ports = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&ports);
    let script: Box<Script> = Box::new(move |call| {
        seen.lock()
            .unwrap()
            .push(call.target.as_ref().map(|it| it.port));
        (
            SECOND,
            Ok(gives(Map::from_iter([("output".to_owned(), json!("9"))]))),
        )
    });
    let mut run = Run::new(plan, script);
    run.patience = Some(SECOND);
    // It is put down while it rests, and taken up.
    assert!(matches!(run.drive(vec![]), Some(Ok(Drive::Waits(_)))));
    run.patience = None;
    let ended = run.drive(vec![]);
    assert!(
        matches!(ended, Some(Ok(Drive::Ended(JobStatus::Completed)))),
        "{ended:?}"
    );
    assert_eq!(*ports.lock().unwrap(), [Some(7), Some(7)]);
}

#[test]
fn a_job_that_was_given_up_shows_what_it_had_and_what_was_cut_off() {
    let mut run = Run::new(plan(GRADE), Box::new(|call| (SECOND, echo(call))));
    run.log.fails_after = Some(2);
    assert!(matches!(run.drive(vec![]), Some(Err(DriveError::Log(_)))));
    let mut records = run.log.records.lock().unwrap().clone();
    let last = records.last().unwrap().clone();
    let fault = Fault::new(FaultKind::Interrupted, "the content is gone");
    records.push(Record {
        seq: last.seq + 1,
        event: Event::JobFaulted {
            error: StepError::new(&fault, "", 1),
            end: End::default(),
        },
        ..last
    });
    let state = State::fold(&run.plan, &records).unwrap();
    assert_eq!(state.status(), JobStatus::Faulted);
    let status = |key| state.step(state.find(key).unwrap()).status;
    let all = ["prepare", "a1", "b1", "judge"].map(|key| status(key).as_str());
    assert_eq!(all, ["completed", "cancelled", "cancelled", "pending"]);
    assert_eq!(state.active().count(), 0);
}

#[test]
fn a_panic_in_an_adapter_is_the_fault_of_its_step() {
    let step = "    - { id: s, uses: exec@v1, target: a, with: { command: x } }\n";
    let run = Run::new(plan(step), Box::new(|_| panic!("a defect")));
    assert!(matches!(
        run.drive(vec![]),
        Some(Ok(Drive::Ended(JobStatus::Faulted)))
    ));
    assert!(
        run.state()
            .error()
            .unwrap()
            .detail
            .contains("defect of the engine")
    );
}

#[test]
fn what_is_learned_about_the_pod_reaches_the_steps_after_it() {
    let steps = r#"
    - { id: one, uses: exec@v1, target: a, with: { command: x } }
    - { id: two, uses: exec@v1, target: a, with: { command: x } }
"#;
    let run = Run::new(
        plan(steps),
        Box::new(|call| {
            if call.step == "two" {
                assert_eq!(call.runtime_env["lab_id"], "lab-7");
                return (SECOND, echo(call));
            }
            let mut learned = Map::new();
            learned.insert("lab_id".into(), json!("lab-7"));
            (
                SECOND,
                Ok(Done {
                    output: Map::new(),
                    learned,
                }),
            )
        }),
    );
    assert!(matches!(
        run.drive(vec![]),
        Some(Ok(Drive::Ended(JobStatus::Completed)))
    ));
}
