//! What a job reference of a phase means: content, then built in, then a primitive. In a session of
//! several parts it means a job for each part that has what it asks for.

use std::sync::Arc;

use super::built_in::{self, BuiltIn};
use super::captured::{self, Captured};
use super::job::Drafted;
use super::lower::read_sources;
use super::phases::needs_labs;
use super::place::Place;
use super::scenario;
use super::step::split_version;
use crate::catalog::{self, Action, Needs, Primitive};
use crate::checked::{CapturePath, Job, ReportSpec};
use crate::diagnostic::codes::{composites, document, flow, grading, names};
use crate::document::{JobRef, Named, RubricDoc};
use crate::expr::Template;
use crate::source::Spanned;

pub(super) struct Resolver<'a, 'p, 's> {
    package: &'a Place<'p, 's>,
    parts: &'a [Place<'p, 's>],
    /// What the jobs before have captured: in the package, then in each part. `None` where that cannot be known.
    carried: Vec<Option<Vec<Captured>>>,
}

impl<'a, 'p, 's> Resolver<'a, 'p, 's> {
    pub(super) fn new(package: &'a Place<'p, 's>, parts: &'a [Place<'p, 's>]) -> Self {
        Self {
            package,
            parts,
            carried: vec![Some(Vec::new()); parts.len() + 1],
        }
    }

