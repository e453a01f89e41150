//! `apiVersion`, `kind`, `metadata`, `spec`: what every document is wrapped in.

use std::collections::BTreeMap;

use crate::decode::shape::{Shape, Value, optional, required};
use crate::decode::{Fields, Sink, name, scalar_text};
use crate::diagnostic::codes::document;
use crate::source::{Span, Spanned};
use crate::syntax::Node;

/// A kind of document.
#[derive(Debug)]
pub(crate) struct DocumentKind {
    pub(crate) kind: &'static str,
    /// One sentence for its reader.
    pub(crate) doc: &'static str,
    pub(crate) metadata: &'static Shape,
    pub(crate) spec: &'static Shape,
}

/// Every kind of document there is.
pub(crate) static KINDS: [&DocumentKind; 11] = [
    &super::lifecycle::KIND,
    &super::job::KIND,
    &super::composite::KIND,
    &super::connectors::KIND,
    &super::rubric::KIND,
    &super::report::KIND,
    &super::manifest::LABLET,
    &super::manifest::SESSION,
    &super::part::KIND,
    &super::scenario::KIND,
    &super::policy::KIND,
];

/// The envelope of every kind.
pub(crate) static ENVELOPE: Shape = Shape::new(
    "a document",
    "A document of a package.",
    &[
        required(
            "apiVersion",
            Value::Words(&["pav1"]),
            "The version of the format: pav1.",
        ),
        required("kind", Value::Text, "What the document is."),
        optional(
            "metadata",
            Value::Any,
            "What the document says of itself; other keys are free.",
        ),
        required("spec", Value::Any, "What the document states."),
    ],
);

/// Metadata of documents that go by their file's name.
pub(super) static VERSIONED: Shape = Shape::new(
    "the metadata",
    "What the document says of itself; other keys are free.",
    &[
        optional(
            "name",
            Value::Written,
            "A name for the reader; references go by the file's name.",
        ),
        optional(
            "version",
            Value::Written,
            "The version that references name, as v1; default: v1.",
        ),
    ],
)
.open();

/// Metadata of documents that have no version.
pub(super) static NAMED: Shape = Shape::new(
    "the metadata",
    "What the document says of itself; other keys are free.",
    &[optional("name", Value::Written, "A name for the reader.")],
)
.open();

/// An opened envelope.
pub(super) struct Envelope<'n> {
    pub(super) kind: &'static DocumentKind,
    pub(super) metadata: Option<&'n Node>,
    pub(super) spec: &'n Node,
    /// The document's first key.
    pub(super) head: Span,
    /// What the metadata has of the keys of its shape: `None` for one that cannot be read.
    texts: BTreeMap<&'static str, Option<Spanned<String>>>,
}

/// Opens a document that must be of one of these kinds.
pub(super) fn open<'n>(
    sink: &Sink<'_>,
    node: &'n Node,
    kinds: &[&'static DocumentKind],
) -> Option<Envelope<'n>> {
    let fields = Fields::open(sink, node, &ENVELOPE)?;
    if let Some(version) = fields.get("apiVersion") {
        let text = scalar_text(sink, version, "apiVersion");
        if let Some(text) = text.filter(|text| text != "pav1") {
            let found = document::format_version(version.span, "apiVersion", &text, "pav1");
            sink.push(found);
        }
    }
    let kind = fields.get("kind").and_then(|node| name(sink, node, "kind"));
    let metadata = fields.get("metadata");
    let spec = fields.get("spec");
    let head = fields.head();
    fields.close();
    let word = kind?;
    let known = KINDS.iter().find(|known| known.kind == word.value);
    let Some(known) = known else {
        let words = KINDS.map(|known| known.kind);
        sink.push(document::unknown_kind(word.span, &word.value, &words));
        return None;
    };
    if !kinds.iter().any(|kind| kind.kind == known.kind) {
        let expected = kinds.first().map_or("", |kind| kind.kind);
        sink.push(document::wrong_place(word.span, &word.value, expected));
        return None;
    }
    Some(Envelope {
        kind: known,
        metadata,
        texts: metadata
            .map(|node| texts(sink, node, known.metadata))
            .unwrap_or_default(),
        spec: spec?,
        head,
    })
}

/// Every text that metadata has of its shape; other keys are free.
fn texts(
    sink: &Sink<'_>,
    node: &Node,
    shape: &'static Shape,
) -> BTreeMap<&'static str, Option<Spanned<String>>> {
    let mut texts = BTreeMap::new();
    let Some(fields) = Fields::open(sink, node, shape) else {
        return texts;
    };
    for key in shape.keys {
        if let Some(node) = fields.get(key.name) {
            let text = scalar_text(sink, node, key.name);
            texts.insert(key.name, text.map(|text| Spanned::new(text, node.span)));
        }
    }
    fields.close();
    texts
}

impl Envelope<'_> {
    /// A text of the metadata.
    pub(super) fn meta(&self, key: &str) -> Option<String> {
        let text = self.texts.get(key)?.as_ref()?;
        Some(text.value.clone())
    }

    /// A text that the metadata must have. [`open`] tells where it lacks in metadata that is there.
    pub(super) fn must_have(&self, sink: &Sink<'_>, key: &'static str) -> Option<Spanned<String>> {
        if self.metadata.is_none() {
            let found = document::missing_field(self.head, self.kind.metadata.what, key);
            sink.push(found);
        }
        self.texts.get(key)?.clone()
    }

    /// `metadata.version`, as references write it.
    pub(super) fn version(&self) -> String {
        match self.meta("version") {
            None => "v1".to_owned(),
            Some(version) if version.starts_with('v') => version,
            Some(version) => format!("v{version}"),
        }
    }
}
