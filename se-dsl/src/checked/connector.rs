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
    /// How long a device may say nothing while an answer of it is waited for; default: as long as the step may take.
    pub idle_timeout: Option<Duration>,
    /// Between two characters that are typed: for serial lines that lose what comes too fast.
    pub typing_delay: Duration,
    /// What holds for SSH alone.
    pub ssh: SshModel,
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

/// What a connector says of SSH.
#[derive(Clone, Debug, Default)]
pub struct SshModel {
    /// Whether algorithms are offered that only old devices need; default: what the pod's facts say.
    pub legacy: Option<bool>,
    /// Fingerprint of the server's key; default: what the pod's facts say.
    pub host_key: Option<Template>,
    /// What to do with a server whose fingerprint nobody gave.
    pub unknown_host_key: UnknownHostKey,
}

/// What to do with an SSH server whose fingerprint nobody gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownHostKey {
    /// Log in: nodes of a lab make their keys anew whenever they are wiped.
    #[default]
    Accept,
    /// Do not.
    Refuse,
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

/// What a fingerprint of a host key looks like, for messages.
pub const FINGERPRINT: &str =
    "a fingerprint as `ssh-keygen -l` prints it (SHA256: and 43 characters)";

/// Whether it is SHA-256 in base64, as OpenSSH writes it.
#[must_use]
pub fn is_fingerprint(text: &str) -> bool {
    text.strip_prefix("SHA256:").is_some_and(|it| {
        let is_base64 = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/');
        it.len() == 43 && it.bytes().all(is_base64)
    })
}
