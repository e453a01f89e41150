//! Phases: each job reference becomes a job with all that the phase adds.

use std::sync::Arc;

use super::Package;
use super::built_in;
use super::job::{Drafted, read_sources};
use super::step::split_version;
use crate::catalog::{self, Primitive};
use crate::checked::{Job, Phase};
use crate::diagnostic::Severity;
use crate::diagnostic::codes::{document, flow, grading, names};
use crate::document::{JobRef, Named, RubricDoc};
use crate::expr::Template;

/// Jobs that the engine brings.
const BUILT_IN: &str = "readiness_check";
/// Jobs of the language that this version does not bring.
const LATER: &[&str] = &["collect_evidence", "grade_item", "score_report"];

impl Package<'_, '_> {
    /// The phases; `None` if something in them is wrong.
    pub(super) fn phases(&self, jobs: &Named<Drafted>) -> Option<Vec<Phase>> {
        if self.documents.is_of_parts {
            // The phases name what the parts hold, and one finding says that parts are not read.
            return None;
        }
        let lifecycle = self.documents.lifecycle.as_ref();
        let mut phases = Vec::new();
        for doc in lifecycle.iter().flat_map(|it| &it.phases) {
            let resolved: Vec<Option<Job>> = doc.jobs.iter().map(|it| self.job(it, jobs)).collect();
            let resolved: Option<Vec<Job>> = resolved.into_iter().collect();
            phases.push(resolved.map(|jobs| Phase {
                name: doc.name.value.clone(),
                native_steps: doc.native_steps.clone(),
                jobs: jobs.into_iter().map(Arc::new).collect(),
                span: doc.span,
            }));
        }
        self.jobs_of_no_phase(jobs);
        lifecycle?;
        phases.into_iter().collect()
    }

    fn job(&self, reference: &JobRef, jobs: &Named<Drafted>) -> Option<Job> {
        let rubric = reference.rubric.as_ref().map(|name| self.rubric(name));
        let report = reference.report.as_ref().map(|name| {
            let Some(report) = self.documents.reports.get(&name.value) else {
                let known: Vec<&str> = self.documents.reports.keys().map(String::as_str).collect();
                self.sink.push(names::unknown_report(name, &known));
                return None;
            };
            report.clone()
        });
        let base = self.resolve(reference, jobs, rubric)?;
        if let (Some(here), Some(job)) = (reference.process_type, base.process_type)
            && here != job
        {
            let (at, here, job) = (reference.span, here.as_str(), job.as_str());
            self.sink.push(flow::process_types_differ(at, here, job));
        }
        let process_type = reference.process_type.or(base.process_type);
        let mut job = Job {
            process_type,
            report: match report {
                Some(report) => Some(report?),
                None => None,
            },
            ..base
        };
        if let Some(Some(rubric)) = rubric {
            give_rubric(&mut job, rubric);
        }
        built_in::add_report(&mut job);
        Some(job)
    }

    /// The job that a reference names: content, then built in, then a primitive.
    fn resolve(
        &self,
        reference: &JobRef,
        jobs: &Named<Drafted>,
        rubric: Option<Option<&RubricDoc>>,
    ) -> Option<Job> {
        let definition = &reference.definition;
        let Some((name, version)) = split_version(&definition.value) else {
            let grammar = "a name and a version, as `grade@v1`";
            let what = "a job's definition";
            self.sink.push(document::bad_name(
                definition.span,
                what,
                &definition.value,
                grammar,
            ));
            return None;
        };
        if let Some(drafted) = jobs.get(name) {
            let drafted = drafted.as_ref()?;
            if drafted.version != version {
                let found =
                    names::unknown_version(definition.span, name, version, &drafted.version);
                self.sink.push(found);
            }
            return self.content_job(reference, name, drafted, rubric);
        }
        if name == BUILT_IN {
            if version != "v1" {
                self.sink
                    .push(names::unknown_version(definition.span, name, version, "v1"));
                return None;
            }
            let pod_type = self.documents.manifest.as_ref()?.pod_type;
            return Some(built_in::readiness(
                pod_type,
                &self.connectors(),
                reference.span,
            ));
        }
        if LATER.contains(&name) {
            let help =
                "write a JobDefinition with collect@v1, evaluate.regex@v1 and report.score@v1";
            let what = format!("the built-in job `{name}`");
            let found = document::not_supported(definition.span, &what, Severity::Error, help);
            self.sink.push(found);
            return None;
        }
        if let Some(primitive) = catalog::find(name, version) {
            return self.primitive_job(reference, primitive);
        }
        self.sink
            .push(match catalog::all().iter().find(|it| it.name == name) {
                Some(known) => {
                    names::unknown_version(definition.span, name, version, known.version)
                }
                None => names::unknown_job(definition, &job_names(jobs)),
            });
        None
    }

