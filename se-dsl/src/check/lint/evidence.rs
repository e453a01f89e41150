//! Evidence that a rubric does not read, and evidence that a rubric reads and may not be there.

use std::collections::BTreeSet;

use super::super::built_in::BuiltIn;
use super::super::job::DraftedStep;
use super::super::place::Place;
use super::super::step::split_version;
use super::inputs;
use crate::catalog::Action;
use crate::check::captured::Captured;
use crate::checked::ReportClass;
use crate::diagnostic::codes::lints;
use crate::document::{LifecycleDoc, RubricDoc};
use crate::source::{Span, Spanned};

/// What a job captures, as far as its rubrics go.
pub(in super::super) struct Evidence {
    captures: Vec<Taken>,
    /// Rubrics that its own steps name.
    rulesets: BTreeSet<String>,
    /// Whether a report of it lists all evidence.
    is_handed_over: bool,
}

struct Taken {
    what: Captured,
    span: Span,
    /// Whether the step has a `when`.
    maybe: bool,
    /// Whether another step reads it, or it is no output of a device.
    is_used: bool,
}

/// `None` if a step may capture more than could be read.
pub(in super::super) fn evidence(steps: &[DraftedStep<'_>]) -> Option<Evidence> {
    if !steps.iter().all(|step| step.doc.all_known) {
        return None;
    }
    let templates = steps.iter().flat_map(|step| inputs(step.doc));
    let templates = templates.filter_map(|it| it.template.as_ref());
    let read: Vec<Vec<String>> = templates
        .flat_map(|it| {
            it.reads()
                .vars()
                .map(<[String]>::to_vec)
                .collect::<Vec<_>>()
        })
        .collect();
    let mut captures = Vec::new();
    for step in steps {
        let id = step.doc.id.as_ref().map(|(id, _)| id);
        for (capture, span) in &step.captures {
            let mut captured = Taken {
                what: Captured {
                    path: capture.path.clone(),
                    step: id.cloned(),
                },
                span: *span,
                maybe: step.doc.when.is_some(),
                is_used: step.action() != Some(Action::Collect),
            };
            captured.is_used |= read
                .iter()
                .any(|path| path.is_empty() || captured.what.may_touch(path));
            captures.push(captured);
        }
    }
    let named = steps.iter().filter_map(|step| {
        let template = super::super::inputs::get(step.doc, "ruleset")?
            .template
            .as_ref()?;
        template.literal()?.as_str().map(str::to_owned)
    });
    let hands_over = |step: &DraftedStep<'_>| {
        step.action() == Some(Action::Report(ReportClass::SubmissionReport))
    };
    Some(Evidence {
        captures,
        rulesets: named.collect(),
        is_handed_over: steps.iter().any(hands_over),
    })
}

impl Place<'_, '_> {
    /// Holds what each job captures against the rubrics that judge it.
    pub(in super::super) fn lint_evidence(&self, lifecycle: Option<&LifecycleDoc>) {
        let phases = lifecycle.into_iter().flat_map(|it| &it.phases);
        let references: Vec<_> = phases.flat_map(|phase| &phase.jobs).collect();
        // Later jobs may judge what earlier ones captured, as may those of a lifecycle that cannot be read.
        let judged_later = lifecycle.is_none()
            || references.iter().any(|it| {
                let name = split_version(&it.definition.value).map(|(name, _)| name);
                name.and_then(BuiltIn::named) == Some(BuiltIn::GradeItem)
            });
        for (name, drafted) in &self.jobs {
            let Some(evidence) = drafted.as_ref().and_then(|it| it.evidence.as_ref()) else {
                continue;
            };
            let of_phases = references.iter().filter(|it| {
                split_version(&it.definition.value).is_some_and(|(job, _)| job == name)
            });
            let of_phases = of_phases.filter_map(|it| it.rubric.as_ref());
            let mut rubrics = evidence.rulesets.clone();
            rubrics.extend(of_phases.map(|it| it.value.clone()));
            let rubrics: Option<Vec<&RubricDoc>> = rubrics
                .iter()
                .map(|it| self.tree.rubrics.get(it)?.as_ref())
                .collect();
            let Some(rubrics) = rubrics.filter(|it| !it.is_empty()) else {
                continue;
            };
            if !judged_later && !evidence.is_handed_over {
                self.unjudged(evidence, &rubrics, name);
            }
            self.maybe_sources(evidence, &rubrics);
        }
    }

    fn unjudged(&self, evidence: &Evidence, rubrics: &[&RubricDoc], job: &str) {
        let mut sources = rubrics.iter().flat_map(|it| &it.sources);
        let is_captured = |source: &Spanned<Vec<String>>| {
            let mut captures = evidence.captures.iter();
            captures.any(|it| it.what.may_touch(&source.value))
        };
        // One that is not is reported, and may be what was meant.
        if !sources.all(is_captured) {
            return;
        }
        for captured in evidence.captures.iter().filter(|it| !it.is_used) {
            let mut sources = rubrics.iter().flat_map(|it| &it.sources);
            if !sources.any(|source| captured.what.may_touch(&source.value)) {
                let path = captured.what.path.to_string();
                let found = lints::unjudged_evidence(captured.span, &path, job);
                self.sink.push(found);
            }
        }
    }

    fn maybe_sources(&self, evidence: &Evidence, rubrics: &[&RubricDoc]) {
        for source in rubrics.iter().flat_map(|it| &it.sources) {
            let captures = evidence.captures.iter();
            let captures: Vec<&Taken> = captures
                .filter(|it| it.what.may_touch(&source.value))
                .collect();
            let all_maybe = captures.iter().all(|it| it.maybe);
            if let Some(first) = captures.first().filter(|_| all_maybe) {
                let name = source.value.join(".");
                let found = lints::maybe_source(source.span, &name, first.span);
                self.sink.push(found);
            }
        }
    }
}
