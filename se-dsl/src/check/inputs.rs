//! `with` against what a primitive takes.

use serde_json::Value;

use super::place::Place;
use crate::catalog::{self, Action, Primitive};
use crate::checked::Uses;
use crate::diagnostic::codes::names;
use crate::diagnostic::nearest;
use crate::document::{Input, StepDoc, flags, regex};
use crate::pattern::Flags;
use crate::source::{Span, Spanned};
use crate::syntax::{Kind, Node};

/// `name@version` of every primitive.
pub(super) fn known_ids() -> Vec<String> {
    catalog::all().iter().map(Primitive::id).collect()
}

impl Place<'_, '_> {
    pub(super) fn inputs(&self, doc: &StepDoc, primitive: &'static Primitive, head: Span) {
        let given: Vec<&str> = doc.with.iter().map(|input| input.key.as_str()).collect();
        for input in &doc.with {
            match primitive.input(&input.key) {
                Some(field) => self.value(input, field.name, field.kind),
                None => {
                    let key = Spanned::new(input.key.clone(), input.key_span);
                    let uses = Uses::Primitive(primitive);
                    self.sink.push(names::unknown_input(&key, &uses, &given));
                }
            }
        }
        for field in primitive.inputs.iter().filter(|field| field.required) {
            let given = doc.with.iter().find(|input| input.key == field.name);
            let slip = doc.with.iter().any(|input| {
                primitive.input(&input.key).is_none()
                    && nearest(&input.key, std::iter::once(field.name)).is_some()
            });
            if !slip && given.is_none_or(|input| input.node.kind == Kind::Null) {
                self.sink
                    .push(names::missing_input(head, &primitive.id(), field.name));
            }
        }
        match primitive.action {
            Action::Exec => self.exec(doc, primitive, head),
            Action::EvaluateRegex => self.evaluate(doc),
            Action::Collect => {
                if let Some(input) = literal(doc, "match") {
                    regex(self.sink, &input.node, Flags::default());
                }
            }
            Action::BounceInterface => {
                if let Some(input) = get(doc, "device") {
                    self.connector(input);
                }
            }
            Action::Wipe | Action::Power => self.nodes(doc),
            Action::Pause
            | Action::Copy
            | Action::LabResolve
            | Action::LabStart
            | Action::LabStop
            | Action::LabCheckConvergence
            | Action::Report(_) => {}
        }
    }

    /// Whether a value without expressions is what it must be.
    pub(super) fn value(&self, input: &Input, name: &str, kind: catalog::Kind) {
        let literal = input.template.as_ref().and_then(|it| it.literal());
        let Some(value) = literal.filter(|value| !value.is_null()) else {
            return;
        };
        if kind.accepts(&value) {
            return;
        }
        let at = input.node.span;
        self.sink.push(match (&value, kind) {
            (Value::String(word), catalog::Kind::OneOf(words)) => {
                names::wrong_word(at, name, word, words)
            }
            (Value::String(text), _) => names::wrong_input(at, name, kind, &format!("`{text}`")),
            _ => names::wrong_input(at, name, kind, input.node.kind.describe()),
        });
    }

    /// One of `command` and `script`.
    fn exec(&self, doc: &StepDoc, primitive: &Primitive, head: Span) {
        match (get(doc, "command"), get(doc, "script")) {
            (None, None) => self
                .sink
                .push(names::missing_input(head, &primitive.id(), "command")),
            (Some(_), Some(script)) => {
                let found = names::exclusive_inputs(script.key_span, "command", "script");
                self.sink.push(found);
            }
            (Some(_), None) | (None, Some(_)) => {}
        }
    }

    /// A `ruleset` stands alone; a literal regex compiles. Whether there is a rule at all depends on
    /// the phase and is looked at there.
    fn evaluate(&self, doc: &StepDoc) {
        let has_ruleset = get(doc, "ruleset").is_some();
        let alone = ["source", "regex", "mode", "flags", "issue"];
        for input in alone.into_iter().filter_map(|key| get(doc, key)) {
            if has_ruleset {
                let found = names::exclusive_inputs(input.key_span, "ruleset", &input.key);
                self.sink.push(found);
            }
        }
        let given = literal(doc, "flags");
        let flags = given.map_or(Some(Flags::default()), |it| flags(self.sink, &it.node));
        if let (Some(input), Some(flags)) = (literal(doc, "regex"), flags) {
            regex(self.sink, &input.node, flags);
        }
    }

    /// Literal labels are labels of the topology.
    fn nodes(&self, doc: &StepDoc) {
        let Some(topology) = &self.tree.topology else {
            return;
        };
        let known: Vec<&str> = topology.nodes.iter().map(String::as_str).collect();
        let inputs = ["devices", "node"]
            .into_iter()
            .filter_map(|key| get(doc, key));
        for label in inputs.flat_map(labels) {
            if !known.contains(&label.value.as_str()) {
                self.sink.push(names::unknown_device(&label, &known));
            }
        }
    }
}

/// The texts without expressions of an input: it, or its items.
fn labels(input: &Input) -> Vec<Spanned<String>> {
    let nodes = match &input.node.kind {
        Kind::Seq(items) => items.as_slice(),
        _ => std::slice::from_ref(&input.node),
    };
    let label = |node: &Node| match &node.kind {
        Kind::Str(text) if !text.value.contains("${") => {
            Some(Spanned::new(text.value.clone(), node.span))
        }
        _ => None,
    };
    nodes.iter().filter_map(label).collect()
}

pub(super) fn get<'d>(doc: &'d StepDoc, key: &str) -> Option<&'d Input> {
    let mut inputs = doc.with.iter();
    inputs.find(|input| input.key == key && input.node.kind != Kind::Null)
}

/// An input without expressions.
fn literal<'d>(doc: &'d StepDoc, key: &str) -> Option<&'d Input> {
    get(doc, key).filter(|input| {
        input
            .template
            .as_ref()
            .is_some_and(|it| it.literal().is_some())
    })
}
