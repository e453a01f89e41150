//! Every decision of the engine, synchronous and pure: what follows from a plan and a state.
//!
//! [`step`] takes an event in and answers with the events that follow from it and with what is to be
//! started and stopped in the world once those events are stored. There is no other place that decides.

mod timers;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use se_dsl::catalog::Effect;
use serde_json::Value;

use crate::attempt::{self, Beginning};
use crate::event::{AfterFault, End, Event, Record};
use crate::fault::{Fault, FaultKind, StepError};
use crate::plan::{Node, Plan, StepIndex};
use crate::planted::{self, Bug};
use crate::port::Endpoints;
use crate::primitive;
pub use crate::primitive::Half;
use crate::retry;
use crate::secret::Vault;
use crate::size;
use crate::state::{FoldError, MAX_HELD, MAX_RUNS, State, StepStatus};
use crate::time::Timestamp;

use timers::{timer, timer_over};

/// A progress event is shown at most this often.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// What does not change while a job runs.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The job's plan.
    pub plan: &'a Plan,
    /// Its connectors, evaluated: those of the package, then those of each part.
    pub endpoints: &'a [Arc<Endpoints>],
    /// Its secrets: what is quoted of evidence holds them as a whole or not at all.
    pub vault: &'a Vault,
}

impl Context<'_> {
    /// The connectors that a step may name.
    pub(crate) fn endpoints_of(&self, node: &Node) -> Arc<Endpoints> {
        let at = node.job().part.map_or(0, |part| part + 1);
        self.endpoints.get(at).cloned().unwrap_or_default()
    }
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
    /// Whether more follows at once: it was not asked to go on to the end.
    pub more: bool,
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
    let mut turn = Turn {
        goes_on: &mut || true,
        half: &mut Half::default(),
    };
    step_while(context, state, events, (at, mode), &mut turn)
}

/// How far to go at a time.
pub struct Turn<'a> {
    /// Asked before each fact that follows, and within those that take long.
    pub goes_on: &'a mut dyn FnMut() -> bool,
    /// What the turn before has left half done, and this one leaves.
    pub half: &'a mut Half,
}

impl fmt::Debug for Turn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Turn({:?})", self.half)
    }
}

/// The same, but asks whether to go on: what expressions and rubrics compute takes its time. Whoever stops it stores
/// what there is and takes the next step, with no events or with what has happened, when it likes.
///
/// # Errors
/// As [`step`].
pub fn step_while(
    context: Context<'_>,
    state: &mut State,
    events: Vec<Event>,
    (at, mode): (Timestamp, Mode),
    turn: &mut Turn<'_>,
) -> Result<Effects, FoldError> {
    let before = attempts(state);
    let mut records = Vec::with_capacity(events.len() + 2);
    for event in events {
        take_in(context.plan, state, event, at, &mut records)?;
    }
    let more = loop {
        match next(context, state, (at, mode), turn) {
            Poll::Ready(Some(event)) => {
                take_in(context.plan, state, event, at, &mut records)?;
                if !(turn.goes_on)() {
                    break true;
                }
            }
            Poll::Ready(None) => break false,
            Poll::Pending => break true,
        }
    };
    let after = attempts(state);
    let wake = timer(state, mode).map(|(at, _)| at);
    Ok(Effects {
        records,
        start: without(&after, &before),
        stop: without(&before, &after),
        wake: if more { Some(at) } else { wake },
        more,
    })
}

/// Which attempt each step makes in the world.
fn attempts(state: &State) -> BTreeMap<StepIndex, u32> {
    let calling = state.calling().iter();
    calling.map(|it| (*it, state.step(*it).attempt)).collect()
}

/// Those of `all` that `others` do not make: a step may be at its next attempt.
fn without(all: &BTreeMap<StepIndex, u32>, others: &BTreeMap<StepIndex, u32>) -> Vec<StepIndex> {
    let makes = |(index, attempt): &(&StepIndex, &u32)| {
        let other = others.get(index);
        other == Some(attempt) || other.is_some() && planted::is(Bug::RetryAtOnceForgotten)
    };
    let own = all.iter().filter(|it| !makes(it));
    own.map(|(index, _)| *index).collect()
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
        event: within_bounds(state, event, at),
    };
    state.apply(plan, &record)?;
    records.push(record);
    Ok(())
}

