//! Values of one type.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::Sink;
use crate::diagnostic::codes::{document, names};
use crate::source::{Span, Spanned};
use crate::syntax::{Kind, Mapping, Node, Text};

fn wrong<T>(sink: &Sink<'_>, node: &Node, what: &str, expected: &str) -> Option<T> {
    if node.kind != Kind::Refused {
        let found = match &node.kind {
            Kind::Str(text) if text.value.contains("${") => "an expression, which is not read here",
            kind => kind.describe(),
        };
        sink.push(document::wrong_type(node.span, what, expected, found));
    }
    None
}

/// Text.
pub(crate) fn text<'n>(sink: &Sink<'_>, node: &'n Node, what: &str) -> Option<&'n Text> {
    match &node.kind {
        Kind::Str(text) => Some(text),
        Kind::Refused
        | Kind::Null
        | Kind::Bool(_)
        | Kind::Int(_)
        | Kind::Float(_)
        | Kind::Seq(_)
        | Kind::Map(_) => wrong(sink, node, what, "text"),
    }
}

/// Text with its place.
pub(crate) fn name(sink: &Sink<'_>, node: &Node, what: &str) -> Option<Spanned<String>> {
    text(sink, node, what).map(|text| Spanned::new(text.value.clone(), node.span))
}

/// Text, or a number or word as it is written: versions, titles.
pub(crate) fn scalar_text(sink: &Sink<'_>, node: &Node, what: &str) -> Option<String> {
    match &node.kind {
        Kind::Str(text) => Some(text.value.clone()),
        Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) => {
            Some(sink.sources.slice(node.span).to_owned())
        }
        Kind::Refused | Kind::Null | Kind::Seq(_) | Kind::Map(_) => wrong(sink, node, what, "text"),
    }
}

/// A whole number, not negative.
pub(crate) fn count(sink: &Sink<'_>, node: &Node, what: &str) -> Option<u64> {
    let Kind::Int(value) = node.kind else {
        return wrong(sink, node, what, "a whole number");
    };
    let count = u64::try_from(value).ok();
    if count.is_none() {
        sink.push(document::out_of_range(node.span, what, "zero or more"));
    }
    count
}

/// Any number.
pub(crate) fn number(sink: &Sink<'_>, node: &Node, what: &str) -> Option<f64> {
    match node.kind {
        #[expect(
            clippy::cast_precision_loss,
            reason = "callers bound the number far below 2^52"
        )]
        Kind::Int(value) => Some(value as f64),
        Kind::Float(value) => Some(value),
        Kind::Refused | Kind::Null | Kind::Bool(_) | Kind::Str(_) | Kind::Seq(_) | Kind::Map(_) => {
            wrong(sink, node, what, "a number")
        }
    }
}

/// A positive number of seconds, at most a year.
pub(crate) fn seconds(sink: &Sink<'_>, node: &Node, what: &str) -> Option<Duration> {
    const YEAR: f64 = 366.0 * 86_400.0;
    let seconds = number(sink, node, what)?;
    if seconds > 0.0 && seconds <= YEAR {
        return Some(Duration::from_secs_f64(seconds));
    }
    let must = "a positive number of seconds, at most a year";
    sink.push(document::out_of_range(node.span, what, must));
    None
}

/// A list.
pub(crate) fn list<'n>(sink: &Sink<'_>, node: &'n Node, what: &str) -> Option<&'n [Node]> {
    match &node.kind {
        Kind::Seq(items) => Some(items),
        Kind::Refused
        | Kind::Null
        | Kind::Bool(_)
        | Kind::Int(_)
        | Kind::Float(_)
        | Kind::Str(_)
        | Kind::Map(_) => wrong(sink, node, what, "a list"),
    }
}

/// A list of texts; items that are none are reported and left out.
pub(crate) fn texts(sink: &Sink<'_>, node: &Node, what: &str) -> Option<Vec<Spanned<String>>> {
    let items = list(sink, node, what)?;
    Some(
        items
            .iter()
            .filter_map(|item| name(sink, item, what))
            .collect(),
    )
}

/// Reports every name that stood before.
pub(crate) fn unique<'d>(
    sink: &Sink<'_>,
    what: &str,
    all: impl Iterator<Item = &'d Spanned<String>>,
) {
    let mut first: BTreeMap<&str, Span> = BTreeMap::new();
    for name in all {
        match first.get(name.value.as_str()) {
            Some(first) => sink.push(names::duplicate(what, name, *first)),
            None => drop(first.insert(&name.value, name.span)),
        }
    }
}

/// True or false.
pub(crate) fn boolean(sink: &Sink<'_>, node: &Node, what: &str) -> Option<bool> {
    match node.kind {
        Kind::Bool(value) => Some(value),
        Kind::Refused
        | Kind::Null
        | Kind::Int(_)
        | Kind::Float(_)
        | Kind::Str(_)
        | Kind::Seq(_)
        | Kind::Map(_) => wrong(sink, node, what, "true or false"),
    }
}

/// A mapping from free names.
pub(crate) fn mapping<'n>(sink: &Sink<'_>, node: &'n Node, what: &str) -> Option<&'n Mapping> {
    match &node.kind {
        Kind::Map(map) => Some(map),
        Kind::Refused
        | Kind::Null
        | Kind::Bool(_)
        | Kind::Int(_)
        | Kind::Float(_)
        | Kind::Str(_)
        | Kind::Seq(_) => wrong(sink, node, what, "a mapping"),
    }
}

/// Text of a grammar, with its place.
pub(crate) fn name_of(
    sink: &Sink<'_>,
    node: &Node,
    what: &str,
    fits: fn(&str) -> bool,
    grammar: &str,
) -> Option<Spanned<String>> {
    let name = name(sink, node, what)?;
    if !fits(&name.value) {
        let found = document::bad_name(name.span, what, &name.value, grammar);
        sink.push(found);
        return None;
    }
    Some(name)
}

/// One of some words.
pub(crate) fn word<T: Copy>(
    sink: &Sink<'_>,
    node: &Node,
    what: &str,
    words: &[(&str, T)],
) -> Option<T> {
    let text = text(sink, node, what)?;
    let found = words.iter().find(|(word, _)| *word == text.value);
    if found.is_none() {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let found = document::not_one_of(node.span, what, &text.value, &words);
        sink.push(found);
    }
    found.map(|(_, value)| *value)
}

/// The node as JSON.
pub(crate) fn to_json(node: &Node) -> Value {
    match &node.kind {
        Kind::Refused | Kind::Null => Value::Null,
        Kind::Bool(value) => Value::from(*value),
        Kind::Int(value) => Value::from(*value),
        Kind::Float(value) => Value::from(*value),
        Kind::Str(text) => Value::from(text.value.clone()),
        Kind::Seq(items) => items.iter().map(to_json).collect(),
        Kind::Map(map) => map
            .iter()
            .map(|(key, entry)| (key.to_owned(), to_json(&entry.value)))
            .collect(),
    }
}
