//! A package that passed every check: names are resolved, nothing required is missing.
//!
//! Values of these types are made by [`crate::check`] only; that is what the types promise.

mod composite;
mod connector;
mod grading;
mod step;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::catalog::Primitive;
use crate::expr::Template;
use crate::source::Span;

pub use composite::{Composite, Parameter};
pub use connector::{
    Connector, ConnectorClass, FINGERPRINT, SshModel, Transport, UnknownHostKey, is_fingerprint,
};
pub use grading::{CheckMode, Points, ReportClass, ReportSpec, Rubric, RubricCheck, RubricItem};
pub use step::{Capture, CapturePath, ForEach, OnError, Segment, Step, StepId, Uses};

/// The variable that carries graded items from `grade_item@v1` to `score_report@v1`.
pub const GRADED: &str = "graded_items";

/// A whole package.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Checked {
    /// What the package says of itself.
    pub manifest: Manifest,
    /// The phases of a session, in document order.
    pub phases: Vec<Phase>,
    /// What lies in the package itself.
    pub content: Content,
    /// The parts of a session that has several, in the order they are taken.
    pub parts: Vec<Part>,
    /// The part of `session` that mosaic_meta.json gives (form, track, exam, …).
    pub session: Value,
}

/// What a package, or one part of it, holds.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Content {
    /// Job definitions by name, as written, without what a phase adds.
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
    /// Handle (file stem under `files/`) → path in the package.
    pub files: BTreeMap<String, String>,
}

impl Content {
    /// The connector of that name.
    #[must_use]
    pub fn connector(&self, name: &str) -> Option<&Arc<Connector>> {
        self.connectors
            .iter()
            .find(|connector| connector.name == name)
    }
}

/// One part of a session: content with a pod of its own.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Part {
    /// `metadata.name` of its part.yaml.
    pub name: String,
    /// What kind of pod it needs.
    pub pod_type: PodType,
    /// Every signal that was looked at to find that, and what it said, in order.
    pub pod_type_signals: Vec<String>,
    /// What kind of host the pod runs on.
    pub host_type: Option<String>,
    /// The full names of the forms that it is for, with `*` for any text.
    pub form_pattern: String,
    /// The inventory that lists its devices, where it has no pod of its own.
    pub inventory: Option<String>,
    /// Whether its evidence is what the candidate handed in: given with the job, collected by nobody.
    pub from_submission: bool,
    /// What it holds.
    pub content: Content,
}

impl Checked {
    /// The phase of that name.
    #[must_use]
    pub fn phase(&self, name: &str) -> Option<&Phase> {
        self.phases.iter().find(|phase| phase.name == name)
    }

    /// The package itself, then each of its parts: what [`Self::content`] and [`Self::pod_type`] are asked about.
    pub fn places(&self) -> impl Iterator<Item = Option<usize>> + use<> {
        let parts = (0..self.parts.len()).map(Some);
        std::iter::once(None).chain(parts)
    }

    /// What lies in a part, or in the package itself.
    ///
    /// # Panics
    /// If the part is one of another package.
    #[must_use]
    pub fn content(&self, part: Option<usize>) -> &Content {
        part.map_or(&self.content, |at| &self.part(at).content)
    }

    /// The part at that place.
    ///
    /// # Panics
    /// If the package has no such part.
    #[must_use]
    pub fn part(&self, at: usize) -> &Part {
        self.parts
            .get(at)
            .expect("a part is asked for by its own package's jobs")
    }

    /// The kind of pod that a part, or the package itself, needs.
    #[must_use]
    pub fn pod_type(&self, part: Option<usize>) -> PodType {
        part.map_or(self.manifest.pod_type, |at| self.part(at).pod_type)
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
    pub const fn as_str(self) -> &'static str {
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
    /// Which part of the session it belongs to; none where the package has one part, or the job is about all.
    pub part: Option<usize>,
    /// Whether it works on what earlier phases of the session captured.
    pub takes_over: bool,
    /// What the job is for.
    pub process_type: Option<ProcessType>,
    /// Whether the ordering rules apply.
    pub execution: Execution,
    /// The steps, in document order; at least one. Shared by all phases that run the job.
    pub steps: Vec<Arc<Step>>,
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
            part: None,
            takes_over: false,
            process_type: None,
            execution: Execution::default(),
            steps: vec![Arc::new(step)],
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
