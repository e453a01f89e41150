//! Steps as the engine runs them.

use std::sync::Arc;

use indexmap::IndexMap;

use super::job::DraftedStep;
use crate::checked::{ForEach, Rubric, Step, StepId};
use crate::document::{ForEachDoc, Input, StepDoc};
use crate::expr::{Reads, Root, Template};

/// The step as the engine runs it; `None` if something it needs is missing.
pub(super) fn step(step: DraftedStep<'_>, pointer: &str, at: usize) -> Option<Arc<Step>> {
    let doc = step.doc;
    let mut reads = reads_of(doc)?;
    if let Some(rubric) = &step.rubric {
        read_sources(&mut reads, rubric);
    }
    let template = |input: &Input| input.template.clone();
    let mut with = IndexMap::with_capacity(doc.with.len());
    for input in &doc.with {
        with.insert(input.key.clone(), template(input)?);
    }
    let needs = doc.needs.as_ref().map(|needs| {
        let ids = needs.iter().map(|need| StepId::parse(&need.value));
        ids.collect::<Option<Vec<_>>>()
    });
    let for_each = doc.for_each.as_deref().map(loop_of);
    let mut capture = Vec::with_capacity(step.captures.len());
    capture.extend(step.captures.into_iter().map(|(capture, _)| capture));
    let uses = step.uses?;
    Some(Arc::new(Step {
        id: doc.id.clone()?.0,
        stage: doc.stage.unwrap_or_else(|| uses.stage()),
        uses,
        target: doc.target.as_deref().and_then(template),
        with,
        for_each: match for_each {
            Some(each) => Some(Box::new(each?)),
            None => None,
        },
        capture,
        when: doc.when.as_deref().and_then(template),
        on_error: doc.on_error.clone(),
        timeout: doc.timeout,
        needs: match needs {
            Some(needs) => Some(needs?),
            None => None,
        },
        rubric: step.rubric,
        reads,
        span: doc.span?,
        pointer: format!("{pointer}/steps/{at}"),
    }))
}

fn loop_of(doc: &ForEachDoc) -> Option<ForEach> {
    Some(ForEach {
        var: doc.var.value.clone(),
        list: doc.list.template.clone()?,
        stop_on_fail: doc.stop_on_fail,
        concurrent: doc.concurrent,
    })
}

/// What a step reads, without what its loop binds; `None` if an expression does not compile.
fn reads_of(doc: &StepDoc) -> Option<Reads> {
    let mut reads = Reads::new();
    for input in doc.inputs() {
        let own = input.template.as_ref()?.reads();
        own.iter()
            .filter(|(root, path)| !is_bound(doc, *root, path))
            .for_each(|(root, path)| reads.add(root, path.to_vec()));
    }
    if let Some(each) = &doc.for_each {
        reads.extend(&each.list.template.as_ref()?.reads());
    }
    Some(reads)
}

/// Whether a path is what the step's loop binds: the element, or its place.
pub(super) fn is_bound(doc: &StepDoc, root: Root, path: &[String]) -> bool {
    let Some(var) = doc.for_each.as_ref().map(|it| it.var.value.as_str()) else {
        return false;
    };
    let first = path.first().map(String::as_str);
    let is_index = |name: &str| name.strip_suffix("_index") == Some(var);
    root == Root::Vars && first.is_some_and(|it| it == var || is_index(it))
}

pub(super) fn read_sources(reads: &mut Reads, rubric: &Rubric) {
    for check in rubric.items.iter().flat_map(|item| &item.checks) {
        reads.add(Root::Vars, check.source.clone());
    }
}

/// What a template reads below `vars` that its step's loop does not bind.
pub(super) fn free_vars(doc: &StepDoc, template: &Template) -> Vec<Vec<String>> {
    let reads = template.reads();
    let vars = reads.vars().filter(|path| !is_bound(doc, Root::Vars, path));
    vars.map(<[String]>::to_vec).collect()
}
