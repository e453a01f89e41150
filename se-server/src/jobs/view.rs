//! Jobs as callers see them: folded from their logs, secrets masked.

use std::time::Duration;

use se_dsl::expr::Limits;
use se_runtime::cloudevent::output_data;
use se_runtime::event::{Again, Map};
use se_runtime::secret::{mask_text, mask_value};
use se_runtime::{Accepted, Plan, Record, State, StepIndex, Timestamp, Vault};
use se_store::Job;
use serde_json::{Value, json};

use super::{all_records, plan};
use crate::content;
use crate::engine::Engine;
use crate::error::{Error, Result};

/// A job folded from its log as it is stored: with placeholders, which must be masked before anything
/// of it is shown.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Internal`] if its content is gone or its log does not fit.
pub(crate) async fn folded(engine: &Engine, id: &str) -> Result<(Plan, State)> {
    let records = all_records(&engine.store, id).await?;
    let accepted = engine.store.accepted(id).await?;
    fold(engine, &accepted, &records).await
}

async fn fold(engine: &Engine, accepted: &Accepted, records: &[Record]) -> Result<(Plan, State)> {
    content::of_job(engine, accepted).await?;
    let (plan, _) = plan(&engine.packages, accepted).await?;
    let state = State::fold(&plan, records).map_err(|it| Error::Internal(it.to_string()))?;
    Ok((plan, state))
}

/// Everything about a job.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Unavailable`].
pub async fn view(engine: &Engine, id: &str) -> Result<Value> {
    let job = engine.store.job(id).await?;
    let accepted = engine.store.accepted(id).await?;
    let mut answer = list_item(&job);
    answer.insert(
        "metadata".to_owned(),
        accepted.metadata.clone().unwrap_or(Value::Null),
    );
    let public = engine.config.server.public_url.trim_end_matches('/');
    let report = json!(format!("{public}/api/v1/jobs/{id}/report"));
    answer.insert("report_url".to_owned(), report);
    answer.insert(
        "stream_url".to_owned(),
        json!(format!("{public}/api/v1/jobs/{id}/stream")),
    );
    answer.insert("worker".to_owned(), worker(&accepted));
    if let Some((name, id)) = origin(&accepted) {
        answer.insert(name.to_owned(), Value::from(id));
    }
    let records = all_records(&engine.store, id).await?;
    match fold(engine, &accepted, &records).await {
        Ok((plan, state)) => details(&mut answer, &accepted, &plan, &state),
        // A job that cannot be folded, because its content is gone or not here, still has its summary.
        Err(error) => {
            tracing::warn!(job = %id, %error, "job shown without its steps");
            let last = records.into_iter().last();
            let failed = last.and_then(|it| match it.event {
                se_runtime::Event::JobFaulted { error, .. } => Some(error.to_json()),
                _ => None,
            });
            let message = failed.as_ref().map(|it| it["detail"].clone());
            answer.insert("error_message".to_owned(), message.unwrap_or(Value::Null));
            answer.insert("error".to_owned(), failed.unwrap_or(Value::Null));
            answer.insert("steps".to_owned(), json!([]));
            answer.insert("results".to_owned(), json!({}));
            answer.insert("output_data".to_owned(), Value::Null);
        }
    }
    Ok(mask_value(&Value::Object(answer)))
}

fn details(answer: &mut Map, accepted: &Accepted, plan: &Plan, state: &State) {
    let steps = state.all().into_iter();
    let steps: Vec<Value> = steps.map(|at| step(state, at)).collect();
    let results = state.results(plan);
    let error = state.error();
    answer.insert("steps".to_owned(), Value::Array(steps));
    answer.insert("output_data".to_owned(), output_data(accepted, &results));
    answer.insert("results".to_owned(), Value::Object(results));
    answer.insert(
        "error".to_owned(),
        error.map_or(Value::Null, se_runtime::StepError::to_json),
    );
    let message = error.map(|it| format!("{}: {}", it.title, it.detail));
    let cancelled = state.cancel_reason().map(str::to_owned);
    answer.insert(
        "error_message".to_owned(),
        Value::from(message.or(cancelled)),
    );
}

