//! Connectors that nobody writes: where there is no connectors.yaml, each known device is one.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::checked::{Connector, ConnectorClass, SshModel, Transport};
use crate::decode::Sink;
use crate::diagnostic::Severity;
use crate::diagnostic::codes::document;
use crate::document::{PartDoc, Tree};
use crate::expr::Template;
use crate::source::Span;

/// The connectors of a place, as written; else one for each device that its facts or scenarios name.
pub(super) fn connectors(tree: &Tree, part: Option<&PartDoc>) -> Vec<Arc<Connector>> {
    match &tree.connectors {
        Some(docs) if docs.is_empty() => implied(tree, part),
        docs => {
            let docs = docs.iter().flatten();
            docs.filter_map(|doc| doc.connector.clone()).collect()
        }
    }
}

fn implied(tree: &Tree, part: Option<&PartDoc>) -> Vec<Arc<Connector>> {
    let span = part.map(|it| it.span);
    let scenarios = tree.scenarios.values().flatten();
    let span = span.or_else(|| scenarios.clone().next().map(|it| it.span));
    let span = span.or_else(|| tree.jobs.values().flatten().next().map(|it| it.span));
    // A package may have devices and nothing else: built-in jobs look at them.
    let span = span.unwrap_or_else(Span::nowhere);
    let facts = tree.pod_facts["devices"].as_object();
    let known = facts.into_iter().flatten();
    let mut all: Vec<Connector> = known
        .filter_map(|(name, facts)| of_facts(name, facts, span))
        .collect();
    // Devices of an inventory have no ports here: they are reached by a host of their own.
    if part.is_some_and(|it| it.devices.is_some()) {
        for device in scenarios.flat_map(|it| &it.devices) {
            if all.iter().all(|it| it.name != device.value) {
                let transport = Transport::Ssh;
                let class = ConnectorClass::CiscoCommon;
                all.push(connector(&device.value, class, transport, device.span));
            }
        }
    }
    all.into_iter().map(Arc::new).collect()
}

/// SSH behind a port translation is a host, a serial port is the console of a network device.
fn of_facts(name: &str, facts: &Value, span: Span) -> Option<Connector> {
    let has = |key: &str| facts.get(key).is_some_and(|it| !it.is_null());
    if has("pat_port") {
        let ssh = connector(name, ConnectorClass::Unix, Transport::Ssh, span);
        Some(Connector {
            via_port: fact(name, "pat_port"),
            ..ssh
        })
    } else if has("serial_port") {
        let console = connector(name, ConnectorClass::CiscoCommon, Transport::Telnet, span);
        Some(Connector {
            port: fact(name, "serial_port"),
            ..console
        })
    } else {
        None
    }
}

fn connector(name: &str, class: ConnectorClass, transport: Transport, span: Span) -> Connector {
    Connector {
        name: name.to_owned(),
        class,
        transport,
        device: name.to_owned(),
        port: None,
        via_port: None,
        timeout: None,
        idle_timeout: None,
        typing_delay: Duration::ZERO,
        ssh: SshModel::default(),
        prompt: fact(name, "prompt"),
        username: fact(name, "username"),
        password: fact(name, "password"),
        enable_password: fact(name, "enable_password"),
        span,
    }
}

/// The expression that asks the pod for a fact of a device.
fn fact(device: &str, key: &str) -> Option<Template> {
    let device = Value::from(device);
    Template::parse(&format!("${{ runtime_env.devices[{device}].{key} }}")).ok()
}

/// Devices that only another system reaches: this version needs each to have a host of its own.
pub(super) fn reachable(sink: &Sink<'_>, part: Option<&PartDoc>) {
    let Some(devices) = part.and_then(|it| it.devices.as_ref()) else {
        return;
    };
    let what = format!("reaching devices through `{}`", devices.transport.value);
    let help = "give each device a host in the job: `runtime_env.devices.<device>.host`; it is \
                reached over SSH there";
    let found = document::not_supported(devices.transport.span, &what, Severity::Warning, help);
    sink.push(found);
}
