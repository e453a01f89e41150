//! How devices are reached.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::expr::Template;
use crate::source::Span;

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
    /// The node's console, by whichever way the worker offers: a telnet port, the controller's console server, or
    /// its web console.
    Console,
    /// SSH.
    Ssh,
}
