//! What the outside is told: events as CloudEvents 1.0 in structured mode. Every type string stands in
//! one table.

mod large;

use serde::Serialize;
use serde_json::{Value, json};

use crate::event::{Accepted, AfterFault, End, Event, Map, Record};
use crate::time::Timestamp;

/// Media type of a CloudEvent in structured mode.
pub const MEDIA_TYPE: &str = "application/cloudevents+json; charset=utf-8";

/// Which dialect of types and fields a receiver understands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// `io.lcm.se.…`: tells everything.
    #[default]
    Seed,
    /// `scenario_engine.….v1`: what the lablet-controller takes in.
    Lcm,
}

impl Profile {
    /// Reads `seed` or `lcm`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "seed" => Some(Self::Seed),
            "lcm" => Some(Self::Lcm),
            _ => None,
        }
    }
}

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A job was taken in.
    JobAccepted,
    /// It began to run.
    JobStarted,
    /// How far it is.
    JobProgress,
    /// An attempt of a step began.
    TaskStarted,
    /// A step ended well.
    TaskCompleted,
    /// An attempt of a step failed.
    TaskFaulted,
    /// The job ended well.
    JobCompleted,
    /// The job failed.
    JobFaulted,
    /// The job was cancelled.
    JobCancelled,
    /// A version of a pod definition serves jobs.
    DefinitionReady,
    /// A sync failed.
    DefinitionFailed,
}

/// Kind, short name, type of the seed, type of lcm where that profile tells it.
const TYPES: [(Kind, &str, &str, Option<&str>); 11] = [
    (
        Kind::JobAccepted,
        "job.accepted",
        "io.lcm.se.job.accepted",
        None,
    ),
    (
        Kind::JobStarted,
        "job.started",
        "io.lcm.se.job.started",
        Some("scenario_engine.job.started.v1"),
    ),
    (
        Kind::JobProgress,
        "job.progress",
        "io.lcm.se.job.progress",
        Some("scenario_engine.job.progress.v1"),
    ),
    (
        Kind::TaskStarted,
        "task.started",
        "io.lcm.se.task.started",
        None,
    ),
    (
        Kind::TaskCompleted,
        "task.completed",
        "io.lcm.se.task.completed",
        None,
    ),
    (
        Kind::TaskFaulted,
        "task.faulted",
        "io.lcm.se.task.faulted",
        None,
    ),
    (
        Kind::JobCompleted,
        "job.completed",
        "io.lcm.se.job.completed",
        Some("scenario_engine.job.completed.v1"),
    ),
    (
        Kind::JobFaulted,
        "job.faulted",
        "io.lcm.se.job.faulted",
        Some("scenario_engine.job.failed.v1"),
    ),
    (
        Kind::JobCancelled,
        "job.cancelled",
        "io.lcm.se.job.cancelled",
        Some("scenario_engine.job.cancelled.v1"),
    ),
    (
        Kind::DefinitionReady,
        "pod-definition.ready",
        "io.lcm.se.pod-definition.ready",
        Some("scenario_engine.pod_definition.ready.v1"),
    ),
    (
        Kind::DefinitionFailed,
        "pod-definition.failed",
        "io.lcm.se.pod-definition.failed",
        Some("scenario_engine.pod_definition.sync_failed.v1"),
    ),
];

impl Kind {
    /// Its name without a profile's prefix: `job.completed`.
    #[must_use]
    pub fn short(self) -> &'static str {
        self.row().1
    }

    /// Its type in a profile, if that profile tells it.
    #[must_use]
    pub fn type_in(self, profile: Profile) -> Option<&'static str> {
        match profile {
            Profile::Seed => Some(self.row().2),
            Profile::Lcm => self.row().3,
        }
    }

    fn row(self) -> &'static (Self, &'static str, &'static str, Option<&'static str>) {
        TYPES
            .iter()
            .find(|row| row.0 == self)
            .expect("the table has a row for every kind")
    }

    /// What an event tells, if it tells the outside anything.
    #[must_use]
    pub fn of(event: &Event) -> Option<Self> {
        match event {
            Event::JobAccepted(_) => Some(Self::JobAccepted),
            Event::JobStarted => Some(Self::JobStarted),
            Event::StepStarted { .. } => Some(Self::TaskStarted),
            Event::StepCompleted { .. } => Some(Self::TaskCompleted),
            Event::StepFaulted { .. } => Some(Self::TaskFaulted),
            Event::JobProgress { .. } => Some(Self::JobProgress),
            Event::JobCompleted { .. } => Some(Self::JobCompleted),
            Event::JobFaulted { .. } => Some(Self::JobFaulted),
            Event::JobCancelled { .. } => Some(Self::JobCancelled),
            Event::StepSkipped { .. }
            | Event::StepCancelled { .. }
            | Event::CancelRequested { .. } => None,
        }
    }
}

