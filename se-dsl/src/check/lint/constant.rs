//! Steps that never run, and what they would have captured.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::job::DraftedStep;
use super::super::lower::is_bound;
use super::super::place::Place;
use super::super::written::{Writes, Written};
use super::inputs;
use crate::checked::CapturePath;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::codes::lints;
use crate::document::{Input, StepDoc};
use crate::expr::{Known, Limits, Root, Scopes, Template};
use crate::source::Span;

/// The steps that never run, as far as they are known.
struct Dead<'w> {
    written: &'w Writes,
    steps: BTreeSet<usize>,
}

impl Place<'_, '_> {
    pub(super) fn constants(&self, steps: &[DraftedStep<'_>], written: &Writes) {
        let all_known = steps.iter().all(|step| step.doc.all_known);
        let mut dead = Dead {
            written,
            steps: BTreeSet::new(),
        };
        for (at, step) in steps.iter().enumerate() {
            if let Some(found) = dead.reason(step.doc) {
                dead.steps.insert(at);
                self.sink.push(found);
            } else if all_known {
                let found = step.doc.with.iter().chain(step.doc.target.as_deref());
                found
                    .filter_map(|input| dead.null(step.doc, input))
                    .for_each(|it| self.sink.push(it));
            }
        }
    }
}

impl Dead<'_> {
    /// Why a step never runs, if it never does.
    fn reason(&self, doc: &StepDoc) -> Option<Diagnostic> {
        if let Some(each) = &doc.for_each
            && literal(&each.list) == Some(Value::Array(Vec::new()))
        {
            let at = each.list.node.span;
            return Some(lints::never_runs(at, "its list is empty"));
        }
        let when = doc.when.as_ref()?;
        let at = when.node.span;
        match constant(when) {
            Some(Value::Bool(false)) => Some(lints::never_runs(at, "its condition is false")),
            Some(Value::Null) => Some(lints::never_runs(at, "its condition is null")),
            Some(_) => None,
            None => {
                let capture = self.skipped(doc, when)?;
                let why = "its condition is what another step that never runs captures";
                Some(lints::never_runs(at, why).related(capture, "captured here"))
            }
        }
    }

    /// What is wrong with an input that is null for certain.
    fn null(&self, doc: &StepDoc, input: &Input) -> Option<Diagnostic> {
        let capture = self.skipped(doc, input)?;
        Some(lints::always_null(input.node.span, capture))
    }

    /// The capture that an input reads, if the input is null because only dead steps capture it.
    fn skipped(&self, doc: &StepDoc, input: &Input) -> Option<Span> {
        let template = input.template.as_ref()?;
        let exists = |root, path: &[String]| {
            let bound = is_bound(doc, root, path);
            if root == Root::Vars && !bound && self.writer(path).is_some() {
                Known::No
            } else {
                Known::Unknown
            }
        };
        if self.steps.is_empty() || !template.always_null(exists) {
            return None;
        }
        let reads = template.reads();
        let mut paths = reads.vars();
        paths.find_map(|path| self.writer(path)).map(|it| it.span)
    }

    /// The first of those that capture a path, if all of them are dead.
    fn writer(&self, path: &[String]) -> Option<&Written> {
        let writers = if path.is_empty() {
            Vec::new()
        } else {
            self.written.touching(path)
        };
        let all_dead = writers.iter().all(|it| self.steps.contains(&it.step));
        writers.first().copied().filter(|_| all_dead)
    }
}

fn literal(input: &Input) -> Option<Value> {
    input.template.as_ref()?.literal()
}

/// The value of an input that reads nothing.
fn constant(input: &Input) -> Option<Value> {
    let template = input.template.as_ref()?;
    match template {
        Template::Literal(value) => Some(value.clone()),
        _ if template.is_constant() => template.eval(&Scopes::new(), &Limits::default()).ok(),
        _ => None,
    }
}

impl Place<'_, '_> {
    /// Captures of a composite that nothing in it reads, and that do not come back.
    pub(super) fn lost_captures(
        &self,
        steps: &[DraftedStep<'_>],
        export: &[crate::source::Spanned<String>],
    ) {
        if !steps.iter().all(|step| step.doc.all_known) {
            return;
        }
        let mut read: Vec<Vec<String>> = Vec::new();
        for step in steps {
            for template in inputs(step.doc).filter_map(|it| it.template.as_ref()) {
                read.extend(template.reads().vars().map(<[String]>::to_vec));
            }
            let checks = step.rubric.iter().flat_map(|it| &it.items);
            let checks = checks.flat_map(|item| &item.checks);
            read.extend(checks.map(|check| check.source.clone()));
        }
        read.extend(export.iter().map(|it| vec![it.value.clone()]));
        for step in steps.iter().filter(|step| step.uses.is_some()) {
            let id = step.doc.id.as_ref().map(|(id, _)| id.as_str());
            let is_read = |path: &CapturePath| {
                let own = id.map(|id| path.below(id));
                let mut all = std::iter::once(path).chain(&own);
                all.any(|path| read.iter().any(|it| it.is_empty() || path.may_touch(it)))
            };
            let lost = step.captures.iter().filter(|(it, _)| !is_read(&it.path));
            lost.map(|(it, span)| lints::lost_capture(*span, &it.path.to_string()))
                .for_each(|it| self.sink.push(it));
        }
    }
}
