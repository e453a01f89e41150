//! However a job is run, it leaves what the run in document order leaves.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::{TestCaseError, proptest};
use proptest::{prop_assert, prop_assert_eq};
use se_dsl::Checked;
use se_runtime::machine::{Context, Mode, step};
use se_runtime::{
    Clock as _, Control, Drive, DriveError, Endpoints, JobStatus, Record, State, Vault,
};

use super::config;
use super::jobs::{Case, Like, a_case, compare};
use super::trace::Trace;
use crate::generated::Wanted;
use crate::world::Run;

/// Whatever the schedule: nothing that is about time.
const TIMELESS: Wanted = Wanted {
    timeouts: false,
    ..Wanted::EVERYTHING
};

/// Nothing that may not be done twice.
const REPEATABLE: Wanted = Wanted {
    writes: false,
    ..TIMELESS
};

/// Drives a job to its end.
fn ended(run: &Run) -> Result<JobStatus, TestCaseError> {
    match run.drive(vec![]) {
        Some(Ok(Drive::Ended(status))) => Ok(status),
        other => Err(TestCaseError::fail(format!(
            "the job did not end: {other:?}"
        ))),
    }
}

/// Runs compared with runs, in all events of a job: more would take minutes.
const COMPARED: usize = 20_000_000;

/// Whether each event may follow on those before it, and the state says what the events say. Of a job with very many
/// runs, not after every event.
fn fits(run: &Run) -> Result<(), TestCaseError> {
    let runs = run.state().all().len();
    let records = run.log.records.lock().unwrap();
    let mut trace = Trace::new(&run.plan);
    let mut state = State::begin(&run.plan, &records[0]).unwrap();
    let every = (records.len() * runs * runs / COMPARED).max(1);
    for (at, record) in records.iter().enumerate().skip(1) {
        trace.take(record)?;
        state.apply(&run.plan, record).unwrap();
        if state.status().is_final() || trace.is_cancelled() || at % every > 0 {
            continue;
        }
        let mut active: Vec<&str> = state.active().map(|it| state.key(it)).collect();
        active.sort_unstable();
        prop_assert_eq!(active, trace.active());
        for index in state.all() {
            let key = state.key(index);
            let is_ready = state.ready().any(|it| it == index);
            prop_assert_eq!(is_ready, trace.is_ready(key, record.at), "{} is ready", key);
        }
    }
    Ok(())
}

/// How often a call was begun, of those begun most often.
fn most_calls(run: &Run) -> usize {
    let mut calls = run.actions.calls.lock().unwrap().clone();
    calls.sort();
    let same = calls.chunk_by(|a, b| a == b);
    same.map(<[_]>::len).max().unwrap_or(0)
}

/// A job that has been driven to its end, undisturbed.
fn undisturbed(case: &Case, checked: &Arc<Checked>) -> Result<Run, TestCaseError> {
    let run = case.job(checked, false);
    ended(&run)?;
    Ok(run)
}

