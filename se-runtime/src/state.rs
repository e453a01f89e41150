//! The state of a job: a fold of its events, live and after a crash alike.

use std::collections::BTreeSet;
use std::time::Duration;

use se_dsl::catalog::{Action, Effect};
use se_dsl::checked::Capture;
use se_dsl::expr::{Root, Scopes};
use serde_json::Value;

use crate::event::{Accepted, AfterFault, Event, JobStatus, Map, Record, Summary};
use crate::fault::StepError;
use crate::plan::{Plan, StepIndex};
use crate::time::Timestamp;

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

/// Where a step stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepState {
    /// Where in its life it is.
    pub status: StepStatus,
    /// The last attempt made, from 1; 0 before the first.
    pub attempt: u32,
    /// When the first attempt began.
    pub started_at: Option<Timestamp>,
    /// When it ended for good.
    pub completed_at: Option<Timestamp>,
    /// The evaluated `with` of the last attempt.
    pub inputs: Map,
    /// The connector of the last attempt.
    pub target: Option<String>,
    /// What it gave.
    pub output: Map,
    /// Why the last attempt failed.
    pub error: Option<StepError>,
}

/// Where in its life a step is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StepStatus {
    /// Not begun.
    #[default]
    Pending,
    /// An attempt is being made.
    Running {
        /// Since when.
        since: Timestamp,
    },
    /// Waiting for another attempt.
    Waiting {
        /// Until when.
        until: Timestamp,
    },
    /// Ended well.
    Completed,
    /// Ended by a failure the job goes on from.
    Continued,
    /// Ended by a failure the job does not survive.
    Faulted,
    /// Its `when` did not hold.
    Skipped,
    /// Stopped.
    Cancelled,
}

impl StepStatus {
    /// Whether nothing can happen to the step any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(
            self,
            Self::Pending | Self::Running { .. } | Self::Waiting { .. }
        )
    }

    /// As the API writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running { .. } => "running",
            Self::Waiting { .. } => "waiting",
            Self::Completed => "completed",
            Self::Continued | Self::Faulted => "faulted",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }
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
        let ready = self.ready.contains(&index);
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
            if *count == 0 {
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

    /// Number of the last event.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// What the job is.
    #[must_use]
    pub fn accepted(&self) -> &Accepted {
        &self.accepted
    }

    /// Where in its life the job is.
    #[must_use]
    pub fn status(&self) -> JobStatus {
        self.status
    }

    /// When it was taken in.
    #[must_use]
    pub fn accepted_at(&self) -> Timestamp {
        self.accepted_at
    }

    /// When a driver first ran it.
    #[must_use]
    pub fn started_at(&self) -> Option<Timestamp> {
        self.started_at
    }

    /// When it ended.
    #[must_use]
    pub fn completed_at(&self) -> Option<Timestamp> {
        self.completed_at
    }

    /// Why somebody wants it to stop.
    #[must_use]
    pub fn cancel_reason(&self) -> Option<&str> {
        self.cancel.as_deref()
    }

    /// Why it failed.
    #[must_use]
    pub fn error(&self) -> Option<&StepError> {
        self.error.as_ref()
    }

    /// Where a step stands.
    ///
    /// # Panics
    /// If the index is of another plan.
    #[must_use]
    pub fn step(&self, step: StepIndex) -> &StepState {
        self.steps
            .get(step.0)
            .expect("an index is used with the plan it came from")
    }

    /// Steps that may begin, in document order.
    pub fn ready(&self) -> impl Iterator<Item = StepIndex> + '_ {
        self.ready.iter().copied()
    }

    /// Steps that have begun and not ended, in document order.
    pub fn active(&self) -> impl Iterator<Item = StepIndex> + '_ {
        self.active.iter().copied()
    }

    /// The first step, in document order, whose attempt is to be made inside the engine now.
    #[must_use]
    pub fn computing(&self) -> Option<StepIndex> {
        self.computing.first().copied()
    }

    /// Steps whose attempt is being made in the world.
    #[must_use]
    pub fn calling(&self) -> &BTreeSet<StepIndex> {
        &self.calling
    }

    /// The next time at which a step goes on by itself.
    #[must_use]
    pub fn timer(&self) -> Option<(Timestamp, StepIndex)> {
        self.timers.first().copied()
    }

    /// The first step, in document order, whose failure the job does not survive.
    #[must_use]
    pub fn failed(&self) -> Option<StepIndex> {
        self.failed.first().copied()
    }

    /// How many steps have ended.
    #[must_use]
    pub fn ended(&self) -> usize {
        self.ended
    }

    /// What expressions see.
    #[must_use]
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// What the job has learned about the pod so far.
    #[must_use]
    pub fn learned(&self) -> &Map {
        &self.learned
    }

    /// The last progress shown, and when.
    #[must_use]
    pub fn progress(&self) -> (u8, &str, Option<Timestamp>) {
        (self.progress.0, &self.progress.1, self.progress_at)
    }

    /// Percent of the steps that have ended.
    #[must_use]
    pub fn percentage(&self) -> u8 {
        let all = self.steps.len().max(1);
        u8::try_from(self.ended * 100 / all).unwrap_or(100)
    }

    /// What each step captured, by step key: its captured outputs; all outputs where a job has only
    /// one step.
    #[must_use]
    pub fn results(&self, plan: &Plan) -> Map {
        let mut results = Map::new();
        for (index, node) in plan.steps() {
            let step = self.step(index);
            if step.status != StepStatus::Completed {
                continue;
            }
            let captured = &node.step().capture;
            let alone = node.job().steps.len() == 1;
            let mut outputs = step.output.clone();
            if !alone || !captured.is_empty() {
                outputs.retain(|key, _| captured.iter().any(|it| it.output == *key));
            }
            if !outputs.is_empty() {
                results.insert(node.key.clone(), Value::Object(outputs));
            }
        }
        results
    }

    /// What lists and queues show.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            status: self.status,
            percentage: self.progress.0,
            message: self.progress.1.clone(),
            started_at: self.started_at,
            completed_at: self.completed_at,
        }
    }
}
