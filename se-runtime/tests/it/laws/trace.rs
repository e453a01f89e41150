//! A log, read without the engine's own state: every event must be one that may follow at its time.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::TestCaseError;
use se_dsl::catalog::Effect;
use se_dsl::checked::OnError;
use se_runtime::event::AfterFault;
use se_runtime::{Event, Plan, Record, StepError, Timestamp};

use super::keys::{Place, place};

/// Elements that a loop takes together, at most.
const TOGETHER: usize = 32;

/// What a log has told so far.
pub(super) struct Trace<'p> {
    plan: &'p Plan,
    runs: BTreeMap<String, Run>,
    cancelled: bool,
    ended: bool,
}

/// What is known of one run.
#[derive(Clone, Debug)]
struct Run {
    status: Status,
    attempt: u32,
    began: Option<Timestamp>,
    /// How many elements its loop has.
    elements: usize,
    error: Option<StepError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Running,
    Waiting(Timestamp),
    Completed,
    Continued,
    Faulted,
    Skipped,
    Cancelled,
}

impl Status {
    fn is_active(self) -> bool {
        matches!(self, Self::Running | Self::Waiting(_))
    }

    /// What waits for it may begin.
    fn is_good(self) -> bool {
        matches!(self, Self::Completed | Self::Continued | Self::Skipped)
    }
}

type Verdict = Result<(), TestCaseError>;

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Verdict {
    if holds {
        Ok(())
    } else {
        Err(TestCaseError::fail(why()))
    }
}

impl<'p> Trace<'p> {
    pub(super) fn new(plan: &'p Plan) -> Self {
        Self {
            plan,
            runs: BTreeMap::new(),
            cancelled: false,
            ended: false,
        }
    }

