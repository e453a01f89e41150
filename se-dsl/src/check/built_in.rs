//! Jobs and steps that no document writes.

use std::collections::BTreeSet;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;

use super::place::Place;
use crate::catalog::{self, Action, Needs, Primitive, Target};
use crate::checked::{
    Capture, CapturePath, Execution, GRADED, Job, OnError, ProcessType, Step, StepId,
};
use crate::expr::Template;
use crate::source::Span;

/// The variable below which a part's job finds what the candidate handed in.
pub(super) const SUBMISSION: &str = "submission";

/// Jobs that the engine brings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum BuiltIn {
    ReadinessCheck,
    CollectEvidence,
    GradeItem,
    ScoreReport,
}

impl BuiltIn {
    pub(super) const ALL: [Self; 4] = [
        Self::ReadinessCheck,
        Self::CollectEvidence,
        Self::GradeItem,
        Self::ScoreReport,
    ];

    /// Its name, without version.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ReadinessCheck => "readiness_check",
            Self::CollectEvidence => "collect_evidence",
            Self::GradeItem => "grade_item",
            Self::ScoreReport => "score_report",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

/// Inputs that only the pod's facts tell; null means "not known".
const OF_THE_POD: &[&str] = &["lab_id"];

/// What a primitive lacks to be a job by itself, for no scope can give it; empty if nothing.
pub(super) fn missing(primitive: &Primitive) -> &'static str {
    if primitive.target == Target::Required {
        "a target"
    } else if primitive.action == Action::EvaluateRegex {
        "a rule"
    } else {
        ""
    }
}

/// The inputs that a job of one step asks the scopes for and cannot do without.
pub(super) fn asked(primitive: &Primitive) -> Vec<&'static str> {
    let required = primitive.inputs.iter().filter(|field| field.required);
    required
        .map(|field| field.name)
        .filter(|name| !OF_THE_POD.contains(name))
        .collect()
}

/// A job of one step, whose inputs are taken by name from the scopes.
pub(super) fn of_primitive(primitive: &'static Primitive, span: Span) -> Result<Job, &'static str> {
    match missing(primitive) {
        "" => Ok(Job::of_primitive(
            primitive,
            None,
            from_scopes(primitive),
            span,
        )),
        missing => Err(missing),
    }
}

/// Variables of the request first, then what is known of the pod and the session.
fn from_scopes(primitive: &Primitive) -> IndexMap<String, Template> {
    let of_pod = OF_THE_POD
        .iter()
        .filter(|name| primitive.input(name).is_some())
        .map(|name| (*name, format!("${{ runtime_env.{name} }}")));
    let by_name = asked(primitive).into_iter().map(|name| {
        let expression = format!("${{ vars.{name} // runtime_env.{name} // session.{name} }}");
        (name, expression)
    });
    of_pod
        .chain(by_name)
        .map(|(name, expression)| {
            let template = Template::parse(&expression).expect("our own expressions compile");
            (name.to_owned(), template)
        })
        .collect()
}

/// `readiness_check@v1`: whether the lab has converged and each connector gives its prompt. `None` if the
/// connectors cannot be read.
pub(super) fn readiness(place: &Place<'_, '_>, span: Span) -> Option<Job> {
    let mut steps = Vec::new();
    if Needs::Labs.fits(place.pod_type?) {
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
    for connector in &place.connectors {
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
    let mut job = job(BuiltIn::ReadinessCheck, place.part, steps, span);
    job.process_type = Some(ProcessType::Initialization);
    for step in &mut job.steps {
        Arc::make_mut(step).on_error = OnError::Continue;
    }
    add_report(&mut job);
    Some(job)
}

/// `grade_item@v1`: every item of the rubric that the phase names, over what the session collected.
pub(super) fn grade_item(part: Option<usize>, span: Span) -> Job {
    let primitive = builtin("evaluate.regex");
    let step = step(primitive, "grade", None, IndexMap::new(), span);
    let capture = Capture {
        output: "items".to_owned(),
        path: CapturePath::parse(GRADED, None).expect("our own names fit the grammar"),
    };
    let step = Step {
        capture: vec![capture],
        ..step
    };
    let mut job = job(BuiltIn::GradeItem, part, vec![step], span);
    job.process_type = Some(ProcessType::Grading);
    job
}

/// `score_report@v1`: the report over all that the session's grading jobs judged.
pub(super) fn score_report(part: Option<usize>, span: Span) -> Job {
    let primitive = builtin("report.score");
    let items = Template::parse(&format!("${{ vars.{GRADED} }}"));
    let items = items.expect("our own expressions compile");
    let with = IndexMap::from([("items".to_owned(), items)]);
    let step = step(primitive, "report", None, with, span);
    let mut job = job(BuiltIn::ScoreReport, part, vec![step], span);
    job.process_type = Some(ProcessType::Grading);
    job
}

fn job(which: BuiltIn, part: Option<usize>, steps: Vec<Step>, span: Span) -> Job {
    let name = which.name();
    let placed = |(at, step)| {
        let pointer = format!("/jobs/{name}/steps/{at}");
        Arc::new(Step { pointer, ..step })
    };
    Job {
        name: name.to_owned(),
        version: "v1".to_owned(),
        part,
        takes_over: matches!(which, BuiltIn::GradeItem | BuiltIn::ScoreReport),
        process_type: None,
        execution: Execution::Dag,
        steps: steps.into_iter().enumerate().map(placed).collect(),
        report: None,
        span,
    }
}

/// Adds the report step that the job's process type implies, unless a step reports already.
pub(super) fn add_report(job: &mut Job) {
    let Some(process_type) = job.process_type else {
        return;
    };
    let reports = |step: &Step| matches!(step.uses.action(), Some(Action::Report(_)));
    if job.steps.iter().any(|it| reports(it)) {
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
    job.steps.push(Arc::new(step));
}

pub(super) fn builtin(name: &str) -> &'static Primitive {
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
pub(super) fn unused(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    if !is_taken(name) {
        return name.to_owned();
    }
    let numbered = (2_u32..).map(|n| format!("{name}_{n}"));
    let mut free = numbered.filter(|name| !is_taken(name));
    free.next().expect("there are more numbers than steps")
}

/// Any name as part of a step's name.
pub(super) fn slug(name: &str) -> String {
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
