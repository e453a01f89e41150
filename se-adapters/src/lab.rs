//! What every pod adapter can do, and what it answers.

pub(crate) mod power;
pub(crate) mod resolve;
pub(crate) mod watch;

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;
use se_dsl::catalog::Needs;
use se_dsl::checked::PodType;
use se_runtime::{Fault, FaultKind};
use serde_json::{Value, json};

use crate::deadline::Deadline;

/// What an adapter's operation gives in the end.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Fault>>;

/// Drives the labs of one worker.
///
/// # Contract
/// - Nothing is contacted before the first operation.
/// - Each operation ends by `deadline`, with a fault that tells what was tried on what and what came
///   back, without secrets. Dropping the future stops it.
/// - `start_*`, `stop_*` and `wipe_*` ask for it and do not wait for the nodes; asking for a state that
///   is there already is no fault. `delete_lab` waits.
/// - A lab or node that does not exist is `not-found`, also for `delete_lab`.
pub trait PodAdapter: fmt::Debug + Send + Sync {
    /// The pods it drives.
    fn pod_type(&self) -> PodType;
    /// What a primitive can ask of it.
    fn capabilities(&self) -> &'static [Needs];
    /// Whether the controller can be reached and lets the worker's user in.
    fn check<'a>(&'a self, deadline: &'a Deadline) -> Answer<'a, SystemInfo>;

    /// Every lab the user can see.
    fn list_labs<'a>(&'a self, deadline: &'a Deadline) -> Answer<'a, Vec<LabSummary>>;
    /// Makes a lab of a topology.
    fn import_lab<'a>(
        &'a self,
        topology: &'a str,
        title: &'a str,
        deadline: &'a Deadline,
    ) -> Answer<'a, ImportedLab>;
    /// Starts every node.
    fn start_lab<'a>(&'a self, lab: &'a LabId, deadline: &'a Deadline) -> Answer<'a, ()>;
    /// Stops every node.
    fn stop_lab<'a>(&'a self, lab: &'a LabId, deadline: &'a Deadline) -> Answer<'a, ()>;
    /// Forgets the disks of every node; all must be stopped.
    fn wipe_lab<'a>(&'a self, lab: &'a LabId, deadline: &'a Deadline) -> Answer<'a, ()>;
    /// Removes a lab, stopping and wiping it first.
    fn delete_lab<'a>(&'a self, lab: &'a LabId, deadline: &'a Deadline) -> Answer<'a, ()>;
    /// How the lab and its nodes are.
    fn lab_status<'a>(&'a self, lab: &'a LabId, deadline: &'a Deadline) -> Answer<'a, LabStatus>;
    /// Which nodes and links the lab has.
    fn lab_shape<'a>(&'a self, lab: &'a LabId, deadline: &'a Deadline) -> Answer<'a, Shape>;

    /// Starts a node.
    fn start_node<'a>(&'a self, node: NodeAt<'a>, deadline: &'a Deadline) -> Answer<'a, ()>;
    /// Stops a node.
    fn stop_node<'a>(&'a self, node: NodeAt<'a>, deadline: &'a Deadline) -> Answer<'a, ()>;
    /// Forgets the disks of a node; it must be stopped.
    fn wipe_node<'a>(&'a self, node: NodeAt<'a>, deadline: &'a Deadline) -> Answer<'a, ()>;
    /// The last lines that a node's console printed.
    fn console_log<'a>(
        &'a self,
        node: NodeAt<'a>,
        lines: u32,
        deadline: &'a Deadline,
    ) -> Answer<'a, String>;
    /// Runs a command on a node, where the controller can.
    fn execute_command<'a>(
        &'a self,
        node: NodeAt<'a>,
        command: &'a str,
        deadline: &'a Deadline,
    ) -> Answer<'a, String>;
    /// Copies a file to a node, where the controller can.
    fn transfer_file<'a>(
        &'a self,
        node: NodeAt<'a>,
        transfer: Transfer<'a>,
        deadline: &'a Deadline,
    ) -> Answer<'a, ()>;

    /// How much of the worker is in use.
    fn system_stats<'a>(&'a self, deadline: &'a Deadline) -> Answer<'a, SystemStats>;
    /// What each node of a lab uses.
    fn node_telemetry<'a>(
        &'a self,
        lab: &'a LabId,
        deadline: &'a Deadline,
    ) -> Answer<'a, Vec<NodeTelemetry>>;
}