/// A step that would make the job too large fails in place of that.
fn within_bounds(state: &State, event: Event, at: Timestamp) -> Event {
    if let Event::StepStarted { step, inputs, .. } = &event
        && let Some(index) = state.find(step)
        && !state.has_room_for_runs(index, inputs)
    {
        let detail = format!(
            "with the steps that it consists of, this job would have more than {MAX_RUNS}, each attempt \
             counted; split the job, or retry less"
        );
        return fault(state, index, &Fault::new(FaultKind::Validation, detail), at);
    }
    let (key, more, what) = match &event {
        Event::StepStarted { step, inputs, .. } => (step, size::of_map(inputs), "is given"),
        Event::StepCompleted { step, output, .. } => (step, size::of_map(output), "gave"),
        _ => return event,
    };
    let Some(index) = state.find(key).filter(|_| !state.has_room(more)) else {
        return event;
    };
    let detail = format!(
        "it {what} {} kB, and with that the steps of this job would hold more than {} MiB; keep less of what devices \
         print (`match`, a narrower command), or split the job",
        more / 1000,
        MAX_HELD >> 20
    );
    fault(state, index, &Fault::new(FaultKind::Validation, detail), at)
}

/// The events that take back attempts which a crash cut off and which may not be made twice.
/// Repeatable ones are left as they are: they are made again.
#[must_use]
pub fn interrupted(state: &State, at: Timestamp) -> Vec<Event> {
    state
        .calling()
        .iter()
        .filter(|index| !state.node(**index).step().uses.repeatable())
        .filter(|_| !planted::is(Bug::InterruptedRepeated))
        .map(|index| {
            let detail = "the engine stopped while this step ran, and what it does may not be done \
                          twice; look at the device, then retry the job";
            fault(
                state,
                *index,
                &Fault::new(FaultKind::Interrupted, detail),
                at,
            )
        })
        .collect()
}

/// The one fact that follows next, if any; it is pending where computing it takes longer than this turn.
fn next(
    context: Context<'_>,
    state: &State,
    (at, mode): (Timestamp, Mode),
    turn: &mut Turn<'_>,
) -> Poll<Option<Event>> {
    if state.status().is_final() {
        return Poll::Ready(None);
    }
    if state.started_at().is_none() {
        return Poll::Ready((mode == Mode::Run).then_some(Event::JobStarted));
    }
    if let Some(reason) = state.cancel_reason() {
        return Poll::Ready(Some(stopping(context.plan, state, reason)));
    }
    if let Some(event) = state.settling().find_map(|it| settle(state, it, at)) {
        return Poll::Ready(Some(event));
    }
    if let Some(failed) = state.failed() {
        return Poll::Ready(after_failure(context.plan, state, failed));
    }
    match state.computing() {
        Some(index) => compute(context, state, (index, at), turn).map(Some),
        None => Poll::Ready(going_on(context, state, at, mode)),
    }
}

/// What follows from a cancel: all that runs is stopped, then the job has ended.
fn stopping(plan: &Plan, state: &State, reason: &str) -> Event {
    let reason = match reason {
        _ if planted::is(Bug::CancelReasonLost) => String::new(),
        reason => reason.to_owned(),
    };
    let stop = state.tips().next().map(|it| cancelled(state, it));
    stop.unwrap_or_else(|| Event::JobCancelled {
        reason,
        end: end(plan, state),
    })
}

