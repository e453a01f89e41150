//! The state of a job: a fold of its events, live and after a crash alike.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Accepted, Event, JobStatus, Map, Record};
use crate::fault::StepError;
use crate::plan::{Plan, StepIndex};
use crate::planted::{self, Bug};
use crate::time::Timestamp;

mod apply;
mod frame;
mod run;
mod step;
mod view;

use run::{Frame, Group, Run};
pub(crate) use run::{Kind, MAX_ELEMENTS, MAX_HELD, MAX_RUNS, name_of};

pub use step::{StepState, StepStatus};

/// Where a job stands.
///
/// # Invariants
/// Only [`State::apply`] changes it, so equal logs give equal states. The ready set holds exactly the
/// pending runs all of whose predecessors have ended, and that no failure around them keeps from beginning.
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
    /// The plan's own steps first, then what loops and composites bring about.
    runs: Vec<Run>,
    keys: BTreeMap<String, StepIndex>,
    /// The plan's own steps as a group.
    root: Group,
    /// Groups that have come to their end or have failed, and have not said so yet.
    settling: BTreeSet<StepIndex>,
    ready: BTreeSet<StepIndex>,
    active: BTreeSet<StepIndex>,
    /// Active runs whose attempt is made inside the engine, at once.
    computing: BTreeSet<StepIndex>,
    /// Active runs whose attempt is made in the world.
    calling: BTreeSet<StepIndex>,
    /// Active runs that go on by themselves at a time: pauses, composites with a timeout, and waits for
    /// another attempt.
    timers: BTreeSet<(Timestamp, StepIndex)>,
    /// The variables of the package, then those of each part, then those of each call of a composite.
    frames: Vec<Frame>,
    learned: Map,
    progress: (u8, String),
    progress_at: Option<Timestamp>,
    /// Bytes, about, of what steps were given and gave.
    held: usize,
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
        if planted::is(Bug::CapturesForgottenByFold) && !state.status.is_final() {
            let frames = frame::of_job(plan, &state.accepted);
            state.frames.splice(..frames.len(), frames);
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
        let runs = run::of_plan(plan);
        let keys = runs.iter().enumerate();
        let keys = keys.map(|(at, run)| (run.key.clone(), StepIndex(at)));
        let ready = plan
            .steps()
            .filter(|(_, node)| node.predecessors().is_empty())
            .map(|(step, _)| step)
            .collect();
        let root = Group {
            count: runs.len(),
            stops: true,
            ..Group::default()
        };
        Ok(Self {
            seq: 1,
            accepted: Accepted::clone(accepted),
            status: JobStatus::Accepted,
            accepted_at: first.at,
            started_at: None,
            completed_at: None,
            cancel: None,
            error: None,
            keys: keys.collect(),
            runs,
            root,
            settling: BTreeSet::new(),
            ready,
            active: BTreeSet::new(),
            computing: BTreeSet::new(),
            calling: BTreeSet::new(),
            timers: BTreeSet::new(),
            frames: frame::of_job(plan, accepted),
            learned: Map::new(),
            progress: (0, "accepted".to_owned()),
            progress_at: None,
            held: 0,
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
                let Some(step) = self.find(key) else {
                    return Err(refuse(format!("the plan has no step `{key}`")));
                };
                self.apply_to_step(plan, step, record).map_err(refuse)?;
            }
            None => self.apply_to_job(plan, record).map_err(refuse)?,
        }
        self.seq = record.seq;
        Ok(())
    }

    /// What [`Bug::TimersRestarted`] does: every wait begins anew.
    pub(crate) fn restart_timers(&mut self, at: Timestamp) {
        let anew = at.after(std::time::Duration::from_secs(5));
        let waiting = std::mem::take(&mut self.timers).into_iter();
        self.timers = waiting.map(|(_, index)| (anew, index)).collect();
    }

    fn apply_to_job(&mut self, plan: &Plan, record: &Record) -> Result<(), String> {
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
                self.cut_off(plan, record.at);
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

    /// Nothing runs any more of a job that was given up; one that its steps have made fail has none that do.
    fn cut_off(&mut self, plan: &Plan, at: Timestamp) {
        loop {
            let Some(tip) = self.tips().next() else {
                return;
            };
            self.enter(plan, tip, StepStatus::Cancelled, at);
        }
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
}