/// A lab's id on its controller: letters, digits, `-` and `_`, so that it can stand in a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LabId(String);

/// A node's id on its controller: letters, digits, `-` and `_`, so that it can stand in a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(String);

impl LabId {
    /// Reads an id.
    ///
    /// # Errors
    /// `validation` if it could not be one.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        path_part(text, "lab").map(Self)
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl NodeId {
    /// Reads an id.
    ///
    /// # Errors
    /// `validation` if it could not be one.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        path_part(text, "node").map(Self)
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn path_part(text: &str, what: &str) -> Result<String, Fault> {
    let fits = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_');
    if !text.is_empty() && text.len() <= 128 && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    let shown: String = text.chars().take(80).collect();
    Err(Fault::new(
        FaultKind::Validation,
        format!("`{shown}` is no id of a {what}: letters, digits, `-` and `_` only"),
    ))
}

impl fmt::Display for LabId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A node and the lab it is in.
#[derive(Clone, Copy, Debug)]
pub struct NodeAt<'a> {
    /// The lab.
    pub lab: &'a LabId,
    /// The node.
    pub node: &'a NodeId,
}

/// A file on its way to a node.
#[derive(Clone, Copy, Debug)]
pub struct Transfer<'a> {
    /// Path in the package.
    pub source: &'a str,
    /// Path on the node.
    pub dest: &'a str,
}

/// A lab as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabSummary {
    /// Its id.
    pub id: LabId,
    /// Its title.
    pub title: String,
    /// How it is.
    pub state: LabState,
    /// When it was made, as the controller writes it.
    pub created: String,
}

/// A lab just made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedLab {
    /// Its id.
    pub id: LabId,
    /// What the controller did not like about the topology.
    pub warnings: Vec<String>,
}

/// How a lab is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabStatus {
    /// Its id.
    pub id: LabId,
    /// Its title.
    pub title: String,
    /// Its own state.
    pub state: LabState,
    /// Whether the controller calls it converged.
    pub converged: bool,
    /// Its nodes, by label.
    pub nodes: Vec<NodeStatus>,
}

/// How a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its id.
    pub id: NodeId,
    /// Its label.
    pub label: String,
    /// What it is made of.
    pub definition: String,
    /// Its state.
    pub state: NodeState,
}

impl LabStatus {
    /// Whether it runs and every node is up.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.converged
            && self.state == LabState::Started
            && self.nodes.iter().all(|it| it.state == NodeState::Booted)
    }

    /// Whether it runs and every node that runs is up: one that was stopped on purpose does not count.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let settled = |it: &NodeStatus| it.state == NodeState::Booted || it.state.is_off();
        self.converged && self.state == LabState::Started && self.nodes.iter().all(settled)
    }

    /// The node of that label.
    ///
    /// # Errors
    /// `not-found` with the labels there are.
    pub fn node(&self, label: &str) -> Result<&NodeStatus, Fault> {
        let found = self.nodes.iter().find(|it| it.label == label);
        found.ok_or_else(|| {
            let labels: Vec<&str> = self.nodes.iter().map(|it| it.label.as_str()).collect();
            Fault::new(
                FaultKind::NotFound,
                format!(
                    "lab `{}` ({}) has no node labelled `{label}`; it has: {}",
                    self.title,
                    self.id,
                    labels.join(", ")
                ),
            )
        })
    }

    /// The nodes as primitives put them out: `{id, label, node_definition, state}`.
    #[must_use]
    pub fn nodes_value(&self) -> Value {
        let node = |it: &NodeStatus| {
            json!({
                "id": it.id.as_str(),
                "label": it.label,
                "node_definition": it.definition,
                "state": it.state.as_str(),
            })
        };
        self.nodes.iter().map(node).collect()
    }
}