/// A CloudEvent, ready to be written as JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CloudEvent {
    /// `1.0`.
    pub specversion: &'static str,
    /// The same in every delivery of the same event.
    pub id: String,
    /// Who tells.
    pub source: String,
    /// What is told.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// About whom.
    pub subject: String,
    /// When it happened.
    pub time: Timestamp,
    /// What `data` is.
    pub datacontenttype: &'static str,
    /// The details.
    pub data: Value,
}

/// The event of a job as a receiver of `profile` is told it; nothing where it is told nothing. Secrets
/// are masked; large outputs give way to where they are found. `reports` is what stands before `/api/v1/jobs/…` in
/// addresses.
#[must_use]
pub fn of_job(
    profile: Profile,
    reports: &str,
    accepted: &Accepted,
    record: &Record,
) -> Option<CloudEvent> {
    let kind = Kind::of(&record.event)?;
    let name = kind.type_in(profile)?;
    let record = record.clone().mask();
    let mut data = match profile {
        Profile::Seed => seed_data(reports, accepted, &record),
        Profile::Lcm => lcm_data(accepted, &record),
    };
    // Where this event is, whole.
    large::fit(&mut data, || {
        let (id, before) = (&accepted.job_id, record.seq.saturating_sub(1));
        format!("{reports}/api/v1/jobs/{id}/events?after={before}&limit=1")
    });
    data.insert("job_id".to_owned(), Value::from(accepted.job_id.as_str()));
    if let Some(metadata) = &accepted.metadata {
        data.insert("metadata".to_owned(), crate::secret::mask_value(metadata));
    }
    let session = accepted.session_id.as_ref().unwrap_or(&accepted.job_id);
    let (source, subject) = match profile {
        Profile::Seed => (
            format!("/scenario-engine/jobs/{}", accepted.job_id),
            session,
        ),
        Profile::Lcm => ("scenario-engine".to_owned(), &accepted.job_id),
    };
    Some(CloudEvent {
        specversion: "1.0",
        id: format!("{}-{}", accepted.job_id, record.seq),
        source,
        kind: name,
        subject: subject.clone(),
        time: record.at,
        datacontenttype: "application/json",
        data: Value::Object(data),
    })
}

fn seed_data(reports: &str, accepted: &Accepted, record: &Record) -> Map {
    object(match &record.event {
        Event::JobAccepted(_) => json!({"phase": phase(accepted)}),
        Event::JobStarted => json!({"phase": phase(accepted), "started_at": record.at}),
        Event::JobProgress {
            percentage,
            message,
        } => {
            json!({"percentage": percentage, "message": message})
        }
        Event::StepStarted { step, attempt, .. } => json!({"task_name": step, "attempt": attempt}),
        Event::StepCompleted {
            step,
            attempt,
            output,
            ..
        } => {
            json!({"task_name": step, "attempt": attempt, "output": output})
        }
        Event::StepFaulted { step, error, then } => json!({
            "task_name": step,
            "attempt": error.attempt,
            "error": error,
            "will_retry": matches!(then, AfterFault::Retry { .. }),
        }),
        Event::JobCompleted { end } => json!({
            "phase": phase(accepted),
            "status": "completed",
            "duration_seconds": duration(end, record.at),
            "results": end.results,
            "report_url": format!("{reports}/api/v1/jobs/{}/report", accepted.job_id),
        }),
        Event::JobFaulted { error, end } => json!({
            "phase": phase(accepted),
            "status": "faulted",
            "error": error,
            "partial_results": end.results,
            "duration_seconds": duration(end, record.at),
        }),
        Event::JobCancelled { reason, .. } => json!({
            "phase": phase(accepted),
            "reason": reason,
            "cancelled_at": record.at,
        }),
        Event::StepSkipped { .. } | Event::StepCancelled { .. } | Event::CancelRequested { .. } => {
            json!({})
        }
    })
}

