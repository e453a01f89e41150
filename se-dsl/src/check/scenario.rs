//! `ScenarioDefinition`: short for a list of `collect@v1` steps.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::built_in::{builtin, slug, unused};
use super::place::Place;
use crate::checked::{Capture, CapturePath, Execution, Job, Step, StepId};
use crate::diagnostic::Severity;
use crate::diagnostic::codes::document;
use crate::document::CollectDoc;
use crate::expr::Template;
use crate::source::Span;

/// The job that collects what a scenario names; `None` if something in it is wrong.
pub(super) fn job(place: &Place<'_, '_>, name: &str, span: Span) -> Option<Job> {
    let doc = place.tree.scenarios.get(name)?.as_ref()?;
    if doc.is_legacy() {
        let help = "write it as a ScenarioDefinition with `collect`";
        let what = "a scenario of the legacy dialect";
        let found = document::not_supported(span, what, Severity::Error, help);
        place
            .sink
            .push(found.related(Span::file(doc.span.file), "the scenario"));
        return None;
    }
    let mut taken = BTreeSet::new();
    let mut steps = Vec::new();
    for (at, item) in doc.collect.iter().enumerate() {
        place.names_connector(&item.device);
        place.facts(&item.command.node, item.command.template.as_ref()?);
        let id = unused(&slug(&item.as_path.value), |id| taken.contains(id));
        let mut step = step(item, &id)?;
        step.pointer = format!("{}/scenarios/{name}/collect/{at}", place.pointer());
        steps.push(Arc::new(step));
        taken.insert(id);
    }
    Some(Job {
        name: "collect_evidence".to_owned(),
        version: "v1".to_owned(),
        part: place.part,
        takes_over: false,
        process_type: None,
        execution: Execution::Dag,
        steps,
        report: None,
        span,
    })
}

fn step(item: &CollectDoc, id: &str) -> Option<Step> {
    let target = Template::Literal(Value::from(item.device.value.clone()));
    let with = [("command".to_owned(), item.command.template.clone()?)];
    let id = StepId::parse(id)?;
    let with = with.into_iter().collect();
    let step = Step::of_primitive(builtin("collect"), id, Some(target), with, item.span);
    let capture = Capture {
        output: "output".to_owned(),
        path: CapturePath::parse(&item.as_path.value, None)?,
    };
    Some(Step {
        capture: vec![capture],
        ..step
    })
}
