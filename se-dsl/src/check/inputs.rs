//! `with` against what a primitive takes.

use serde_json::Value;

use super::place::Place;
use crate::catalog::{self, Action, Primitive};
use crate::checked::Uses;
use crate::diagnostic::codes::names;
use crate::diagnostic::nearest;
use crate::document::{Input, StepDoc, flags, regex};
use crate::pattern::Flags;
use crate::ports;
use crate::source::{Span, Spanned};
use crate::syntax::{Kind, Node};

/// `name@version` of every primitive.
pub(super) fn known_ids() -> Vec<String> {
    catalog::all().iter().map(Primitive::id).collect()
}

/// The inputs that a step must give and does not, and what it seems to give instead.
pub(super) struct Missing<'n> {
    /// Those to be told of: no unknown key stands for them.
    pub(super) names: Vec<&'n str>,
    /// What the only unknown key must mean, though it is spelt otherwise: the only one that is missing.
    pub(super) meant: Option<&'n str>,
}

impl<'n> Missing<'n> {
    /// One mistake gives one finding: a key that is not known and an input that is missing are the same
    /// mistake if one may be a slip for the other, or if there is just one of each.
    pub(super) fn of(doc: &StepDoc, uses: &Uses, needs: Vec<&'n str>) -> Self {
        let known = uses.input_names();
        let key = |input: &'_ Input| known.contains(&input.key.as_str());
        let unknown: Vec<&str> = doc
            .with
            .iter()
            .filter(|input| !key(input))
            .map(|input| input.key.as_str())
            .collect();
        let absent = |name: &&str| doc.with.iter().all(|input| input.key != **name);
        let meant = match (unknown.as_slice(), needs.as_slice()) {
            ([key], [name]) if absent(name) => {
                let free = known.iter().copied().filter(absent);
                Some(*name).filter(|_| nearest(key, free).is_none())
            }
            _ => None,
        };
        let slip = |name: &str| {
            let near = |key: &&str| nearest(key, std::iter::once(name)).is_some();
            meant == Some(name) || unknown.iter().any(near)
        };
        let names = needs.into_iter().filter(|name| !slip(name)).collect();
        Self { names, meant }
    }
}

/// The inputs that the primitive cannot do without and that the step does not give.
fn needs(doc: &StepDoc, primitive: &'static Primitive) -> Vec<&'static str> {
    let required = primitive.inputs.iter().filter(|field| field.required);
    let mut needs: Vec<&str> = required
        .map(|field| field.name)
        .filter(|name| get(doc, name).is_none())
        .collect();
    // One of two.
    let is_exec = matches!(primitive.action, Action::Exec);
    if is_exec && get(doc, "command").is_none() && get(doc, "script").is_none() {
        needs.push("command");
    }
    let is_transfer = matches!(primitive.action, Action::TransferFile);
    if is_transfer && direction(doc) == Some("put") && get(doc, "dest").is_none() {
        needs.push("dest");
    }
    needs
}

/// Where `transfer_file` goes, as far as that is written down.
fn direction(doc: &StepDoc) -> Option<&str> {
    match get(doc, "direction").map(|it| &it.node.kind) {
        None => Some("put"),
        Some(Kind::Str(text)) if !text.value.contains("${") => Some(&text.value),
        Some(_) => None,
    }
}

impl Place<'_, '_> {
    pub(super) fn inputs(&self, doc: &StepDoc, primitive: &'static Primitive, head: Span) {
        let given: Vec<&str> = doc.with.iter().map(|input| input.key.as_str()).collect();
        let uses = Uses::Primitive(primitive);
        let missing = Missing::of(doc, &uses, needs(doc, primitive));
        for input in &doc.with {
            match primitive.input(&input.key) {
                Some(field) => self.value(input, field.name, field.kind),
                None => {
                    let key = Spanned::new(input.key.clone(), input.key_span);
                    let found = names::unknown_input(&key, &uses, &given, missing.meant);
                    self.sink.push(found);
                }
            }
        }
        for name in missing.names {
            let found = names::missing_input(head, &primitive.id(), name);
            self.sink.push(found);
        }
        match primitive.action {
            Action::Exec => self.exec(doc),
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
            Action::PortsAlloc => self.ports(doc),
            Action::Wipe | Action::Power | Action::CaptureConfigs => self.nodes(doc),
            Action::TransferFile => self.transfer(doc),
            Action::Pause
            | Action::Copy
            | Action::LabResolve
            | Action::LabStart
            | Action::LabStop
            | Action::LabCheckConvergence
            | Action::PortsRelease
            | Action::TagsSync
            | Action::LdsProvision
            | Action::LdsDeregister
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

    /// Not both of `command` and `script`.
    fn exec(&self, doc: &StepDoc) {
        if let (Some(_), Some(script)) = (get(doc, "command"), get(doc, "script")) {
            let found = names::exclusive_inputs(script.key_span, "command", "script");
            self.sink.push(found);
        }
    }

    /// What comes from a device becomes an output: it has no place to go.
    fn transfer(&self, doc: &StepDoc) {
        if direction(doc) != Some("get") {
            return;
        }
        for input in ["dest", "mode"].into_iter().filter_map(|key| get(doc, key)) {
            let found = names::exclusive_inputs(input.key_span, "direction: get", &input.key);
            self.sink.push(found);
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

    /// A literal template and a literal range can be read, and name devices that the topology has.
    fn ports(&self, doc: &StepDoc) {
        if let Some((input, value)) = given(doc, "range")
            && let Err(why) = ports::range(&value)
        {
            self.sink
                .push(names::unfit_input(input.node.span, "range", &why));
        }
        let Some((input, value)) = given(doc, "template") else {
            return;
        };
        let names = match ports::wanted(&value) {
            Ok(names) => names,
            Err(why) => {
                let found = names::unfit_input(input.node.span, "template", &why);
                return self.sink.push(found);
            }
        };
        let Some(topology) = &self.tree.topology else {
            return;
        };
        let known: Vec<&str> = topology.nodes.iter().map(String::as_str).collect();
        let devices = names.keys().filter_map(|it| ports::device(it));
        for device in devices.filter(|it| known.iter().all(|label| ports::called(label) != *it)) {
            let device = Spanned::new(device.to_owned(), input.node.span);
            self.sink.push(names::unknown_device(&device, &known));
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

/// An input without expressions, and what it says.
fn given<'d>(doc: &'d StepDoc, key: &str) -> Option<(&'d Input, Value)> {
    let input = get(doc, key)?;
    let value = input.template.as_ref()?.literal()?;
    Some((input, value))
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
