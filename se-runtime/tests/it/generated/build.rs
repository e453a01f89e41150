//! From choices to a package: any choices give a valid one.

mod inputs;
mod rubrics;
mod steps;

use se_dsl::catalog::Kind;
use se_dsl::checked::{ConnectorClass, Transport};
use serde_json::json;

use super::model::{
    Check, Composite, Connector, Form, Item, Job, JobRef, Manifest, Package, Parameter, Part,
    Phase, Place, Rubric, Scenario,
};
use super::raw::{RawJob, RawList, RawPackage, RawPart};
use inputs::{pick, sample, word};
use steps::Around;

/// What packages may hold; everything else they always may.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Steps that say themselves what they wait for.
    pub(crate) needs: bool,
    /// Steps that change devices.
    pub(crate) writes: bool,
    /// Composites that may take so long only.
    pub(crate) timeouts: bool,
}

impl Wanted {
    pub(crate) const EVERYTHING: Self = Self {
        needs: true,
        writes: true,
        timeouts: true,
    };
}

/// How deep calls may be nested.
const MAX_DEPTH: usize = 3;

/// The phase that runs what the package's own jobs say.
pub(crate) const MAIN: &str = "main";

pub(super) fn package(raw: &RawPackage, wanted: Wanted) -> Package {
    let is_session = !raw.parts.is_empty();
    let mut place = Place {
        connectors: connectors(raw.manifest),
        ..Place::default()
    };
    for (at, raw) in raw.composites.iter().enumerate() {
        let composite = composite(&mut place, &[], raw, &format!("c{at}"), wanted);
        place.composites.push(composite);
    }
    let mut main = Vec::new();
    let jobs = raw.jobs.iter().take(if is_session { 1 } else { 2 });
    for (at, raw) in jobs.enumerate() {
        // In a session this job is about all parts; it may as well be left out.
        if !is_session || raw.what % 2 == 1 {
            main.push(job(&mut place, &[], raw, &format!("job{at}"), wanted));
        }
    }
    let mut parts: Vec<Part> = raw
        .parts
        .iter()
        .enumerate()
        .map(|(at, raw)| part(at, raw, &place, wanted))
        .collect();
    if is_session {
        let is_open = give_to_all(&mut parts);
        main.push(JobRef {
            definition: format!("{WORK}@v1"),
            rubric: is_open.then(|| GIVEN.to_owned()),
            ..JobRef::default()
        });
        if place.jobs.is_empty() && place.composites.is_empty() {
            place.connectors.clear();
        }
    }
    let mut phases = vec![Phase {
        name: MAIN.to_owned(),
        jobs: main,
    }];
    let mut package = Package {
        manifest: manifest(raw.manifest, is_session),
        place,
        parts,
        phases: Vec::new(),
    };
    phases.extend(built_in(&mut package, raw.phases));
    package.phases = phases;
    package
}

/// The rubric that the phase gives to the jobs of parts: one name, a rubric in each part.
const GIVEN: &str = "given";

/// The job that each part has.
const WORK: &str = "work";

/// A rubric that one part needs from the phase is one that all must have.
fn give_to_all(parts: &mut [Part]) -> bool {
    let has = |part: &Part| part.place.rubrics.iter().any(|it| it.name == GIVEN);
    let is_open = parts.iter().any(has);
    for part in parts.iter_mut().filter(|it| is_open && !has(it)) {
        let (_, rubric) = evidence(0);
        part.place.rubrics.push(Rubric {
            name: GIVEN.to_owned(),
            ..rubric
        });
    }
    is_open
}

fn manifest(choice: u8, is_session: bool) -> Manifest {
    let forms = [Form::Flat, Form::Seed, Form::Lablet];
    Manifest {
        form: if is_session {
            Form::Session
        } else {
            *pick(&forms, choice)
        },
        name: "sample".to_owned(),
        title: (*pick(&["A sample", "Sample: it's #1", "", "no"], choice / 3)).to_owned(),
        version: (*pick(&["1", "1.10", "2026-11-23", "v0.1"], choice / 12)).to_owned(),
        pod_type: word(&["none", "NONE", "None"], choice / 48),
    }
}

