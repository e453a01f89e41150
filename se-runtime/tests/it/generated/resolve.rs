//! What the phases of a model run: jobs with all that a phase, a process type or the engine adds.

use se_dsl::checked::{GRADED, OnError, ProcessType, ReportClass};
use se_dsl::expr::Root;
use serde_json::json;

use super::model::{Capture, Expr, Input, Job, JobRef, Package, Phase, Place, Rubric, Step, Uses};

/// A job of a phase.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    pub(crate) part: Option<usize>,
    pub(crate) job: Job,
    /// Where each step is in the package.
    pub(crate) pointers: Vec<String>,
    pub(crate) takes_over: bool,
    pub(crate) report: Option<String>,
    /// The rubric that the phase gives.
    pub(crate) given: Option<Rubric>,
}

/// The jobs of a phase, one after the other.
pub(crate) fn jobs(package: &Package, phase: &Phase) -> Vec<Resolved> {
    let all = phase.jobs.iter();
    all.flat_map(|it| of_reference(package, it)).collect()
}

/// A job of the package itself, as no phase runs it.
pub(crate) fn alone(package: &Package, job: &Job) -> Resolved {
    content(package, None, job, &JobRef::default())
}

fn of_reference(package: &Package, reference: &JobRef) -> Vec<Resolved> {
    let (name, _) = reference.definition.split_once('@').unwrap_or_default();
    let jobs = match name {
        "readiness_check" => of_places(package, readiness),
        "collect_evidence" => of_places(package, |part, place| {
            collect(package, part, place, reference)
        }),
        "grade_item" => of_places(package, |part, place| grade(part, place, reference)),
        "score_report" => vec![score()],
        _ => {
            let parts = (0..package.parts.len()).map(Some);
            let places = std::iter::once(None).chain(parts);
            let own = places.filter_map(|part| {
                let mut jobs = package.place_of(part).jobs.iter();
                let job = jobs.find(|it| it.name == name)?;
                Some(content(package, part, job, reference))
            });
            own.collect()
        }
    };
    jobs.into_iter()
        .map(|it| completed(it, reference))
        .collect()
}

/// One job for each place that jobs run in.
fn of_places(package: &Package, of: impl Fn(Option<usize>, &Place) -> Resolved) -> Vec<Resolved> {
    if package.parts.is_empty() {
        return vec![of(None, &package.place)];
    }
    let parts = package.parts.iter().enumerate();
    parts.map(|(at, part)| of(Some(at), &part.place)).collect()
}

fn content(package: &Package, part: Option<usize>, job: &Job, reference: &JobRef) -> Resolved {
    let mut rubrics = package.place_of(part).rubrics.iter();
    let given = reference.rubric.as_ref();
    let given = given.and_then(|name| rubrics.find(|it| it.name == *name));
    let root = part.map_or_else(String::new, |at| {
        format!("/parts/{}", package.parts[at].name)
    });
    let pointer = |at: usize| format!("{root}/jobs/{}/steps/{at}", job.name);
    Resolved {
        part,
        pointers: (0..job.steps.len()).map(pointer).collect(),
        job: job.clone(),
        takes_over: false,
        report: reference.report.clone(),
        given: given.cloned(),
    }
}

fn brought(name: &str, part: Option<usize>, steps: Vec<Step>) -> Resolved {
    let pointer = |at: usize| format!("/jobs/{name}/steps/{at}");
    Resolved {
        part,
        pointers: (0..steps.len()).map(pointer).collect(),
        job: Job {
            name: name.to_owned(),
            version: "v1".to_owned(),
            process_type: None,
            sequential: false,
            steps,
        },
        takes_over: false,
        report: None,
        given: None,
    }
}

fn step(id: &str, uses: Uses) -> Step {
    Step {
        id: id.to_owned(),
        uses,
        target: None,
        with: Vec::new(),
        each: None,
        capture: Vec::new(),
        when: None,
        on_error: OnError::Fail,
        timeout: None,
        stage: None,
        needs: None,
    }
}

