//! Nodes and links of a simulated lab.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::document::Interface;
use crate::sim::power::NodeState;

/// One node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: String,
    pub(super) label: String,
    pub(super) definition: String,
    /// What the document says and nothing here reads.
    pub(super) rest: Map<String, Value>,
    pub(super) interfaces: Vec<Interface>,
    pub(super) state: NodeState,
    pub(super) started: Option<Instant>,
    pub(super) log: Vec<(u128, String)>,
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: String,
    pub(super) label: String,
    pub(super) nodes: (String, String),
    pub(super) interfaces: (String, String),
}

/// What can be done to a node, or to every node of a lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Start,
    Stop,
    Wipe,
}

impl Deed {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Wipe => "wipe",
        }
    }
}

impl Node {
    /// Whether that changed anything.
    pub(super) fn act(&mut self, deed: Deed) -> bool {
        match (deed, self.started) {
            (Deed::Start, None) => {
                self.started = Some(Instant::now());
                self.log.clear();
                self.become_(NodeState::Queued, Duration::ZERO);
            }
            (Deed::Stop, Some(_)) => {
                self.started = None;
                self.state = NodeState::Stopped;
            }
            (Deed::Wipe, None) if self.state != NodeState::DefinedOnCore => {
                self.state = NodeState::DefinedOnCore;
            }
            (Deed::Start | Deed::Stop | Deed::Wipe, _) => return false,
        }
        true
    }

    pub(super) fn become_(&mut self, state: NodeState, age: Duration) {
        self.state = state;
        let line = match state {
            NodeState::Started => format!("Booting {} on {}", self.definition, self.label),
            NodeState::Booted => "Press RETURN to get started.".to_owned(),
            NodeState::Queued | NodeState::Stopped | NodeState::DefinedOnCore => return,
        };
        self.log.push((age.as_millis(), line));
    }

    /// Opens its console on the web: nothing that is shown elsewhere.
    pub(super) fn console_key(&self) -> String {
        self.id.replacen("51a0", "c0de", 1)
    }

    pub(super) fn progress(&self) -> &'static str {
        match self.state {
            NodeState::Booted => "Booted",
            NodeState::Queued | NodeState::Started => "Booting",
            NodeState::Stopped | NodeState::DefinedOnCore => "Not running",
        }
    }

    pub(super) fn value(&self, lab: &str) -> Map<String, Value> {
        let mut value = self.rest.clone();
        for (key, it) in [
            ("id", json!(self.id)),
            ("lab_id", json!(lab)),
            ("label", json!(self.label)),
            ("node_definition", json!(self.definition)),
            ("state", json!(self.state.as_str())),
            ("boot_progress", json!(self.progress())),
        ] {
            value.insert(key.to_owned(), it);
        }
        value
    }

    pub(super) fn element_state(&self) -> &'static str {
        match self.state {
            NodeState::DefinedOnCore => "DEFINED_ON_CORE",
            NodeState::Stopped => "STOPPED",
            NodeState::Queued | NodeState::Started | NodeState::Booted => "STARTED",
        }
    }
}
