//! A mapping whose keys are known.

use std::cell::RefCell;

use super::Sink;
use super::shape::Shape;
use crate::diagnostic::codes::{document, names};
use crate::diagnostic::{Diagnostic, Edit, nearest};
use crate::source::Span;
use crate::syntax::{Kind, Mapping, Node};

/// A mapping being read by its shape: gives fields by name, and in the end reports what is missing
/// and every key that the shape does not have.
pub(crate) struct Fields<'n, 'k, 's> {
    sink: &'k Sink<'s>,
    shape: &'static Shape,
    span: Span,
    map: &'n Mapping,
    /// What was asked for; kept in builds that test whether that is the whole shape.
    asked: RefCell<Vec<&'static str>>,
}

impl<'n, 'k, 's> Fields<'n, 'k, 's> {
    /// `None`, with a diagnostic, if the node is no mapping.
    pub(crate) fn open(sink: &'k Sink<'s>, node: &'n Node, shape: &'static Shape) -> Option<Self> {
        let Kind::Map(map) = &node.kind else {
            if node.kind != Kind::Refused {
                let found = node.kind.describe();
                let found = document::wrong_type(node.span, shape.what, "a mapping", found);
                sink.push(found);
            }
            return None;
        };
        Some(Self {
            sink,
            shape,
            span: node.span,
            map,
            asked: RefCell::default(),
        })
    }

    /// A field; `null` counts as missing. Whether it must be there is for the shape to say, and for
    /// [`Fields::close`] to report.
    pub(crate) fn get(&self, key: &'static str) -> Option<&'n Node> {
        debug_assert!(
            self.shape.key(key).is_some(),
            "{} has no key `{key}` in its shape",
            self.shape.what
        );
        if cfg!(debug_assertions) {
            self.asked.borrow_mut().push(key);
        }
        self.value(key)
    }

    fn value(&self, key: &str) -> Option<&'n Node> {
        let node = &self.map.get(key)?.value;
        (node.kind != Kind::Null).then_some(node)
    }

    /// Where a key stands.
    pub(crate) fn key_span(&self, key: &str) -> Span {
        self.map.get(key).map_or(self.span, |entry| entry.key_span)
    }

    /// The first key: enough to underline where something is missing in a mapping of many lines.
    pub(crate) fn head(&self) -> Span {
        let first = self.map.iter().next();
        first.map_or(self.span, |(_, entry)| entry.key_span)
    }

    /// Reports what is missing and unknown keys, and says whether there were no unknown ones. A slip
    /// in a key that must be there is one mistake, not two.
    pub(crate) fn close(self) -> bool {
        self.assert_all_asked();
        let mut missing = self.missing();
        let mut all_known = true;
        let known: Vec<&str> = self.shape.names().collect();
        let given: Vec<&str> = self
            .shape
            .names()
            .filter(|it| self.map.get(it).is_some())
            .collect();
        for (key, entry) in self.map.iter() {
            if self.shape.is_open || known.contains(&key) {
                continue;
            }
            all_known = false;
            let near = nearest(key, known.iter().copied());
            if near.is_some_and(|near| self.shape.one_of.contains(&near)) {
                missing.retain(|it| !self.shape.one_of.contains(it));
            }
            missing.retain(|it| near != Some(*it));
            let found = document::unknown_key(entry.key_span, self.shape.what, key, &known);
            // A key that stands there already cannot be what this one is changed to.
            let is_free = |edit: &Edit| !given.contains(&edit.text.as_str());
            let edits = found
                .edits
                .iter()
                .filter(|it| is_free(it))
                .cloned()
                .collect();
            self.sink.push(Diagnostic { edits, ..found });
        }
        let head = self.head();
        for key in missing {
            let at = self.map.get(key).map_or(head, |entry| entry.key_span);
            let found = document::missing_field(at, self.shape.what, key);
            self.sink.push(found);
        }
        all_known
    }

    /// Keys that must be there and are not. Of keys that exclude each other the first stands for all.
    fn missing(&self) -> Vec<&'static str> {
        let is_missing = |key: &&'static str| self.value(key).is_none();
        let must = self.shape.keys.iter().filter(|key| key.required);
        let mut missing: Vec<_> = must.map(|key| key.name).filter(is_missing).collect();
        let mut given = self.shape.one_of.iter().filter(|key| !is_missing(key));
        match (given.next(), given.next()) {
            (None, _) => missing.extend(self.shape.one_of.first()),
            (Some(first), Some(second)) => {
                let found = names::exclusive_inputs(self.key_span(second), first, second);
                self.sink.push(found);
            }
            (Some(_), None) => {}
        }
        missing
    }

    /// A key that the shape has and nobody reads would be accepted and ignored.
    fn assert_all_asked(&self) {
        if cfg!(debug_assertions) {
            let asked = self.asked.borrow();
            for key in self.shape.names() {
                let what = self.shape.what;
                debug_assert!(asked.contains(&key), "nobody reads `{key}` of {what}");
            }
        }
    }
}