    /// Takes in the next event, if it may follow.
    pub(super) fn take(&mut self, record: &Record) -> Verdict {
        let shown = || format!("{:?}", record.event);
        ensure(!self.ended, || format!("after the end: {}", shown()))?;
        match &record.event {
            Event::JobAccepted(_) | Event::JobStarted | Event::JobProgress { .. } => {}
            Event::CancelRequested { .. } => self.cancelled = true,
            Event::JobCompleted { .. } => {
                let mut own = self.plan.steps().map(|(_, it)| self.status(&it.key));
                let all = own.all(|it| it.is_some_and(Status::is_good));
                ensure(all && !self.cancelled, || format!("too early: {}", shown()))?;
                self.end()?;
            }
            Event::JobFaulted { error, .. } => {
                let first = self.first_failed().and_then(|it| it.error.as_ref());
                ensure(first == Some(error), || {
                    format!("not the first failure: {}", shown())
                })?;
                self.end()?;
            }
            Event::JobCancelled { .. } => {
                ensure(self.cancelled, shown)?;
                self.end()?;
            }
            Event::StepStarted {
                step,
                attempt,
                inputs,
                ..
            } => {
                self.may_begin(step, *attempt, record.at)?;
                let list = inputs.get("in").and_then(|it| it.as_array());
                let run = self.runs.entry(step.clone()).or_insert_with(Run::new);
                run.status = Status::Running;
                run.attempt = *attempt;
                run.began = Some(record.at);
                run.elements = list.map_or(0, Vec::len);
            }
            Event::StepCompleted { step, attempt, .. } => self.complete(step, *attempt)?,
            Event::StepSkipped { step } => {
                self.may_begin(step, 1, record.at)?;
                self.set(step, Status::Skipped);
            }
            Event::StepFaulted { step, error, then } => {
                self.fault(step, error, *then, record.at)?
            }
            Event::StepCancelled { step } => {
                self.may_cancel(step, record.at)?;
                self.set(step, Status::Cancelled);
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Verdict {
        self.ended = true;
        let active = self.runs.iter().find(|(_, it)| it.status.is_active());
        ensure(active.is_none(), || {
            format!("the job ended before {active:?}")
        })
    }

    fn status(&self, key: &str) -> Option<Status> {
        self.runs.get(key).map(|it| it.status)
    }

    fn set(&mut self, key: &str, status: Status) {
        self.runs
            .entry(key.to_owned())
            .or_insert_with(Run::new)
            .status = status;
    }

    /// The failure that the job does not survive: the first in document order.
    fn first_failed(&self) -> Option<&Run> {
        let mut own = self
            .plan
            .steps()
            .filter_map(|(_, it)| self.runs.get(&it.key));
        own.find(|it| it.status == Status::Faulted)
    }

    fn place(&self, key: &str) -> Result<Place<'p>, TestCaseError> {
        place(self.plan, key).ok_or_else(|| TestCaseError::fail(format!("there is no {key}")))
    }

    /// What a run consists of, as far as it has begun; of its present attempt.
    fn inside<'r>(&'r self, place: &Place<'_>, run: &Run) -> Vec<(&'r str, Status)> {
        let prefix = place.prefix(run.attempt);
        let all = self.runs.range(prefix.clone()..);
        let all = all.take_while(|(key, _)| key.starts_with(&prefix));
        let direct = all.filter(|(key, _)| !key[prefix.len()..].contains(['[', '/']));
        direct
            .map(|(key, run)| (key.as_str(), run.status))
            .collect()
    }

    /// Whether a failure in a group keeps everything in it from beginning.
    fn is_stopping(&self, key: &str) -> Result<bool, TestCaseError> {
        let place = self.place(key)?;
        let Some(run) = self.runs.get(key) else {
            return Ok(false);
        };
        let inside = self.inside(&place, run);
        let failed = inside.iter().any(|(_, it)| *it == Status::Faulted);
        Ok(failed && place.stops_on_failure())
    }

    /// Whether a run, not under way, may begin that attempt.
    pub(super) fn may_begin(&self, key: &str, attempt: u32, at: Timestamp) -> Verdict {
        let place = self.place(key)?;
        ensure(!self.cancelled, || {
            format!("{key} began in a job that is cancelled")
        })?;
        ensure(self.first_failed().is_none(), || {
            format!("{key} began in a job that failed")
        })?;
        match self.runs.get(key) {
            None => ensure(attempt == 1, || {
                format!("{key} began with attempt {attempt}")
            })?,
            Some(run) => {
                let due = matches!(run.status, Status::Waiting(until) if until <= at);
                let next = attempt == run.attempt + 1;
                ensure(due && next, || {
                    format!("attempt {attempt} of {key}, which is {run:?}")
                })?;
            }
        }
        let mut above = place.parent();
        while let Some((parent, attempt)) = above {
            let run = self.runs.get(&parent);
            let runs = run.is_some_and(|it| it.status == Status::Running);
            let same = run.is_some_and(|it| attempt.is_none_or(|attempt| it.attempt == attempt));
            ensure(runs && same, || format!("{key} began outside of {parent}"))?;
            ensure(!self.is_stopping(&parent)?, || {
                format!("{key} began in {parent}, which failed")
            })?;
            above = self.place(&parent)?.parent();
        }
        self.those_before(key, &place)
    }

    /// Whether what a run waits for has ended well.
    fn those_before(&self, key: &str, place: &Place<'_>) -> Verdict {
        if let Some((at, beside)) = place.element() {
            let together = self.plan.takes_together(place.node());
            let window = if together { TOGETHER } else { 1 };
            let before = at
                .checked_sub(window)
                .map(|it| self.status(&format!("{beside}{it}]")));
            let ended =
                before.is_none_or(|it| it.is_some_and(|it| it.is_good() || it == Status::Faulted));
            return ensure(ended, || format!("{key} began out of turn"));
        }
        for (other, name) in place.predecessors() {
            let ended = self.status(&other).is_some_and(Status::is_good);
            ensure(ended, || format!("{key} began before {name} ended"))?;
        }
        Ok(())
    }

    fn complete(&mut self, key: &str, attempt: u32) -> Verdict {
        let place = self.place(key)?;
        let run = self.runs.get(key).cloned().unwrap_or_else(Run::new);
        let runs = run.status == Status::Running && run.attempt == attempt;
        ensure(runs, || {
            format!("attempt {attempt} of {key} ended, which is {run:?}")
        })?;
        if let Some(count) = place.count(run.elements) {
            let inside = self.inside(&place, &run);
            let good = inside.iter().filter(|(_, it)| it.is_good()).count();
            ensure(good == count, || {
                format!("{key} of {count} ended with {inside:?}")
            })?;
        }
        self.set(key, Status::Completed);
        Ok(())
    }

    fn fault(&mut self, key: &str, error: &StepError, then: AfterFault, at: Timestamp) -> Verdict {
        let place = self.place(key)?;
        let run = self.runs.get(key).cloned();
        match run.as_ref().filter(|it| it.status == Status::Running) {
            Some(run) => {
                ensure(run.attempt == error.attempt, || format!("{key}: {error:?}"))?;
                let mut inside = self.inside(&place, run).into_iter();
                let active = inside.find(|(_, it)| it.is_active());
                ensure(active.is_none(), || {
                    format!("{key} failed before {active:?}")
                })?;
            }
            // It could not even begin.
            None => self.may_begin(key, error.attempt, at)?,
        }
        let expected = match place.on_error() {
            OnError::Fail => AfterFault::Fail,
            OnError::Continue => AfterFault::Continue,
            OnError::Retry { retries, .. } if error.attempt > retries => AfterFault::Fail,
            OnError::Retry { backoff, .. } => {
                let AfterFault::Retry { at: again } = then else {
                    return ensure(false, || format!("{key} is not tried again"));
                };
                let doubled = backoff * 2_u32.pow(error.attempt - 1);
                let waits = again.since(at);
                let fits = waits <= doubled && waits >= doubled / 10 * 8;
                ensure(fits, || format!("{key} is tried again after {waits:?}"))?;
                then
            }
        };
        ensure(then == expected, || {
            format!("{key} failed, and then {then:?}")
        })?;
        let run = self.runs.entry(key.to_owned()).or_insert_with(Run::new);
        run.attempt = error.attempt;
        run.error = Some(error.clone());
        run.status = match then {
            AfterFault::Fail => Status::Faulted,
            AfterFault::Continue => Status::Continued,
            AfterFault::Retry { at } => Status::Waiting(at),
        };
        Ok(())
    }

    /// Whether something under way may be stopped: the job is cancelled, a group around it took too
    /// long, or it failed; a change that is being made comes to its end then.
    fn may_cancel(&self, key: &str, at: Timestamp) -> Verdict {
        let place = self.place(key)?;
        let run = self.runs.get(key).filter(|it| it.status.is_active());
        let Some(run) = run else {
            return ensure(false, || format!("{key} was stopped, and not under way"));
        };
        let inside = self.inside(&place, run);
        let active = inside.iter().find(|(_, it)| it.is_active());
        ensure(active.is_none(), || {
            format!("{key} was stopped before {active:?}")
        })?;
        let is_changing = place.is_leaf()
            && run.status == Status::Running
            && place.node().step().uses.effect() == Effect::Write;
        let mut reason = self.cancelled || self.first_failed().is_some() && !is_changing;
        let mut above = place.parent();
        while let Some((parent, _)) = above {
            let outer = self.place(&parent)?;
            let began = self.runs.get(&parent).and_then(|it| it.began);
            let late = outer.timeout().zip(began).is_some_and(|(timeout, began)| {
                at.since(began) >= Duration::max(timeout, Duration::from_micros(1))
            });
            reason |= late || self.is_stopping(&parent)? && !is_changing;
            above = outer.parent();
        }
        ensure(reason, || format!("{key} was stopped for no reason"))
    }

    /// Runs that are under way.
    pub(super) fn active(&self) -> Vec<&str> {
        let active = self.runs.iter().filter(|(_, it)| it.status.is_active());
        active.map(|(key, _)| key.as_str()).collect()
    }

    /// Whether somebody wants the job to stop.
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// Whether a run has not begun, and may.
    pub(super) fn is_ready(&self, key: &str, at: Timestamp) -> bool {
        !self.runs.contains_key(key) && self.may_begin(key, 1, at).is_ok()
    }
}

impl Run {
    fn new() -> Self {
        Self {
            status: Status::Running,
            attempt: 0,
            began: None,
            elements: 0,
            error: None,
        }
    }
}
