//! Which nodes of a simulated pod run: written by the controller, felt on the consoles.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// States of a CML node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

impl NodeState {
    /// As the controller's API writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DefinedOnCore => "DEFINED_ON_CORE",
            Self::Stopped => "STOPPED",
            Self::Queued => "QUEUED",
            Self::Started => "STARTED",
            Self::Booted => "BOOTED",
        }
    }
}

/// Node label → state, shared between the controller and the consoles. `generation` grows when a
/// node is wiped: a console that remembers configuration forgets it then.
#[derive(Clone, Debug, Default)]
pub struct Power {
    nodes: Arc<Mutex<BTreeMap<String, (NodeState, u64)>>>,
}

impl Power {
    /// The state of a node; a node nobody has spoken of is up (a pod without a controller).
    #[must_use]
    pub fn state(&self, label: &str) -> NodeState {
        self.get(label).0
    }

    /// How often a node has been wiped.
    #[must_use]
    pub fn generation(&self, label: &str) -> u64 {
        self.get(label).1
    }

    /// Sets a node's state; wiping (any state → `DefinedOnCore`) starts a new generation.
    pub fn set(&self, label: &str, state: NodeState) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let node = nodes
            .entry(label.to_owned())
            .or_insert((NodeState::Booted, 0));
        if state == NodeState::DefinedOnCore && node.0 != NodeState::DefinedOnCore {
            node.1 += 1;
        }
        node.0 = state;
    }

    fn get(&self, label: &str) -> (NodeState, u64) {
        let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.get(label).copied().unwrap_or((NodeState::Booted, 0))
    }
}
