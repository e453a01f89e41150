//! Text → a tree in which every node knows its place. YAML and JSON alike.

mod build;
mod events;
mod place;
mod scalar;
mod unquoted;

use indexmap::IndexMap;

use crate::decode::Sink;
use crate::diagnostic::codes::yaml;
use crate::source::{FileId, Span};

pub(crate) use place::Text;

/// Levels of nesting a document may have.
pub(crate) const MAX_DEPTH: usize = 100;
/// Nodes that all aliases of a document may stand for together.
pub(crate) const MAX_ALIAS_NODES: usize = 1_000;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// What it is.
    pub(crate) kind: Kind,
    /// Where it stands.
    pub(crate) span: Span,
}

/// What a [`Node`] is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Something that was refused and reported: whoever wants a value finds none, and says nothing.
    Refused,
    /// `null`, `~`, or nothing.
    Null,
    /// `true` or `false`, in lower case, upper case or capitalised; no other word.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another finite number.
    Float(f64),
    /// Text.
    Str(Text),
    /// A sequence.
    Seq(Vec<Node>),
    /// A mapping; keys are text and stand once.
    Map(Mapping),
}

/// A mapping in document order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Mapping {
    entries: IndexMap<String, Entry>,
}

/// One pair of a [`Mapping`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// Where the key stands.
    pub(crate) key_span: Span,
    /// The value.
    pub(crate) value: Node,
}

impl Mapping {
    /// The pair of that key.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Every pair, in document order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries
            .iter()
            .map(|(key, entry)| (key.as_str(), entry))
    }
}

impl Kind {
    /// In words, for messages.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Refused | Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Str(_) => "text",
            Self::Seq(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// Reads a document. What is wrong with it goes to the sink; `None` if nothing can be read.
pub(crate) fn read(sink: &Sink<'_>, file: FileId) -> Option<Node> {
    if let Some(span) = sink.sources.invalid_utf8(file) {
        sink.push(yaml::not_utf8(span));
        return None;
    }
    let text = sink.sources.text(file);
    if let Some(at) = text.find('\0') {
        sink.push(yaml::not_utf8(Span::new(file, at, at + 1)));
        return None;
    }
    let mut masks = unquoted::find(text);
    let mark = sink.mark();
    loop {
        let masked = unquoted::apply(text, &masks);
        match events::build(sink, file, &masked, &masks) {
            events::Outcome::Done(node) => return node,
            events::Outcome::Again(wrong) => {
                masks.retain(|mask| !wrong.contains(&mask.start));
                sink.forget(mark);
            }
        }
    }
}