fn connectors(choice: u8) -> Vec<Connector> {
    let names = ["a", "b", "c-1"];
    let one = |(at, name): (usize, &&str)| {
        let is_ssh = usize::from(choice / 4) % 4 == at;
        let mut facts = Vec::new();
        if !is_ssh {
            facts.push(("port", "serial_port"));
        }
        if choice % 4 > 1 {
            facts.push(("username", "username"));
            facts.push(("password", "password"));
        }
        if choice % 4 == 3 {
            facts.push(("prompt", "prompt"));
            facts.push(("enable_password", "enable_password"));
        }
        Connector {
            name: (*name).to_owned(),
            class: if is_ssh {
                ConnectorClass::Unix
            } else {
                ConnectorClass::CiscoCommon
            },
            transport: if is_ssh {
                Transport::Ssh
            } else {
                Transport::Telnet
            },
            timeout: (choice % 3 == 1).then_some(0.5),
            facts,
        }
    };
    names.iter().enumerate().map(one).collect()
}

fn names(connectors: &[Connector]) -> Vec<String> {
    connectors.iter().map(|it| it.name.clone()).collect()
}

fn composite(
    place: &mut Place,
    shared: &[Composite],
    raw: &RawList,
    name: &str,
    wanted: Wanted,
) -> Composite {
    let connectors = names(&place.connectors);
    let parameters: Vec<Parameter> = raw
        .parameters
        .iter()
        .enumerate()
        .map(|(at, choice)| parameter(at, *choice, &connectors))
        .collect();
    let callable = place.composites.iter().chain(shared);
    let around = Around {
        wanted,
        connectors: &connectors,
        composites: callable.filter(|it| it.depth < MAX_DEPTH).collect(),
        parameters: Some(&parameters),
        name,
    };
    let built = steps::list(&around, raw);
    let below = |it: &&Composite| {
        built.steps.iter().any(
            |step| matches!(&step.uses, super::model::Uses::Call { name, .. } if *name == it.name),
        )
    };
    let called = around.composites.iter().copied().filter(below);
    let depth = 1 + called.map(|it| it.depth).max().unwrap_or(0);
    let mut export: Vec<String> = Vec::new();
    for capture in built.steps.iter().flat_map(|it| &it.capture) {
        let head = &capture.path[0];
        if head != super::model::ELEMENT && !export.contains(head) {
            export.push(head.clone());
        }
    }
    place.rubrics.extend(built.rubrics);
    Composite {
        name: name.to_owned(),
        version: "v1".to_owned(),
        effect: steps::effect(&built.steps),
        inherits: steps::inherits(&built.steps),
        steps: built.steps,
        opaque: built.opaque,
        parameters,
        export,
        depth,
    }
}

fn parameter(at: usize, choice: u8, connectors: &[String]) -> Parameter {
    let kinds = [
        Kind::String,
        Kind::Boolean,
        Kind::Array,
        Kind::Any,
        Kind::Integer,
        Kind::Number,
        Kind::Object,
    ];
    let kind = *pick(&kinds, choice);
    let choices = if kind == Kind::String && choice % 3 == 1 {
        vec![json!("a"), json!("b"), json!("show it")]
    } else {
        Vec::new()
    };
    let default = (choice / 64 == 3).then(|| match choices.first() {
        Some(first) => first.clone(),
        None => sample(kind, choice / 3, connectors),
    });
    Parameter {
        name: format!("p{at}"),
        kind,
        required: default.is_none() && choice / 64 != 2,
        default,
        choices,
    }
}

/// A job, and how a phase runs it.
fn job(
    place: &mut Place,
    shared: &[Composite],
    raw: &RawJob,
    name: &str,
    wanted: Wanted,
) -> JobRef {
    let connectors = names(&place.connectors);
    let callable = place.composites.iter().chain(shared);
    let around = Around {
        wanted,
        connectors: &connectors,
        composites: callable.collect(),
        parameters: None,
        name,
    };
    let built = steps::list(&around, &raw.list);
    let version = (*pick(&["v1", "v2"], raw.what / 64)).to_owned();
    let process_type = pick(&rubrics::PROCESS_TYPES, raw.what / 8);
    let process_type = (raw.what % 3 == 1).then_some(*process_type);
    place.rubrics.extend(built.rubrics);
    place.jobs.push(Job {
        name: name.to_owned(),
        version: version.clone(),
        process_type,
        sequential: raw.what % 16 == 7,
        steps: built.steps,
    });
    let report = (raw.what % 5 == 2).then(|| format!("{name}_shown"));
    let spec = report.iter().map(|it| rubrics::report(it, raw.what / 4));
    place.reports.extend(spec);
    JobRef {
        definition: format!("{name}@{version}"),
        process_type: (raw.what % 7 == 3).then(|| *pick(&rubrics::PROCESS_TYPES, raw.what / 16)),
        rubric: built.open,
        report,
        scenario: None,
    }
}

