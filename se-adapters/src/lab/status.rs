//! How labs and nodes are.

use se_runtime::{Fault, FaultKind};
use serde_json::{Value, json};

use super::id::{LabId, NodeId};

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
    /// Its tags, ports among them.
    pub tags: Vec<String>,
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