fn step(state: &State, at: StepIndex) -> Value {
    let (node, step) = (state.node(at), state.step(at));
    let took = step.started_at.zip(step.completed_at);
    let took = took.map(|(from, to)| u64::try_from(to.since(from).as_millis()).unwrap_or(u64::MAX));
    json!({
        "id": state.key(at),
        "uses": node.step().uses.id(),
        "target": step.target,
        "stage": node.step().stage,
        "status": step.status.as_str(),
        "attempt": step.attempt,
        "started_at": step.started_at,
        "completed_at": step.completed_at,
        "duration_ms": took,
        "error": step.error,
    })
}

fn worker(accepted: &Accepted) -> Value {
    let mut worker = accepted
        .scopes
        .runtime_env
        .get("worker")
        .cloned()
        .unwrap_or(Value::Null);
    // Even one that is too short to be found elsewhere is not shown here.
    if let Some(password) = worker.get_mut("cml_password") {
        *password = Value::from("***");
    }
    worker
}

/// Which job it goes on from, and what that is called.
#[must_use]
pub fn origin(accepted: &Accepted) -> Option<(&'static str, &str)> {
    let origin = accepted.origin.as_ref()?;
    let name = match origin.how {
        Again::Retry => "retry_of",
        Again::Regrade => "regrade_of",
    };
    Some((name, &origin.job_id))
}

/// A job as a list shows it.
#[must_use]
pub fn list_item(job: &Job) -> Map {
    let at = |it: Option<Timestamp>| it.map(|it| it.to_string());
    let summary = &job.summary;
    let item = json!({
        "job_id": job.id,
        "id": job.id,
        "status": summary.status.as_str(),
        "definition_id": job.definition_id,
        "pod_definition_id": job.definition_id,
        "version": job.version,
        "content_hash": job.content_hash,
        "session_id": job.session_id,
        "phase": job.phase,
        "scenario_name": job.scenario_name,
        "scenario_version": job.scenario_version,
        "progress_pct": summary.percentage,
        "progress": summary.percentage,
        "progress_message": mask_text(&summary.message),
        "created_at": job.created_at,
        "started_at": at(summary.started_at),
        "completed_at": at(summary.completed_at),
    });
    match item {
        Value::Object(item) => item,
        _ => Map::new(),
    }
}

/// What computing the inputs of a plan that is only shown may take.
const LOOK: Duration = Duration::from_secs(2);
/// As many bytes of them are shown.
const SHOWN: usize = 8 << 20;

/// What a job would do: its plan, with the inputs that are known before anything has run.
pub(super) fn dry_run(plan: &Plan, accepted: &Accepted, vault: &Vault) -> Value {
    let scopes = accepted.scopes.seen_in(plan.package()).swap_remove(0);
    let mut shown = plan.to_json();
    let limits = Limits::default().together(LOOK);
    let mut left = SHOWN;
    if let Some(steps) = shown.get_mut("steps").and_then(Value::as_array_mut) {
        for (shown, (_, node)) in steps.iter_mut().zip(plan.steps()) {
            let known = node
                .step()
                .with
                .iter()
                .filter(|(_, it)| it.reads().vars().next().is_none());
            let inputs: Map = known
                .filter_map(|(key, it)| {
                    let value = it.eval(&scopes, &limits).ok()?;
                    left = left.checked_sub(value.to_string().len())?;
                    Some((key.clone(), value))
                })
                .collect();
            shown["inputs"] = vault.mask_value(&Value::Object(inputs));
        }
    }
    shown["dry_run"] = Value::Bool(true);
    shown["definition_id"] = Value::from(accepted.definition_id.as_str());
    shown["version"] = Value::from(accepted.version.as_str());
    shown["phase"] = Value::from(accepted.phase.as_deref());
    shown
}
