//! Text → a tree in which every node knows its place. YAML and JSON alike.

use indexmap::IndexMap;

use crate::source::Span;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Where it stands.
    pub span: Span,
}

/// What a [`Node`] is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// `null`, `~`, or nothing.
    Null,
    /// `true` or `false`; no other word.
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

/// Text and whether byte offsets in it are byte offsets in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The text.
    pub value: String,
    /// Byte offset in the file of each line of `value`, where the text stands in the file as it is
    /// (a plain scalar on one line, a block scalar, a quoted scalar without escapes); else empty.
    pub line_starts: Vec<u32>,
}

/// A mapping in document order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mapping {
    entries: IndexMap<String, Entry>,
}

/// One pair of a [`Mapping`].
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}
