//! Judging, and what is made of what was judged.

use se_dsl::checked::Rubric;
use se_runtime::FaultKind;
use se_runtime::event::Map;
use se_runtime::grade::{self, Evidence, GradedItem};
use serde_json::{Value, json};

use super::super::expected::meet;
use super::{At, Frame, Reference};
use crate::generated::model::{ELEMENT, Step, Uses, name_of};

/// What went wrong among the steps that share their variables.
#[derive(Clone, Debug, Default)]
pub(super) struct Past<'p> {
    /// Steps that failed while the job went on.
    pub(super) failed: Vec<&'p Step>,
    /// Elements of loops that failed.
    pub(super) elements: Vec<(&'p Step, Value)>,
}

impl Past<'_> {
    /// What should have captured a path, and failed.
    fn failed_to_capture(&self, path: &[String]) -> bool {
        let captures = |step: &Step, name: Option<String>| {
            let own = path.split_first().filter(|(first, _)| **first == step.id);
            let of = |it: &Vec<String>| -> Vec<String> {
                let names = it.iter().map(|it| match &name {
                    Some(name) if it == ELEMENT => name,
                    _ => it,
                });
                names.cloned().collect()
            };
            let mut paths = step.capture.iter().map(|it| of(&it.path));
            paths.any(|it| meet(&it, path) || own.is_some_and(|(_, rest)| meet(&it, rest)))
        };
        let mut elements = self.elements.iter();
        let mut steps = self.failed.iter();
        elements.any(|(step, element)| captures(step, Some(name_of(element))))
            || steps.any(|step| captures(step, None))
    }
}

impl Reference<'_> {
    /// The items of a rubric, judged.
    pub(super) fn judged(&self, at: At<'_>, frame: &Frame<'_>) -> Map {
        let rubric = self.rubric(at);
        let evidence = |path: &[String]| {
            let found = path
                .iter()
                .try_fold(&frame.scopes.vars, |it, key| it.get(key));
            match found.unwrap_or(&Value::Null) {
                Value::Null if frame.past.failed_to_capture(path) => Evidence::NotCollected {
                    step: String::new(),
                    detail: String::new(),
                },
                Value::Null => Evidence::Absent,
                Value::String(text) => Evidence::Text(text.clone()),
                other => Evidence::Text(other.to_string()),
            }
        };
        let items = grade::rubric(rubric, &evidence);
        let passed = items.iter().all(|it| it.passed);
        let output = json!({"passed": passed, "items": items});
        output.as_object().cloned().unwrap_or_default()
    }

    /// The rubric as it was checked.
    fn rubric(&self, at: At<'_>) -> &Rubric {
        let name = match &at.step.uses {
            Uses::Judge(Some(name)) => Some(name),
            _ => at.of.given.as_ref().map(|it| &it.name),
        };
        let name = name.expect("a step that judges has a rubric");
        let own = self.checked.content(at.of.part);
        let shared = self.checked.content(None);
        let mut found = [own, shared]
            .into_iter()
            .filter_map(|it| it.rubrics.get(name));
        found.next().expect("the rubric is in the package")
    }
}

/// What a report step gives, if what it was given can be reported.
pub(super) fn report(key: &str, inputs: &Map) -> Result<Map, FaultKind> {
    let items = inputs.get("items").cloned();
    let items = items.map(serde_json::from_value::<Vec<GradedItem>>);
    items.transpose().map_err(|_| FaultKind::Validation)?;
    let output = json!({"report_ref": format!("job-1:{key}")});
    Ok(output.as_object().cloned().unwrap_or_default())
}
