//! Composites: each after those that it calls; a circle of calls, or too deep a chain of them, is a mistake.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::job::{DraftedStep, Within};
use super::lower;
use super::place::Place;
use super::step::split_version;
use crate::catalog::{Action, Effect, Target};
use crate::checked::{Composite, Parameter, Uses};
use crate::diagnostic::codes::composites;
use crate::document::CompositeDoc;
use crate::source::Span;

/// How `uses` names a composite.
pub(super) const PREFIX: &str = "composite:";
/// How deep calls may be nested: a job's step calls the first.
pub(super) const MAX_DEPTH: usize = 3;

/// Every composite of a place; `None` is one that cannot be used, and findings say why.
pub(super) fn all(place: &Place<'_, '_>) -> BTreeMap<String, Option<Arc<Composite>>> {
    let mut order = Order {
        place,
        path: Vec::new(),
        done: BTreeMap::new(),
    };
    for name in place.tree.composites.keys() {
        order.visit(name);
    }
    let mut made: BTreeMap<String, Option<Arc<Composite>>> = BTreeMap::new();
    let mut within = place.composites.clone();
    for name in order.sequence() {
        let doc = place.tree.composites.get(&name).and_then(Option::as_ref);
        let is_good = !order.is_broken(&name);
        let composite = doc.map(|doc| {
            let inner = Place {
                composites: within.clone(),
                ..place.bare()
            };
            inner.composite_of(doc)
        });
        let composite = composite.flatten().filter(|_| is_good).map(Arc::new);
        within.insert(name.clone(), composite.clone());
        made.insert(name, composite);
    }
    made
}

/// What is known of a composite while calls are followed.
struct Visited {
    /// Its place in the order: after all that it calls.
    at: usize,
    /// The longest chain of calls that begins with it.
    depth: usize,
    /// Whether it is part of a circle, or calls one that is.
    broken: bool,
}

struct Order<'a, 'p, 's> {
    place: &'a Place<'p, 's>,
    path: Vec<String>,
    done: BTreeMap<String, Visited>,
}

impl Order<'_, '_, '_> {
    /// Follows the calls of a composite; gives its depth, or `None` if it leads back to itself.
    fn visit(&mut self, name: &str) -> Option<usize> {
        if let Some(done) = self.done.get(name) {
            return (!done.broken).then_some(done.depth);
        }
        let doc = self.place.tree.composites.get(name)?.as_ref();
        self.path.push(name.to_owned());
        let mut depth = 1;
        let mut broken = false;
        for (callee, at) in doc.into_iter().flat_map(calls) {
            if let Some(from) = self.path.iter().position(|it| *it == callee) {
                let mut circle: Vec<&str> = self.path[from..].iter().map(String::as_str).collect();
                circle.push(&callee);
                self.place.sink.push(composites::cycle(at, &circle));
                broken = true;
                continue;
            }
            let outside = self.place.composites.get(&callee).and_then(Option::as_ref);
            let below = match (self.place.tree.composites.contains_key(&callee), outside) {
                (true, _) => self.visit(&callee),
                (false, Some(outside)) => Some(depth_of(outside)),
                (false, None) => Some(0),
            };
            match below {
                Some(below) => depth = depth.max(below + 1),
                None => broken = true,
            }
            if below.is_some_and(|below| below + 1 > MAX_DEPTH) {
                let chain = self.chain(&callee);
                self.place
                    .sink
                    .push(composites::too_deep(at, &chain, MAX_DEPTH));
                broken = true;
            }
        }
        self.path.pop();
        let at = self.done.len();
        self.done
            .insert(name.to_owned(), Visited { at, depth, broken });
        (!broken).then_some(depth)
    }

    /// The path to here, with what is called.
    fn chain(&self, callee: &str) -> Vec<String> {
        let mut chain = self.path.clone();
        chain.push(callee.to_owned());
        chain
    }

    fn sequence(&self) -> Vec<String> {
        let mut all: Vec<(&String, &Visited)> = self.done.iter().collect();
        all.sort_by_key(|(_, visited)| visited.at);
        all.into_iter().map(|(name, _)| name.clone()).collect()
    }

    fn is_broken(&self, name: &str) -> bool {
        self.done.get(name).is_none_or(|it| it.broken)
    }
}

/// The composites that a document calls, by name, each with the place of the call.
fn calls(doc: &CompositeDoc) -> Vec<(String, Span)> {
    let uses = doc.steps.iter().filter_map(|step| step.uses.as_ref());
    let call = |uses: &crate::source::Spanned<String>| {
        let name = uses.value.strip_prefix(PREFIX)?;
        let name = split_version(name).map_or(name, |(name, _)| name);
        Some((name.to_owned(), uses.span))
    };
    uses.filter_map(call).collect()
}

fn depth_of(composite: &Composite) -> usize {
    let inner = composite.steps.iter().filter_map(|it| it.uses.composite());
    1 + inner.map(|it| depth_of(it)).max().unwrap_or(0)
}

impl Place<'_, '_> {
    /// A composite as the engine runs it; `None` if something in it is wrong.
    fn composite_of(&self, doc: &CompositeDoc) -> Option<Composite> {
        let within = Within::Composite(doc);
        let steps = self.draft_steps(&doc.steps, within);
        self.exports(doc, &steps);
        for step in &steps {
            if let Some(Action::Report(_)) = step.uses.as_ref().and_then(Uses::action) {
                let at = step.doc.uses.as_ref().map_or(doc.span, |it| it.span);
                self.sink.push(composites::report_inside(at));
            }
        }
        let pointer = format!("{}/composites/{}", self.pointer(), doc.name);
        let steps: Option<Vec<_>> = steps
            .into_iter()
            .enumerate()
            .map(|(at, step)| lower::step(step, &pointer, at))
            .collect();
        let steps = steps?;
        let effect = steps.iter().map(|it| it.uses.effect());
        let effect = effect.fold(Effect::Pure, Effect::and);
        let inherits = steps
            .iter()
            .any(|it| it.target.is_none() && it.uses.target() == Target::Required);
        let parameter = |it: &crate::document::ParameterDoc| Parameter {
            name: it.name.value.clone(),
            kind: it.kind,
            required: it.required,
            default: it.default.clone(),
            description: it.description.clone(),
            choices: it.choices.clone().unwrap_or_default(),
        };
        Some(Composite {
            name: doc.name.clone(),
            version: doc.version.clone(),
            description: doc.description.clone(),
            parameters: doc.parameters.iter().map(parameter).collect(),
            export: doc.export.iter().map(|it| it.value.clone()).collect(),
            steps,
            effect,
            target: if inherits {
                Target::Required
            } else {
                Target::Forbidden
            },
            span: doc.span,
        })
    }

    /// Whether every export is captured by one of the steps.
    fn exports(&self, doc: &CompositeDoc, steps: &[DraftedStep<'_>]) {
        if !steps.iter().all(|it| it.doc.all_known) {
            return;
        }
        let captures = || steps.iter().flat_map(|it| &it.captures);
        let known: Vec<String> = captures().map(|(it, _)| it.path.to_string()).collect();
        let perhaps = steps.iter().flat_map(DraftedStep::perhaps_captured);
        let perhaps: Vec<_> = perhaps.map(|(path, _)| path).collect();
        for export in &doc.export {
            let path: Vec<String> = vec![export.value.clone()];
            let mut paths = captures().map(|(it, _)| &it.path).chain(&perhaps);
            if !paths.any(|it| it.may_touch(&path)) {
                self.sink.push(composites::unknown_export(export, &known));
            }
        }
    }
}
