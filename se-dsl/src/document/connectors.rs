//! `connectors.yaml`: how devices are reached.

use std::sync::Arc;
use std::time::Duration;

use super::envelope::{self, DocumentKind, NAMED};
use crate::checked::{
    Connector, ConnectorClass, FINGERPRINT, SshModel, Transport, UnknownHostKey, is_fingerprint,
};
use crate::decode::shape::{Shape, Value, optional, required, words};
use crate::decode::{Fields, Sink, boolean, count, list, name, seconds, template, unique, word};
use crate::diagnostic::codes::{document, lints, style};
use crate::expr::{Root, Template};
use crate::source::Spanned;
use crate::syntax::{Kind, Node};

/// A connector and where its name stands.
pub(crate) struct ConnectorDoc {
    pub(crate) name: Spanned<String>,
    /// `None` if something in it is wrong.
    pub(crate) connector: Option<Arc<Connector>>,
    /// Its values as written.
    pub(crate) values: Vec<(Node, Template)>,
}

const CLASSES: [(&str, ConnectorClass); 3] = [
    ("cisco_common", ConnectorClass::CiscoCommon),
    ("unix", ConnectorClass::Unix),
    ("control", ConnectorClass::Control),
];

const TRANSPORTS: [(&str, Transport); 3] = [
    ("telnet", Transport::Telnet),
    ("console", Transport::Console),
    ("ssh", Transport::Ssh),
];

pub(super) static KIND: DocumentKind = DocumentKind {
    kind: "ConnectorModel",
    doc: "How devices are reached. PAv1/connectors.yaml.",
    metadata: &NAMED,
    spec: &SPEC,
};

static SPEC: Shape = Shape::new(
    "the connectors' spec",
    "How devices are reached.",
    &[required(
        "connectors",
        Value::List(&Value::Shape(&CONNECTOR)),
        "The connectors; steps name them as their target.",
    )],
);

const PORT: Value = Value::Rendered(&Value::Count(1, 65_535));
const TEXT: Value = Value::Input(&Value::Text);

static CONNECTOR: Shape = Shape::new(
    "a connector",
    "A way to reach a device. Facts of the pod come from runtime_env by an expression.",
    &[
        required("name", Value::Text, "The name that steps target, unique."),
        required(
            "class",
            Value::Words(&words(&CLASSES)),
            "How one speaks with the device.",
        ),
        required(
            "transport",
            Value::Words(&words(&TRANSPORTS)),
            "How one gets to it.",
        ),
        optional(
            "timeout",
            Value::Seconds,
            "The longest a command may take, in seconds.",
        ),
        optional(
            "idle_timeout",
            Value::Seconds,
            "The longest a device may say nothing while an answer is waited for, in seconds; default: as long as the step may take.",
        ),
        optional(
            "typing_delay_ms",
            Value::Count(0, LONGEST_DELAY),
            "Milliseconds between two characters that are typed, for serial lines that lose what comes too fast.",
        ),
        optional("ssh", Value::Shape(&SSH), "What holds for SSH alone."),
        optional("port", PORT, "The port; default: the device's serial port."),
        optional(
            "via_port",
            PORT,
            "The port of the address translation in front of it.",
        ),
        optional("prompt", TEXT, "The device's prompt."),
        optional("username", TEXT, "The name to log in with."),
        optional("password", TEXT, "The password to log in with."),
        optional(
            "enable_password",
            TEXT,
            "The password of the privileged mode.",
        ),
    ],
);

static SSH: Shape = Shape::new(
    "a connector's `ssh`",
    "Which SSH servers are spoken to, and how.",
    &[
        optional(
            "legacy",
            Value::Boolean,
            "Offer what old devices need, too: SHA-1, CBC and 3DES. Default: the device's fact ssh_legacy, else false.",
        ),
        optional(
            "host_key",
            Value::Rendered(&Value::Name(FINGERPRINT_PATTERN)),
            "Fingerprint of the server's key, as SHA256:…; another one is refused. Default: the device's fact host_key.",
        ),
        optional(
            "unknown_host_key",
            Value::Words(&words(&UNKNOWN_HOST_KEY)),
            "What to do where no fingerprint is known; default: accept, because nodes of a lab make their keys anew.",
        ),
    ],
);

/// As [`is_fingerprint`] has it.
const FINGERPRINT_PATTERN: &str = "^SHA256:[A-Za-z0-9+/]{43}$";

const UNKNOWN_HOST_KEY: [(&str, UnknownHostKey); 2] = [
    ("accept", UnknownHostKey::Accept),
    ("refuse", UnknownHostKey::Refuse),
];

