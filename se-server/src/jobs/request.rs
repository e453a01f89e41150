//! The two shapes of a submission, told apart by their fields.

use se_runtime::event::ScenarioRef;
use serde_json::{Map, Value};

use super::secrets::spell_named;
use crate::error::Result;
use crate::fields::Fields;

/// A submission that can be understood.
#[derive(Clone, Debug)]
pub struct JobRequest {
    /// What to run.
    pub what: What,
    /// The caller's session.
    pub session_id: Option<String>,
    /// Facts of the worker, as given.
    pub worker: Map<String, Value>,
    /// Variables that are there before any step has run.
    pub variables: Map<String, Value>,
    /// Metadata of the session.
    pub session: Map<String, Value>,
    /// Facts of the pod.
    pub runtime_env: Map<String, Value>,
    /// Secrets by name.
    pub secrets: Map<String, Value>,
    /// Echoed in every event.
    pub metadata: Option<Value>,
    /// Where events go.
    pub callback_url: Option<String>,
    /// Only show the plan.
    pub dry_run: bool,
    /// One step after the other.
    pub sequential: bool,
}

/// What to run.
#[derive(Clone, Debug)]
pub enum What {
    /// A phase of a pod definition.
    Phase {
        /// Which content.
        definition_id: String,
        /// Which version of it; the latest that is ready where none is said.
        version: Option<String>,
        /// Which phase.
        phase: String,
    },
    /// A single scenario.
    Scenario {
        /// On the pod of which content.
        definition_id: String,
        /// What to run.
        scenario: ScenarioRef,
    },
}

const KNOWN: &[&str] = &[
    "definition_id",
    "version",
    "session_id",
    "phase",
    "worker",
    "variables",
    "callback_url",
    "session",
    "runtime_env",
    "secrets",
    "metadata",
    "dry_run",
    "execution",
    "scenario_name",
    "scenario_version",
    "input_data",
    "pod_definition_id",
];

impl JobRequest {
    /// Reads either shape.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] names every field at fault.
    pub fn read(body: &Map<String, Value>) -> Result<Self> {
        let mut fields = Fields::new();
        fields.known(body, "", KNOWN);
        fields.shallow(body);
        let metadata = fields.metadata(body);
        let mut input = fields.object(body, "", "input_data");
        spell_named(&mut input);
        let what = what(&mut fields, body, &input);
        let session_id = fields
            .name(body, "", "session_id")
            .or_else(|| fields.name(&input, "/input_data", "session_id"))
            .or_else(|| fields.name(&metadata, "/metadata", "lablet_session_id"));
        let worker = worker(&mut fields, body, &input);
        let callback_url = fields.callback_url(body);
        let sequential = match fields.text(body, "", "execution").as_deref() {
            None | Some("dag") => false,
            Some("sequential") => true,
            Some(_) => {
                fields.wrong("/execution", "is unknown; give `dag` or `sequential`");
                false
            }
        };
        let read = Self {
            what,
            session_id,
            worker,
            variables: fields.object(body, "", "variables"),
            session: fields.object(body, "", "session"),
            runtime_env: fields.object(body, "", "runtime_env"),
            secrets: fields.secrets(body),
            metadata: body.get("metadata").filter(|it| !it.is_null()).cloned(),
            callback_url,
            dry_run: fields.boolean(body, "", "dry_run"),
            sequential,
        };
        fields.finish(read)
    }

    pub(super) fn definition_id(&self) -> &str {
        match &self.what {
            What::Phase { definition_id, .. } | What::Scenario { definition_id, .. } => {
                definition_id
            }
        }
    }

    pub(super) fn version(&self) -> Option<&str> {
        match &self.what {
            What::Phase { version, .. } => version.as_deref(),
            What::Scenario { .. } => None,
        }
    }

    pub(super) fn phase(&self) -> Option<&str> {
        match &self.what {
            What::Phase { phase, .. } => Some(phase),
            What::Scenario { .. } => None,
        }
    }

    pub(super) fn scenario(&self) -> Option<ScenarioRef> {
        match &self.what {
            What::Phase { .. } => None,
            What::Scenario { scenario, .. } => Some(scenario.clone()),
        }
    }

    /// What tells a repeated request of the lablet-controller.
    pub(super) fn correlation(&self) -> Option<&str> {
        self.metadata
            .as_ref()?
            .get("step_correlation_id")?
            .as_str()
            .filter(|it| !it.is_empty())
    }
}

fn what(fields: &mut Fields, body: &Map<String, Value>, input: &Map<String, Value>) -> What {
    let phase = fields.text(body, "", "phase");
    let scenario = fields.text(body, "", "scenario_name");
    if let (Some(_), Some(_)) = (&phase, &scenario) {
        fields.wrong(
            "/scenario_name",
            "and `phase` exclude each other; give one of the two",
        );
    }
    if let Some(name) = scenario {
        let definition_id = fields
            .name(body, "", "pod_definition_id")
            .or_else(|| fields.name(body, "", "definition_id"));
        if definition_id.is_none() {
            fields.wrong(
                "/pod_definition_id",
                "is missing: it says which content the pod is made from",
            );
        }
        let (name, at) = match name.split_once('@') {
            Some((name, version)) => (name.to_owned(), Some(version.to_owned())),
            None => (name, None),
        };
        let version = at.or_else(|| fields.text(body, "", "scenario_version"));
        return What::Scenario {
            definition_id: definition_id.unwrap_or_default(),
            scenario: ScenarioRef {
                name,
                version: version.unwrap_or_else(|| "v1".to_owned()),
                input: input.clone(),
            },
        };
    }
    if phase.is_none() {
        let message =
            "is missing: give `phase` for a phase job, or `scenario_name` for a single scenario";
        fields.wrong("/phase", message);
    }
    let definition_id = fields.name(body, "", "definition_id");
    if definition_id.is_none() {
        fields.wrong("/definition_id", "is missing: it says which content to run");
    }
    What::Phase {
        definition_id: definition_id.unwrap_or_default(),
        version: fields.name(body, "", "version"),
        phase: phase.unwrap_or_default(),
    }
}

/// Facts of the worker, from `worker` or, as older callers give them, from the scenario's inputs.
fn worker(
    fields: &mut Fields,
    body: &Map<String, Value>,
    input: &Map<String, Value>,
) -> Map<String, Value> {
    let mut worker = super::worker::read(fields, body);
    for (from, to) in [
        ("worker_ip", "ip"),
        ("worker_cml_username", "cml_username"),
        ("worker_cml_password", "cml_password"),
    ] {
        if let Some(text) = fields.name(input, "/input_data", from)
            && !worker.contains_key(to)
        {
            worker.insert(to.to_owned(), Value::from(text));
        }
    }
    worker
}
