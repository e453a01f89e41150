//! Text → a tree in which every node knows its place. YAML and JSON alike.

mod build;
mod events;
mod place;
mod scalar;
mod unquoted;

use std::borrow::Cow;
use std::sync::Arc;

use crate::decode::Sink;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::codes::yaml;
use crate::source::{FileId, Span};

pub(crate) use place::Text;

/// Levels of nesting a document may have.
pub(crate) const MAX_DEPTH: usize = 100;
/// Values that a document may hold.
pub(crate) const MAX_NODES: usize = 200_000;
/// Bytes of text that count as one more value where an alias repeats it.
const ALIASED_BYTES: usize = 256;
/// Times that a document is read again because an expression was taken for one without quotes.
const MAX_READS: usize = 8;
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

/// A mapping in document order. Documents are read once, key by key from short tables: a list that is
/// searched takes a third of the memory of an index, and is as fast.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Mapping {
    /// Equal keys of a document share their text.
    entries: Vec<(Arc<str>, Entry)>,
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
        let mut entries = self.entries.iter();
        entries.find(|it| *it.0 == *key).map(|(_, entry)| entry)
    }

    /// Every pair, in document order.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(key, entry)| (&**key, entry))
    }
}

impl Node {
    /// The value of a key, without the rest.
    pub(crate) fn into_value(self, key: &str) -> Option<Self> {
        let Kind::Map(map) = self.kind else {
            return None;
        };
        let mut entries = map.entries.into_iter();
        entries
            .find(|it| *it.0 == *key)
            .map(|(_, entry)| entry.value)
    }

    /// The items of a sequence.
    pub(crate) fn into_items(self) -> Vec<Self> {
        match self.kind {
            Kind::Seq(items) => items,
            _ => Vec::new(),
        }
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
    if let Some(found) = not_text(sink, file) {
        sink.push(found);
        return None;
    }
    let text = sink.sources.text(file);
    let mut masks = unquoted::find(text);
    let mark = sink.mark();
    let mut reads = 0;
    loop {
        reads += 1;
        if reads == MAX_READS {
            masks.clear();
        }
        let masked = if masks.is_empty() {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(unquoted::apply(text, &masks))
        };
        match events::build(sink, file, &masked, &masks) {
            events::Outcome::Done(node) => return node,
            events::Outcome::Again(wrong) => {
                masks.retain(|mask| !wrong.contains(&mask.start));
                sink.forget(mark);
            }
        }
    }
}

/// What is wrong with the bytes of a file that hold no text.
fn not_text(sink: &Sink<'_>, file: FileId) -> Option<Diagnostic> {
    let text = sink.sources.text(file);
    let invalid = sink.sources.invalid_utf8(file);
    let nul = text.find('\0').map(|at| Span::new(file, at, at + 1));
    // Every second byte of UTF-16 is NUL where the text is plain, and its mark is no UTF-8.
    let is_utf16 = matches!(text.as_bytes(), [_, 0, _, 0, ..] | [0, _, 0, _, ..])
        || (text.starts_with("\u{FFFD}\u{FFFD}") && nul.is_some());
    match (invalid, nul) {
        (None, None) => None,
        (Some(span), _) | (None, Some(span)) if is_utf16 => Some(yaml::utf16(span)),
        (None, Some(span)) => Some(yaml::nul(span)),
        (Some(span), _) => Some(yaml::not_utf8(span)),
    }
}
