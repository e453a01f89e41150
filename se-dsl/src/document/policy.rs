//! `authorization/<name>.yaml`: the caller's. It is checked for its shape, and enforced by nobody here.

use super::envelope::{self, DocumentKind, NAMED};
use crate::decode::shape::{Shape, Value, optional, required};
use crate::decode::{Fields, Sink, list, name};
use crate::syntax::Node;

pub(super) static KIND: DocumentKind = DocumentKind {
    kind: "AuthorizationPolicy",
    doc: "Who may take a session. PAv1/authorization/<name>.yaml; the caller enforces it.",
    metadata: &NAMED,
    spec: &SPEC,
};

static SPEC: Shape = Shape::new(
    "the policy's spec",
    "Who may take a session.",
    &[required(
        "requirements",
        Value::List(&Value::Shape(&REQUIREMENT)),
        "What must hold.",
    )],
);

static REQUIREMENT: Shape = Shape::new(
    "a requirement",
    "Something that must hold; other keys are the caller's.",
    &[
        required("type", Value::Text, "What sort it is: All, Any, Claim, …"),
        optional(
            "of",
            Value::List(&Value::Shape(&REQUIREMENT)),
            "The requirements that it joins.",
        ),
    ],
)
.open();

pub(super) fn decode(sink: &Sink<'_>, node: &Node) {
    let Some(envelope) = envelope::open(sink, node, &[&KIND]) else {
        return;
    };
    let Some(fields) = Fields::open(sink, envelope.spec, &SPEC) else {
        return;
    };
    let all = fields.get("requirements");
    fields.close();
    if let Some(all) = all {
        requirements(sink, all, "requirements");
    }
}

fn requirements(sink: &Sink<'_>, node: &Node, what: &str) {
    for item in list(sink, node, what).unwrap_or_default() {
        requirement(sink, item);
    }
}

fn requirement(sink: &Sink<'_>, node: &Node) {
    let Some(fields) = Fields::open(sink, node, &REQUIREMENT) else {
        return;
    };
    if let Some(node) = fields.get("type") {
        name(sink, node, "type");
    }
    let of = fields.get("of");
    fields.close();
    if let Some(of) = of {
        requirements(sink, of, "of");
    }
}
