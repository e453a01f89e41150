//! A list of steps as written: of a job, without what a phase adds, or of a composite.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::captured::Captured;
use super::inputs::get;
use super::lint::{self, Evidence};
use super::lower;
use super::place::Place;
use super::written::Writes;
use crate::catalog::{Action, Primitive};
use crate::checked::{Capture, CapturePath, Job, Rubric, Step, Uses};
use crate::diagnostic::codes::{composites, grading, names};
use crate::document::{CaptureDoc, CompositeDoc, JobDoc, ParameterDoc, RubricDoc, StepDoc};
use crate::source::{Span, Spanned};

/// A checked job definition.
pub(super) struct Drafted {
    /// `None` if something in it is wrong.
    pub(super) job: Option<Job>,
    pub(super) version: String,
    /// Steps that take the phase's rubric: index and place.
    pub(super) open_rules: Vec<(usize, Span)>,
    /// Every path that its steps capture; `None` if a step may capture more than could be read.
    pub(super) captured: Option<Vec<Captured>>,
    pub(super) evidence: Option<Evidence>,
}

/// A step with what is known of it, whether or not all of it is right.
pub(super) struct DraftedStep<'d> {
    pub(super) doc: &'d StepDoc,
    pub(super) uses: Option<Uses>,
    pub(super) captures: Vec<(Capture, Span)>,
    pub(super) rubric: Option<Arc<Rubric>>,
}

/// Whose steps they are.
#[derive(Clone, Copy)]
pub(super) enum Within<'d> {
    Job,
    Composite(&'d CompositeDoc),
}

impl<'d> Within<'d> {
    /// What expressions may read of `parameters`.
    fn parameters(self) -> Option<&'d [ParameterDoc]> {
        match self {
            Self::Job => None,
            Self::Composite(doc) => Some(&doc.parameters),
        }
    }
}

impl DraftedStep<'_> {
    pub(super) fn action(&self) -> Option<Action> {
        self.uses.as_ref().and_then(Uses::action)
    }

    /// What it captures if its captures are the wrong way round: where it is not known what outputs
    /// there are, that cannot be told.
    pub(super) fn perhaps_captured(&self) -> Vec<(CapturePath, Span)> {
        if self.uses.is_some() {
            return Vec::new();
        }
        let var = self.doc.for_each.as_ref();
        let var = var.map(|it| it.var.value.as_str());
        let keys = self.doc.capture.iter().map(|it| &it.key);
        keys.filter_map(|key| Some((CapturePath::parse(&key.value, var)?, key.span)))
            .collect()
    }
}

impl Place<'_, '_> {
    pub(super) fn draft(&self, doc: &JobDoc) -> Drafted {
        let steps = self.draft_steps(&doc.steps, Within::Job);
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
        let evidence = lint::evidence(&steps);
        let pointer = format!("{}/jobs/{}", self.pointer(), doc.name);
        let lowered: Option<Vec<Arc<Step>>> = steps
            .into_iter()
            .enumerate()
            .map(|(at, step)| lower::step(step, &pointer, at))
            .collect();
        Drafted {
            job: lowered.map(|steps| Job {
                name: doc.name.clone(),
                version: doc.version.clone(),
                part: self.part,
                takes_over: false,
                process_type: doc.process_type,
                execution: doc.execution,
                steps,
                report: None,
                span: doc.span,
            }),
            version: doc.version.clone(),
            open_rules,
            captured,
            evidence,
        }
    }