fn lcm_data(accepted: &Accepted, record: &Record) -> Map {
    let scenario = accepted.scenario.as_ref();
    object(match &record.event {
        Event::JobStarted => json!({
            "scenario_name": scenario.map(|it| &it.name),
            "started_at": record.at,
        }),
        Event::JobProgress {
            percentage,
            message,
        } => {
            json!({"percentage": percentage, "message": message, "details": null})
        }
        Event::JobCompleted { end } => json!({
            "output_data": output_data(accepted, &end.results),
            "artifacts": [],
            "duration": duration(end, record.at),
            "completed_at": record.at,
        }),
        Event::JobFaulted { error, end } => json!({
            "error": format!("{}: {}", error.title, error.detail),
            "error_details": error,
            "duration": duration(end, record.at),
            "failed_at": record.at,
        }),
        Event::JobCancelled { reason, .. } => {
            json!({"error": reason, "reason": reason, "cancelled_at": record.at})
        }
        Event::JobAccepted(_)
        | Event::StepStarted { .. }
        | Event::StepCompleted { .. }
        | Event::StepFaulted { .. }
        | Event::StepSkipped { .. }
        | Event::StepCancelled { .. }
        | Event::CancelRequested { .. } => json!({}),
    })
}

/// The results of a job as one flat object where it runs a single scenario of one step.
#[must_use]
pub fn output_data(accepted: &Accepted, results: &Map) -> Value {
    let mut all = results.values();
    match (&accepted.scenario, all.next(), all.next()) {
        (Some(_), Some(only), None) => only.clone(),
        _ => Value::Object(results.clone()),
    }
}

/// A version of a pod definition, as far as it is told.
#[derive(Clone, Copy, Debug)]
pub struct DefinitionChange<'a> {
    /// Which.
    pub definition_id: &'a str,
    /// Which version.
    pub version: &'a str,
    /// Its name, once known.
    pub name: Option<&'a str>,
    /// Its pod type, once known.
    pub pod_type: Option<&'a str>,
    /// Hash of its content, once known.
    pub content_hash: Option<&'a str>,
    /// Why the sync failed; none where it ended well.
    pub error: Option<&'a str>,
    /// When it ended.
    pub at: Timestamp,
}

/// The end of a sync as a receiver of `profile` is told it.
#[must_use]
pub fn of_definition(profile: Profile, it: &DefinitionChange<'_>) -> Option<CloudEvent> {
    let kind = match it.error {
        None => Kind::DefinitionReady,
        Some(_) => Kind::DefinitionFailed,
    };
    let name = kind.type_in(profile)?;
    let (source, mut data) = match profile {
        Profile::Seed => (
            format!("/scenario-engine/pod-definitions/{}", it.definition_id),
            json!({
                "definition_id": it.definition_id,
                "version": it.version,
                "hash": it.content_hash,
                "pod_type": it.pod_type,
            }),
        ),
        Profile::Lcm => (
            "scenario-engine".to_owned(),
            json!({
                "pod_definition_id": it.definition_id,
                "name": it.name,
                "version": it.version,
                "pod_type": it.pod_type,
                "content_hash": it.content_hash,
            }),
        ),
    };
    if let Some(error) = it.error {
        data["error"] = Value::from(error);
        data["reason"] = Value::from(error);
    }
    Some(CloudEvent {
        specversion: "1.0",
        id: format!("{}@{}-{}", it.definition_id, it.version, it.at.micros()),
        source,
        kind: name,
        subject: it.definition_id.to_owned(),
        time: it.at,
        datacontenttype: "application/json",
        data,
    })
}

fn phase(accepted: &Accepted) -> Option<&str> {
    let scenario = accepted.scenario.as_ref().map(|it| it.name.as_str());
    accepted.phase.as_deref().or(scenario)
}

