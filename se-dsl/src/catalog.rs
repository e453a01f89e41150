//! The closed set of primitives: what a step can use, with inputs, outputs, effect and stage.
//!
//! Everything that describes a primitive (checks, JSON Schemas, `GET /scenarios`, the plan's order,
//! crash recovery, the adapters' dispatch) reads this table.

mod fields;
mod table;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::checked::PodType;

/// One primitive at one version.
#[derive(Debug)]
pub struct Primitive {
    /// As in `collect@v1`, without the version.
    pub name: &'static str,
    /// As `v1`.
    pub version: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// What the engine does for it. Two names may share an action.
    pub action: Action,
    /// What it does to the world: this orders the steps.
    pub effect: Effect,
    /// Whether an attempt that may have happened may be made again after a crash.
    pub repeatable: bool,
    /// The stage of a step that names none.
    pub stage: Stage,
    /// Whether a step names a connector.
    pub target: Target,
    /// What an adapter must be able to do.
    pub needs: Needs,
    /// The longest an attempt may take where the step says nothing, in seconds.
    pub timeout_seconds: u64,
    /// What `with` takes.
    pub inputs: &'static [Field],
    /// What `capture` takes.
    pub outputs: &'static [Field],
}

/// What the engine does for a primitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Waits.
    Pause,
    /// Runs a command or script on a device.
    Exec,
    /// Copies a content file to a device.
    Copy,
    /// Copies a content file to a device, or gets a file from one.
    TransferFile,
    /// Runs a command that changes nothing and keeps its output.
    Collect,
    /// Finds or imports the lab.
    LabResolve,
    /// Starts the lab and waits for convergence.
    LabStart,
    /// Stops the lab.
    LabStop,
    /// Wipes nodes, or the whole lab.
    Wipe,
    /// Starts or stops one node.
    Power,
    /// Shuts an interface and opens it again.
    BounceInterface,
    /// Looks whether the lab has converged, once.
    LabCheckConvergence,
    /// Reads the configurations of nodes.
    CaptureConfigs,
    /// Gives ports of the worker to the session.
    PortsAlloc,
    /// Takes them back.
    PortsRelease,
    /// Writes the session's ports into the tags of nodes.
    TagsSync,
    /// Shows the pod to a candidate.
    LdsProvision,
    /// Ends that.
    LdsDeregister,
    /// Matches text, or a whole rubric.
    EvaluateRegex,
    /// Builds a report.
    Report(crate::checked::ReportClass),
}

/// What a primitive does to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing: a function of its inputs.
    Pure,
    /// Looks at a device.
    Read,
    /// Changes a device or lab.
    Write,
    /// Nothing may cross it.
    Barrier,
}

impl Effect {
    /// What two steps do, taken together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Barrier, _) | (_, Self::Barrier) => Self::Barrier,
            (Self::Write, _) | (_, Self::Write) => Self::Write,
            (Self::Read, _) | (_, Self::Read) => Self::Read,
            (Self::Pure, Self::Pure) => Self::Pure,
        }
    }
}

/// The part of a job a step belongs to.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Prepares.
    #[default]
    Setup,
    /// Gathers evidence.
    Collect,
    /// Judges it.
    Evaluate,
    /// Writes it down.
    Report,
}

/// Whether a step names a connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// It must.
    Required,
    /// It must not.
    Forbidden,
}

/// What an adapter must be able to do for a primitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Needs {
    /// Nothing: it needs no pod.
    Nothing,
    /// Reach devices.
    Devices,
    /// Manage labs.
    Labs,
}

impl Needs {
    /// Whether pods of a type can ever give it, whichever adapter drives them.
    #[must_use]
    pub fn fits(self, pod_type: PodType) -> bool {
        match (self, pod_type) {
            (Self::Nothing | Self::Devices, _)
            | (Self::Labs, PodType::CmlOnAws | PodType::Proxmox | PodType::Vmware) => true,
            (Self::Labs, PodType::RocRadkit | PodType::None) => false,
        }
    }
}

