//! Parameters: what a step gives to a composite, and what the composite reads of them.

use super::inputs::{Missing, get};
use super::place::Place;
use super::spelled::places;
use crate::checked::{Composite, Uses};
use crate::diagnostic::codes::{composites, document, names};
use crate::document::{Input, ParameterDoc, StepDoc};
use crate::expr::{Reads, Root, Template};
use crate::source::{Span, Spanned};

impl Place<'_, '_> {
    /// `with` of a step that calls a composite.
    pub(super) fn arguments(&self, doc: &StepDoc, uses: &Uses, composite: &Composite, head: Span) {
        let given: Vec<&str> = doc.with.iter().map(|input| input.key.as_str()).collect();
        let required = composite.parameters.iter().filter(|it| it.required);
        let needs = required.map(|it| it.name.as_str());
        let needs = needs.filter(|name| get(doc, name).is_none()).collect();
        let missing = Missing::of(doc, uses, needs);
        for input in &doc.with {
            match composite.parameter(&input.key) {
                Some(parameter) => {
                    self.value(input, &parameter.name, parameter.kind);
                    self.choice(input, &parameter.choices);
                }
                None => {
                    let key = Spanned::new(input.key.clone(), input.key_span);
                    self.sink
                        .push(names::unknown_input(&key, uses, &given, missing.meant));
                }
            }
        }
        for name in missing.names {
            let found = names::missing_input(head, &uses.id(), name);
            self.sink
                .push(found.related(composite.span, "the composite is written here"));
        }
    }

    /// Whether a value without expressions is one of those there may be.
    fn choice(&self, input: &Input, choices: &[serde_json::Value]) {
        let literal = input.template.as_ref().and_then(Template::literal);
        let Some(value) = literal.filter(|it| !it.is_null()) else {
            return;
        };
        if choices.is_empty() || choices.contains(&value) {
            return;
        }
        let shown =
            |it: &serde_json::Value| it.as_str().map_or_else(|| it.to_string(), str::to_owned);
        let words: Vec<String> = choices.iter().map(shown).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let found = document::not_one_of(input.node.span, &input.key, &shown(&value), &words);
        self.sink.push(found);
    }

    /// Whether what a step reads of `parameters` is there: nothing in a job, what is declared in a composite.
    pub(super) fn reads_parameters(&self, doc: &StepDoc, declared: Option<&[ParameterDoc]>) {
        let list = doc.for_each.as_ref().map(|it| &it.list);
        let inputs = doc.inputs();
        for input in inputs.chain(list) {
            let reads = input.template.as_ref().map(Template::reads);
            let reads = reads.iter().flat_map(Reads::iter);
            let names = reads
                .filter(|(root, _)| *root == Root::Parameters)
                .filter_map(|(_, path)| path.first());
            for name in names {
                let at = places(&input.node, &format!("parameters.{name}"))[0];
                self.reads_parameter(&Spanned::new(name.clone(), at), declared);
            }
        }
    }

    fn reads_parameter(&self, name: &Spanned<String>, declared: Option<&[ParameterDoc]>) {
        let Some(declared) = declared else {
            self.sink.push(composites::no_parameters(name));
            return;
        };
        let known: Vec<&str> = declared.iter().map(|it| it.name.value.as_str()).collect();
        if !known.contains(&name.value.as_str()) {
            self.sink.push(composites::unknown_parameter(name, &known));
        }
    }
}
