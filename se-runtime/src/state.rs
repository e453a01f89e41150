//! The state of a job: a fold of its events, live and after a crash alike.

use std::collections::BTreeSet;
use std::time::Duration;

use se_dsl::catalog::{Action, Effect};
use se_dsl::checked::Capture;
use se_dsl::expr::{Root, Scopes};
use serde_json::Value;

use crate::event::{Accepted, AfterFault, Event, JobStatus, Map, Record};
use crate::fault::StepError;
use crate::plan::{Plan, StepIndex};
use crate::time::Timestamp;

mod step;
mod view;

pub use step::{StepState, StepStatus};

/// Where a job stands.
///
/// # Invariants
/// Only [`State::apply`] changes it, so equal logs give equal states. The ready set holds exactly the
/// pending steps all of whose predecessors have ended.
#[derive(Clone, Debug)]
pub struct State {
    seq: u64,
    accepted: Accepted,
    status: JobStatus,
    accepted_at: Timestamp,
    started_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
    cancel: Option<String>,
    error: Option<StepError>,
    steps: Vec<StepState>,
    waiting_for: Vec<usize>,
    ready: BTreeSet<StepIndex>,
    active: BTreeSet<StepIndex>,
    /// Active steps whose attempt is made inside the engine, at once.
    computing: BTreeSet<StepIndex>,
    /// Active steps whose attempt is made in the world.
    calling: BTreeSet<StepIndex>,
    /// Active steps that go on by themselves at a time: pauses, and waits for another attempt.
    timers: BTreeSet<(Timestamp, StepIndex)>,
    /// Steps whose failure the job does not survive.
    failed: BTreeSet<StepIndex>,
    ended: usize,
    scopes: Scopes,
    learned: Map,
    progress: (u8, String),
    progress_at: Option<Timestamp>,
}

/// Why an event does not fit the state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {seq} ({event}) does not fit: {reason}")]
pub struct FoldError {
    /// Number of the event.
    pub seq: u64,
    /// What kind it is.
    pub event: &'static str,
    /// What is wrong.
    pub reason: String,
}

impl State {
    /// The state after a whole log.
    ///
    /// # Errors
    /// [`FoldError`] at the first event that does not fit the plan or those before it.
    pub fn fold(plan: &Plan, records: &[Record]) -> Result<Self, FoldError> {
        let Some((first, rest)) = records.split_first() else {
            let reason = "the log is empty".to_owned();
            return Err(FoldError {
                seq: 1,
                event: "none",
                reason,
            });
        };
        let mut state = Self::begin(plan, first)?;
        for record in rest {
            state.apply(plan, record)?;
        }
        Ok(state)
    }

    /// The state after the first event.
    ///
    /// # Errors
    /// [`FoldError`] if it is not [`Event::JobAccepted`] in a format this version reads.
    pub fn begin(plan: &Plan, first: &Record) -> Result<Self, FoldError> {
        let Event::JobAccepted(accepted) = &first.event else {
            let reason = "a log begins with job_accepted".to_owned();
            return Err(FoldError {
                seq: first.seq,
                event: first.event.kind(),
                reason,
            });
        };
        if first.seq != 1 || accepted.format > crate::event::FORMAT {
            let reason = format!("number {}, format {}", first.seq, accepted.format);
            return Err(FoldError {
                seq: first.seq,
                event: first.event.kind(),
                reason,
            });
        }
        let frozen = &accepted.scopes;
        let mut scopes = Scopes::new();
        scopes.set(Root::Session, &frozen.session);
        scopes.set(Root::Content, &frozen.content);
        scopes.set(Root::RuntimeEnv, &frozen.runtime_env);
        scopes.set(Root::Vars, &Value::Object(frozen.vars.clone()));
        let waiting_for: Vec<usize> = plan
            .steps()
            .map(|(_, node)| node.predecessors().len())
            .collect();
        let ready = plan
            .steps()
            .filter(|(_, node)| node.predecessors().is_empty())
            .map(|(step, _)| step)
            .collect();
        Ok(Self {
            seq: 1,
            accepted: Accepted::clone(accepted),
            status: JobStatus::Accepted,
            accepted_at: first.at,
            started_at: None,
            completed_at: None,
            cancel: None,
            error: None,
            steps: vec![StepState::default(); plan.len()],
            waiting_for,
            ready,
            active: BTreeSet::new(),
            computing: BTreeSet::new(),
            calling: BTreeSet::new(),
            timers: BTreeSet::new(),
            failed: BTreeSet::new(),
            ended: 0,
            scopes,
            learned: Map::new(),
            progress: (0, "accepted".to_owned()),
            progress_at: None,
        })
    }

