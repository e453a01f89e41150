//! What happened to a job: facts, in the past tense, append-only. A job is the list of its events.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fault::StepError;
use crate::secret::{Vault, map_texts, mask_text};
use crate::time::Timestamp;

/// A JSON object.
pub type Map = serde_json::Map<String, Value>;

/// Version of the event format that this crate writes.
pub const FORMAT: u32 = 1;

/// One event with its place in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Place in the job's log, from 1, without holes.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened. Steps are named by their key in the plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The job was taken in. Always the first event.
    JobAccepted(Box<Accepted>),
    /// A driver began to run it.
    JobStarted,
    /// An attempt of a step is about to be made.
    StepStarted {
        /// The step.
        step: String,
        /// Which attempt, from 1.
        attempt: u32,
        /// The evaluated `with`.
        inputs: Map,
        /// The connector it works on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<String>,
    },
    /// An attempt succeeded.
    StepCompleted {
        /// The step.
        step: String,
        /// Which attempt.
        attempt: u32,
        /// The primitive's outputs.
        output: Map,
        /// What was learned about the pod.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        learned: Map,
    },
    /// An attempt failed.
    StepFaulted {
        /// The step.
        step: String,
        /// Why.
        error: StepError,
        /// What that means.
        then: AfterFault,
    },
    /// The step's `when` did not hold.
    StepSkipped {
        /// The step.
        step: String,
    },
    /// The step was stopped, because the job failed elsewhere or was cancelled.
    StepCancelled {
        /// The step.
        step: String,
    },
    /// How far the job is.
    JobProgress {
        /// Percent of the steps that have ended.
        percentage: u8,
        /// What is going on.
        message: String,
    },
    /// Somebody wants the job to stop.
    CancelRequested {
        /// Why.
        reason: String,
    },
    /// Every step has ended well enough. Last event.
    JobCompleted {
        /// What it leaves behind.
        end: End,
    },
    /// A step failed. Last event.
    JobFaulted {
        /// The error of the first failed step in document order.
        error: StepError,
        /// What it leaves behind.
        end: End,
    },
    /// The job was cancelled. Last event.
    JobCancelled {
        /// Why.
        reason: String,
        /// What it leaves behind.
        end: End,
    },
}

/// What a job that has ended leaves behind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// When a driver first ran it.
    pub started_at: Option<Timestamp>,
    /// Step key → what it captured.
    pub results: Map,
}

/// What the failure of an attempt means, by the step's `on_error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum AfterFault {
    /// The job fails.
    Fail,
    /// The job goes on without this step's captures.
    Continue,
    /// Another attempt is made.
    Retry {
        /// When.
        at: Timestamp,
    },
}

/// What a job is: everything that decides how it runs, except its secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    /// [`FORMAT`] at the time.
    pub format: u32,
    /// The job.
    pub job_id: String,
    /// Which content.
    pub definition_id: String,
    /// Which version of it.
    pub version: String,
    /// Hash of exactly that content; the plan is made from it again after a crash.
    pub content_hash: String,
    /// The caller's session.
    #[serde(default)]
    pub session_id: Option<String>,
    /// The phase it runs, or
    #[serde(default)]
    pub phase: Option<String>,
    /// the single scenario it runs.
    #[serde(default)]
    pub scenario: Option<ScenarioRef>,
    /// Turns the ordering rules off for the whole job.
    #[serde(default)]
    pub sequential: bool,
    /// Where its CloudEvents go.
    #[serde(default)]
    pub callback_url: Option<String>,
    /// Opaque to the engine, echoed in every CloudEvent.
    #[serde(default)]
    pub metadata: Option<Value>,
    /// The frozen scopes `session`, `content`, `runtime_env` and the first `vars`. Secrets in them are sealed.
    pub scopes: FrozenScopes,
    /// Version of the engine that took the job in.
    pub engine_version: String,
    /// The ended job whose events it brings along, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// Where a job that does not begin from nothing comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The job that ended.
    pub job_id: String,
    /// What is done with what it left.
    pub how: Again,
}

/// What is done again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Again {
    /// The steps that did not end well.
    Retry,
    /// The judgement of what was recorded.
    Regrade,
}

/// A single scenario run as a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScenarioRef {
    /// Name of a primitive or built-in job.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its inputs.
    pub input: Map,
}

/// What expressions see, fixed when the job is taken in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FrozenScopes {
    /// The session's metadata.
    pub session: Value,
    /// The package.
    pub content: Value,
    /// The pod's facts.
    pub runtime_env: Value,
    /// Variables that are there before any step has run.
    #[serde(default)]
    pub vars: Map,
    /// What is otherwise in a part of the session, by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, PartScopes>,
}

/// What the expressions of one part see in place of what all see.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PartScopes {
    /// The part's content.
    pub content: Value,
    /// The facts of its pod.
    pub runtime_env: Value,
    /// Variables that are there before any step has run.
    #[serde(default)]
    pub vars: Map,
}

/// Events to be added to a log in one go, sealed, with what a list of jobs shows afterwards.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Number of the last event before these; 0 for a new log.
    pub after: u64,
    /// The events.
    pub records: Vec<Record>,
    /// The job's summary once they are stored.
    pub summary: Summary,
}

/// The little that lists and queues need to know about a job without folding its log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Where it is in its life.
    pub status: JobStatus,
    /// Percent of the steps that have ended.
    pub percentage: u8,
    /// What is going on.
    pub message: String,
    /// When a driver first ran it.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
}