    fn content_job(
        &self,
        reference: &JobRef,
        name: &str,
        drafted: &Drafted,
        rubric: Option<Option<&RubricDoc>>,
    ) -> Option<Job> {
        let at = reference.definition.span;
        let is_built_in = name == BUILT_IN
            || LATER.contains(&name)
            || catalog::all().iter().any(|it| it.name == name);
        if is_built_in {
            self.sink.push(names::hides_built_in(at, name));
        }
        for (_, step) in &drafted.open_rules {
            match rubric {
                None => {
                    let found =
                        grading::no_ruleset(*step).related(reference.span, "run by this phase");
                    self.sink.push(found);
                }
                Some(Some(rubric)) => {
                    self.sources(rubric, name, *step, drafted.captured.as_deref());
                }
                Some(None) => {}
            }
        }
        drafted.job.clone()
    }

    fn primitive_job(&self, reference: &JobRef, primitive: &'static Primitive) -> Option<Job> {
        match built_in::of_primitive(primitive, reference.span) {
            Ok(job) => Some(job),
            Err(missing) => {
                let at = reference.definition.span;
                self.sink
                    .push(names::no_job_by_itself(at, primitive, &missing));
                None
            }
        }
    }

    /// A job that no phase runs can still be run by name; then it has no phase to give it a rubric.
    fn jobs_of_no_phase(&self, jobs: &Named<Drafted>) {
        let Some(lifecycle) = &self.documents.lifecycle else {
            return;
        };
        let references = lifecycle.phases.iter().flat_map(|phase| &phase.jobs);
        let used: Vec<&str> = references
            .filter_map(|it| split_version(&it.definition.value))
            .map(|(name, _)| name)
            .collect();
        for (name, drafted) in jobs {
            if used.contains(&name.as_str()) {
                continue;
            }
            for (_, step) in drafted.iter().flat_map(|it| &it.open_rules) {
                self.sink.push(grading::no_ruleset(*step));
            }
        }
    }
}

/// What a phase may name, with versions.
fn job_names(jobs: &Named<Drafted>) -> Vec<String> {
    let version =
        |it: &Option<Drafted>| it.as_ref().map_or("v1".to_owned(), |it| it.version.clone());
    let own = jobs
        .iter()
        .map(|(name, drafted)| format!("{name}@{}", version(drafted)));
    let built_in = std::iter::once(format!("{BUILT_IN}@v1"));
    let primitives = catalog::all()
        .iter()
        .filter(|it| built_in::missing(it).is_empty())
        .map(Primitive::id);
    own.chain(built_in).chain(primitives).collect()
}

/// Gives the phase's rubric to every step that evaluates and names no rule.
fn give_rubric(job: &mut Job, doc: &RubricDoc) {
    for step in &mut job.steps {
        let evaluates = step.uses.action == catalog::Action::EvaluateRegex;
        let has_rule = step.rubric.is_some()
            || (step.with.contains_key("source") && step.with.contains_key("regex"));
        if evaluates && !has_rule {
            step.rubric = Some(Arc::clone(&doc.rubric));
            let name = serde_json::Value::from(doc.rubric.name.clone());
            step.with
                .insert("ruleset".to_owned(), Template::Literal(name));
            read_sources(&mut step.reads, &doc.rubric);
        }
    }
}
