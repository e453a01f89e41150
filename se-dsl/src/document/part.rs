//! `parts/<nn-name>/part.yaml`: one part of a session of several.

use super::envelope::{self, DocumentKind};
use super::pod_type::{self, POD_TYPE};
use crate::checked::PodType;
use crate::decode::shape::{Shape, Value, optional, required, words};
use crate::decode::{Fields, Sink, name, word};
use crate::diagnostic::codes::document;
use crate::source::{Span, Spanned};
use crate::syntax::Node;

pub(crate) struct PartDoc {
    /// `metadata.name`: the session's manifest requires the part by it.
    pub(crate) name: Spanned<String>,
    pub(crate) pod_type: Spanned<PodType>,
    pub(crate) host_type: Option<Spanned<String>>,
    /// Which forms the part is for.
    pub(crate) fqn_pattern: Spanned<String>,
    pub(crate) collect_source: Option<Spanned<CollectSource>>,
    pub(crate) devices: Option<DevicesDoc>,
    pub(crate) span: Span,
}

/// Where a part's evidence comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CollectSource {
    /// What the candidate handed in.
    Submission,
    /// The devices of the pod.
    Pod,
}

/// Devices that are there without a pod of their own.
pub(crate) struct DevicesDoc {
    pub(crate) transport: Spanned<String>,
    pub(crate) inventory: Spanned<String>,
}

const COLLECT_SOURCES: [(&str, CollectSource); 2] = [
    ("submission", CollectSource::Submission),
    ("pod", CollectSource::Pod),
];

pub(super) static KIND: DocumentKind = DocumentKind {
    kind: "PartDefinition",
    doc: "One part of a session of several. PAv1/parts/<nn-name>/part.yaml.",
    metadata: &METADATA,
    spec: &SPEC,
};

static METADATA: Shape = Shape::new(
    "the part's metadata",
    "What the part says of itself; other keys are free.",
    &[required(
        "name",
        Value::WrittenName(NAME),
        "The name by which the session's manifest requires the part.",
    )],
)
.open();

static SPEC: Shape = Shape::new(
    "the part's spec",
    "What the part runs on, and which forms it is for.",
    &[
        required("pod_type", POD_TYPE, "What kind of pod the part needs."),
        optional(
            "host_type",
            Value::Text,
            "What kind of host the pod runs on.",
        ),
        required(
            "form_selector",
            Value::Shape(&FORM_SELECTOR),
            "Which forms the part is for.",
        ),
        optional(
            "collect_source",
            Value::Words(&words(&COLLECT_SOURCES)),
            "Where its evidence comes from: the pod (the default), or what was handed in.",
        ),
        optional(
            "devices",
            Value::Shape(&DEVICES),
            "Devices that are there without a pod of the part's own.",
        ),
    ],
);

static FORM_SELECTOR: Shape = Shape::new(
    "the form selector",
    "Which forms a part is for.",
    &[required(
        "fqn_pattern",
        Value::Text,
        "The forms' full names, with * for any text.",
    )],
);

static DEVICES: Shape = Shape::new(
    "the part's devices",
    "Devices that are there without a pod of the part's own.",
    &[
        required("transport", Value::Text, "What reaches them."),
        required("inventory", Value::Text, "The inventory that lists them."),
    ],
);

pub(super) fn decode(sink: &Sink<'_>, node: &Node) -> Option<PartDoc> {
    let envelope = envelope::open(sink, node, &[&KIND])?;
    let name = envelope.must_have(sink, "name");
    let name = name.filter(|name| is_name(sink, name));
    let fields = Fields::open(sink, envelope.spec, &SPEC)?;
    let pod_type = fields
        .get("pod_type")
        .and_then(|node| pod_type::decode(sink, node));
    let host_type = fields
        .get("host_type")
        .and_then(|node| self::name(sink, node, "host_type"));
    let fqn_pattern = fields
        .get("form_selector")
        .and_then(|node| fqn_pattern(sink, node));
    let collect_source = fields.get("collect_source").and_then(|node| {
        let source = word(sink, node, "collect_source", &COLLECT_SOURCES)?;
        Some(Spanned::new(source, node.span))
    });
    let devices = fields.get("devices").and_then(|node| devices(sink, node));
    fields.close();
    Some(PartDoc {
        name: name?,
        pod_type: pod_type?,
        host_type,
        fqn_pattern: fqn_pattern?,
        collect_source,
        devices,
        span: node.span,
    })
}

/// What [`is_name`] takes, as a regular expression.
const NAME: &str = r"^[\p{Alphabetic}\p{N}][\p{Alphabetic}\p{N}_ -]*$";

/// Whether a part may be called so: its name stands in keys of steps and in paths of evidence.
fn is_name(sink: &Sink<'_>, name: &Spanned<String>) -> bool {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ');
    let is_name = name.value.starts_with(char::is_alphanumeric) && name.value.chars().all(fits);
    if !is_name {
        let grammar = "letters, digits, `-`, `_` and spaces, a letter or digit first";
        let found = document::bad_name(name.span, "a part's name", &name.value, grammar);
        sink.push(found);
    }
    is_name
}

fn fqn_pattern(sink: &Sink<'_>, node: &Node) -> Option<Spanned<String>> {
    let fields = Fields::open(sink, node, &FORM_SELECTOR)?;
    let pattern = fields
        .get("fqn_pattern")
        .and_then(|node| name(sink, node, "fqn_pattern"));
    fields.close();
    pattern
}

fn devices(sink: &Sink<'_>, node: &Node) -> Option<DevicesDoc> {
    let fields = Fields::open(sink, node, &DEVICES)?;
    let transport = fields
        .get("transport")
        .and_then(|node| name(sink, node, "transport"));
    let inventory = fields
        .get("inventory")
        .and_then(|node| name(sink, node, "inventory"));
    fields.close();
    Some(DevicesDoc {
        transport: transport?,
        inventory: inventory?,
    })
}