    /// Takes in the next event.
    ///
    /// # Errors
    /// [`FoldError`] if it does not fit; the state is then as it was before.
    pub fn apply(&mut self, plan: &Plan, record: &Record) -> Result<(), FoldError> {
        let refuse = |reason: String| FoldError {
            seq: record.seq,
            event: record.event.kind(),
            reason,
        };
        if record.seq != self.seq + 1 {
            return Err(refuse(format!("the last event was number {}", self.seq)));
        }
        if self.status.is_final() {
            return Err(refuse(format!("the job is {}", self.status.as_str())));
        }
        match record.event.step() {
            Some(key) => {
                let Some(step) = plan.find(key) else {
                    return Err(refuse(format!("the plan has no step `{key}`")));
                };
                self.apply_to_step(plan, step, record).map_err(refuse)?;
            }
            None => self.apply_to_job(record).map_err(refuse)?,
        }
        self.seq = record.seq;
        Ok(())
    }

    fn apply_to_job(&mut self, record: &Record) -> Result<(), String> {
        match &record.event {
            Event::JobAccepted(_) => return Err("it stands only at the beginning".to_owned()),
            Event::JobStarted => {
                self.started_at.get_or_insert(record.at);
                if self.status == JobStatus::Accepted {
                    self.status = JobStatus::Running;
                }
            }
            Event::JobProgress {
                percentage,
                message,
            } => {
                self.progress = (*percentage, message.clone());
                self.progress_at = Some(record.at);
            }
            Event::CancelRequested { reason } => {
                self.cancel.get_or_insert_with(|| reason.clone());
                self.status = JobStatus::Cancelling;
            }
            Event::JobCompleted { .. } => self.end(record.at, JobStatus::Completed, None)?,
            Event::JobFaulted { error, .. } => {
                self.end(record.at, JobStatus::Faulted, Some(error.clone()))?;
            }
            Event::JobCancelled { .. } => self.end(record.at, JobStatus::Cancelled, None)?,
            Event::StepStarted { .. }
            | Event::StepCompleted { .. }
            | Event::StepFaulted { .. }
            | Event::StepSkipped { .. }
            | Event::StepCancelled { .. } => return Err("it is about a step".to_owned()),
        }
        Ok(())
    }

    fn end(
        &mut self,
        at: Timestamp,
        status: JobStatus,
        error: Option<StepError>,
    ) -> Result<(), String> {
        if !self.active.is_empty() {
            return Err(format!("{} steps have not ended", self.active.len()));
        }
        if status == JobStatus::Completed {
            self.progress = (100, "completed".to_owned());
        } else {
            status.as_str().clone_into(&mut self.progress.1);
        }
        self.status = status;
        self.completed_at = Some(at);
        self.error = error;
        Ok(())
    }

    fn apply_to_step(
        &mut self,
        plan: &Plan,
        index: StepIndex,
        record: &Record,
    ) -> Result<(), String> {
        // What a job brings along from another has happened already: its order is that of the other.
        let ready = self.ready.contains(&index) || self.started_at.is_none();
        let Some(step) = self.steps.get_mut(index.0) else {
            return Err("the plan has grown".to_owned());
        };
        let refuse = |step: &StepState| Err(format!("the step is {}", step.status.as_str()));
        let next = match (&record.event, step.status) {
            (
                Event::StepStarted {
                    attempt,
                    inputs,
                    target,
                    ..
                },
                status,
            ) => {
                let may = matches!(status, StepStatus::Waiting { .. })
                    || (status == StepStatus::Pending && ready);
                if !may || *attempt != step.attempt + 1 {
                    return refuse(step);
                }
                step.attempt = *attempt;
                step.started_at.get_or_insert(record.at);
                step.inputs.clone_from(inputs);
                step.target.clone_from(target);
                step.error = None;
                StepStatus::Running { since: record.at }
            }
            (
                Event::StepCompleted {
                    attempt,
                    output,
                    learned,
                    ..
                },
                StepStatus::Running { .. },
            ) if *attempt == step.attempt => {
                step.output.clone_from(output);
                self.learned
                    .extend(learned.iter().map(|(key, it)| (key.clone(), it.clone())));
                StepStatus::Completed
            }
            (Event::StepFaulted { error, then, .. }, status)
                if !status.is_final() && (status != StepStatus::Pending || ready) =>
            {
                step.attempt = error.attempt;
                step.error = Some(error.clone());
                match then {
                    AfterFault::Fail => StepStatus::Faulted,
                    AfterFault::Continue => StepStatus::Continued,
                    AfterFault::Retry { at } => StepStatus::Waiting { until: *at },
                }
            }
            (Event::StepSkipped { .. }, StepStatus::Pending) if ready => StepStatus::Skipped,
            (Event::StepCancelled { .. }, status) if !status.is_final() => StepStatus::Cancelled,
            _ => return refuse(step),
        };
        self.enter(plan, index, next, record.at);
        Ok(())
    }

