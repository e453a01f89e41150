//! Jobs and steps that no document writes.

use std::collections::BTreeSet;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;

use crate::catalog::{self, Action, Primitive, Target};
use crate::checked::{Connector, Execution, Job, OnError, PodType, ProcessType, Step, StepId};
use crate::expr::Template;
use crate::source::Span;

/// Inputs that the scopes may know, and the expression that asks them; null means "not known".
const FROM_SCOPES: &[(&str, &str)] = &[("lab_id", "${ runtime_env.lab_id }")];

/// What a primitive lacks to be a job by itself; empty if nothing.
pub(super) fn missing(primitive: &Primitive) -> String {
    let is_known = |name: &str| FROM_SCOPES.iter().any(|(known, _)| *known == name);
    let mut missing: Vec<String> = primitive
        .inputs
        .iter()
        .filter(|field| field.required && !is_known(field.name))
        .map(|field| format!("`{}`", field.name))
        .collect();
    if primitive.target == Target::Required {
        missing.push("a target".to_owned());
    }
    if primitive.action == Action::EvaluateRegex {
        missing.push("a rule".to_owned());
    }
    missing.join(" and ")
}

/// A job of one step.
pub(super) fn of_primitive(primitive: &'static Primitive, span: Span) -> Result<Job, String> {
    let missing = missing(primitive);
    if missing.is_empty() {
        Ok(Job::of_primitive(
            primitive,
            None,
            from_scopes(primitive),
            span,
        ))
    } else {
        Err(missing)
    }
}

fn from_scopes(primitive: &Primitive) -> IndexMap<String, Template> {
    FROM_SCOPES
        .iter()
        .filter(|(name, _)| primitive.input(name).is_some())
        .map(|(name, expression)| {
            let template = Template::parse(expression).expect("our own expressions compile");
            ((*name).to_owned(), template)
        })
        .collect()
}

/// `readiness_check@v1`: whether the lab has converged and each connector gives its prompt.
pub(super) fn readiness(pod_type: PodType, connectors: &[Arc<Connector>], span: Span) -> Job {
    let mut steps = Vec::new();
    let has_labs = match pod_type {
        PodType::CmlOnAws | PodType::Proxmox | PodType::Vmware => true,
        PodType::RocRadkit | PodType::None => false,
    };
    if has_labs {
        let primitive = builtin("lab_check_convergence");
        steps.push(step(
            primitive,
            "lab_converged",
            None,
            from_scopes(primitive),
            span,
        ));
    }
    let collect = builtin("collect");
    let mut taken = BTreeSet::new();
    for connector in connectors {
        let id = unused(&format!("prompt_{}", slug(&connector.name)), |id| {
            taken.contains(id)
        });
        let target = Template::Literal(Value::from(connector.name.clone()));
        let with = [("command".to_owned(), Template::Literal(Value::from("")))];
        steps.push(step(
            collect,
            &id,
            Some(target),
            with.into_iter().collect(),
            span,
        ));
        taken.insert(id);
    }
    let mut job = Job {
        name: "readiness_check".to_owned(),
        version: "v1".to_owned(),
        process_type: Some(ProcessType::Initialization),
        execution: Execution::Dag,
        steps,
        report: None,
        span,
    };
    for (at, step) in job.steps.iter_mut().enumerate() {
        step.on_error = OnError::Continue;
        step.pointer = format!("/jobs/{}/steps/{at}", job.name);
    }
    add_report(&mut job);
    job
}

/// Adds the report step that the job's process type implies, unless a step reports already.
pub(super) fn add_report(job: &mut Job) {
    let Some(process_type) = job.process_type else {
        return;
    };
    let reports = |step: &Step| matches!(step.uses.action, Action::Report(_));
    if job.steps.iter().any(reports) {
        return;
    }
    let primitive = builtin(match process_type {
        ProcessType::Initialization => "report.readiness",
        ProcessType::Grading => "report.score",
        ProcessType::Change => "report.change",
        ProcessType::Submission => "report.submission",
        ProcessType::Archive => "report.archive",
    });
    let id = unused("report", |id| {
        job.steps.iter().any(|step| step.id.as_str() == id)
    });
    let mut step = step(primitive, &id, None, IndexMap::new(), job.span);
    step.pointer = format!("/jobs/{}/steps/{}", job.name, job.steps.len());
    job.steps.push(step);
}

fn builtin(name: &str) -> &'static Primitive {
    catalog::find(name, "v1").expect("built-in jobs use primitives of the catalogue")
}

fn step(
    uses: &'static Primitive,
    id: &str,
    target: Option<Template>,
    with: IndexMap<String, Template>,
    span: Span,
) -> Step {
    let id = StepId::parse(id).expect("built-in steps have names of lower-case letters");
    Step::of_primitive(uses, id, target, with, span)
}

/// `name`, or `name_2` and so on if that is taken.
fn unused(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    if !is_taken(name) {
        return name.to_owned();
    }
    let numbered = (2_u32..).map(|n| format!("{name}_{n}"));
    let mut free = numbered.filter(|name| !is_taken(name));
    free.next().expect("there are more numbers than steps")
}

/// Any name as part of a step's name.
fn slug(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '_'
            }
        })
        .collect()
}
