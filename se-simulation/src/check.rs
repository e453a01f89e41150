//! What must be so once all has come to its end: the promises, read off what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use se_runtime::cloudevent::Kind;
use se_runtime::event::{AfterFault, Map};
use se_runtime::{Event, FaultKind, JobStatus, Record, Secret, State, Timestamp, Vault};
use serde_json::Value;

use crate::db::{Db, Job, WINDOW};
use crate::executor::Stopped;
use crate::log::TOO_LONG;
use crate::package::{AT_ONCE, Does, OnError, PASSWORD, outer};
use crate::reference::{self, Left, Seen};
use crate::world::{LEASE, World};

/// A wait that nothing explains is no longer.
const SLACK: Duration = Duration::from_secs(2);
/// A cancel is through by then, once nothing goes wrong any more.
const CANCELLED: Duration = Duration::from_secs(15);

/// Everything that can be told at the end.
pub(crate) fn all(world: &Arc<World>, stopped: Stopped) {
    if world.trace.broken().is_some() {
        return;
    }
    if stopped != Stopped::Done {
        return world.breaks(&format!(
            "what was accepted does not come to an end: {stopped:?}"
        ));
    }
    let db = world.store.durable();
    let known = world.known();
    let accepted: BTreeSet<String> = known.accepted.values().flatten().cloned().collect();
    let odd = known.odd_time;
    drop(known);
    let unheard = |it: &&String| !odd && !accepted.contains(*it);
    for id in db.jobs.keys().filter(unheard) {
        if let Some(other) = accepted.iter().find(|it| is_repeat(&db, id, it)) {
            return world.breaks(&format!("{id} was asked for once more and {other} made"));
        }
    }
    for id in accepted.into_iter().chain(db.jobs.keys().cloned()) {
        let Some(job) = db.jobs.get(&id) else {
            return world.breaks(&format!("{id} is lost"));
        };
        if let Err(what) = one(world, &id, job) {
            return world.breaks(&format!("{id}: {what}"));
        }
    }
}

/// Whether two jobs are of one key, and the second was made while the key led to the first. A caller that was
/// not answered for longer than that gets another.
fn is_repeat(db: &Db, first: &str, second: &str) -> bool {
    let key = |id: &str| id.split('-').nth(1).map(str::to_owned);
    let made = |id: &str| Some(db.jobs.get(id)?.log.first()?.at);
    let (Some(first_at), Some(second_at)) = (made(first), made(second)) else {
        return false;
    };
    key(first) == key(second) && first_at <= second_at && second_at < first_at.after(WINDOW)
}

type Verdict = Result<(), String>;

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(what()) }
}

fn one(world: &World, id: &str, job: &Job) -> Verdict {
    let records: Vec<Record> = job.log.iter().map(|it| Record::clone(it)).collect();
    for (at, record) in (1..).zip(&records) {
        ensure(record.seq == at, || format!("event {} at {at}", record.seq))?;
        let stored = serde_json::to_string(record).unwrap_or_default();
        ensure(!stored.contains(PASSWORD), || {
            format!("event {at} holds a secret: {stored}")
        })?;
    }
    ensure(job.secrets.is_empty(), || "its secrets are kept".to_owned())?;
    let vault = Vault::new([Secret::new(PASSWORD)]);
    let opened: Vec<Record> = records.iter().map(|it| it.clone().open(&vault)).collect();
    let state = State::fold(&world.plan, &opened).map_err(|it| it.to_string())?;
    ensure(state.status() == job.status, || {
        format!("its row says {:?}", job.status)
    })?;
    told(world, id, &records)?;
    waits(world, id, &opened)?;
    cancel(world, id, &opened, &state)?;
    outcome(world, id, &opened, &state)
}

/// Every event arrived, or is listed as given up or refused.
fn told(world: &World, id: &str, records: &[Record]) -> Verdict {
    let tells = |it: &&Record| Kind::of(&it.event).is_some();
    let expected: Vec<u64> = records.iter().filter(tells).map(|it| it.seq).collect();
    let arrived = world.receiver.of(id);
    let db = world.store.durable();
    let listed: BTreeSet<u64> = db.outbox.of(id).map(|it| it.seq).collect();
    let all: BTreeSet<u64> = arrived.iter().chain(&listed).copied().collect();
    ensure(expected.iter().eq(&all), || {
        format!("the receiver was told {arrived:?} of {expected:?}, and {listed:?} are listed")
    })
}