/// What is due, what is ready, or the end.
fn going_on(context: Context<'_>, state: &State, at: Timestamp, mode: Mode) -> Option<Event> {
    let plan = context.plan;
    if let Some((due, index)) = timer(state, mode)
        && (due <= at || planted::is(Bug::TimerEarly))
    {
        return Some(timer_over(context, state, index, at));
    }
    if (mode == Mode::Run || planted::is(Bug::DrainBegins))
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
    if let Some(stop) = stop_within(state, None) {
        return Some(stop);
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

/// The next run to be stopped because one beside it has failed: anything but a change that is being made.
fn stop_within(state: &State, group: Option<StepIndex>) -> Option<Event> {
    let may_stop = |index: &StepIndex| {
        let effect = state.node(*index).step().uses.effect();
        let waits = matches!(state.step(*index).status, StepStatus::Waiting { .. });
        waits || !state.is_leaf(*index) || effect != Effect::Write
    };
    let mut tips = state.tips().filter(|it| state.is_within(*it, group));
    tips.find(may_stop).map(|it| cancelled(state, it))
}

/// What a loop or composite comes to, once its runs have ended or one has failed.
fn settle(state: &State, group: StepIndex, at: Timestamp) -> Option<Event> {
    let Some(failed) = state.failed_within(group) else {
        return Some(Event::StepCompleted {
            step: state.key(group).to_owned(),
            attempt: state.step(group).attempt,
            output: match state.exports(group) {
                _ if planted::is(Bug::ExportLost) => crate::event::Map::new(),
                exports => exports,
            },
            learned: crate::event::Map::new(),
        });
    };
    if !state.is_through(group) {
        if let Some(stop) = stop_within(state, Some(group)) {
            return Some(stop);
        }
        if state.active().any(|it| state.is_within(it, Some(group))) {
            return None;
        }
    }
    let inside = state.step(failed).error.clone()?;
    let attempt = state.step(group).attempt;
    // A failure keeps the place where it happened; what is around it says what it was part of.
    let error = StepError {
        detail: format!("{}: {}", state.key(failed), inside.detail),
        attempt,
        ..inside
    };
    Some(faulted(state, group, error, at))
}

fn cancelled(state: &State, index: StepIndex) -> Event {
    Event::StepCancelled {
        step: state.key(index).to_owned(),
    }
}

fn end(plan: &Plan, state: &State) -> End {
    End {
        started_at: state.started_at(),
        results: match state.results(plan) {
            _ if planted::is(Bug::ResultsLost) => crate::event::Map::new(),
            results => results,
        },
    }
}

/// Begins the next attempt of a run, skips it, or says why it cannot begin.
fn begin(context: Context<'_>, state: &State, index: StepIndex, at: Timestamp) -> Event {
    let step = state.step(index);
    // Until it has begun once: a `when` that cannot be told gates every attempt.
    let first = step.started_at.is_none();
    match attempt::begin(context, state, index, first) {
        Ok(Some(Beginning { inputs, target })) => Event::StepStarted {
            step: state.key(index).to_owned(),
            attempt: match step.attempt {
                again if again > 0 && planted::is(Bug::AttemptNotCounted) => again,
                before => before + 1,
            },
            inputs,
            target,
        },
        Ok(None) => Event::StepSkipped {
            step: state.key(index).to_owned(),
        },
        Err(why) => fault(state, index, &why, at),
    }
}

fn compute(
    context: Context<'_>,
    state: &State,
    (index, at): (StepIndex, Timestamp),
    turn: &mut Turn<'_>,
) -> Poll<Event> {
    let made = primitive::run((state, context.vault), index, turn.half, turn.goes_on);
    made.map(|made| match made {
        Ok(output) => Event::StepCompleted {
            step: state.key(index).to_owned(),
            attempt: state.step(index).attempt,
            output,
            learned: crate::event::Map::new(),
        },
        Err(why) => fault(state, index, &why, at),
    })
}

/// What the failure of the present attempt of a run means.
#[must_use]
pub fn fault(state: &State, index: StepIndex, why: &Fault, at: Timestamp) -> Event {
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
    let error = StepError::new(why, &state.node(index).step().pointer, attempt);
    faulted(state, index, error, at)
}

fn faulted(state: &State, index: StepIndex, error: StepError, at: Timestamp) -> Event {
    let key = state.key(index);
    let seed = (state.accepted().job_id.as_str(), key);
    let then: AfterFault = retry::after_fault(&state.on_error(index), seed, error.attempt, at);
    Event::StepFaulted {
        step: key.to_owned(),
        error,
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
    let running: Vec<&str> = state.tips().take(3).map(|it| state.key(it)).collect();
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
