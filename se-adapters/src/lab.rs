//! What every pod adapter can do, and what it answers.

pub(crate) mod config;
mod console;
mod id;
pub(crate) mod power;
pub(crate) mod resolve;
mod shape;
mod status;
pub(crate) mod tags;
pub(crate) mod watch;

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;
use se_dsl::catalog::Needs;
use se_dsl::checked::PodType;
use se_runtime::Fault;

use crate::deadline::Deadline;
use crate::worker::ConsoleWay;
pub use console::ConsoleStream;
pub use id::{LabId, NodeId};
pub(crate) use shape::End;
pub use shape::Shape;
pub use status::{LabState, LabStatus, NodeState, NodeStatus};

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
    /// Gives a lab this title and these notes.
    fn describe_lab<'a>(
        &'a self,
        lab: &'a LabId,
        title: &'a str,
        notes: &'a str,
        deadline: &'a Deadline,
    ) -> Answer<'a, ()>;
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
    /// Puts these tags on a node in place of all that it has.
    fn set_tags<'a>(
        &'a self,
        node: NodeAt<'a>,
        tags: &'a [String],
        deadline: &'a Deadline,
    ) -> Answer<'a, ()>;
    /// Reads the configuration off a node that runs, and gives it file by file.
    fn configuration<'a>(
        &'a self,
        node: NodeAt<'a>,
        deadline: &'a Deadline,
    ) -> Answer<'a, Vec<ConfigFile>>;
    /// The last lines that a node's console printed.
    fn console_log<'a>(
        &'a self,
        node: NodeAt<'a>,
        lines: u32,
        deadline: &'a Deadline,
    ) -> Answer<'a, String>;
    /// Connects with the console of a node through the controller, in this way; not [`ConsoleWay::Telnet`], for which
    /// no controller is needed.
    fn open_console<'a>(
        &'a self,
        node: NodeAt<'a>,
        way: ConsoleWay,
        deadline: &'a Deadline,
    ) -> Answer<'a, ConsoleStream>;
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

/// A node and the lab it is in.
#[derive(Clone, Copy, Debug)]
pub struct NodeAt<'a> {
    /// The lab.
    pub lab: &'a LabId,
    /// The node.
    pub node: &'a NodeId,
}

/// One file of a node's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// As the controller calls it; most nodes have one.
    pub name: String,
    /// What is in it.
    pub content: String,
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
    /// What was noted about it.
    pub notes: String,
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

impl fmt::Display for SystemStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(percent) = self.cpu_percent {
            parts.push(format!("processors {percent:.0} % busy"));
        }
        let space = [("memory", self.memory), ("disk", self.disk)];
        for (what, (used, total)) in space.into_iter().filter_map(|(it, of)| Some((it, of?))) {
            parts.push(format!("{what} {} of {} GiB used", used >> 30, total >> 30));
        }
        if let Some(nodes) = self.running_nodes {
            parts.push(format!("{nodes} nodes running"));
        }
        f.write_str(&parts.join(", "))
    }
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