    /// Where jobs run: in the package, or in each of its parts.
    fn places(&self) -> &'a [Place<'p, 's>] {
        if self.parts.is_empty() {
            std::slice::from_ref(self.package)
        } else {
            self.parts
        }
    }

    /// The jobs that a reference means; `None` if something is wrong with it.
    pub(super) fn jobs(&mut self, reference: &JobRef) -> Option<Vec<Job>> {
        let report = match &reference.report {
            Some(name) => Some(self.report(name)?),
            None => None,
        };
        let jobs = self.resolve(reference);
        if jobs.is_none() {
            // What it captures cannot be known.
            self.carried.iter_mut().for_each(|it| *it = None);
        }
        let mut all = Vec::new();
        for job in jobs? {
            if let Some(Some(carried)) = self.carried.get_mut(job.part.map_or(0, |it| it + 1)) {
                carried.extend(captured::of_job(&job));
            }
            all.push(self.completed(job, reference, report.as_ref()));
        }
        Some(all)
    }

    /// With what the phase adds.
    fn completed(&self, job: Job, reference: &JobRef, report: Option<&Arc<ReportSpec>>) -> Job {
        if let (Some(here), Some(own)) = (reference.process_type, job.process_type)
            && here != own
        {
            let (at, here, own) = (reference.span, here.as_str(), own.as_str());
            self.package
                .sink
                .push(flow::process_types_differ(at, here, own));
        }
        let mut job = Job {
            process_type: reference.process_type.or(job.process_type),
            report: report.cloned(),
            ..job
        };
        // What only collects has nothing to report on yet.
        if BuiltIn::named(&job.name) != Some(BuiltIn::CollectEvidence) {
            built_in::add_report(&mut job);
        }
        job
    }

    /// A report specification of the package or of a part; an unknown one is reported.
    fn report(&self, name: &Spanned<String>) -> Option<Arc<ReportSpec>> {
        let all = || std::iter::once(self.package).chain(self.parts);
        let found = all().find_map(|place| place.tree.reports.get(&name.value));
        if found.is_none() {
            let known: Vec<&str> = all()
                .flat_map(|place| place.tree.reports.keys())
                .map(String::as_str)
                .collect();
            self.package.sink.push(names::unknown_report(name, &known));
        }
        found?.clone()
    }

    fn resolve(&self, reference: &JobRef) -> Option<Vec<Job>> {
        let definition = &reference.definition;
        let sink = self.package.sink;
        let Some((name, version)) = split_version(&definition.value) else {
            let (name, at) = (definition.value.as_str(), definition.span);
            sink.push(match self.version_of(name) {
                Some(version) => names::unknown_version(at, name, "", &version),
                None => {
                    let grammar = "a name and a version, as `grade@v1`";
                    document::bad_name(at, "a job's definition", name, grammar)
                }
            });
            return None;
        };
        if self.package.jobs.contains_key(name) {
            let job = self.content_job(self.package, reference, name, version)?;
            return Some(vec![job]);
        }
        let having = self.parts.iter().filter(|it| it.jobs.contains_key(name));
        let having: Vec<&Place<'_, '_>> = having.collect();
        if !having.is_empty() {
            let jobs = having
                .into_iter()
                .map(|it| self.content_job(it, reference, name, version));
            return all_of(jobs);
        }
        if let Some(built_in) = BuiltIn::named(name) {
            if version != "v1" {
                let found = names::unknown_version(definition.span, name, version, "v1");
                sink.push(found);
                return None;
            }
            return self.built_in(built_in, reference);
        }
        if let Some(primitive) = catalog::find(name, version) {
            return self.primitive_jobs(reference, primitive);
        }
        let jobs = &self.package.jobs;
        sink.push(match catalog::all().iter().find(|it| it.name == name) {
            Some(known) => names::unknown_version(definition.span, name, version, known.version),
            None => names::unknown_job(definition, &job_names(jobs)),
        });
        None
    }

    /// The version at which there is something of that name.
    fn version_of(&self, name: &str) -> Option<String> {
        let mut places = std::iter::once(self.package).chain(self.parts);
        if let Some(drafted) = places.find_map(|place| place.jobs.get(name)) {
            return drafted.as_ref().map(|it| it.version.clone());
        }
        let built_in = BuiltIn::named(name).map(|_| "v1");
        let primitive = || {
            let mut all = catalog::all().iter();
            all.find(|it| it.name == name).map(|it| it.version)
        };
        built_in.or_else(primitive).map(str::to_owned)
    }

    fn content_job(
        &self,
        place: &Place<'_, '_>,
        reference: &JobRef,
        name: &str,
        version: &str,
    ) -> Option<Job> {
        let at = reference.definition.span;
        let drafted = place.jobs.get(name)?.as_ref()?;
        if drafted.version != version {
            let found = names::unknown_version(at, name, version, &drafted.version);
            place.sink.push(found);
        }
        if BuiltIn::named(name).is_some() || catalog::all().iter().any(|it| it.name == name) {
            place.sink.push(names::hides_built_in(at, name));
        }
        let rubric = reference.rubric.as_ref().map(|name| place.rubric(name));
        for (_, step) in &drafted.open_rules {
            match rubric {
                None => {
                    let found =
                        grading::no_ruleset(*step).related(reference.span, "run by this phase");
                    place.sink.push(found);
                }
                Some(Some(rubric)) => {
                    place.sources(rubric, name, *step, drafted.captured.as_deref());
                }
                Some(None) => {}
            }
        }
        let mut job = drafted.job.clone()?;
        if let Some(rubric) = rubric {
            give_rubric(&mut job, rubric?);
        }
        Some(job)
    }

    fn built_in(&self, which: BuiltIn, reference: &JobRef) -> Option<Vec<Job>> {
        match which {
            BuiltIn::ReadinessCheck => {
                let jobs = self.places().iter();
                let jobs = jobs.map(|place| built_in::readiness(place, reference.span));
                all_of(jobs)
            }
            BuiltIn::CollectEvidence => self.collect_evidence(reference),
            BuiltIn::GradeItem => self.grade_item(reference),
            BuiltIn::ScoreReport => {
                let part = None;
                Some(vec![built_in::score_report(part, reference.span)])
            }
        }
    }

    /// `collect_evidence@v1`: the scenario of that name, wherever there is one.
    fn collect_evidence(&self, reference: &JobRef) -> Option<Vec<Job>> {
        let sink = self.package.sink;
        let Some(name) = &reference.scenario else {
            let at = reference.definition.span;
            let what = "`collect_evidence@v1`";
            sink.push(document::missing_field(at, what, "scenario"));
            return None;
        };
        let places = || self.places().iter();
        let having = places().filter(|it| it.tree.scenarios.contains_key(&name.value));
        let jobs: Vec<Option<Job>> = having
            .map(|place| scenario::job(place, &name.value, reference.span))
            .collect();
        if jobs.is_empty() {
            let known: Vec<&str> = places()
                .flat_map(|place| place.tree.scenarios.keys())
                .map(String::as_str)
                .collect();
            sink.push(composites::unknown_scenario(name, &known));
            return None;
        }
        all_of(jobs)
    }

    /// `grade_item@v1`: the rubric of that name, wherever there is one.
    fn grade_item(&self, reference: &JobRef) -> Option<Vec<Job>> {
        let sink = self.package.sink;
        let Some(name) = &reference.rubric else {
            let at = reference.definition.span;
            sink.push(document::missing_field(at, "`grade_item@v1`", "rubric"));
            return None;
        };
        let has = |it: &&Place<'_, '_>| it.tree.rubrics.contains_key(&name.value);
        let having: Vec<&Place<'_, '_>> = self.places().iter().filter(has).collect();
        if having.is_empty() {
            let known = self.places().iter();
            let known: Vec<&str> = known
                .flat_map(|place| place.tree.rubrics.keys())
                .map(String::as_str)
                .collect();
            sink.push(names::unknown_rubric(name, &known));
            return None;
        }
        let jobs = having.into_iter().map(|place| {
            let doc = place.tree.rubrics.get(&name.value)?.as_ref()?;
            self.graded_sources(place, doc, reference);
            let mut job = built_in::grade_item(place.part, reference.span);
            give_rubric(&mut job, doc);
            Some(job)
        });
        all_of(jobs)
    }

    /// What is judged was captured by the jobs before it, or handed in.
    fn graded_sources(&self, place: &Place<'_, '_>, rubric: &RubricDoc, reference: &JobRef) {
        let carried = self.carried.get(place.part.map_or(0, |it| it + 1));
        let Some(Some(carried)) = carried else {
            return;
        };
        let mut carried = carried.clone();
        if place.from_submission {
            let path = CapturePath::parse(built_in::SUBMISSION, None);
            carried.extend(path.map(|path| Captured { path, step: None }));
        }
        let at = reference.span;
        place.sources(rubric, "grade_item", at, Some(&carried));
    }

    fn primitive_jobs(
        &self,
        reference: &JobRef,
        primitive: &'static Primitive,
    ) -> Option<Vec<Job>> {
        let at = reference.definition.span;
        let job = match built_in::of_primitive(primitive, reference.span) {
            Ok(job) => job,
            Err(missing) => {
                let found = names::no_job_by_itself(at, primitive, missing);
                self.package.sink.push(found);
                return None;
            }
        };
        let asked = built_in::asked(primitive);
        if !asked.is_empty() {
            let found = names::asks_by_name(at, primitive, &asked);
            self.package.sink.push(found);
        }
        let fits = |place: &&Place<'_, '_>| {
            place.part.is_none()
                || !needs_labs(&job)
                || place.pod_type.is_none_or(|it| Needs::Labs.fits(it))
        };
        let places = self.places().iter().filter(fits);
        let jobs = places.map(|place| Job {
            part: place.part,
            ..job.clone()
        });
        Some(jobs.collect())
    }
}