/// States of a lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabState {
    /// Never started, or wiped.
    DefinedOnCore,
    /// Stopped, with its disks.
    Stopped,
    /// Some node runs.
    Started,
    /// One this version does not know.
    Other(String),
}

impl LabState {
    /// Reads the controller's word.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        match word {
            "DEFINED_ON_CORE" => Self::DefinedOnCore,
            "STOPPED" => Self::Stopped,
            "STARTED" => Self::Started,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The controller's word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::DefinedOnCore => "DEFINED_ON_CORE",
            Self::Stopped => "STOPPED",
            Self::Started => "STARTED",
            Self::Other(word) => word,
        }
    }
}

/// States of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// Never started, or wiped.
    DefinedOnCore,
    /// Stopped, with its disk.
    Stopped,
    /// Waiting for resources.
    Queued,
    /// Running, not booted yet.
    Started,
    /// Up: its console answers.
    Booted,
    /// Its compute host is gone.
    Disconnected,
    /// One this version does not know.
    Other(String),
}

impl NodeState {
    /// Reads the controller's word.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        match word {
            "DEFINED_ON_CORE" => Self::DefinedOnCore,
            "STOPPED" => Self::Stopped,
            "QUEUED" => Self::Queued,
            "STARTED" | "STARTING" => Self::Started,
            "BOOTED" => Self::Booted,
            "DISCONNECTED" => Self::Disconnected,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The controller's word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::DefinedOnCore => "DEFINED_ON_CORE",
            Self::Stopped => "STOPPED",
            Self::Queued => "QUEUED",
            Self::Started => "STARTED",
            Self::Booted => "BOOTED",
            Self::Disconnected => "DISCONNECTED",
            Self::Other(word) => word,
        }
    }

    /// Whether it does not run.
    #[must_use]
    pub fn is_off(&self) -> bool {
        matches!(self, Self::DefinedOnCore | Self::Stopped)
    }
}

/// Which nodes and links a lab has, apart from ids, places and configuration: two labs of one shape are
/// of one topology.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Label and definition of each node, sorted.
    nodes: Vec<(String, String)>,
    /// The two ends of each link, each end a label and an interface, sorted.
    links: Vec<(End, End)>,
}

/// A node's label and an interface's.
pub(crate) type End = (String, String);

impl Shape {
    /// Of nodes and links in any order.
    pub(crate) fn new(
        nodes: impl IntoIterator<Item = (String, String)>,
        links: impl IntoIterator<Item = (End, End)>,
    ) -> Self {
        let mut nodes: Vec<_> = nodes.into_iter().collect();
        let ordered = |(a, b): (End, End)| if a <= b { (a, b) } else { (b, a) };
        let mut links: Vec<_> = links.into_iter().map(ordered).collect();
        nodes.sort();
        links.sort();
        Self { nodes, links }
    }
}

/// What a controller says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemInfo {
    /// Its version.
    pub version: String,
    /// Whether this version of the engine was made for it.
    pub is_supported: bool,
}

/// How much of a worker is in use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SystemStats {
    /// Percent of the processors.
    pub cpu_percent: Option<f64>,
    /// Bytes of memory in use and in all.
    pub memory: Option<(u64, u64)>,
    /// Bytes of disk in use and in all.
    pub disk: Option<(u64, u64)>,
    /// Nodes that run.
    pub running_nodes: Option<u64>,
}

/// What a node uses.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeTelemetry {
    /// The node.
    pub node: NodeId,
    /// Percent of its processors.
    pub cpu_percent: Option<f64>,
    /// Megabytes of memory.
    pub ram_mb: Option<f64>,
    /// Megabytes of disk.
    pub disk_mb: Option<f64>,
}

/// A duration as people read it.
pub(crate) fn in_words(time: Duration) -> String {
    match time.as_secs() {
        0..=9 => format!("{:.1} s", time.as_secs_f64()),
        seconds @ 10..=119 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}
