//! From a job's state to its reports.

use std::sync::Arc;

use se_dsl::Checked;
use se_dsl::catalog::{Action, Effect, Stage};
use se_dsl::checked::{GRADED, ProcessType, ReportClass, ReportSpec, Rubric};
use se_dsl::expr::Root;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    ArchiveReport, Change, ChangeReport, Check, Content, Done, Exhibit, Head, Part,
    ReadinessReport, Report, ScoreReport, Status, SubmissionReport,
};
use crate::event::Map;
use crate::fault::{Fault, FaultKind};
use crate::grade::GradedItem;
use crate::plan::{Node, Plan, StepIndex};
use crate::secret::{mask_text, mask_value};
use crate::state::{State, StepState, StepStatus};

/// The prefix of the built-in readiness job's steps that look for a connector's prompt.
const PROMPT: &str = "prompt_";

/// The reports of a job: one for each report step that has completed, in document order.
///
/// The state is that of the log as it is stored: its placeholders become `***` here. A log that was
/// opened with its vault would show its secrets.
#[must_use]
pub fn of(plan: &Plan, state: &State) -> Vec<Report> {
    plan.steps()
        .filter(|(index, _)| state.step(*index).status == StepStatus::Completed)
        .filter_map(|(index, node)| match node.step().uses.action() {
            Some(Action::Report(class)) => Some(Story::before(plan, state, index).tell(class)),
            _ => None,
        })
        .collect()
}

/// What the content wants shown of a report.
#[must_use]
pub fn spec<'a>(plan: &'a Plan, report: &Report) -> Option<&'a ReportSpec> {
    let head = report.head();
    let key = head
        .report_id
        .strip_prefix(&head.job_id)?
        .strip_prefix(':')?;
    let node = plan.node(plan.find(key)?);
    chosen(node, head.report_class)
}

fn chosen(node: &Node, class: ReportClass) -> Option<&ReportSpec> {
    let spec = node.job().report.as_deref();
    spec.filter(|it| it.report_class == class)
}

/// Looks whether a report can be made of these inputs.
///
/// # Errors
/// `validation`, if what is to be shown has not the shape that the report needs.
pub(crate) fn accept(class: ReportClass, inputs: &Map) -> Result<(), Fault> {
    let refused = match class {
        ReportClass::ScoreReport => given::<Vec<GradedItem>>(inputs, "items").err(),
        ReportClass::ReadinessReport | ReportClass::ChangeReport => {
            given::<Vec<Check>>(inputs, "checks").err()
        }
        ReportClass::SubmissionReport => given::<Vec<String>>(inputs, "evidence").err(),
        ReportClass::ArchiveReport => None,
    };
    refused.map_or(Ok(()), Err)
}

/// An input of the report step, where it has one.
fn given<T: for<'a> Deserialize<'a>>(inputs: &Map, name: &str) -> Result<Option<T>, Fault> {
    match inputs.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => T::deserialize(mask_value(value))
            .map(Some)
            .map_err(|error| {
                let detail = format!(
                    "`{name}` cannot be reported: {}",
                    mask_text(&error.to_string())
                );
                Fault::new(FaultKind::Validation, detail)
            }),
    }
}

/// What a report is about.
struct Story<'a> {
    package: &'a Checked,
    state: &'a State,
    node: &'a Node,
    inputs: &'a Map,
    steps: Vec<Told<'a>>,
}

/// A run of a step and what became of it.
#[derive(Clone, Copy)]
struct Told<'a> {
    all: &'a State,
    index: StepIndex,
    node: &'a Node,
    state: &'a StepState,
}

impl<'a> Story<'a> {
    /// The steps before a report step in its own job; where that job does nothing but report, all steps
    /// before it in the phase.
    fn before(plan: &'a Plan, state: &'a State, index: StepIndex) -> Self {
        let node = plan.node(index);
        let is_report =
            |it: &Told<'_>| matches!(it.node.step().uses.action(), Some(Action::Report(_)));
        let told = |it: StepIndex| Told {
            all: state,
            index: it,
            node: state.node(it),
            state: state.step(it),
        };
        let earlier = state.all().into_iter().take_while(|it| *it != index);
        let earlier: Vec<Told<'a>> = earlier.map(told).filter(|it| !is_report(it)).collect();
        let own: Vec<Told<'a>> = earlier
            .iter()
            .filter(|it| Arc::ptr_eq(it.node.job(), node.job()))
            .copied()
            .collect();
        Self {
            package: plan.package(),
            state,
            node,
            inputs: &state.step(index).inputs,
            steps: if own.is_empty() { earlier } else { own },
        }
    }

