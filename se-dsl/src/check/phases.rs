//! Phases: each job reference becomes a job, or one for each part, with all that the phase adds.

use std::sync::Arc;

use super::place::Place;
use super::resolve::Resolver;
use super::step::split_version;
use crate::checked::{Job, Phase, Uses};
use crate::diagnostic::codes::grading;
use crate::document::{Documents, LifecycleDoc};

/// The phases; `None` if something in them is wrong.
pub(super) fn of(
    package: &Place<'_, '_>,
    parts: &[Place<'_, '_>],
    documents: &Documents,
) -> Option<Vec<Phase>> {
    let lifecycle = documents.lifecycle.as_ref();
    let mut resolver = Resolver::new(package, parts);
    let mut phases = Vec::new();
    for doc in lifecycle.iter().flat_map(|it| &it.phases) {
        let resolved: Vec<Option<Vec<Job>>> = doc.jobs.iter().map(|it| resolver.jobs(it)).collect();
        let resolved: Option<Vec<Vec<Job>>> = resolved.into_iter().collect();
        phases.push(resolved.map(|jobs| Phase {
            name: doc.name.value.clone(),
            native_steps: doc.native_steps.clone(),
            jobs: jobs.into_iter().flatten().map(Arc::new).collect(),
            span: doc.span,
        }));
    }
    // A reference that is wrong may be to any job.
    let all_known = phases.iter().all(Option::is_some);
    if let Some(lifecycle) = lifecycle.filter(|it| it.is_whole && all_known) {
        for place in std::iter::once(package).chain(parts) {
            jobs_of_no_phase(place, lifecycle);
        }
    }
    lifecycle?;
    phases.into_iter().collect()
}

/// A job that no phase runs can still be run by name; then it has no phase to give it a rubric.
fn jobs_of_no_phase(place: &Place<'_, '_>, lifecycle: &LifecycleDoc) {
    let references = lifecycle.phases.iter().flat_map(|phase| &phase.jobs);
    let used: Vec<&str> = references
        .filter_map(|it| split_version(&it.definition.value))
        .map(|(name, _)| name)
        .collect();
    for (name, drafted) in &place.jobs {
        if used.contains(&name.as_str()) {
            continue;
        }
        for (_, step) in drafted.iter().flat_map(|it| &it.open_rules) {
            place.sink.push(grading::no_ruleset(*step));
        }
    }
}

/// Whether a job manages labs.
pub(super) fn needs_labs(job: &Job) -> bool {
    let needs = |uses: &Uses| uses.primitive().map(|it| it.needs);
    let labs = Some(crate::catalog::Needs::Labs);
    job.steps.iter().any(|step| needs(&step.uses) == labs)
}