    pub(super) fn draft_steps<'d>(
        &self,
        docs: &'d [StepDoc],
        within: Within<'_>,
    ) -> Vec<DraftedStep<'d>> {
        let steps: Vec<DraftedStep<'_>> = docs
            .iter()
            .map(|step| self.draft_step(step, within))
            .collect();
        self.duplicate_ids(&steps);
        let written = Writes::of(&steps);
        self.flow(&steps, &written);
        self.lint_steps(&steps, &written, within);
        steps
    }

    fn draft_step<'d>(&self, doc: &'d StepDoc, within: Within<'_>) -> DraftedStep<'d> {
        let uses = doc.uses.as_ref().and_then(|uses| self.uses(uses));
        let mut captures = Vec::new();
        if let (Some(uses), Some(head)) = (&uses, doc.head) {
            let at = doc.uses.as_ref().map_or(head, |uses| uses.span);
            let may_inherit = matches!(within, Within::Composite(_));
            self.target(doc, uses, at, may_inherit);
            match uses {
                Uses::Primitive(primitive) => self.inputs(doc, primitive, at),
                Uses::Composite(composite) => self.arguments(doc, uses, composite, at),
            }
            self.loops(doc, uses);
            captures = self.captures(doc, uses);
        } else {
            // What it captures is still captured, as far as other steps are concerned.
            let var = doc.for_each.as_ref().map(|it| it.var.value.as_str());
            let as_written = |pair| as_written(pair, var);
            captures.extend(doc.capture.iter().filter_map(as_written));
        }
        let list = doc.for_each.as_ref().map(|it| &it.list);
        for input in doc.inputs().chain(list) {
            if let Some(template) = &input.template {
                self.facts(&input.node, template);
            }
        }
        self.reads_parameters(doc, within.parameters());
        let primitive = uses.as_ref().and_then(Uses::primitive);
        let rubric = self.named_ruleset(doc, primitive);
        DraftedStep {
            doc,
            uses,
            captures,
            rubric,
        }
    }

    /// A report tells of the whole job: it is made once.
    fn loops(&self, doc: &StepDoc, uses: &Uses) {
        if let (Some(each), Some(Action::Report(_))) = (&doc.for_each, uses.action()) {
            self.sink.push(composites::report_inside(each.span));
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
            let at = input.node.span;
            let found = names::wrong_input(at, field.name, field.kind, "an expression");
            self.sink.push(found);
            return None;
        };
        let name = Spanned::new(literal.as_str()?.to_owned(), input.node.span);
        self.rubric(&name).map(|doc| Arc::clone(&doc.rubric))
    }

    fn ruleset(&self, doc: &StepDoc) -> Option<&RubricDoc> {
        let literal = get(doc, "ruleset")?.template.as_ref()?.literal()?;
        self.tree.rubrics.get(literal.as_str()?)?.as_ref()
    }

    /// A rubric by name; an unknown one is reported.
    pub(super) fn rubric(&self, name: &Spanned<String>) -> Option<&RubricDoc> {
        let Some(doc) = self.tree.rubrics.get(&name.value) else {
            let known: Vec<&str> = self.tree.rubrics.keys().map(String::as_str).collect();
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
        captured: Option<&[Captured]>,
    ) {
        let Some(captured) = captured else {
            return;
        };
        let is_captured = |source: &[String]| captured.iter().any(|it| it.may_touch(source));
        for source in rubric.sources.iter().filter(|it| !is_captured(&it.value)) {
            let found = match source.value.as_slice() {
                [first, rest @ ..] if first == "vars" && !rest.is_empty() && is_captured(rest) => {
                    grading::source_below_vars(source)
                }
                _ => {
                    let known: Vec<String> = captured.iter().flat_map(Captured::names).collect();
                    grading::uncaptured_source(source, job, step, &known)
                }
            };
            self.sink.push(found);
        }
    }
}

fn as_written(pair: &CaptureDoc, var: Option<&str>) -> Option<(Capture, Span)> {
    let path = CapturePath::parse(&pair.value.value, var)?;
    let output = pair.key.value.clone();
    Some((Capture { output, path }, pair.value.span))
}

/// Whether a step judges by the rubric that the phase names.
fn takes_rubric(step: &DraftedStep<'_>) -> bool {
    let evaluates = step.action() == Some(Action::EvaluateRegex);
    let complete = get(step.doc, "source").is_some() && get(step.doc, "regex").is_some();
    evaluates && get(step.doc, "ruleset").is_none() && !complete
}

/// Everything that the steps capture.
fn captured(steps: &[DraftedStep<'_>]) -> Vec<Captured> {
    let mut all = Vec::new();
    for step in steps {
        let known = step.captures.iter().map(|(it, _)| it.path.clone());
        let perhaps = step.perhaps_captured().into_iter().map(|(path, _)| path);
        let id = step.doc.id.as_ref().map(|(id, _)| id);
        all.extend(known.chain(perhaps).map(|path| Captured {
            path,
            step: id.cloned(),
        }));
    }
    all.shrink_to_fit();
    all
}
