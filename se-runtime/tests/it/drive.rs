//! Jobs run from their log to their end, whatever happens on the way.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use se_runtime::event::Map;
use se_runtime::{Call, Control, Done, Drive, DriveError, Fault, FaultKind, JobStatus, LogError};
use serde_json::{Value, json};

use crate::world::{Outage, Run, Script, echo, plan};

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
fn a_job_that_computes_for_long_hears_a_cancel_meanwhile() {
    let step = |at| {
        format!("    - {{ id: s{at}, uses: evaluate.regex@v1, with: {{ source: x, regex: x }} }}\n")
    };
    let steps: String = (0..200).map(step).collect();
    let run = Run::new(plan(&steps), Box::new(|call| (SECOND, echo(call))));
    run.clock.costs(SECOND / 200);
    let cancel = Control::Cancel {
        reason: "enough".to_owned(),
    };
    let ended = run.drive_until(9, cancel);
    assert!(matches!(
        ended,
        Some(Ok(Drive::Ended(JobStatus::Cancelled)))
    ));
    let state = run.state();
    let done = state.ended();
    assert!((10..100).contains(&done), "{done} steps were computed");
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
fn all_expressions_of_a_step_together_have_one_second() {
    // Each is well within what one may take.
    let each = "${ reduce range(10000) as $i (0; . + $i) }";
    let list = vec![each; 3_000].join("', '");
    let step = format!(
        "    - {{ id: s, uses: evaluate.regex@v1, with: {{ source: ['{list}'], regex: x }} }}\n"
    );
    let run = Run::new(plan(&step), Box::new(|call| (SECOND, echo(call))));
    assert!(matches!(
        run.drive(vec![]),
        Some(Ok(Drive::Ended(JobStatus::Faulted)))
    ));
    let error = run.state().error().unwrap().detail.clone();
    assert!(
        error.starts_with("`with.source:") && error.contains("that belong together"),
        "{error}"
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

/// Two changes at once, of 1 s and of 3 s, and a third after them. Batches are: what begins the two, then each end.
fn changes_in_an_outage(outage: Outage) -> Run {
    let steps = r#"
    - { id: a, uses: exec@v1, target: a, with: { command: x }, for_each: { var: n, in: [0, 1], mode: concurrent } }
    - { id: c, uses: exec@v1, target: c, with: { command: x } }
"#;
    let script: Box<Script> = Box::new(|call| match call.step.as_str() {
        "a[1]" => (SECOND * 3, echo(call)),
        _ => (SECOND, echo(call)),
    });
    let run = Run::new(plan(steps), script);
    *run.log.outage.lock().unwrap() = Some(outage);
    run
}

#[test]
fn what_may_not_be_made_twice_outlasts_a_store_that_is_away() {
    for after in 0..4 {
        for stores in [false, true] {
            let run = changes_in_an_outage(Outage {
                after,
                appends: 12,
                stores,
            });
            let ended = run.drive(vec![]);
            assert!(
                matches!(ended, Some(Ok(Drive::Ended(JobStatus::Completed)))),
                "{after} {stores}: {ended:?}"
            );
            assert_eq!(run.actions.calls.lock().unwrap().len(), 3, "{after}");
            assert_eq!(run.actions.most.lock().unwrap().1, 2, "two at once");
        }
    }
}

#[test]
fn a_cancel_does_not_wait_for_a_store_that_is_away() {
    let run = changes_in_an_outage(Outage {
        after: 1,
        appends: usize::MAX,
        stores: false,
    });
    let reason = "enough".to_owned();
    let ended = run.drive_until(3, Control::Cancel { reason });
    let is_away = |it: &_| matches!(it, Some(Err(DriveError::Log(LogError::Unavailable(_)))));
    assert!(is_away(&ended), "{ended:?}");
    assert_eq!(run.actions.most.lock().unwrap().0, 0, "what ran has ended");
}

#[test]
fn a_cancel_that_cannot_be_stored_stops_what_runs() {
    let run = changes_in_an_outage(Outage {
        after: 1,
        appends: usize::MAX,
        stores: false,
    });
    let reason = "enough".to_owned();
    // Both run; the outage begins with what follows from the cancel.
    let ended = run.drive_until(1, Control::Cancel { reason });
    assert!(matches!(ended, Some(Err(DriveError::Log(_)))), "{ended:?}");
    assert_eq!(run.actions.most.lock().unwrap().0, 0, "what ran has ended");
    assert!(run.state().completed_at().is_none());
}

#[test]
fn what_came_of_a_change_is_stored_though_a_cancel_was_told_meanwhile() {
    let step = "    - { id: a, uses: exec@v1, target: a, with: { command: x } }\n";
    let run = Run::new(plan(step), Box::new(|call| (SECOND, echo(call))));
    *run.log.outage.lock().unwrap() = Some(Outage {
        after: 1,
        appends: 12,
        stores: false,
    });
    let reason = "enough".to_owned();
    let ended = run.drive_until(4, Control::Cancel { reason });
    assert!(matches!(ended, Some(Ok(Drive::Ended(_)))), "{ended:?}");
    let story = run.story();
    assert!(story.contains(&"step_completed a".to_owned()), "{story:?}");
}

#[test]
fn a_cancel_is_heard_where_something_ends_with_every_append() {
    let step = "    - { id: look, uses: collect@v1, target: a, with: { command: x }, \
                for_each: { var: n, in: '${ [range(300)] }', mode: concurrent } }\n";
    let begun = AtomicU32::new(0);
    let script: Box<Script> = Box::new(move |call| {
        let nth = begun.fetch_add(1, Ordering::Relaxed);
        (SECOND + Duration::from_millis(31) * (nth % 32), echo(call))
    });
    let mut run = Run::new(plan(step), script);
    run.log.takes = Some((run.clock.clone(), Duration::from_millis(100)));
    let reason = "enough".to_owned();
    let ended = run.drive_until(60, Control::Cancel { reason });
    let is_cancelled = |it: &_| matches!(it, Some(Ok(Drive::Ended(JobStatus::Cancelled))));
    assert!(is_cancelled(&ended), "{ended:?}");
    let calls = run.actions.calls.lock().unwrap().len();
    assert!(calls < 150, "{calls} were begun");
}

#[test]
fn what_may_be_made_again_does_not_wait_for_a_store_that_is_away() {
    let step = "    - { id: s, uses: collect@v1, target: a, with: { command: x } }\n";
    let run = Run::new(plan(step), Box::new(|call| (SECOND, echo(call))));
    *run.log.outage.lock().unwrap() = Some(Outage {
        after: 1,
        appends: 1,
        stores: false,
    });
    let ended = run.drive(vec![]);
    assert!(matches!(ended, Some(Err(DriveError::Log(_)))), "{ended:?}");
    let ended = run.drive(vec![]);
    let is_done = |it: &_| matches!(it, Some(Ok(Drive::Ended(JobStatus::Completed))));
    assert!(is_done(&ended), "{ended:?}");
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