fn look(id: &str, device: &str, command: &str) -> Step {
    Step {
        target: Some(Input::Literal(json!(device))),
        with: vec![("command".to_owned(), Input::Literal(json!(command)))],
        ..step(id, Uses::Collect("collect"))
    }
}

fn kept(output: &str, path: Vec<String>) -> Vec<Capture> {
    vec![Capture {
        output: output.to_owned(),
        path,
        reversed: false,
    }]
}

fn readiness(part: Option<usize>, place: &Place) -> Resolved {
    let prompt = |name: &str| Step {
        on_error: OnError::Continue,
        ..look(&format!("prompt_{}", name.replace('-', "_")), name, "")
    };
    let steps = place.connectors.iter().map(|it| prompt(&it.name));
    let mut steps: Vec<Step> = steps.collect();
    steps.push(step("report", Uses::Report(ReportClass::ReadinessReport)));
    let mut job = brought("readiness_check", part, steps);
    job.job.process_type = Some(ProcessType::Initialization);
    job
}

fn collect(package: &Package, part: Option<usize>, place: &Place, reference: &JobRef) -> Resolved {
    let mut scenarios = place.scenarios.iter();
    let scenario = scenarios.find(|it| Some(&it.name) == reference.scenario.as_ref());
    let collect = scenario.iter().flat_map(|it| &it.collect);
    let steps = collect.map(|(device, command, path)| Step {
        capture: kept("output", path.clone()),
        ..look(&path.join("_"), device, command)
    });
    let mut job = brought("collect_evidence", part, steps.collect());
    let root = part.map_or_else(String::new, |at| {
        format!("/parts/{}", package.parts[at].name)
    });
    let name = reference.scenario.clone().unwrap_or_default();
    for (at, pointer) in job.pointers.iter_mut().enumerate() {
        *pointer = format!("{root}/scenarios/{name}/collect/{at}");
    }
    job
}

fn grade(part: Option<usize>, place: &Place, reference: &JobRef) -> Resolved {
    let mut rubrics = place.rubrics.iter();
    let rubric = rubrics.find(|it| Some(&it.name) == reference.rubric.as_ref());
    let judge = Step {
        capture: kept("items", vec![GRADED.to_owned()]),
        ..step("grade", Uses::Judge(None))
    };
    let mut job = brought("grade_item", part, vec![judge]);
    job.job.process_type = Some(ProcessType::Grading);
    job.takes_over = true;
    job.given = rubric.cloned();
    job
}

fn score() -> Resolved {
    let items = Expr::Read(Root::Vars, vec![GRADED.to_owned()]);
    let report = Step {
        with: vec![("items".to_owned(), Input::Expr(items))],
        ..step("report", Uses::Report(ReportClass::ScoreReport))
    };
    let mut job = brought("score_report", None, vec![report]);
    job.job.process_type = Some(ProcessType::Grading);
    job.takes_over = true;
    job
}

/// With what the phase and the process type add.
fn completed(mut resolved: Resolved, reference: &JobRef) -> Resolved {
    let job = &mut resolved.job;
    job.process_type = reference.process_type.or(job.process_type);
    for step in job
        .steps
        .iter_mut()
        .filter(|it| it.uses == Uses::Judge(None))
    {
        let name = resolved
            .given
            .as_ref()
            .map(|it| it.title.as_ref().unwrap_or(&it.name));
        let name = name.map(|it| ("ruleset".to_owned(), Input::Literal(json!(it))));
        step.with.extend(name);
    }
    let reports = |it: &Step| matches!(it.uses, Uses::Report(_));
    if let Some(process_type) = job.process_type
        && job.name != "collect_evidence"
        && !job.steps.iter().any(reports)
    {
        resolved
            .pointers
            .push(format!("/jobs/{}/steps/{}", job.name, job.steps.len()));
        let class = ReportClass::of(process_type);
        job.steps.push(step("report", Uses::Report(class)));
    }
    resolved
}
