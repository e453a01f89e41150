//! A job definition as written, without what a phase adds.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Package;
use super::inputs::get;
use crate::catalog::{Action, Primitive};
use crate::checked::{Capture, Job, Rubric, Step};
use crate::diagnostic::codes::{grading, names};
use crate::document::{CaptureDoc, JobDoc, RubricDoc, StepDoc};
use crate::expr::{Reads, Root};
use crate::source::{Span, Spanned};

/// A checked job definition.
pub(super) struct Drafted {
    /// `None` if something in it is wrong.
    pub(super) job: Option<Job>,
    pub(super) version: String,
    /// Steps that take the phase's rubric: index and place.
    pub(super) open_rules: Vec<(usize, Span)>,
    /// Every path that its steps capture; `None` if a step may capture more than could be read.
    pub(super) captured: Option<Vec<Vec<String>>>,
}

/// A step with what is known of it, whether or not all of it is right.
pub(super) struct DraftedStep<'d> {
    pub(super) doc: &'d StepDoc,
    pub(super) primitive: Option<&'static Primitive>,
    pub(super) captures: Vec<(Capture, Span)>,
    pub(super) rubric: Option<Arc<Rubric>>,
}

impl Package<'_, '_> {
    pub(super) fn draft(&self, doc: &JobDoc) -> Drafted {
        let steps: Vec<DraftedStep<'_>> =
            doc.steps.iter().map(|step| self.draft_step(step)).collect();
        self.duplicate_ids(&steps);
        self.flow(&steps);
        let open_rules: Vec<(usize, Span)> = steps
            .iter()
            .enumerate()
            .filter(|(_, step)| takes_rubric(step))
            .filter_map(|(at, step)| Some((at, step.doc.head?)))
            .collect();
        let all_known = steps.iter().all(|step| step.doc.all_known);
        let captured = all_known.then(|| captured(&steps));
        for step in &steps {
            if let Some(rubric) = self.ruleset(step.doc) {
                let head = step.doc.head.unwrap_or(doc.span);
                self.sources(rubric, &doc.name, head, captured.as_deref());
            }
        }
        let lowered: Option<Vec<Step>> = steps
            .into_iter()
            .enumerate()
            .map(|(at, step)| lower(step, &doc.name, at))
            .collect();
        Drafted {
            job: lowered.map(|steps| Job {
                name: doc.name.clone(),
                version: doc.version.clone(),
                process_type: doc.process_type,
                execution: doc.execution,
                steps,
                report: None,
                span: doc.span,
            }),
            version: doc.version.clone(),
            open_rules,
            captured,
        }
    }

    fn draft_step<'d>(&self, doc: &'d StepDoc) -> DraftedStep<'d> {
        let primitive = doc.uses.as_ref().and_then(|uses| self.uses(uses));
        let mut captures = Vec::new();
        if let (Some(primitive), Some(head)) = (primitive, doc.head) {
            let at = doc.uses.as_ref().map_or(head, |uses| uses.span);
            self.target(doc, primitive, at);
            self.inputs(doc, primitive, at);
            captures = self.captures(doc, primitive);
        } else {
            // What it captures is still captured, as far as other steps are concerned.
            captures.extend(doc.capture.iter().map(as_written));
        }
        for input in doc.with.iter().chain(&doc.when).chain(&doc.target) {
            if let Some(template) = &input.template {
                self.facts(&input.node, template);
            }
        }
        let rubric = self.named_ruleset(doc, primitive);
        DraftedStep {
            doc,
            primitive,
            captures,
            rubric,
        }
    }

    fn duplicate_ids(&self, steps: &[DraftedStep<'_>]) {
        let mut first = BTreeMap::new();
        for (id, span) in steps.iter().filter_map(|step| step.doc.id.as_ref()) {
            if let Some(first) = first.get(id) {
                let name = Spanned::new(id.to_string(), *span);
                self.sink.push(names::duplicate("step", &name, *first));
            } else {
                first.insert(id, *span);
            }
        }
    }

    /// The rubric that `ruleset` names; an unknown one is reported.
    fn named_ruleset(
        &self,
        doc: &StepDoc,
        primitive: Option<&'static Primitive>,
    ) -> Option<Arc<Rubric>> {
        if primitive?.action != Action::EvaluateRegex {
            return None;
        }
        let input = get(doc, "ruleset")?;
        let template = input.template.as_ref()?;
        let Some(literal) = template.literal() else {
            let field = primitive?.input("ruleset")?;
            let found = names::wrong_input(input.node.span, field, "an expression");
            self.sink.push(found);
            return None;
        };
        let name = Spanned::new(literal.as_str()?.to_owned(), input.node.span);
        self.rubric(&name).map(|doc| Arc::clone(&doc.rubric))
    }

    fn ruleset(&self, doc: &StepDoc) -> Option<&RubricDoc> {
        let literal = get(doc, "ruleset")?.template.as_ref()?.literal()?;
        self.documents.rubrics.get(literal.as_str()?)?.as_ref()
    }

    /// A rubric by name; an unknown one is reported.
    pub(super) fn rubric(&self, name: &Spanned<String>) -> Option<&RubricDoc> {
        let Some(doc) = self.documents.rubrics.get(&name.value) else {
            let known: Vec<&str> = self.documents.rubrics.keys().map(String::as_str).collect();
            self.sink.push(names::unknown_rubric(name, &known));
            return None;
        };
        doc.as_ref()
    }

    /// Every source of a rubric is captured by the job that uses it.
    pub(super) fn sources(
        &self,
        rubric: &RubricDoc,
        job: &str,
        step: Span,
        captured: Option<&[Vec<String>]>,
    ) {
        let Some(captured) = captured else {
            return;
        };
        for source in &rubric.sources {
            let is_captured = captured
                .iter()
                .any(|path| path.iter().zip(&source.value).all(|(a, b)| a == b));
            if !is_captured {
                let known: Vec<String> = captured.iter().map(|path| path.join(".")).collect();
                let found = grading::uncaptured_source(source, job, step, &known);
                self.sink.push(found);
            }
        }
    }
}