/// One input or output.
#[derive(Debug)]
pub struct Field {
    /// Its key.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// Whether it must be there (inputs), or always is (outputs).
    pub required: bool,
    /// One sentence.
    pub doc: &'static str,
}

/// What a field may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anything.
    Any,
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// A whole number, not negative.
    Count,
    /// A number.
    Number,
    /// A number, not negative.
    Amount,
    /// True or false.
    Boolean,
    /// A list of text.
    Strings,
    /// A list of anything.
    Array,
    /// A mapping.
    Object,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

/// Every primitive, sorted by name and version.
#[must_use]
pub fn all() -> &'static [Primitive] {
    table::TABLE
}

/// The primitive of that name and version.
#[must_use]
pub fn find(name: &str, version: &str) -> Option<&'static Primitive> {
    all()
        .iter()
        .find(|it| it.name == name && it.version == version)
}

impl Primitive {
    /// `name@version`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// The input of that name.
    #[must_use]
    pub fn input(&self, name: &str) -> Option<&'static Field> {
        self.inputs.iter().find(|field| field.name == name)
    }

    /// The output of that name.
    #[must_use]
    pub fn output(&self, name: &str) -> Option<&'static Field> {
        self.outputs.iter().find(|field| field.name == name)
    }

    /// The longest an attempt may take where the step says nothing.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }

    /// JSON Schema (2020-12) of `with`.
    #[must_use]
    pub fn input_schema(&self) -> Value {
        schema(self.inputs, true)
    }

    /// JSON Schema (2020-12) of the output.
    #[must_use]
    pub fn output_schema(&self) -> Value {
        schema(self.outputs, false)
    }
}

fn schema(fields: &[Field], closed: bool) -> Value {
    let properties: Map<String, Value> = fields
        .iter()
        .map(|field| (field.name.to_owned(), field.kind.schema(field.doc)))
        .collect();
    let required: Vec<&str> = fields
        .iter()
        .filter(|field| field.required)
        .map(|field| field.name)
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": !closed,
    })
}

impl Kind {
    fn schema(self, doc: &str) -> Value {
        let mut schema = match self {
            Self::Any => json!({}),
            Self::String => json!({"type": "string"}),
            Self::Integer => json!({"type": "integer"}),
            Self::Count => json!({"type": "integer", "minimum": 0}),
            Self::Number => json!({"type": "number"}),
            Self::Amount => json!({"type": "number", "minimum": 0}),
            Self::Boolean => json!({"type": "boolean"}),
            Self::Strings => json!({"type": "array", "items": {"type": "string"}}),
            Self::Array => json!({"type": "array"}),
            Self::Object => json!({"type": "object"}),
            Self::OneOf(words) => json!({"enum": words}),
        };
        schema["description"] = Value::from(doc);
        schema
    }

    /// Whether a value fits.
    #[must_use]
    pub fn accepts(self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::String => value.is_string(),
            Self::Integer => value.is_u64() || value.is_i64(),
            Self::Count => value.is_u64(),
            Self::Number => value.is_number(),
            Self::Amount => value.as_f64().is_some_and(|n| n >= 0.0),
            Self::Boolean => value.is_boolean(),
            Self::Strings => value
                .as_array()
                .is_some_and(|all| all.iter().all(Value::is_string)),
            Self::Array => value.is_array(),
            Self::Object => value.is_object(),
            Self::OneOf(words) => value.as_str().is_some_and(|word| words.contains(&word)),
        }
    }

    /// In words, for messages.
    #[must_use]
    pub fn describe(self) -> String {
        match self {
            Self::Any => "anything".to_owned(),
            Self::String => "text".to_owned(),
            Self::Integer => "a whole number".to_owned(),
            Self::Count => "a whole number, zero or more".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::Amount => "a number, zero or more".to_owned(),
            Self::Boolean => "true or false".to_owned(),
            Self::Strings => "a list of texts".to_owned(),
            Self::Array => "a list".to_owned(),
            Self::Object => "a mapping".to_owned(),
            Self::OneOf(words) => format!("one of {}", words.join(", ")),
        }
    }
}
