//! A mapping whose keys are known.

use std::cell::RefCell;

use super::Sink;
use crate::diagnostic::codes::document;
use crate::diagnostic::nearest;
use crate::source::Span;
use crate::syntax::{Kind, Mapping, Node};

/// A mapping being read: gives fields by name, and in the end reports every key nobody asked for.
pub(crate) struct Fields<'n, 'k, 's> {
    sink: &'k Sink<'s>,
    /// What the mapping is, for messages: `a step`.
    what: &'static str,
    span: Span,
    map: &'n Mapping,
    asked: RefCell<Vec<&'static str>>,
    missing: RefCell<Vec<&'static str>>,
}

impl<'n, 'k, 's> Fields<'n, 'k, 's> {
    /// `None`, with a diagnostic, if the node is no mapping.
    pub(crate) fn open(sink: &'k Sink<'s>, node: &'n Node, what: &'static str) -> Option<Self> {
        let Kind::Map(map) = &node.kind else {
            let found = node.kind.describe();
            sink.push(document::wrong_type(node.span, what, "a mapping", found));
            return None;
        };
        Some(Self {
            sink,
            what,
            span: node.span,
            map,
            asked: RefCell::default(),
            missing: RefCell::default(),
        })
    }

    /// A field that may be missing; `null` counts as missing.
    pub(crate) fn optional(&self, key: &'static str) -> Option<&'n Node> {
        self.asked.borrow_mut().push(key);
        let node = &self.map.get(key)?.value;
        (node.kind != Kind::Null).then_some(node)
    }

    /// A field that must be there; `close` says so if it is not.
    pub(crate) fn required(&self, key: &'static str) -> Option<&'n Node> {
        let node = self.optional(key);
        if node.is_none() {
            self.missing.borrow_mut().push(key);
        }
        node
    }

    /// Where a key stands.
    pub(crate) fn key_span(&self, key: &str) -> Span {
        self.map.get(key).map_or(self.span, |entry| entry.key_span)
    }

    /// Whether a key is there, whatever its value.
    pub(crate) fn has(&self, key: &'static str) -> bool {
        self.asked.borrow_mut().push(key);
        self.map.get(key).is_some()
    }

    /// The first key: enough to underline where something is missing in a mapping of many lines.
    pub(crate) fn head(&self) -> Span {
        let first = self.map.iter().next();
        first.map_or(self.span, |(_, entry)| entry.key_span)
    }

    /// Reports what is missing and unknown keys, and says whether there were none. A slip in a key
    /// that must be there is one mistake, not two.
    pub(crate) fn close(self) -> bool {
        let head = self.head();
        let asked = self.asked.into_inner();
        let mut missing = self.missing.into_inner();
        let mut all_known = true;
        for (key, entry) in self.map.iter() {
            if asked.contains(&key) {
                continue;
            }
            all_known = false;
            let near = nearest(key, asked.iter().copied());
            missing.retain(|it| near != Some(it));
            let found = document::unknown_key(entry.key_span, self.what, key, &asked);
            self.sink.push(found);
        }
        for key in missing {
            let at = self.map.get(key).map_or(head, |entry| entry.key_span);
            self.sink.push(document::missing_field(at, self.what, key));
        }
        all_known
    }
}