    /// Moves a step to its next status and lets its successors know.
    fn enter(&mut self, plan: &Plan, index: StepIndex, next: StepStatus, at: Timestamp) {
        self.leave(index);
        if let Some(step) = self.steps.get_mut(index.0) {
            step.status = next;
        }
        if !next.is_final() {
            self.activate(plan, index, next);
            return;
        }
        if let Some(step) = self.steps.get_mut(index.0) {
            step.completed_at = Some(at);
        }
        self.ended += 1;
        if next == StepStatus::Faulted {
            self.failed.insert(index);
        }
        self.write_vars(plan, index);
        if matches!(next, StepStatus::Faulted | StepStatus::Cancelled) {
            return;
        }
        for successor in plan.node(index).successors() {
            let Some(count) = self.waiting_for.get_mut(successor.0) else {
                continue;
            };
            *count = count.saturating_sub(1);
            let pending =
                self.steps.get(successor.0).map(|it| it.status) == Some(StepStatus::Pending);
            if *count == 0 && pending {
                self.ready.insert(*successor);
            }
        }
    }

    /// Takes a step out of every set it may be in.
    fn leave(&mut self, index: StepIndex) {
        self.ready.remove(&index);
        self.active.remove(&index);
        self.computing.remove(&index);
        self.calling.remove(&index);
        self.timers.retain(|(_, it)| *it != index);
    }

    fn activate(&mut self, plan: &Plan, index: StepIndex, next: StepStatus) {
        self.active.insert(index);
        let primitive = plan.node(index).step().uses;
        match next {
            StepStatus::Waiting { until } => {
                self.timers.insert((until, index));
            }
            StepStatus::Running { since } if primitive.action == Action::Pause => {
                let seconds = self
                    .steps
                    .get(index.0)
                    .and_then(|it| it.inputs.get("seconds"));
                let seconds = seconds.and_then(Value::as_f64).unwrap_or_default();
                let pause = Duration::try_from_secs_f64(seconds).unwrap_or_default();
                self.timers.insert((since.after(pause), index));
            }
            StepStatus::Running { .. } if primitive.effect == Effect::Pure => {
                self.computing.insert(index);
            }
            StepStatus::Running { .. } => {
                self.calling.insert(index);
            }
            StepStatus::Pending
            | StepStatus::Completed
            | StepStatus::Continued
            | StepStatus::Faulted
            | StepStatus::Skipped
            | StepStatus::Cancelled => {}
        }
    }

    fn write_vars(&mut self, plan: &Plan, index: StepIndex) {
        let Some(step) = self.steps.get(index.0) else {
            return;
        };
        let id = plan.node(index).step().id.as_str();
        match step.status {
            StepStatus::Completed => {
                for Capture { output, path } in &plan.node(index).step().capture {
                    let value = step.output.get(output).unwrap_or(&Value::Null);
                    let own: Vec<String> = std::iter::once(id.to_owned())
                        .chain(path.iter().cloned())
                        .collect();
                    self.scopes.write_var(&own, value);
                    self.scopes.write_var(path, value);
                }
            }
            StepStatus::Continued => {
                let error = step.error.as_ref().map_or(Value::Null, StepError::to_json);
                self.scopes
                    .write_var(&[id.to_owned(), "error".to_owned()], &error);
            }
            StepStatus::Pending
            | StepStatus::Running { .. }
            | StepStatus::Waiting { .. }
            | StepStatus::Faulted
            | StepStatus::Skipped
            | StepStatus::Cancelled => {}
        }
    }
}