/// All of them, or none: every one is made, for all their mistakes.
fn all_of(jobs: impl IntoIterator<Item = Option<Job>>) -> Option<Vec<Job>> {
    let jobs: Vec<Option<Job>> = jobs.into_iter().collect();
    jobs.into_iter().collect()
}

/// What a phase may name, with versions.
fn job_names(jobs: &Named<Drafted>) -> Vec<String> {
    let version =
        |it: &Option<Drafted>| it.as_ref().map_or("v1".to_owned(), |it| it.version.clone());
    let own = jobs
        .iter()
        .map(|(name, drafted)| format!("{name}@{}", version(drafted)));
    let built_in = BuiltIn::ALL.iter().map(|it| format!("{}@v1", it.name()));
    let primitives = catalog::all()
        .iter()
        .filter(|it| built_in::missing(it).is_empty())
        .map(Primitive::id);
    own.chain(built_in).chain(primitives).collect()
}

/// Gives the phase's rubric to every step that evaluates and names no rule.
fn give_rubric(job: &mut Job, doc: &RubricDoc) {
    for step in &mut job.steps {
        let evaluates = step.uses.action() == Some(Action::EvaluateRegex);
        let has_rule = step.rubric.is_some()
            || (step.with.contains_key("source") && step.with.contains_key("regex"));
        if evaluates && !has_rule {
            let step = Arc::make_mut(step);
            step.rubric = Some(Arc::clone(&doc.rubric));
            let name = serde_json::Value::from(doc.rubric.name.clone());
            step.with
                .insert("ruleset".to_owned(), Template::Literal(name));
            read_sources(&mut step.reads, &doc.rubric);
        }
    }
}