/// Waits are as long as they should be, whatever happened meanwhile.
fn waits(world: &World, id: &str, records: &[Record]) -> Verdict {
    let known = world.known();
    let drives = known.drives.get(id).cloned().unwrap_or_default();
    let odd = known.odd_time;
    drop(known);
    let in_time = |due: Timestamp, at: Timestamp, step: &str| {
        ensure(at >= due, || format!("{step} did not wait until {due}"))?;
        let driven = drives.iter().filter(|it| **it <= at).max();
        let from = driven.map_or(due, |it| due.max(*it));
        ensure(odd || at.since(from) <= SLACK, || {
            format!("{step} waited until {at}, not {due}")
        })
    };
    let mut due: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for record in records {
        match &record.event {
            Event::StepFaulted {
                step,
                error,
                then: AfterFault::Retry { at },
            } => {
                let wait = at.since(record.at);
                let model = world.steps.iter().find(|it| it.id == outer(step));
                let first = match model.map(|it| it.on_error) {
                    Some(OnError::Retry(AT_ONCE)) => Duration::from_micros(1),
                    _ => Duration::from_secs(1),
                };
                grows(first, wait, error.attempt).map_err(|it| format!("{step} {it}"))?;
                due.insert(step, *at);
            }
            Event::StepStarted { step, inputs, .. } => {
                if let Some(due) = due.remove(step.as_str()) {
                    in_time(due, record.at, step)?;
                }
                if let Some(seconds) = inputs.get("seconds").and_then(Value::as_u64) {
                    due.insert(step, record.at.after(Duration::from_secs(seconds)));
                }
            }
            Event::StepCompleted { step, .. } => {
                if let Some(due) = due.remove(step.as_str()) {
                    in_time(due, record.at, step)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The wait after a failed attempt is twice the one before, less up to a fifth.
fn grows(first: Duration, wait: Duration, attempt: u32) -> Verdict {
    let whole = first * (1 << (attempt - 1));
    // Times are whole microseconds.
    let least = (whole * 8 / 10).saturating_sub(Duration::from_micros(1));
    ensure(wait <= whole && wait >= least, || {
        format!("is to wait {wait:?} after attempt {attempt}")
    })
}

/// Who was told that a job will stop sees it stop, for the reason given.
fn cancel(world: &World, id: &str, records: &[Record], state: &State) -> Verdict {
    let known = world.known();
    let asked = known.asked.contains(id);
    let wanted = known.cancelled.get(id).copied();
    let ended = known.ended.get(id).copied().unwrap_or_default();
    let trouble = known.trouble;
    drop(known);
    let reason = format!("enough of {id}");
    let said = records.iter().filter_map(|it| match &it.event {
        Event::CancelRequested { reason } | Event::JobCancelled { reason, .. } => Some(reason),
        _ => None,
    });
    let too_long = world.limit.map(|_| TOO_LONG);
    let mut limited = false;
    for it in said {
        limited |= too_long == Some(it.as_str());
        ensure(*it == reason || too_long == Some(it.as_str()), || {
            format!("cancelled for `{it}`")
        })?;
    }
    let Some(wanted) = wanted else {
        let cancelled = state.status() == JobStatus::Cancelled;
        return ensure(asked || limited || !cancelled, || {
            "nobody wanted it to stop".to_owned()
        });
    };
    let late = ended.since(wanted.max(trouble.after(LEASE * 2))) > CANCELLED;
    ensure(!late, || {
        format!("wanted to stop at {wanted}, ended at {ended}")
    })?;
    let requested = state.cancel_reason().is_some();
    ensure(!requested || state.status() == JobStatus::Cancelled, || {
        format!("cancelled, and then {}", state.status().as_str())
    })
}

/// What it leaves behind is what the run in document order leaves.
fn outcome(world: &World, id: &str, records: &[Record], state: &State) -> Verdict {
    let seen = Seen {
        seed: world.seed,
        job: id,
        interrupted: interrupted(world, records)?,
        changes: world.journal.changes(id),
    };
    let left = reference::run(&world.steps, &seen);
    let end = records.last().map(|it| &it.event);
    match (end, &left.failed) {
        (Some(Event::JobCompleted { end }), None) => values(world, state, &end.results, &left),
        (Some(Event::JobFaulted { .. }), Some(_)) => failure(world, state, &seen),
        (Some(Event::JobCancelled { .. }), _) => Ok(()),
        (_, failed) => Err(format!(
            "it is {}; in document order {failed:?} fails",
            state.status().as_str()
        )),
    }
}

fn values(world: &World, state: &State, results: &Map, left: &Left) -> Verdict {
    let vars = state.scopes().get(se_dsl::expr::Root::Vars);
    for name in world.steps.iter().filter_map(|it| it.captures.as_ref()) {
        let found = vars.get(name).unwrap_or(&Value::Null);
        let expected = left.vars.get(name).unwrap_or(&Value::Null);
        ensure(found == expected, || {
            format!("{name} is {found}, and in document order {expected}")
        })?;
    }
    ensure(*results == left.results, || {
        format!(
            "it gives {results:?}, and in document order {:?}",
            left.results
        )
    })
}

/// The failure that ended it is one.
fn failure(world: &World, state: &State, seen: &Seen<'_>) -> Verdict {
    let failed = state.failed().ok_or("no step failed")?;
    let key = state.key(failed);
    let step = world.steps.iter().find(|it| it.id == key);
    let step = step.ok_or("an unknown step failed")?;
    let fails = match step.does {
        Does::LookAtAll { .. } => {
            (0..3).any(|at| reference::attempts(step, &format!("{key}[{at}]"), seen).is_none())
        }
        Does::Both => reference::both(step, seen).is_none(),
        _ => reference::attempts(step, key, seen).is_none(),
    };
    ensure(fails && step.on_error != OnError::Continue, || {
        format!("{key} need not have failed it")
    })
}

/// Attempts that were cut off: changes by a crash, others where a replica stood still for too long.
fn interrupted(world: &World, records: &[Record]) -> Result<BTreeSet<(String, u32)>, String> {
    let odd = world.known().odd_time;
    let mut all = BTreeSet::new();
    for record in records {
        let Event::StepFaulted { step, error, .. } = &record.event else {
            continue;
        };
        if error.url == FaultKind::Interrupted.url() {
            let model = world.steps.iter().find(|it| it.id == outer(step));
            // A composite fails with the error of what is in it.
            let may = model
                .is_some_and(|it| it.changes_in(step) || (it.does == Does::Both && *step == it.id));
            ensure(may, || format!("{step} was not made again"))?;
            all.insert((step.clone(), error.attempt));
        }
        if odd && error.url == FaultKind::Timeout.url() {
            all.insert((step.clone(), error.attempt));
        }
    }
    Ok(all)
}