fn as_written(pair: &CaptureDoc) -> (Capture, Span) {
    let path = pair.value.value.split('.').map(str::to_owned).collect();
    let output = pair.key.value.clone();
    (Capture { output, path }, pair.value.span)
}

/// Whether a step judges by the rubric that the phase names.
fn takes_rubric(step: &DraftedStep<'_>) -> bool {
    let evaluates = step
        .primitive
        .is_some_and(|it| it.action == Action::EvaluateRegex);
    let complete = get(step.doc, "source").is_some() && get(step.doc, "regex").is_some();
    evaluates && get(step.doc, "ruleset").is_none() && !complete
}

/// Every path below `vars` that the steps write: `path` and `step.path`.
fn captured(steps: &[DraftedStep<'_>]) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for step in steps {
        for (capture, _) in &step.captures {
            paths.push(capture.path.clone());
            if let Some((id, _)) = &step.doc.id {
                let mut path = vec![id.to_string()];
                path.extend(capture.path.iter().cloned());
                paths.push(path);
            }
        }
    }
    paths
}

/// The step as the engine runs it; `None` if something it needs is missing.
fn lower(step: DraftedStep<'_>, job: &str, at: usize) -> Option<Step> {
    let doc = step.doc;
    let mut reads = Reads::new();
    for input in doc.with.iter().chain(&doc.when).chain(&doc.target) {
        reads.extend(&input.template.as_ref()?.reads());
    }
    if let Some(rubric) = &step.rubric {
        read_sources(&mut reads, rubric);
    }
    let template = |input: &crate::document::Input| input.template.clone();
    let with = doc
        .with
        .iter()
        .map(|input| Some((input.key.clone(), template(input)?)));
    let needs = doc.needs.as_ref().map(|needs| {
        let ids = needs
            .iter()
            .map(|need| crate::checked::StepId::parse(&need.value));
        ids.collect::<Option<Vec<_>>>()
    });
    let uses = step.primitive?;
    Some(Step {
        id: doc.id.clone()?.0,
        uses,
        target: doc.target.as_ref().and_then(template),
        with: with.collect::<Option<_>>()?,
        capture: step
            .captures
            .into_iter()
            .map(|(capture, _)| capture)
            .collect(),
        when: doc.when.as_ref().and_then(template),
        on_error: doc.on_error.clone(),
        timeout: doc.timeout,
        stage: doc.stage.unwrap_or(uses.stage),
        needs: match needs {
            Some(needs) => Some(needs?),
            None => None,
        },
        rubric: step.rubric,
        reads,
        span: doc.span?,
        pointer: format!("/jobs/{job}/steps/{at}"),
    })
}

pub(super) fn read_sources(reads: &mut Reads, rubric: &Rubric) {
    for check in rubric.items.iter().flat_map(|item| &item.checks) {
        reads.add(Root::Vars, check.source.clone());
    }
}