/// Where a job is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// Stored, waiting to be run.
    Accepted,
    /// Being run.
    Running,
    /// Asked to stop, not stopped yet.
    Cancelling,
    /// Ended well.
    Completed,
    /// Ended by a failed step.
    Faulted,
    /// Ended by request.
    Cancelled,
}

impl JobStatus {
    /// Whether nothing can happen to it any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Faulted | Self::Cancelled)
    }

    /// As the API writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Running => "running",
            Self::Cancelling => "cancelling",
            Self::Completed => "completed",
            Self::Faulted => "faulted",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads what [`Self::as_str`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        use JobStatus::{Accepted, Cancelled, Cancelling, Completed, Faulted, Running};
        [Accepted, Running, Cancelling, Completed, Faulted, Cancelled]
            .into_iter()
            .find(|it| it.as_str() == text)
    }
}

impl Event {
    /// The names of all there are.
    pub const KINDS: [&'static str; 12] = [
        "job_accepted",
        "job_started",
        "step_started",
        "step_completed",
        "step_faulted",
        "step_skipped",
        "step_cancelled",
        "job_progress",
        "cancel_requested",
        "job_completed",
        "job_faulted",
        "job_cancelled",
    ];

    /// Its name, as the stored form has it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::JobAccepted(_) => "job_accepted",
            Self::JobStarted => "job_started",
            Self::StepStarted { .. } => "step_started",
            Self::StepCompleted { .. } => "step_completed",
            Self::StepFaulted { .. } => "step_faulted",
            Self::StepSkipped { .. } => "step_skipped",
            Self::StepCancelled { .. } => "step_cancelled",
            Self::JobProgress { .. } => "job_progress",
            Self::CancelRequested { .. } => "cancel_requested",
            Self::JobCompleted { .. } => "job_completed",
            Self::JobFaulted { .. } => "job_faulted",
            Self::JobCancelled { .. } => "job_cancelled",
        }
    }

    /// The key of the step it is about.
    #[must_use]
    pub fn step(&self) -> Option<&str> {
        match self {
            Self::StepStarted { step, .. }
            | Self::StepCompleted { step, .. }
            | Self::StepFaulted { step, .. }
            | Self::StepSkipped { step }
            | Self::StepCancelled { step } => Some(step),
            Self::JobAccepted(_)
            | Self::JobStarted
            | Self::JobProgress { .. }
            | Self::CancelRequested { .. }
            | Self::JobCompleted { .. }
            | Self::JobFaulted { .. }
            | Self::JobCancelled { .. } => None,
        }
    }

    /// Whether nothing comes after it.
    #[must_use]
    pub fn is_last(&self) -> bool {
        matches!(
            self,
            Self::JobCompleted { .. } | Self::JobFaulted { .. } | Self::JobCancelled { .. }
        )
    }

    /// The same event with every free text in it replaced: how events are sealed, opened and masked.
    /// Names that the engine gives meaning to (steps, statuses, hashes) stay.
    #[must_use]
    pub fn map_texts(mut self, text: &dyn Fn(&str) -> String) -> Self {
        match &mut self {
            Self::JobAccepted(accepted) => accepted.map_texts(text),
            Self::StepStarted { inputs, .. } => map_object(inputs, text),
            Self::StepCompleted {
                output, learned, ..
            } => {
                map_object(output, text);
                map_object(learned, text);
            }
            Self::StepFaulted { error, .. } => error.detail = text(&error.detail),
            Self::JobProgress { message: it, .. } | Self::CancelRequested { reason: it } => {
                *it = text(it);
            }
            Self::JobCompleted { end } => map_object(&mut end.results, text),
            Self::JobFaulted { error, end } => {
                error.detail = text(&error.detail);
                map_object(&mut end.results, text);
            }
            Self::JobCancelled { reason, end } => {
                *reason = text(reason);
                map_object(&mut end.results, text);
            }
            Self::JobStarted | Self::StepSkipped { .. } | Self::StepCancelled { .. } => {}
        }
        self
    }
}

impl Accepted {
    fn map_texts(&mut self, text: &dyn Fn(&str) -> String) {
        let scopes = &mut self.scopes;
        for value in [
            &mut scopes.session,
            &mut scopes.content,
            &mut scopes.runtime_env,
        ] {
            *value = map_texts(value, text);
        }
        map_object(&mut scopes.vars, text);
        for part in scopes.parts.values_mut() {
            part.content = map_texts(&part.content, text);
            part.runtime_env = map_texts(&part.runtime_env, text);
            map_object(&mut part.vars, text);
        }
        if let Some(metadata) = &mut self.metadata {
            *metadata = map_texts(metadata, text);
        }
        if let Some(scenario) = &mut self.scenario {
            map_object(&mut scenario.input, text);
        }
    }
}

impl Record {
    /// With every secret of the job replaced by its placeholder: the form that is stored.
    #[must_use]
    pub fn seal(self, vault: &Vault) -> Self {
        Self {
            event: self.event.map_texts(&|text| vault.seal_text(text)),
            ..self
        }
    }

    /// With the secrets put back: the form that is folded.
    #[must_use]
    pub fn open(self, vault: &Vault) -> Self {
        Self {
            event: self.event.map_texts(&|text| vault.open_text(text)),
            ..self
        }
    }

    /// With every placeholder turned into `***`: the form that is shown.
    #[must_use]
    pub fn mask(self) -> Self {
        Self {
            event: self.event.map_texts(&mask_text),
            ..self
        }
    }
}

fn map_object(object: &mut Map, text: &dyn Fn(&str) -> String) {
    *object = std::mem::take(object)
        .iter()
        .map(|(key, it)| (text(key), map_texts(it, text)))
        .collect();
}