proptest! {
    #![proptest_config(config(128))]

    #[test]
    fn a_sequential_job_is_the_run_in_document_order(case in a_case(TIMELESS)) {
        let checked = case.sample.checked();
        let run = case.job(&checked, true);
        ended(&run)?;
        compare(&run, &case.left(&checked, &run.plan), Like::Exactly)?;
    }

    #[test]
    fn parallel_equals_sequential(case in a_case(TIMELESS)) {
        let checked = case.sample.checked();
        let run = undisturbed(&case, &checked)?;
        compare(&run, &case.left(&checked, &run.plan), Like::Loosely)?;
    }

    #[test]
    fn what_is_computed_piece_by_piece_changes_no_value(case in a_case(TIMELESS)) {
        let checked = case.sample.checked();
        let run = case.job(&checked, false);
        // Each look at the clock ends a burst.
        run.clock.costs(Duration::from_millis(30));
        ended(&run)?;
        compare(&run, &case.left(&checked, &run.plan), Like::Loosely)?;
    }

    #[test]
    fn every_job_ends_and_every_event_may_follow(case in a_case(Wanted::EVERYTHING)) {
        let checked = case.sample.checked();
        let run = undisturbed(&case, &checked)?;
        fits(&run)?;
        prop_assert!(most_calls(&run) <= 1);
        prop_assert_eq!(run.actions.most.lock().unwrap().0, 0);
    }

    #[test]
    fn a_crash_after_every_commit_changes_no_value(case in a_case(REPEATABLE)) {
        let checked = case.sample.checked();
        let mut run = case.job(&checked, false);
        for commits in 1.. {
            run.log.fails_after = Some(commits);
            match run.drive(vec![]) {
                Some(Ok(Drive::Ended(_))) => break,
                Some(Err(DriveError::Log(_))) => {}
                other => return Err(TestCaseError::fail(format!("{other:?}"))),
            }
        }
        fits(&run)?;
        compare(&run, &case.left(&checked, &run.plan), Like::Loosely)?;
    }

    #[test]
    fn what_may_not_be_done_twice_is_not(case in a_case(Wanted::EVERYTHING), commits in 1..40_usize) {
        let checked = case.sample.checked();
        let mut run = case.job(&checked, false);
        run.log.fails_after = Some(commits);
        let broken = run.drive(vec![]);
        prop_assert!(broken.is_some(), "the job waits for ever");
        run.log.fails_after = None;
        if !run.state().status().is_final() {
            ended(&run)?;
        }
        fits(&run)?;
        let calls = run.actions.calls.lock().unwrap().clone();
        let state = run.state();
        for (key, attempt) in &calls {
            let step = state.find(key).map(|it| state.node(it).step());
            let repeatable = step.is_some_and(|it| it.uses.repeatable());
            let same = calls.iter().filter(|(it, other)| it == key && other == attempt);
            prop_assert!(same.count() <= 1 + usize::from(repeatable), "{key} was called twice");
        }
    }

    #[test]
    fn nothing_follows_from_a_log_that_its_driver_left(case in a_case(Wanted::EVERYTHING), commits in 1..40_usize) {
        let checked = case.sample.checked();
        let mut run = case.job(&checked, false);
        run.log.fails_after = Some(commits);
        prop_assert!(run.drive(vec![]).is_some(), "the job waits for ever");
        let records = run.log.records.lock().unwrap().clone();
        let mut state = State::fold(&run.plan, &records).unwrap();
        let endpoints: Vec<Arc<Endpoints>> = (0..=checked.parts.len())
            .map(|at| at.checked_sub(1))
            .map(|part| Endpoints::evaluate(checked.content(part), state.scopes_of_part(part)))
            .map(Arc::new)
            .collect();
        let vault = Vault::default();
        let context = Context { plan: &run.plan, endpoints: &endpoints, vault: &vault };
        let at = records.last().unwrap().at;
        let effects = step(context, &mut state, vec![], at, Mode::Run).unwrap();
        prop_assert_eq!(effects.records, vec![]);
        // A log that was stored and read is the same log.
        let stored = serde_json::to_string(&records).unwrap();
        prop_assert_eq!(serde_json::from_str::<Vec<Record>>(&stored).unwrap(), records);
    }

    #[test]
    fn a_drain_at_any_moment_and_going_on_changes_no_value(case in a_case(TIMELESS), moment in 0..60_usize) {
        let checked = case.sample.checked();
        let run = case.job(&checked, false);
        let mut drains = 0;
        while let Some(Ok(Drive::Drained)) = run.drive_until(moment, Control::Drain) {
            drains += 1;
            prop_assert!(run.state().calling().is_empty());
            prop_assert_eq!(run.actions.most.lock().unwrap().0, 0);
            if drains == 5 {
                break;
            }
        }
        if !run.state().status().is_final() {
            ended(&run)?;
        }
        fits(&run)?;
        prop_assert!(most_calls(&run) <= 1);
        compare(&run, &case.left(&checked, &run.plan), Like::Loosely)?;
    }

    #[test]
    fn a_job_that_is_put_down_whenever_it_waits_leaves_the_same_log(case in a_case(Wanted::EVERYTHING)) {
        let checked = case.sample.checked();
        let awake = undisturbed(&case, &checked)?;
        let mut run = case.job(&checked, false);
        run.patience = Some(Duration::ZERO);
        while let Some(Ok(Drive::Waits(until))) = run.drive(vec![]) {
            prop_assert!(run.state().calling().is_empty());
            prop_assert_eq!(run.actions.most.lock().unwrap().0, 0);
            run.clock.0.run(run.clock.sleep_until(until));
        }
        prop_assert!(run.state().status().is_final());
        prop_assert_eq!(&*run.log.records.lock().unwrap(), &*awake.log.records.lock().unwrap());
    }

    #[test]
    fn a_cancel_at_any_moment_ends_the_job_with_all_stopped(case in a_case(Wanted::EVERYTHING), moment in 0..60_usize) {
        let checked = case.sample.checked();
        let run = case.job(&checked, false);
        let cancel = Control::Cancel { reason: "enough".to_owned() };
        let ended = run.drive_until(moment, cancel);
        prop_assert!(matches!(ended, Some(Ok(Drive::Ended(_)))), "{ended:?}");
        fits(&run)?;
        let state = run.state();
        if state.cancel_reason().is_some() {
            prop_assert_eq!(state.status(), JobStatus::Cancelled);
        }
        prop_assert_eq!(state.active().count(), 0);
        prop_assert!(state.calling().is_empty() && state.timer().is_none());
        prop_assert_eq!(run.actions.most.lock().unwrap().0, 0);
    }
}
