//! A package that passed every check: names are resolved, nothing required is missing.
//!
//! Values of these types are made by [`crate::check`] only; that is what the types promise.

mod grading;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::catalog::{Primitive, Stage};
use crate::expr::{Reads, Template};
use crate::source::Span;

pub use grading::{CheckMode, Points, ReportClass, ReportSpec, Rubric, RubricCheck, RubricItem};

/// A whole package.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Checked {
    /// What the package says of itself.
    pub manifest: Manifest,
    /// The phases of a session, in document order.
    pub phases: Vec<Phase>,
    /// The package's own job definitions by name, as written, without what a phase adds.
    pub jobs: BTreeMap<String, Arc<Job>>,
    /// How devices are reached, in document order.
    pub connectors: Vec<Arc<Connector>>,
    /// Rubrics by file stem.
    pub rubrics: BTreeMap<String, Arc<Rubric>>,
    /// Report specifications by file stem.
    pub reports: BTreeMap<String, Arc<ReportSpec>>,
    /// The topology that the pod is made from, where there is one.
    pub topology: Option<Topology>,
    /// What ports.json, the topology's node tags and devices.json say:
    /// `{"devices": {..}, "device_groups": {..}, "control_node": {..}}`; the base of `runtime_env`.
    pub pod_facts: Value,
    /// Handle (file stem under `PAv1/files/`) → path in the package.
    pub files: BTreeMap<String, String>,
    /// The part of `session` that mosaic_meta.json gives (form, track, exam, …).
    pub session: Value,
}

impl Checked {
    /// The phase of that name.
    #[must_use]
    pub fn phase(&self, name: &str) -> Option<&Phase> {
        self.phases.iter().find(|phase| phase.name == name)
    }

    /// The connector of that name.
    #[must_use]
    pub fn connector(&self, name: &str) -> Option<&Arc<Connector>> {
        self.connectors
            .iter()
            .find(|connector| connector.name == name)
    }
}

/// The three manifest shapes read into one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Manifest {
    /// `metadata.name`, `name`, or empty where the shape has none.
    pub name: String,
    /// `metadata.title`, `description`, or empty.
    pub title: String,
    /// `metadata.content_version` or `version`; `"1"` where the shape has none.
    pub version: String,
    /// What kind of pod the content needs.
    pub pod_type: PodType,
    /// Every signal that was looked at to find the pod type, and what it said, in order.
    pub pod_type_signals: Vec<String>,
    /// Everything else the manifest states (track, exam, language, min_resources, features, …).
    pub facts: Value,
}

/// Which adapter can run the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PodType {
    /// Cisco Modeling Labs on a cloud worker.
    CmlOnAws,
    /// Devices of a remote operations centre, reached through RADKit.
    RocRadkit,
    /// Proxmox VE.
    Proxmox,
    /// VMware vSphere.
    Vmware,
    /// No pod: a web part.
    None,
}

impl PodType {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::CmlOnAws,
        Self::RocRadkit,
        Self::Proxmox,
        Self::Vmware,
        Self::None,
    ];

    /// The name as packages and requests write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CmlOnAws => "cml_on_aws",
            Self::RocRadkit => "roc_radkit",
            Self::Proxmox => "proxmox",
            Self::Vmware => "vmware",
            Self::None => "none",
        }
    }

    /// Reads a name in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|it| it.as_str().eq_ignore_ascii_case(text.trim()))
    }
}

impl fmt::Display for PodType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A pod's topology file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Topology {
    /// Path in the package.
    pub path: String,
    /// The file as it is.
    pub text: String,
    /// `lab.title`, where it has one.
    pub title: Option<String>,
    /// Labels of its nodes, in document order.
    pub nodes: Vec<String>,
}

/// One phase of a session's life.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// What the caller itself does here, by pod type. Shown, never run.
    pub native_steps: BTreeMap<String, Vec<String>>,
    /// The jobs to run, one after the other. A built-in job or a primitive named here is a job like
    /// any other; a rubric, report and implied report step are already in its steps.
    pub jobs: Vec<Arc<Job>>,
    /// Where the phase is declared.
    pub span: Span,
}

/// A list of steps.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Job {
    /// Name, without version.
    pub name: String,
    /// Version, as `v1`.
    pub version: String,
    /// What the job is for.
    pub process_type: Option<ProcessType>,
    /// Whether the ordering rules apply.
    pub execution: Execution,
    /// The steps, in document order; at least one.
    pub steps: Vec<Step>,
    /// What the report step of this job shows, where the phase names one.
    pub report: Option<Arc<ReportSpec>>,
    /// Where it is declared.
    pub span: Span,
}

impl Job {
    /// A job of one step that runs a primitive: how a single scenario becomes a job. The step's
    /// name is the last part of the primitive's.
    ///
    /// # Panics
    /// Never: names of the catalogue fit the grammar of step names.
    #[must_use]
    pub fn of_primitive(
        uses: &'static Primitive,
        target: Option<Template>,
        with: IndexMap<String, Template>,
        span: Span,
    ) -> Self {
        let short = uses.name.rsplit('.').next().unwrap_or(uses.name);
        let id =
            StepId::parse(short).expect("names of the catalogue fit the grammar of step names");
        let pointer = format!("/jobs/{}/steps/0", uses.name);
        let step = Step {
            pointer,
            ..Step::of_primitive(uses, id, target, with, span)
        };
        Self {
            name: uses.name.to_owned(),
            version: uses.version.to_owned(),
            process_type: None,
            execution: Execution::default(),
            steps: vec![step],
            report: None,
            span,
        }
    }
}