    /// Runs that are attempts, not groups of others.
    fn leaves(&self) -> impl Iterator<Item = &Told<'a>> {
        self.steps.iter().filter(|it| it.all.is_leaf(it.index))
    }

    fn tell(&self, class: ReportClass) -> Report {
        let head = self.head(class);
        match class {
            ReportClass::ScoreReport => Report::Score(self.score(head)),
            ReportClass::ReadinessReport => {
                Report::Readiness(ReadinessReport::new(head, self.readiness()))
            }
            ReportClass::ChangeReport => Report::Change(ChangeReport {
                head,
                changes: self.changes(),
                checks: self.given_checks().unwrap_or_else(|| self.evaluated()),
            }),
            ReportClass::SubmissionReport => {
                Report::Submission(SubmissionReport::new(head, self.evidence()))
            }
            ReportClass::ArchiveReport => Report::Archive(ArchiveReport {
                head,
                actions: self.actions(),
            }),
        }
    }

    fn head(&self, class: ReportClass) -> Head {
        let accepted = self.state.accepted();
        let (started_at, completed_at) = (self.state.started_at(), self.state.completed_at());
        let duration = started_at
            .zip(completed_at)
            .map(|(from, to)| to.since(from));
        let process = self.node.job().process_type;
        Head {
            report_id: format!("{}:{}", accepted.job_id, self.node.key),
            report_class: class,
            process_type: process.unwrap_or_else(|| process_of(class)),
            job_id: accepted.job_id.clone(),
            session_id: accepted.session_id.clone(),
            phase: accepted.phase.clone(),
            definition_id: accepted.definition_id.clone(),
            version: accepted.version.clone(),
            content_hash: accepted.content_hash.clone(),
            engine_version: accepted.engine_version.clone(),
            started_at,
            completed_at,
            duration_seconds: duration.map(|it| it.as_secs_f64()),
            status: Status::from(self.state.status()),
        }
    }

    fn score(&self, head: Head) -> ScoreReport {
        if let Some(parts) = self.graded_parts() {
            return by_part(head, parts);
        }
        let rubrics = self.rubrics();
        let domain = rubrics.last().and_then(|(rubric, _)| rubric.domain.clone());
        let spec = chosen(self.node, ReportClass::ScoreReport);
        if spec.is_some_and(|it| it.aggregate.is_some()) {
            let parts = rubrics.into_iter();
            let parts = parts.map(|(rubric, items)| Part::new(rubric.name.clone(), items));
            return ScoreReport::by_part(head, None, parts.collect());
        }
        let evaluated = || rubrics.last().map(|(_, items)| items.clone());
        let items = given(self.inputs, "items").ok().flatten();
        let items = items.or_else(evaluated);
        let nothing = items.is_none();
        let mut report = ScoreReport::new(head, domain, items.unwrap_or_default());
        if nothing {
            report.head.status = Status::Incomplete;
        }
        report
    }

    /// What was graded in each part that is graded, where the report is about the whole of a session; none
    /// of a part that was not graded.
    fn graded_parts(&self) -> Option<Vec<(String, Option<Vec<GradedItem>>)>> {
        let package = self.package;
        if package.parts.is_empty() || self.node.job().part.is_some() {
            return None;
        }
        let parts = package.parts.iter().enumerate();
        let parts = parts.filter(|(_, part)| !part.content.rubrics.is_empty());
        let graded = parts.map(|(at, part)| {
            let scopes = self.state.scopes_of_part(Some(at));
            let items = scopes.at(Root::Vars, &[GRADED.to_owned()]);
            let inputs = Map::from_iter([("items".to_owned(), items)]);
            (part.name.clone(), given(&inputs, "items").ok().flatten())
        });
        Some(graded.collect())
    }

    /// Every rubric that was evaluated, with its items.
    fn rubrics(&self) -> Vec<(&'a Rubric, Vec<GradedItem>)> {
        let completed = self.leaves().filter(|it| it.completed());
        completed
            .filter_map(|it| {
                let rubric = it.node.step().rubric.as_deref()?;
                let items = given(&it.state.output, "items").ok().flatten()?;
                Some((rubric, items))
            })
            .collect()
    }

    fn readiness(&self) -> Vec<Check> {
        let mut checks = self.given_checks().unwrap_or_else(|| self.evaluated());
        checks.extend(self.leaves().filter_map(Told::built_in_check));
        checks
    }

    fn given_checks(&self) -> Option<Vec<Check>> {
        given(self.inputs, "checks").ok().flatten()
    }

    fn evaluated(&self) -> Vec<Check> {
        let evaluates = Some(Action::EvaluateRegex);
        let all = self.leaves();
        let all = all.filter(|it| it.node.step().uses.action() == evaluates);
        all.flat_map(Told::evaluated).collect()
    }

    fn changes(&self) -> Vec<Change> {
        let written = self.leaves().filter(|it| it.begun());
        written
            .filter(|it| it.node.step().uses.effect() == Effect::Write)
            .map(|it| Change {
                step: it.key(),
                target: it.target(),
                action: it.node.step().uses.id(),
                ok: it.ok(),
                at: it.state.completed_at,
            })
            .collect()
    }

    fn actions(&self) -> Vec<Done> {
        let begun = self.leaves().filter(|it| it.begun());
        begun
            .map(|it| Done {
                step: it.key(),
                action: it.node.step().uses.id(),
                ok: it.ok(),
                at: it.state.completed_at,
            })
            .collect()
    }

    fn evidence(&self) -> Vec<Exhibit> {
        let all: Vec<Exhibit> = self.steps.iter().flat_map(Told::exhibits).collect();
        let wanted: Option<Vec<String>> = given(self.inputs, "evidence").ok().flatten();
        let Some(wanted) = wanted else { return all };
        let find = |source: String| {
            let found = all.iter().rev().find(|it| it.source == source).cloned();
            found.unwrap_or(Exhibit {
                source,
                step: None,
                target: None,
                content: None,
            })
        };
        wanted.into_iter().map(find).collect()
    }
}

