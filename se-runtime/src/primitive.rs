//! The primitives that stay inside the engine: functions of the state, made at once or piece by piece.

use std::task::Poll;

use se_dsl::catalog::Action;
use se_dsl::checked::Capture;
use se_dsl::expr::Root;
use serde_json::{Value, json};

use crate::event::Map;
use crate::fault::{Fault, FaultKind};
use crate::grade::{self, Evidence, GradedItem, Grading};
use crate::plan::StepIndex;
use crate::report;
use crate::secret::Vault;
use crate::state::{State, StepStatus};

/// An attempt of a pure step that is half made: which, and what there is of it.
#[derive(Debug, Default)]
pub struct Half(Option<(StepIndex, u32, Grading)>);

impl Half {
    /// What there is of this attempt; of another one it is of no use any more.
    fn take(&mut self, index: StepIndex, attempt: u32) -> Grading {
        let own = |(of, at, grading)| ((of, at) == (index, attempt)).then_some(grading);
        self.0.take().and_then(own).unwrap_or_default()
    }
}

/// Makes the present attempt of a pure step; it is pending where `goes_on` says no in the middle of it, and goes on
/// with what `half` holds.
pub(crate) fn run(
    (state, vault): (&State, &Vault),
    index: StepIndex,
    half: &mut Half,
    goes_on: &mut dyn FnMut() -> bool,
) -> Poll<Result<Map, Fault>> {
    let step = state.node(index).step();
    Poll::Ready(match (step.uses.action(), &step.rubric) {
        (Some(Action::EvaluateRegex), Some(rubric)) => {
            let evidence = |path: &[String]| evidence(state, index, path);
            let attempt = state.step(index).attempt;
            let mut grading = half.take(index, attempt);
            while grading.goes_on(rubric, &evidence, vault) {
                if !goes_on() {
                    *half = Half(Some((index, attempt, grading)));
                    return Poll::Pending;
                }
            }
            graded(&grading.items)
        }
        (Some(Action::EvaluateRegex), None) => grade::regex(&state.step(index).inputs),
        (Some(Action::Report(class)), _) => {
            report::accept(class, &state.step(index).inputs).map(|()| {
                let key = state.key(index);
                object(json!({"report_ref": format!("{}:{key}", state.accepted().job_id)}))
            })
        }
        (action, _) => {
            let detail = format!("{action:?} is not made inside the engine");
            Err(Fault::new(FaultKind::Validation, detail))
        }
    })
}

/// What a rubric comes to.
fn graded(items: &[GradedItem]) -> Result<Map, Fault> {
    let passed = items.iter().all(|item| item.passed);
    let issues = items.iter().flat_map(|item| &item.issues);
    let issues: Vec<&str> = issues.map(String::as_str).collect();
    let issue = (!issues.is_empty()).then(|| issues.join("; "));
    let items = serde_json::to_value(items)
        .map_err(|error| Fault::new(FaultKind::Validation, format!("graded items: {error}")))?;
    Ok(object(
        json!({"passed": passed, "issue": issue, "items": items}),
    ))
}

/// What was collected under a path below the `vars` that a step sees.
fn evidence(state: &State, judge: StepIndex, path: &[String]) -> Evidence {
    match state.scopes_beside(judge).at(Root::Vars, path) {
        Value::Null => missing(state, judge, path),
        Value::String(text) => Evidence::Text(text),
        other => Evidence::Text(other.to_string()),
    }
}

/// Why nothing was: the step that should have failed, or there is none, or it was skipped. The element of
/// a loop that failed says more than the loop.
fn missing(state: &State, judge: StepIndex, path: &[String]) -> Evidence {
    // A capture is read by its alias, or below the name of its step.
    let reads = |index: StepIndex, fits: &dyn Fn(&Capture, &[String]) -> bool| {
        let step = state.node(index).step();
        let own = path.split_first();
        let own = own.filter(|(first, _)| *first == step.id.as_str());
        let mut captures = step.capture.iter();
        captures.any(|it| fits(it, path) || own.is_some_and(|(_, rest)| fits(it, rest)))
    };
    let beside = |index: &StepIndex| state.is_beside(*index, judge);
    let all: Vec<StepIndex> = state.all().into_iter().filter(beside).collect();
    let element = all.iter().copied().find(|index| {
        let at = |it: &Capture| state.captured_at(*index, it);
        let fits = |it: &Capture, path: &[String]| path.iter().zip(&at(it)).all(|(a, b)| a == b);
        state.is_element(*index)
            && state.step(*index).status == StepStatus::Faulted
            && reads(*index, &fits)
    });
    let fits = |it: &Capture, path: &[String]| it.path.may_touch(path);
    let step = || {
        let continued = |it: &StepIndex| state.step(*it).status == StepStatus::Continued;
        let mut continued = all.iter().copied().filter(continued);
        continued.find(|it| reads(*it, &fits))
    };
    let Some(failed) = element.or_else(step) else {
        return Evidence::Absent;
    };
    let error = state.step(failed).error.as_ref();
    Evidence::NotCollected {
        step: state.key(failed).to_owned(),
        detail: error.map_or_else(String::new, |it| it.detail.clone()),
    }
}

fn object(value: Value) -> Map {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
