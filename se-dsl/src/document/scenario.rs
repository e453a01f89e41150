//! `scenarios/<name>.yaml`: what to collect from which devices.

use super::envelope::{self, DocumentKind, NAMED};
use super::lifecycle;
use super::rubric::PATH;
use super::step::{Input, plain_input};
use super::topology::get;
use crate::decode::shape::{Shape, Value, optional, required};
use crate::decode::{Fields, Sink, list, name, name_of, texts, unique};
use crate::diagnostic::Severity;
use crate::diagnostic::codes::{document, names};
use crate::source::{Span, Spanned};
use crate::syntax::{Kind, Node};

/// Short for a list of `collect@v1` steps.
pub(crate) struct ScenarioDoc {
    pub(crate) devices: Vec<Spanned<String>>,
    pub(crate) collect: Vec<CollectDoc>,
    pub(crate) span: Span,
}

impl ScenarioDoc {
    /// Whether it is one of the legacy dialect, of which nothing is read; any other collects something.
    pub(crate) fn is_legacy(&self) -> bool {
        self.collect.is_empty()
    }
}

pub(crate) struct CollectDoc {
    pub(crate) device: Spanned<String>,
    pub(crate) command: Input,
    /// The variable that the output goes to.
    pub(crate) as_path: Spanned<String>,
    pub(crate) span: Span,
}

pub(super) static KIND: DocumentKind = DocumentKind {
    kind: "ScenarioDefinition",
    doc: "What to collect from which devices. scenarios/<name>.yaml of the package or of a part.",
    metadata: &NAMED,
    spec: &SPEC,
};

static SPEC: Shape = Shape::new(
    "the scenario's spec",
    "What to collect from which devices.",
    &[
        optional(
            "devices",
            Value::List(&Value::Text),
            "The connectors that it collects from.",
        ),
        required(
            "collect",
            Value::Items(&Value::Shape(&COLLECT)),
            "The commands, in order.",
        ),
    ],
);

static COLLECT: Shape = Shape::new(
    "an item of `collect`",
    "A command that changes nothing, and where its output goes.",
    &[
        required("device", Value::Text, "The connector, one of `devices`."),
        required("command", Value::Input(&Value::Text), "One command line."),
        required(
            "as",
            Value::Name(PATH),
            "The variable that the output goes to, as rtr01.show_version.",
        ),
    ],
);

/// One of the legacy dialect collects nothing; a note tells of it, and an error whoever runs it.
pub(super) fn decode(sink: &Sink<'_>, _stem: &str, node: &Node) -> Option<ScenarioDoc> {
    let has = |key| get(node, key).is_some();
    let is_legacy = lifecycle::legacy(node).is_some()
        || matches!(node.kind, Kind::Map(_))
            && !["apiVersion", "kind", "spec"].into_iter().any(has);
    if is_legacy {
        let what = "a scenario of the legacy dialect";
        let help = "nothing to do: the document is left out";
        let at = Span::file(node.span.file);
        sink.push(document::not_supported(at, what, Severity::Note, help));
        return Some(ScenarioDoc {
            devices: Vec::new(),
            collect: Vec::new(),
            span: node.span,
        });
    }
    let envelope = envelope::open(sink, node, &[&KIND])?;
    let fields = Fields::open(sink, envelope.spec, &SPEC)?;
    let devices = fields.get("devices");
    let devices = devices.and_then(|node| texts(sink, node, "devices"));
    let collect = fields.get("collect");
    fields.close();
    unique(sink, "device", devices.iter().flatten());
    let items = list(sink, collect?, "collect")?;
    if items.is_empty() {
        let found = document::nothing_in_it(envelope.spec.span, "the scenario", "command");
        sink.push(found);
        return None;
    }
    let collect: Vec<Option<CollectDoc>> = items
        .iter()
        .map(|item| item_of(sink, item, devices.as_deref()))
        .collect();
    let collect: Vec<CollectDoc> = collect.into_iter().collect::<Option<_>>()?;
    unique(sink, "variable", collect.iter().map(|it| &it.as_path));
    Some(ScenarioDoc {
        devices: devices.unwrap_or_default(),
        collect,
        span: node.span,
    })
}

fn item_of(
    sink: &Sink<'_>,
    node: &Node,
    devices: Option<&[Spanned<String>]>,
) -> Option<CollectDoc> {
    let fields = Fields::open(sink, node, &COLLECT)?;
    let device = fields
        .get("device")
        .and_then(|node| name(sink, node, "device"));
    let command = fields
        .get("command")
        .map(|node| plain_input(sink, "command", fields.key_span("command"), node));
    let as_path = fields.get("as").and_then(|node| {
        let grammar = "a name, or names with dots between them, as `rtr01.show_version`";
        let fits = |path: &str| path.split('.').all(|name| !name.is_empty());
        name_of(sink, node, "a captured variable", fits, grammar)
    });
    fields.close();
    if let (Some(device), Some(devices)) = (&device, devices)
        && devices.iter().all(|known| known.value != device.value)
    {
        let known: Vec<&str> = devices.iter().map(|known| known.value.as_str()).collect();
        sink.push(names::unlisted_device(device, &known));
    }
    Some(CollectDoc {
        device: device?,
        command: command.and_then(|command| literal_text(sink, command))?,
        as_path: as_path?,
        span: node.span,
    })
}

/// A command that is text, or has an expression in it.
fn literal_text(sink: &Sink<'_>, command: Input) -> Option<Input> {
    let literal = command.template.as_ref()?.literal();
    if literal.is_some_and(|value| !value.is_string()) {
        let found = command.node.kind.describe();
        let found = document::wrong_type(command.node.span, "command", "text", found);
        sink.push(found);
        return None;
    }
    Some(command)
}