impl Told<'_> {
    fn key(&self) -> String {
        self.all.key(self.index).to_owned()
    }

    fn completed(&self) -> bool {
        self.state.status == StepStatus::Completed
    }

    fn begun(&self) -> bool {
        self.state.started_at.is_some()
    }

    /// It ended well, and what it gave does not say otherwise.
    fn ok(&self) -> bool {
        self.completed() && self.state.output.get("ok") != Some(&Value::Bool(false))
    }

    fn target(&self) -> Option<String> {
        let input = ["device", "node", "devices"].into_iter();
        let mut input = input.filter_map(|name| self.state.inputs.get(name));
        self.state.target.clone().or_else(|| match input.next()? {
            Value::String(name) => Some(mask_text(name)),
            Value::Array(names) => {
                let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
                Some(mask_text(&names.join(", ")))
            }
            _ => None,
        })
    }

    /// Why it failed, or how it ended.
    fn ending(&self) -> String {
        let status = self.state.status.as_str();
        let error = self.state.error.as_ref();
        error.map_or_else(|| status.to_owned(), |it| mask_text(&it.detail))
    }

    /// What an evaluation says. One that was skipped because of what earlier steps gave was not passed;
    /// one that was skipped because of what was known beforehand does not apply to this pod.
    fn evaluated(&self) -> Vec<Check> {
        let step = self.node.step();
        let name = self.key();
        match self.state.status {
            StepStatus::Completed => {}
            StepStatus::Skipped => {
                let depends = |it: &se_dsl::expr::Template| it.reads().vars().next().is_some();
                let failed = step.when.as_ref().is_some_and(depends);
                let detail = "not looked at: what came before it did not succeed".to_owned();
                let check = Check {
                    name,
                    passed: false,
                    detail,
                };
                return if failed { vec![check] } else { Vec::new() };
            }
            StepStatus::Pending
            | StepStatus::Running { .. }
            | StepStatus::Waiting { .. }
            | StepStatus::Continued
            | StepStatus::Faulted
            | StepStatus::Cancelled => {
                let detail = self.ending();
                return vec![Check {
                    name,
                    passed: false,
                    detail,
                }];
            }
        }
        if let Ok(Some(items)) = given::<Vec<GradedItem>>(&self.state.output, "items") {
            return items.into_iter().map(check_of).collect();
        }
        let passed = self.state.output.get("passed") == Some(&Value::Bool(true));
        let issue = self.state.output.get("issue").and_then(Value::as_str);
        let detail = mask_text(issue.unwrap_or(if passed { "as it should be" } else { "" }));
        vec![Check {
            name,
            passed,
            detail,
        }]
    }

    /// What a step of the built-in readiness job says.
    fn built_in_check(&self) -> Option<Check> {
        let name = self.key();
        let output = &self.state.output;
        let (passed, good) = match self.node.step().uses.action() {
            Some(Action::LabCheckConvergence) => {
                let converged = output.get("converged") == Some(&Value::Bool(true));
                (self.completed() && converged, "the lab has converged")
            }
            Some(Action::Collect) if self.node.step().id.as_str().starts_with(PROMPT) => {
                (self.completed(), "the prompt came")
            }
            _ => return None,
        };
        if self.state.status == StepStatus::Skipped {
            return None;
        }
        let detail = match (passed, self.completed()) {
            (true, _) => good.to_owned(),
            (false, true) => "the lab has not converged".to_owned(),
            (false, false) => self.ending(),
        };
        Some(Check {
            name,
            passed,
            detail,
        })
    }

    /// What it captured as evidence, or should have. What a composite collects is evidence as far as the
    /// step that calls it captures it.
    fn exhibits(&self) -> Vec<Exhibit> {
        let step = self.node.step();
        let collects = step.stage == Stage::Collect || step.uses.action() == Some(Action::Collect);
        let is_inside = !self.all.is_beside_the_job(self.index);
        if !collects || is_inside || self.state.status == StepStatus::Skipped {
            return Vec::new();
        }
        let is_element = self.all.is_element(self.index);
        let is_loop = step.for_each.is_some() && !is_element;
        let own = step
            .capture
            .iter()
            .filter(|it| match it.path.is_by_element() {
                true => !is_loop,
                false => !is_element,
            });
        own.map(|capture| Exhibit {
            source: self.all.captured_at(self.index, capture).join("."),
            step: Some(self.key()),
            target: self.state.target.clone(),
            content: self.content(&capture.output),
        })
        .collect()
    }

    fn content(&self, output: &str) -> Option<Content> {
        let text = match self.state.output.get(output) {
            None | Some(Value::Null) => return None,
            Some(Value::String(text)) => mask_text(text),
            Some(other) => mask_value(other).to_string(),
        };
        let digest = Sha256::digest(text.as_bytes());
        Some(Content {
            bytes: text.len(),
            sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            at: self.state.completed_at,
        })
    }
}

