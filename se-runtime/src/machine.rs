//! Every decision of the engine, synchronous and pure: what follows from a plan and a state.
//!
//! [`step`] takes an event in and answers with the events that follow from it and with what is to be
//! started and stopped in the world once those events are stored. There is no other place that decides.

use std::collections::BTreeSet;
use std::time::Duration;

use se_dsl::catalog::{Action, Effect};
use serde_json::Value;

use crate::attempt;
use crate::event::{AfterFault, End, Event, Record};
use crate::fault::{Fault, FaultKind, StepError};
use crate::plan::{Plan, StepIndex};
use crate::port::Endpoints;
use crate::primitive;
use crate::retry;
use crate::secret::Vault;
use crate::state::{FoldError, State, StepStatus};
use crate::time::Timestamp;

/// A progress event is shown at most this often.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// What does not change while a job runs.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The job's plan.
    pub plan: &'a Plan,
    /// Its connectors, evaluated.
    pub endpoints: &'a Endpoints,
    /// Its secrets: what is quoted of evidence holds them as a whole or not at all.
    pub vault: &'a Vault,
}

/// What follows from an event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects {
    /// The event and those that follow from it. Store them before anything else.
    pub records: Vec<Record>,
    /// Attempts to make in the world, once the records are stored.
    pub start: Vec<StepIndex>,
    /// Attempts to stop.
    pub stop: Vec<StepIndex>,
    /// When to come back if nothing happens before.
    pub wake: Option<Timestamp>,
}

/// Whether steps may be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Yes.
    Run,
    /// No: what runs may end, nothing new begins.
    Drain,
}

/// Takes events in and decides what follows.
///
/// With no events it only decides: at the start of a job, when a timer is over, and after a crash.
///
/// # Errors
/// [`FoldError`] if an event does not fit the state.
pub fn step(
    context: Context<'_>,
    state: &mut State,
    events: Vec<Event>,
    at: Timestamp,
    mode: Mode,
) -> Result<Effects, FoldError> {
    let before: BTreeSet<StepIndex> = state.calling().clone();
    let mut records = Vec::with_capacity(events.len() + 2);
    for event in events {
        take_in(context.plan, state, event, at, &mut records)?;
    }
    while let Some(event) = next(context, state, at, mode) {
        take_in(context.plan, state, event, at, &mut records)?;
    }
    let after = state.calling();
    Ok(Effects {
        records,
        start: after.difference(&before).copied().collect(),
        stop: before.difference(after).copied().collect(),
        wake: state.timer().map(|(at, _)| at),
    })
}

fn take_in(
    plan: &Plan,
    state: &mut State,
    event: Event,
    at: Timestamp,
    records: &mut Vec<Record>,
) -> Result<(), FoldError> {
    let record = Record {
        seq: state.seq() + 1,
        at,
        event,
    };
    state.apply(plan, &record)?;
    records.push(record);
    Ok(())
}

/// The events that take back attempts which a crash cut off and which may not be made twice.
/// Repeatable ones are left as they are: they are made again.
#[must_use]
pub fn interrupted(plan: &Plan, state: &State, at: Timestamp) -> Vec<Event> {
    state
        .calling()
        .iter()
        .filter(|index| !plan.node(**index).step().uses.repeatable)
        .map(|index| {
            let detail = "the engine stopped while this step ran, and what it does may not be done \
                          twice; look at the device, then retry the job";
            fault(
                plan,
                state,
                *index,
                &Fault::new(FaultKind::Interrupted, detail),
                at,
            )
        })
        .collect()
}

/// The one fact that follows next, if any.
fn next(context: Context<'_>, state: &State, at: Timestamp, mode: Mode) -> Option<Event> {
    let plan = context.plan;
    if state.status().is_final() {
        return None;
    }
    if state.started_at().is_none() {
        return (mode == Mode::Run).then_some(Event::JobStarted);
    }
    if let Some(reason) = state.cancel_reason() {
        let reason = reason.to_owned();
        let stop = state.active().next().map(|it| cancelled(plan, it));
        return stop.or_else(|| {
            Some(Event::JobCancelled {
                reason,
                end: end(plan, state),
            })
        });
    }
    if let Some(failed) = state.failed() {
        return after_failure(plan, state, failed);
    }
    if let Some(index) = state.computing() {
        return Some(compute(context, state, index, at));
    }
    if let Some((due, index)) = state.timer()
        && due <= at
        && let Some(event) = timer_over(context, state, index, at, mode)
    {
        return Some(event);
    }
    if mode == Mode::Run
        && let Some(index) = state.ready().next()
    {
        return Some(begin(context, state, index, at));
    }
    if state.ended() == plan.len() {
        return Some(Event::JobCompleted {
            end: end(plan, state),
        });
    }
    progress(plan, state, at)
}