fn duration(end: &End, at: Timestamp) -> f64 {
    end.started_at
        .map_or(0.0, |from| at.since(from).as_secs_f64())
}

fn object(value: Value) -> Map {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{DefinitionChange, Profile, of_definition, of_job};
    use crate::event::{Accepted, End, Event, FrozenScopes, Record, ScenarioRef};
    use crate::secret::{Secret, Vault};
    use crate::time::Timestamp;

    fn accepted() -> Accepted {
        Accepted {
            format: 1,
            job_id: "j1".to_owned(),
            definition_id: "lab".to_owned(),
            version: "1".to_owned(),
            content_hash: "h".to_owned(),
            session_id: Some("s1".to_owned()),
            phase: None,
            scenario: Some(ScenarioRef {
                name: "lab_start".to_owned(),
                version: "v1".to_owned(),
                input: crate::event::Map::new(),
            }),
            sequential: false,
            callback_url: None,
            metadata: Some(json!({"step_correlation_id": "c"})),
            scopes: FrozenScopes::default(),
            engine_version: "0".to_owned(),
            origin: None,
        }
    }

    fn completed() -> Record {
        let results = json!({"lab_start": {"cml_lab_id": "l", "banner": "pass hunter22"}});
        let record = Record {
            seq: 7,
            at: Timestamp::from_micros(2_500_000),
            event: Event::JobCompleted {
                end: End {
                    started_at: Some(Timestamp::from_micros(1_000_000)),
                    results: results.as_object().cloned().unwrap(),
                },
            },
        };
        record.seal(&Vault::new([Secret::new("hunter22")]))
    }

    #[test]
    fn the_seed_is_told_everything_and_no_secret() {
        let event = of_job(Profile::Seed, "http://se", &accepted(), &completed()).unwrap();
        assert_eq!(
            serde_json::to_value(event).unwrap(),
            json!({
                "specversion": "1.0",
                "id": "j1-7",
                "source": "/scenario-engine/jobs/j1",
                "type": "io.lcm.se.job.completed",
                "subject": "s1",
                "time": "1970-01-01T00:00:02.500000Z",
                "datacontenttype": "application/json",
                "data": {
                    "phase": "lab_start",
                    "status": "completed",
                    "duration_seconds": 1.5,
                    "results": {"lab_start": {"cml_lab_id": "l", "banner": "pass ***"}},
                    "report_url": "http://se/api/v1/jobs/j1/report",
                    "job_id": "j1",
                    "metadata": {"step_correlation_id": "c"},
                },
            })
        );
    }

    #[test]
    fn the_controller_gets_its_own_shape() {
        let event = of_job(Profile::Lcm, "", &accepted(), &completed()).unwrap();
        assert_eq!(event.kind, "scenario_engine.job.completed.v1");
        assert_eq!(
            (event.source.as_str(), event.subject.as_str()),
            ("scenario-engine", "j1")
        );
        assert_eq!(event.data["output_data"]["cml_lab_id"], "l");
        let started = Record {
            seq: 1,
            at: Timestamp::default(),
            event: Event::JobStarted,
        };
        assert!(of_job(Profile::Lcm, "", &accepted(), &started).is_some());
        let skipped = Event::StepSkipped {
            step: "x".to_owned(),
        };
        let skipped = Record {
            event: skipped,
            ..started
        };
        assert_eq!(of_job(Profile::Seed, "", &accepted(), &skipped), None);
    }

    #[test]
    fn definitions_are_told_in_both_profiles() {
        let mut change = DefinitionChange {
            definition_id: "lab",
            version: "1",
            name: Some("n"),
            pod_type: None,
            content_hash: Some("h"),
            error: None,
            at: Timestamp::from_micros(5),
        };
        let ready = of_definition(Profile::Seed, &change).unwrap();
        assert_eq!(
            (ready.kind, ready.id.as_str()),
            ("io.lcm.se.pod-definition.ready", "lab@1-5")
        );
        change.error = Some("why");
        let failed = of_definition(Profile::Lcm, &change).unwrap();
        assert_eq!(failed.kind, "scenario_engine.pod_definition.sync_failed.v1");
        assert_eq!(failed.data["reason"], "why");
    }
}