/// A score over the parts of a session: incomplete where a part has not been graded.
fn by_part(head: Head, parts: Vec<(String, Option<Vec<GradedItem>>)>) -> ScoreReport {
    let ungraded = parts.iter().any(|(_, items)| items.is_none());
    let parts = parts.into_iter();
    let parts = parts.map(|(name, items)| Part::new(name, items.unwrap_or_default()));
    let mut report = ScoreReport::by_part(head, None, parts.collect());
    if ungraded {
        report.head.status = Status::Incomplete;
    }
    report
}

fn check_of(item: GradedItem) -> Check {
    let name = match (item.description.is_empty(), &item.id) {
        (false, _) => item.description,
        (true, Value::String(id)) => id.clone(),
        (true, id) => id.to_string(),
    };
    Check {
        name,
        passed: item.passed,
        detail: item.issues.join("; "),
    }
}

fn process_of(class: ReportClass) -> ProcessType {
    match class {
        ReportClass::ScoreReport => ProcessType::Grading,
        ReportClass::ReadinessReport => ProcessType::Initialization,
        ReportClass::ChangeReport => ProcessType::Change,
        ReportClass::SubmissionReport => ProcessType::Submission,
        ReportClass::ArchiveReport => ProcessType::Archive,
    }
}

#[cfg(test)]
mod tests {
    use super::accept;
    use se_dsl::checked::ReportClass;
    use serde_json::{Value, json};

    #[test]
    fn inputs_that_cannot_be_reported_say_why() {
        let (score, ready) = (ReportClass::ScoreReport, ReportClass::ReadinessReport);
        let check = json!([{"name": "a", "passed": true}]);
        let cases = [
            (score, json!({}), None),
            (score, json!({"items": null}), None),
            (
                score,
                json!({"items": [{"id": 1}]}),
                Some("`items` cannot be reported: missing field"),
            ),
            (
                score,
                json!({"items": "x"}),
                Some("`items` cannot be reported: invalid type"),
            ),
            (ready, json!({"checks": check}), None),
            (
                ready,
                json!({"checks": [{"name": "a"}]}),
                Some("missing field `passed`"),
            ),
        ];
        for (class, inputs, part) in cases {
            let Value::Object(inputs) = inputs else {
                panic!("{inputs}");
            };
            let refused = accept(class, &inputs).err().map(|it| it.detail);
            let fits = match (&refused, part) {
                (None, None) => true,
                (Some(detail), Some(part)) => detail.contains(part),
                _ => false,
            };
            assert!(fits, "{refused:?}, not {part:?}");
        }
    }
}