/// Nothing new starts; looks are stopped, changes come to their end.
fn after_failure(plan: &Plan, state: &State, failed: StepIndex) -> Option<Event> {
    let may_stop = |index: &StepIndex| {
        let effect = plan.node(*index).step().uses.effect;
        let waits = matches!(state.step(*index).status, StepStatus::Waiting { .. });
        waits || effect != Effect::Write
    };
    if let Some(index) = state.active().find(may_stop) {
        return Some(cancelled(plan, index));
    }
    if state.active().next().is_some() {
        return None;
    }
    let error = state.step(failed).error.clone()?;
    Some(Event::JobFaulted {
        error,
        end: end(plan, state),
    })
}

fn cancelled(plan: &Plan, index: StepIndex) -> Event {
    Event::StepCancelled {
        step: plan.node(index).key.clone(),
    }
}

fn end(plan: &Plan, state: &State) -> End {
    End {
        started_at: state.started_at(),
        results: state.results(plan),
    }
}

fn timer_over(
    context: Context<'_>,
    state: &State,
    index: StepIndex,
    at: Timestamp,
    mode: Mode,
) -> Option<Event> {
    let node = context.plan.node(index);
    let step = state.step(index);
    if node.step().uses.action == Action::Pause && matches!(step.status, StepStatus::Running { .. })
    {
        return Some(Event::StepCompleted {
            step: node.key.clone(),
            attempt: step.attempt,
            output: crate::event::Map::new(),
            learned: crate::event::Map::new(),
        });
    }
    (mode == Mode::Run).then(|| begin(context, state, index, at))
}

/// Begins the next attempt of a step, skips it, or says why it cannot begin.
fn begin(context: Context<'_>, state: &State, index: StepIndex, at: Timestamp) -> Event {
    let node = context.plan.node(index);
    let step = node.step();
    if state.step(index).attempt == 0 {
        match attempt::wanted(step, state.scopes()) {
            Ok(true) => {}
            Ok(false) => {
                return Event::StepSkipped {
                    step: node.key.clone(),
                };
            }
            Err(why) => return fault(context.plan, state, index, &why, at),
        }
    }
    let evaluated = attempt::inputs(step, state.scopes()).and_then(|inputs| {
        Ok((
            inputs,
            attempt::target(step, state.scopes(), context.endpoints)?,
        ))
    });
    match evaluated {
        Ok((inputs, target)) => Event::StepStarted {
            step: node.key.clone(),
            attempt: state.step(index).attempt + 1,
            inputs,
            target,
        },
        Err(why) => fault(context.plan, state, index, &why, at),
    }
}

fn compute(context: Context<'_>, state: &State, index: StepIndex, at: Timestamp) -> Event {
    let plan = context.plan;
    match primitive::run(plan, state, context.vault, index) {
        Ok(output) => Event::StepCompleted {
            step: plan.node(index).key.clone(),
            attempt: state.step(index).attempt,
            output,
            learned: crate::event::Map::new(),
        },
        Err(why) => fault(plan, state, index, &why, at),
    }
}

/// What the failure of the present attempt of a step means.
#[must_use]
pub fn fault(plan: &Plan, state: &State, index: StepIndex, why: &Fault, at: Timestamp) -> Event {
    let node = plan.node(index);
    let step = state.step(index);
    let attempt = match step.status {
        StepStatus::Running { .. } => step.attempt,
        StepStatus::Pending
        | StepStatus::Waiting { .. }
        | StepStatus::Completed
        | StepStatus::Continued
        | StepStatus::Faulted
        | StepStatus::Skipped
        | StepStatus::Cancelled => step.attempt + 1,
    };
    let seed = (state.accepted().job_id.as_str(), node.key.as_str());
    let then: AfterFault = retry::after_fault(&node.step().on_error, seed, attempt, at);
    Event::StepFaulted {
        step: node.key.clone(),
        error: StepError::new(why, &node.step().pointer, attempt),
        then,
    }
}

fn progress(plan: &Plan, state: &State, at: Timestamp) -> Option<Event> {
    let percentage = state.percentage();
    let (shown, _, since) = state.progress();
    let due = since.is_none_or(|since| at.since(since) >= PROGRESS_INTERVAL);
    if percentage == shown || !due {
        return None;
    }
    let running: Vec<&str> = state
        .active()
        .take(3)
        .map(|index| plan.node(index).key.as_str())
        .collect();
    let mut message = format!("{} of {} steps", state.ended(), plan.len());
    if !running.is_empty() {
        message.push_str("; running ");
        message.push_str(&running.join(", "));
    }
    Some(Event::JobProgress {
        percentage,
        message,
    })
}

/// Whether a value holds, as jq sees it: everything but `false` and `null`.
#[must_use]
pub(crate) fn holds(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false))
}
