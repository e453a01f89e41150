//! `apiVersion`, `kind`, `metadata`, `spec`: what every document is wrapped in.

use crate::decode::{Fields, Sink, name, scalar_text};
use crate::diagnostic::codes::document;
use crate::syntax::Node;

/// Every kind of document there is.
const KINDS: &[&str] = &[
    "Lifecycle",
    "JobDefinition",
    "CompositeScenario",
    "ConnectorModel",
    "EvaluationRuleset",
    "ProcessReportSpec",
    "LabletDefinition",
    "SessionDefinition",
    "PartDefinition",
    "ScenarioDefinition",
    "AuthorizationPolicy",
];

/// An opened envelope.
pub(super) struct Envelope<'n> {
    pub(super) kind: String,
    pub(super) metadata: Option<&'n Node>,
    pub(super) spec: &'n Node,
}

/// Opens a document that must be of one of these kinds.
pub(super) fn open<'n>(sink: &Sink<'_>, node: &'n Node, kinds: &[&str]) -> Option<Envelope<'n>> {
    let fields = Fields::open(sink, node, "a document")?;
    if let Some(version) = fields.required("apiVersion") {
        let text = scalar_text(sink, version, "apiVersion");
        if let Some(text) = text.filter(|text| text != "pav1") {
            sink.push(document::format_version(
                version.span,
                "apiVersion",
                &text,
                "pav1",
            ));
        }
    }
    let kind = fields
        .required("kind")
        .and_then(|node| name(sink, node, "kind"));
    let metadata = fields.optional("metadata");
    let spec = fields.required("spec");
    fields.close();
    let kind = kind?;
    if !KINDS.contains(&kind.value.as_str()) {
        sink.push(document::unknown_kind(kind.span, &kind.value, KINDS));
        return None;
    }
    if !kinds.contains(&kind.value.as_str()) {
        sink.push(document::wrong_place(kind.span, &kind.value, kinds[0]));
        return None;
    }
    Some(Envelope {
        kind: kind.value,
        metadata,
        spec: spec?,
    })
}

impl Envelope<'_> {
    /// A text of the metadata. Other keys there are free.
    pub(super) fn meta(&self, sink: &Sink<'_>, key: &'static str) -> Option<String> {
        let crate::syntax::Kind::Map(map) = &self.metadata?.kind else {
            return None;
        };
        let node = &map.get(key)?.value;
        scalar_text(sink, node, key)
    }
}