/// Between two characters, in milliseconds: nobody waits longer for a line.
const LONGEST_DELAY: u64 = 1000;

pub(super) fn decode(sink: &Sink<'_>, node: &Node) -> Option<Vec<ConnectorDoc>> {
    let envelope = envelope::open(sink, node, &[&KIND])?;
    let fields = Fields::open(sink, envelope.spec, &SPEC)?;
    let connectors = fields.get("connectors");
    fields.close();
    let items = list(sink, connectors?, "connectors")?;
    let all: Vec<ConnectorDoc> = items
        .iter()
        .filter_map(|item| connector(sink, item))
        .collect();
    unique(sink, "connector", all.iter().map(|doc| &doc.name));
    Some(all)
}

fn connector(sink: &Sink<'_>, node: &Node) -> Option<ConnectorDoc> {
    let fields = Fields::open(sink, node, &CONNECTOR)?;
    let name = fields
        .get("name")
        .and_then(|node| name(sink, node, "a connector's name"));
    let class = fields
        .get("class")
        .and_then(|node| word(sink, node, "class", &CLASSES));
    let transport = fields.get("transport");
    let transport = transport.and_then(|node| word(sink, node, "transport", &TRANSPORTS));
    let timeout = fields
        .get("timeout")
        .and_then(|node| seconds(sink, node, "timeout"));
    let idle_timeout = fields
        .get("idle_timeout")
        .and_then(|node| seconds(sink, node, "idle_timeout"));
    let typing_delay = fields
        .get("typing_delay_ms")
        .and_then(|node| milliseconds(sink, node, "typing_delay_ms"));
    let mut values = Vec::new();
    let ssh_node = fields.get("ssh");
    let ssh = ssh_node.and_then(|node| ssh(sink, node, &mut values));
    let mut value = |key: &'static str| {
        let node = fields.get(key)?;
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
    without_effect(sink, &fields, class, transport);
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
        idle_timeout,
        typing_delay: typing_delay.unwrap_or_default(),
        ssh: ssh.unwrap_or_default(),
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

fn ssh(sink: &Sink<'_>, node: &Node, values: &mut Vec<(Node, Template)>) -> Option<SshModel> {
    let fields = Fields::open(sink, node, &SSH)?;
    let legacy = fields.get("legacy");
    let legacy = legacy.and_then(|node| boolean(sink, node, "legacy"));
    let host_key = fields.get("host_key").and_then(|node| {
        let template = host_key(sink, node)?;
        values.push((node.clone(), template.clone()));
        Some(template)
    });
    let unknown = fields.get("unknown_host_key");
    let unknown = unknown.and_then(|node| word(sink, node, "unknown_host_key", &UNKNOWN_HOST_KEY));
    fields.close();
    Some(SshModel {
        legacy,
        host_key,
        unknown_host_key: unknown.unwrap_or_default(),
    })
}

/// A fingerprint, or an expression that gives one.
fn host_key(sink: &Sink<'_>, node: &Node) -> Option<Template> {
    let template = template(sink, node)?;
    let fits = template
        .literal()
        .is_none_or(|it| it.as_str().is_some_and(is_fingerprint));
    if !fits {
        let found = node.kind.describe();
        let found = match &node.kind {
            Kind::Str(_) => "another text",
            _ => found,
        };
        sink.push(document::wrong_type(
            node.span,
            "host_key",
            FINGERPRINT,
            found,
        ));
        return None;
    }
    Some(template)
}

fn milliseconds(sink: &Sink<'_>, node: &Node, what: &str) -> Option<Duration> {
    let count = count(sink, node, what)?;
    if count <= LONGEST_DELAY {
        return Some(Duration::from_millis(count));
    }
    let must = format!("at most {LONGEST_DELAY} milliseconds");
    sink.push(document::out_of_range(node.span, what, &must));
    None
}

/// What is said and changes nothing.
fn without_effect(
    sink: &Sink<'_>,
    fields: &Fields<'_, '_, '_>,
    class: Option<ConnectorClass>,
    transport: Option<Transport>,
) {
    if transport == Some(Transport::Telnet) && fields.get("ssh").is_some() {
        let found = lints::only_with(fields.key_span("ssh"), "ssh", "`transport: ssh`");
        sink.push(found);
    }
    let types_nothing = transport == Some(Transport::Ssh)
        && class.is_some_and(|it| it != ConnectorClass::CiscoCommon);
    if types_nothing && fields.get("typing_delay_ms").is_some() {
        let key = "typing_delay_ms";
        let found = lints::only_with(fields.key_span(key), key, "a console or a command line");
        sink.push(found);
    }
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
        &connector.ssh.host_key,
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