fn part(at: usize, raw: &RawPart, package: &Place, wanted: Wanted) -> Part {
    let mut place = Place {
        connectors: connectors(raw.what),
        ..Place::default()
    };
    let composite = raw.composite.as_ref().map(|raw| {
        let shared = &package.composites;
        composite(&mut place, shared, raw, &format!("of_part{at}"), wanted)
    });
    place.composites.extend(composite);
    // One name in all parts: a reference means a job of each.
    let raw = RawJob {
        what: raw.job.what & 0x3f,
        ..raw.job.clone()
    };
    let reference = job(&mut place, &package.composites, &raw, WORK, wanted);
    place.reports.clear();
    for rubric in &mut place.rubrics {
        if Some(&rubric.name) == reference.rubric.as_ref() {
            GIVEN.clone_into(&mut rubric.name);
        }
    }
    Part {
        folder: format!("{:02}-part", 2 - at),
        name: format!("part-{at}"),
        order: at as u64 + 1,
        from_submission: raw.what % 4 == 3,
        place,
    }
}

/// Phases that run what the engine brings.
fn built_in(package: &mut Package, choice: u8) -> Vec<Phase> {
    let reference = |name: &str| JobRef {
        definition: format!("{name}@v1"),
        ..JobRef::default()
    };
    let mut phases = Vec::new();
    if choice % 4 == 1 || choice % 4 == 3 {
        phases.push(Phase {
            name: "ready".to_owned(),
            jobs: vec![reference("readiness_check")],
        });
    }
    if choice % 4 < 2 {
        return phases;
    }
    let is_session = !package.parts.is_empty();
    let parts = package.parts.iter_mut().map(|it| &mut it.place);
    let places: Vec<&mut Place> = if is_session {
        parts.collect()
    } else {
        vec![&mut package.place]
    };
    for place in places {
        let (scenario, rubric) = evidence(choice);
        place.scenarios.push(scenario);
        place.rubrics.push(rubric);
    }
    let collect = JobRef {
        scenario: Some("evidence".to_owned()),
        ..reference("collect_evidence")
    };
    let grade = JobRef {
        rubric: Some("paper".to_owned()),
        ..reference("grade_item")
    };
    phases.push(Phase {
        name: "grade".to_owned(),
        jobs: vec![collect, grade, reference("score_report")],
    });
    phases
}

fn evidence(choice: u8) -> (Scenario, Rubric) {
    let path = |path: &[&str]| path.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let paths = [
        path(&["rtr", "version"]),
        path(&["clock"]),
        path(&["rtr", "clock"]),
    ];
    let devices = ["a", "b", "c-1"];
    let count = usize::from(choice / 4 % 3) + 1;
    let one = |at: usize| {
        let device = devices[(at + usize::from(choice / 16)) % 3].to_owned();
        (device, format!("show {at}"), paths[at].clone())
    };
    let scenario = Scenario {
        name: "evidence".to_owned(),
        devices: (choice % 8 > 3).then(|| devices.map(str::to_owned).to_vec()),
        collect: (0..count).map(one).collect(),
    };
    let check = Check {
        source: paths[count - 1].clone(),
        pattern: "says",
        flags: None,
        mode: None,
        on_fail: None,
    };
    let item = Item {
        id: json!(1),
        points: 150,
        description: "It says so".to_owned(),
        checks: vec![check],
    };
    let rubric = Rubric {
        name: "paper".to_owned(),
        title: None,
        domain: None,
        items: vec![item],
    };
    (scenario, rubric)
}
