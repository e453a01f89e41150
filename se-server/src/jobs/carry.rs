//! What the earlier phases of a session captured, for the jobs of a phase that work on it.

use std::collections::{BTreeMap, BTreeSet};

use se_dsl::Checked;
use se_dsl::checked::{GRADED, Phase};
use se_dsl::expr::Root;
use se_runtime::JobStatus;
use se_runtime::secret::mask_value;
use se_store::JobFilter;
use serde_json::{Map, Value};

use super::freeze::merge;
use super::view::folded;
use crate::engine::Engine;
use crate::error::Result;
use crate::fields::nests_within;

/// What nests deeper, as the name of a capture may make it, could not be read again from the record of
/// the job that takes it over.
const DEEPEST: usize = 100;

/// Variables by part; none is what belongs to no part.
pub(super) type Carried = BTreeMap<Option<usize>, Map<String, Value>>;

/// What a job of `phase` finds in `vars` before any of its steps has run. Of each earlier phase the last
/// job of the session that has completed counts; a later phase wins.
///
/// # Errors
/// [`crate::Error::Unavailable`], or [`crate::Error::Internal`] if a log cannot be folded any more.
pub(super) async fn vars(
    engine: &Engine,
    definition_id: &str,
    session_id: Option<&str>,
    checked: &Checked,
    phase: Option<&str>,
) -> Result<Carried> {
    let mut carried = Carried::new();
    let (Some(session), Some(phase)) = (session_id, phase) else {
        return Ok(carried);
    };
    let at = checked.phases.iter().position(|it| it.name == phase);
    let Some((here, earlier)) = at.and_then(|at| Some((checked.phases.get(at)?, at))) else {
        return Ok(carried);
    };
    let wanted = wanted(here);
    if wanted.is_empty() {
        return Ok(carried);
    }
    for before in checked.phases.iter().take(earlier) {
        let filter = JobFilter {
            status: Some(JobStatus::Completed),
            session_id: Some(session.to_owned()),
            definition_id: Some(definition_id.to_owned()),
            phase: Some(before.name.clone()),
        };
        let newest = engine.store.jobs(&filter, 1, None).await?.items;
        for job in newest {
            let (plan, state) = folded(engine, &job.id).await?;
            for part in plan.package().places() {
                let vars = state.scopes_of_part(part).get(Root::Vars);
                take(carried.entry(part).or_default(), &vars, &wanted);
            }
        }
    }
    Ok(carried)
}

/// The variables that the phase's jobs read of earlier phases.
fn wanted(phase: &Phase) -> BTreeSet<String> {
    let jobs = phase.jobs.iter().filter(|job| job.takes_over);
    let steps = jobs.flat_map(|job| &job.steps);
    let reads = steps.flat_map(|step| step.reads.vars().map(<[String]>::to_vec));
    let mut wanted: BTreeSet<String> = reads.filter_map(|it| it.into_iter().next()).collect();
    if phase.jobs.iter().any(|job| job.takes_over) {
        wanted.insert(GRADED.to_owned());
    }
    wanted
}

/// Secrets are masked: the job that captured them has ended, and its secrets with it.
fn take(into: &mut Map<String, Value>, vars: &Value, wanted: &BTreeSet<String>) {
    for name in wanted {
        let value = vars.get(name).filter(|it| !it.is_null());
        if let Some(value) = value.filter(|it| nests_within(it, DEEPEST)) {
            let known = into.entry(name.clone()).or_insert(Value::Null);
            merge(known, &mask_value(value));
        }
    }
}