/// What a job is for; it decides the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ProcessType {
    /// Makes a pod ready: ReadinessReport.
    Initialization,
    /// Grades a candidate: ScoreReport.
    Grading,
    /// Changes a running pod: ChangeReport.
    Change,
    /// Hands evidence over: SubmissionReport.
    Submission,
    /// Takes a pod down: ArchiveReport.
    Archive,
}

impl ProcessType {
    /// The name as documents write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initialization => "Initialization",
            Self::Grading => "Grading",
            Self::Change => "Change",
            Self::Submission => "Submission",
            Self::Archive => "Archive",
        }
    }
}

/// Whether steps may run beside each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Execution {
    /// As early as their predecessors allow.
    #[default]
    Dag,
    /// One after the other, in document order.
    Sequential,
}

/// A step's name: `^[a-z][a-z0-9_]*$`, unique in its job.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(String);

impl StepId {
    /// Takes a name that fits the grammar.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut chars = text.chars();
        let first = chars.next()?;
        let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        (first.is_ascii_lowercase() && chars.all(rest)).then(|| Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One use of a primitive.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Step {
    /// Its name.
    pub id: StepId,
    /// What it does.
    pub uses: &'static Primitive,
    /// Which connector it works on: a name, or an expression that gives one.
    pub target: Option<Template>,
    /// The primitive's inputs.
    pub with: IndexMap<String, Template>,
    /// What of its output becomes a variable.
    pub capture: Vec<Capture>,
    /// Run only if this is neither `false` nor `null`.
    pub when: Option<Template>,
    /// What a failure means.
    pub on_error: OnError,
    /// The longest one attempt may take.
    pub timeout: Option<Duration>,
    /// Which stage of the job it belongs to.
    pub stage: Stage,
    /// Explicit predecessors in place of the ordering by effect.
    pub needs: Option<Vec<StepId>>,
    /// The rubric of an `evaluate.regex@v1` with `ruleset`.
    pub rubric: Option<Arc<Rubric>>,
    /// What it reads: `with`, `when`, `target` and every rubric source.
    pub reads: Reads,
    /// Where it is declared.
    pub span: Span,
    /// JSON Pointer of the step in the package: `/jobs/grade/steps/3`.
    pub pointer: String,
}

impl Step {
    /// A step that nobody wrote: it uses a primitive, and all else is as where nothing is said.
    pub(crate) fn of_primitive(
        uses: &'static Primitive,
        id: StepId,
        target: Option<Template>,
        with: IndexMap<String, Template>,
        span: Span,
    ) -> Self {
        let mut reads = Reads::new();
        for template in with.values().chain(&target) {
            reads.extend(&template.reads());
        }
        Self {
            id,
            uses,
            target,
            with,
            capture: Vec::new(),
            when: None,
            on_error: OnError::Fail,
            timeout: None,
            stage: uses.stage,
            needs: None,
            rubric: None,
            reads,
            span,
            pointer: String::new(),
        }
    }
}

/// `capture: {<output>: <path>}`: writes `vars.<step>.<path>` and `vars.<path>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// A declared output of the primitive.
    pub output: String,
    /// Dotted path below `vars`, split at the dots; never empty.
    pub path: Vec<String>,
}

/// What a failed attempt means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// The job fails.
    #[default]
    Fail,
    /// The step keeps its error, its captures stay null, the job goes on.
    Continue,
    /// Tried again, `retries` times, then the job fails.
    Retry {
        /// Attempts after the first.
        retries: u32,
        /// Wait before the first of them; doubles each time, with jitter, up to 5 minutes.
        backoff: Duration,
    },
}

/// How a device is reached.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Connector {
    /// Its name, which steps target.
    pub name: String,
    /// What talks back.
    pub class: ConnectorClass,
    /// How bytes get there.
    pub transport: Transport,
    /// The device it belongs to: its own name where the pod has such a device, else the one its expressions read.
    pub device: String,
    /// Port on the host (telnet; SSH without PAT).
    pub port: Option<Template>,
    /// Port of a port address translation in front of the device.
    pub via_port: Option<Template>,
    /// How long connecting, logging in and each prompt may take.
    pub timeout: Option<Duration>,
    /// The device's prompt without its `>` or `#`; default: what the device shows.
    pub prompt: Option<Template>,
    /// Login name.
    pub username: Option<Template>,
    /// Login password.
    pub password: Option<Template>,
    /// Password of `enable`.
    pub enable_password: Option<Template>,
    /// Where it is declared.
    pub span: Span,
}

/// What kind of command line answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectorClass {
    /// A Cisco-like command line: prompts `>` and `#`, enable, paging.
    CiscoCommon,
    /// A POSIX shell.
    Unix,
    /// The pod's control node.
    Control,
}

/// How a connector's bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Telnet, or a raw TCP console.
    Telnet,
    /// SSH.
    Ssh,
}
