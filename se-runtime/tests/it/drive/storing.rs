//! What runs while the store is away.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use se_runtime::{Control, Drive, DriveError, JobStatus, LogError};

use super::SECOND;
use crate::world::{Outage, Run, Script, echo, plan};

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
fn a_cancel_stops_what_runs_while_a_slow_store_stores() {
    let steps = r#"
    - { id: quick, uses: collect@v1, target: a, with: { command: x } }
    - { id: long, uses: collect@v1, target: b, with: { command: x }, timeout: 7200 }
"#;
    let script = || -> Box<Script> {
        Box::new(|call| match call.step.as_str() {
            "quick" => (SECOND, echo(call)),
            _ => (SECOND * 3600, echo(call)),
        })
    };
    let mut told_while_it_stores = 0;
    // Until it is told too late.
    for moment in 0.. {
        let mut run = Run::new(plan(steps), script());
        run.log.takes = Some((run.clock.clone(), SECOND * 20));
        let reason = "enough".to_owned();
        let ended = run.drive_until(moment, Control::Cancel { reason });
        match ended {
            Some(Ok(Drive::Ended(JobStatus::Cancelled))) => {}
            Some(Ok(Drive::Ended(JobStatus::Completed))) => break,
            other => panic!("{other:?}"),
        }
        let (left, told) = (*run.actions.left.lock().unwrap(), *run.told.lock().unwrap());
        assert!(left <= told, "it ran on until {left}, cancelled at {told}");
        let story = run.story();
        let at = |event: &str| story.iter().position(|it| it == event);
        let (quick, cancel) = (at("step_completed quick"), at("cancel_requested"));
        let long = at("step_cancelled long");
        told_while_it_stores += usize::from(quick < cancel && quick.and(long).is_some());
    }
    assert!(told_while_it_stores > 0);
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
