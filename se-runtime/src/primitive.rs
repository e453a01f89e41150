//! The primitives that stay inside the engine: functions of the state, made at once.

use se_dsl::catalog::Action;
use se_dsl::checked::Capture;
use se_dsl::expr::Root;
use serde_json::{Value, json};

use crate::event::Map;
use crate::fault::{Fault, FaultKind};
use crate::grade::hiding::quote_whole_secrets;
use crate::grade::{self, Evidence};
use crate::plan::{Plan, StepIndex};
use crate::report;
use crate::secret::Vault;
use crate::state::{State, StepStatus};

/// Makes the present attempt of a pure step.
pub(crate) fn run(
    plan: &Plan,
    state: &State,
    vault: &Vault,
    index: StepIndex,
) -> Result<Map, Fault> {
    let step = plan.node(index).step();
    match (step.uses.action, &step.rubric) {
        (Action::EvaluateRegex, Some(rubric)) => {
            let evidence = |path: &[String]| evidence(plan, state, path);
            let mut items = grade::rubric(rubric, &evidence);
            quote_whole_secrets(&mut items, &evidence, vault);
            let passed = items.iter().all(|item| item.passed);
            let issues: Vec<&str> = items
                .iter()
                .flat_map(|item| &item.issues)
                .map(String::as_str)
                .collect();
            let items = serde_json::to_value(&items).map_err(|error| {
                Fault::new(FaultKind::Validation, format!("graded items: {error}"))
            })?;
            let issue = (!issues.is_empty()).then(|| issues.join("; "));
            Ok(object(
                json!({"passed": passed, "issue": issue, "items": items}),
            ))
        }
        (Action::EvaluateRegex, None) => grade::regex(&state.step(index).inputs),
        (Action::Report(class), _) => {
            report::accept(class, &state.step(index).inputs)?;
            let key = &plan.node(index).key;
            Ok(object(
                json!({"report_ref": format!("{}:{key}", state.accepted().job_id)}),
            ))
        }
        (action, _) => {
            let detail = format!("{action:?} is not made inside the engine");
            Err(Fault::new(FaultKind::Validation, detail))
        }
    }
}

/// What was collected under a path below `vars`.
pub(crate) fn evidence(plan: &Plan, state: &State, path: &[String]) -> Evidence {
    match state.scopes().at(Root::Vars, path) {
        Value::Null => missing(plan, state, path),
        Value::String(text) => Evidence::Text(text),
        other => Evidence::Text(other.to_string()),
    }
}

/// Why nothing was: the step that should have failed, or there is none, or it was skipped.
fn missing(plan: &Plan, state: &State, path: &[String]) -> Evidence {
    let captures = |index: StepIndex| {
        let step = plan.node(index).step();
        // A capture is read by its alias, or below the name of its step.
        let own = path.split_first();
        let own = own.filter(|(first, _)| *first == step.id.as_str());
        let reads =
            |path: &[String], it: &Capture| path.starts_with(&it.path) || it.path.starts_with(path);
        let mut captures = step.capture.iter();
        captures.any(|it| reads(path, it) || own.is_some_and(|(_, rest)| reads(rest, it)))
    };
    let failed = plan
        .steps()
        .filter(|(index, _)| state.step(*index).status == StepStatus::Continued)
        .find(|(index, _)| captures(*index));
    match failed {
        Some((index, node)) => {
            let error = state.step(index).error.as_ref();
            let detail = error.map_or_else(String::new, |it| it.detail.clone());
            Evidence::NotCollected {
                step: node.key.clone(),
                detail,
            }
        }
        None => Evidence::Absent,
    }
}

fn object(value: Value) -> Map {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
