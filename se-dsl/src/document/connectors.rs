//! `connectors.yaml`: how devices are reached.

use std::sync::Arc;

use super::envelope;
use crate::checked::{Connector, ConnectorClass, Transport};
use crate::decode::{Fields, Sink, list, name, seconds, template, word};
use crate::diagnostic::codes::{document, names, style};
use crate::expr::{Root, Template};
use crate::source::Spanned;
use crate::syntax::Node;

/// A connector and where its name stands.
pub(crate) struct ConnectorDoc {
    pub(crate) name: Spanned<String>,
    /// `None` if something in it is wrong.
    pub(crate) connector: Option<Arc<Connector>>,
    /// Its values as written.
    pub(crate) values: Vec<(Node, Template)>,
}

const CLASSES: &[(&str, ConnectorClass)] = &[
    ("cisco_common", ConnectorClass::CiscoCommon),
    ("unix", ConnectorClass::Unix),
    ("control", ConnectorClass::Control),
];

const TRANSPORTS: &[(&str, Transport)] = &[("telnet", Transport::Telnet), ("ssh", Transport::Ssh)];

pub(super) fn decode(sink: &Sink<'_>, node: &Node) -> Option<Vec<ConnectorDoc>> {
    let envelope = envelope::open(sink, node, &["ConnectorModel"])?;
    let fields = Fields::open(sink, envelope.spec, "the connectors' spec")?;
    let connectors = fields.required("connectors");
    fields.close();
    let items = list(sink, connectors?, "connectors")?;
    let all: Vec<ConnectorDoc> = items
        .iter()
        .filter_map(|item| connector(sink, item))
        .collect();
    for (at, doc) in all.iter().enumerate() {
        let first = all[..at].iter().find(|it| it.name.value == doc.name.value);
        if let Some(first) = first {
            sink.push(names::duplicate("connector", &doc.name, first.name.span));
        }
    }
    Some(all)
}

fn connector(sink: &Sink<'_>, node: &Node) -> Option<ConnectorDoc> {
    let fields = Fields::open(sink, node, "a connector")?;
    let name = fields
        .required("name")
        .and_then(|node| name(sink, node, "a connector's name"));
    let class = fields
        .required("class")
        .and_then(|node| word(sink, node, "class", CLASSES));
    let transport = fields.required("transport");
    let transport = transport.and_then(|node| word(sink, node, "transport", TRANSPORTS));
    let timeout = fields
        .optional("timeout")
        .and_then(|node| seconds(sink, node, "timeout"));
    let mut values = Vec::new();
    let mut value = |key: &'static str| {
        let node = fields.optional(key)?;
        let template = value(sink, key, node)?;
        values.push((node.clone(), template.clone()));
        Some(template)
    };
    let port = value("port");
    let via_port = value("via_port");
    let prompt = value("prompt");
    let username = value("username");
    let password = value("password");
    let enable_password = value("enable_password");
    fields.close();
    let name = name?;
    let mut connector = class.zip(transport).map(|(class, transport)| Connector {
        name: name.value.clone(),
        class,
        transport,
        device: String::new(),
        port,
        via_port,
        timeout,
        prompt,
        username,
        password,
        enable_password,
        span: node.span,
    });
    if let Some(connector) = &mut connector {
        connector.device = device(connector);
    }
    Some(ConnectorDoc {
        name,
        connector: connector.map(Arc::new),
        values,
    })
}

/// A value that should come from `runtime_env`.
fn value(sink: &Sink<'_>, key: &'static str, node: &Node) -> Option<Template> {
    let template = template(sink, node)?;
    let literal = template.literal();
    let is_port = matches!(key, "port" | "via_port");
    if let Some(literal) = literal {
        let fits = if is_port {
            literal
                .as_u64()
                .is_some_and(|port| (1..=65_535).contains(&port))
        } else {
            literal.is_string()
        };
        if !fits {
            let expected = if is_port {
                "a port from 1 to 65535"
            } else {
                "text"
            };
            let found = node.kind.describe();
            sink.push(document::wrong_type(node.span, key, expected, found));
            return None;
        }
        let severity = sink.severity_of_literals();
        if is_port {
            sink.push(style::literal_port(node.span, key, severity));
        } else if key.ends_with("password") {
            sink.push(style::literal_secret(node.span, key, severity));
        }
    }
    Some(template)
}

/// The device its expressions read, else its own name.
fn device(connector: &Connector) -> String {
    let templates = [
        &connector.port,
        &connector.via_port,
        &connector.prompt,
        &connector.username,
        &connector.password,
        &connector.enable_password,
    ];
    for template in templates.into_iter().flatten() {
        for (root, path) in template.reads().iter() {
            match (root, path) {
                (Root::RuntimeEnv, [first, device, ..]) if first == "devices" => {
                    return device.clone();
                }
                (Root::RuntimeEnv, [first, ..]) if first == "control_node" => {
                    return first.clone();
                }
                _ => {}
            }
        }
    }
    connector.name.clone()
}
