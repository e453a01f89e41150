//! What can be done with jobs, without HTTP.

mod again;
mod carry;
mod freeze;
mod regain;
mod request;
mod secrets;
mod view;
pub(crate) mod worker;

use se_runtime::event::FORMAT;
use se_runtime::{Accepted, Event, Plan, PlanError, Record, Timestamp, Vault};
use se_store::{CancelNoted, NewJob, Store, Submitted};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::content::{self, Package, Packages};
use crate::dispatch;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::tasks::Tasks;

pub use again::{regrade, retry};
pub(crate) use freeze::known as known_secrets;
pub use request::{JobRequest, What};
pub(crate) use view::folded;
pub use view::{list_item, origin, view};

use freeze::Frozen;

/// Events read from the store in one go.
const PAGE: u32 = 1000;

/// What came of a submission.
#[derive(Clone, Debug)]
pub enum Submission {
    /// The job is stored and will run.
    Accepted(Accepted),
    /// An earlier request with the same key made this job.
    Repeated(Accepted),
    /// Only the plan was asked for.
    Plan(Value),
}

/// Takes a job in, or shows what it would do.
///
/// # Errors
/// [`Error::Invalid`] names the fields at fault; [`Error::NotFound`] and [`Error::Conflict`] say which
/// content there is, or why content and worker do not fit; [`Error::Busy`] and [`Error::Unavailable`]: nothing was stored.
pub async fn submit(
    engine: &Engine,
    body: &Map<String, Value>,
    idempotency_key: Option<&str>,
) -> Result<Submission> {
    let request = JobRequest::read(body)?;
    let (key, correlation) = (idempotency_key, request.correlation());
    let is_named = key.is_some() || correlation.is_some();
    let request_hash = if is_named { hash(body) } else { String::new() };
    // What runs already needs nothing that this one may lack by now.
    if !request.dry_run
        && let Some(first) = first_job(engine, names(key, correlation, &request_hash)).await?
    {
        return Ok(first);
    }
    let Prepared {
        accepted,
        vault,
        plan,
        worker,
        findings,
    } = prepare(engine, &request).await?;
    if request.dry_run {
        let show = move || view::dry_run(&plan, &accepted, &vault);
        let mut shown = Tasks::blocking(show).await.map_err(Error::Internal)?;
        shown["diagnostics"] = findings;
        return Ok(Submission::Plan(shown));
    }
    let intake = Intake {
        accepted,
        vault,
        done: Vec::new(),
        at: engine.world.clock.now(),
        worker,
        header_key: key.map(str::to_owned),
        correlation: correlation.map(str::to_owned),
        request_hash,
    };
    take_in(engine, intake).await
}

/// What the same request about the ended job `id` got before, whatever became of what it needs: to `retry` it, or
/// to `regrade` it.
///
/// # Errors
/// [`Error::Conflict`] if the key belongs to another request; [`Error::Unavailable`].
pub async fn first_again(
    engine: &Engine,
    how: &str,
    id: &str,
    body: &Map<String, Value>,
    key: Option<&str>,
) -> Result<Option<Submission>> {
    if key.is_none() {
        return Ok(None);
    }
    // As `again` puts it.
    let request = json!({how: id, "body": body});
    first_job(engine, names(key, None, &hash(&request))).await
}

/// A job on its way into the store.
#[derive(Debug)]
struct Intake {
    accepted: Accepted,
    vault: Vault,
    /// What it need not do: events from number 2 on, sealed.
    done: Vec<Record>,
    at: Timestamp,
    worker: Option<String>,
    /// The caller's Idempotency-Key.
    header_key: Option<String>,
    /// What tells repetitions too, whatever else they say.
    correlation: Option<String>,
    /// As [`hash`] gives it.
    request_hash: String,
}

async fn take_in(engine: &Engine, it: Intake) -> Result<Submission> {
    let record = Record {
        seq: 1,
        at: it.at,
        event: Event::JobAccepted(Box::new(it.accepted)),
    };
    let (key, correlation) = (it.header_key.as_deref(), it.correlation.as_deref());
    let names = names(key, correlation, &it.request_hash);
    let job = NewJob {
        accepted: record.seal(&it.vault),
        secrets: it.vault.iter().cloned().collect(),
        worker: it.worker,
        idempotency_key: None,
        request_hash: it.request_hash,
    };
    let Event::JobAccepted(sealed) = job.accepted.event.clone() else {
        return Err(Error::Internal(
            "a sealed event changed its kind".to_owned(),
        ));
    };
    if is_full(engine) {
        if let Some(first) = first_job(engine, names).await? {
            return Ok(first);
        }
        let most = engine.config.jobs.max_queued;
        return Err(Error::Busy(format!(
            "{most} jobs wait already (jobs.max_queued): nothing was stored; send the same request \
             again later"
        )));
    }
    match engine.store.submit_named(job, it.done, names).await? {
        Submitted::New => {
            engine.metrics.submitted.add();
            engine.places.submitted();
            tracing::info!(job = %sealed.job_id, phase = sealed.phase, "job accepted");
            Ok(Submission::Accepted(*sealed))
        }
        Submitted::Existing {
            job_id,
            same_request,
        } => repeated(engine, job_id, same_request).await,
    }
}

/// What a request is known by, with the hash that the same one has where the name alone does not say so: the first
/// name that is known decides, so the caller's key before the correlation.
fn names(
    key: Option<&str>,
    correlation: Option<&str>,
    request_hash: &str,
) -> Vec<(String, Option<String>)> {
    let mut names = Vec::new();
    if let Some(key) = key {
        // Engines of former versions know and compare the second alone.
        let (sorted, sent) = request_hash.split_once(' ').unwrap_or_default();
        names.push((format!("same:{sorted}:{key}"), None));
        names.push((format!("key:{key}"), Some(sent.to_owned())));
    }
    let correlation = correlation.map(|it| match it.len() {
        // Longer than a database looks anything up by.
        201.. => format!("correlation:sha256:{}", digest(&it)),
        _ => format!("correlation:{it}"),
    });
    names.extend(correlation.map(|it| (it, None)));
    names
}

/// What the first request of these names got, if there was one.
async fn first_job(
    engine: &Engine,
    names: Vec<(String, Option<String>)>,
) -> Result<Option<Submission>> {
    match engine.store.first_job(names).await? {
        Some(Submitted::Existing {
            job_id,
            same_request,
        }) => repeated(engine, job_id, same_request).await.map(Some),
        Some(Submitted::New) | None => Ok(None),
    }
}

async fn repeated(engine: &Engine, job_id: String, same_request: bool) -> Result<Submission> {
    if !same_request {
        return Err(Error::Conflict(format!(
            "this Idempotency-Key belongs to job {job_id}, which was another request; give each \
             request a key of its own"
        )));
    }
    Ok(Submission::Repeated(engine.store.accepted(&job_id).await?))
}

/// Whether no more jobs may wait. Requests that come together may all see the last free place: there
/// are as many more as requests at a time.
fn is_full(engine: &Engine) -> bool {
    let (_, queued) = engine.places.counts();
    queued >= engine.config.jobs.max_queued
}

/// A job that fits its content and its worker.
struct Prepared {
    accepted: Accepted,
    vault: Vault,
    plan: Plan,
    worker: Option<String>,
    /// What was found in the content when it was synced.
    findings: Value,
}

async fn prepare(engine: &Engine, request: &JobRequest) -> Result<Prepared> {
    let (definition, package) =
        content::ready(engine, request.definition_id(), request.version()).await?;
    let worker = worker::known(engine, request).await?;
    let wanted = worker::of_facts(&worker)?;
    let checked = &package.checked;
    for part in checked.places() {
        let pod_type = checked.pod_type(part);
        engine
            .registry
            .select(pod_type, wanted.adapter.as_deref(), &wanted.capabilities)
            .map_err(|error| Error::Conflict(error.to_string()))?;
    }
    let (id, session) = (&definition.key.definition_id, request.session_id.as_deref());
    let carried = carry::vars(engine, id, session, checked, request.phase()).await?;
    let learned = match &request.session_id {
        Some(session) => {
            engine
                .store
                .session_facts(session, worker::key(&worker))
                .await?
        }
        None => Map::new(),
    };
    let pod = freeze::Pod {
        definition: &definition,
        package: &package,
        worker: &worker,
        learned,
        carried,
    };
    let Frozen {
        mut scopes,
        secrets,
    } = freeze::freeze(request, &pod, &engine.config.secrets)?;
    let vault = secrets.with_logins(checked, &mut scopes).await?;
    let accepted = Accepted {
        format: FORMAT,
        job_id: engine.world.ids.next(),
        definition_id: definition.key.definition_id,
        version: definition.key.version,
        content_hash: definition.content_hash.unwrap_or_default(),
        session_id: request.session_id.clone(),
        phase: request.phase().map(str::to_owned),
        scenario: request.scenario(),
        sequential: request.sequential,
        callback_url: request.callback_url.clone(),
        metadata: request.metadata.clone(),
        scopes,
        engine_version: env!("CARGO_PKG_VERSION").to_owned(),
        origin: None,
    };
    let plan = package.plan(&accepted, planless).await?;
    Ok(Prepared {
        accepted,
        vault,
        plan,
        worker: worker::key(&worker).map(str::to_owned),
        findings: definition.warnings,
    })
}

/// Asks a job to stop.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] if it has ended.
pub async fn cancel(engine: &Engine, id: &str, reason: &str) -> Result<()> {
    let ended = |status: &str| {
        Error::Conflict(format!(
            "job {id} is {status}: there is nothing left to cancel"
        ))
    };
    let job = engine.store.job(id).await?;
    if job.summary.status.is_final() {
        return Err(ended(job.summary.status.as_str()));
    }
    match dispatch::cancel(engine, id, reason).await? {
        CancelNoted::Noted => Ok(()),
        // It has ended since it was looked at.
        CancelNoted::Ended => Err(ended("not running any more")),
    }
}

/// The whole log of a job, sealed.
///
/// # Errors
/// As [`Store::events`].
pub(crate) async fn all_records(store: &Store, id: &str) -> Result<Vec<Record>> {
    let mut all: Vec<Record> = Vec::new();
    loop {
        let after = all.last().map_or(0, |it| it.seq);
        let page = store.events(id, after, PAGE).await?;
        all.extend(page.records);
        if !page.more {
            return Ok(all);
        }
    }
}

/// The plan of a stored job with the package it runs from.
pub(crate) async fn plan(packages: &Packages, accepted: &Accepted) -> Result<(Plan, Package)> {
    let package = packages.of_job(accepted).await?;
    let plan = package.plan(accepted, |it| Error::Internal(it.to_string()));
    let plan = plan.await?;
    Ok((plan, package))
}

fn planless(error: &PlanError) -> Error {
    match error {
        PlanError::UnknownPhase { .. }
        | PlanError::NothingToRun(_)
        | PlanError::UnknownJob { .. } => Error::field("/phase", error.to_string()),
        PlanError::UnknownScenario(_) => Error::field("/scenario_name", error.to_string()),
        PlanError::BadInput { input, .. } => {
            Error::field(format!("/input_data/{input}"), error.to_string())
        }
        PlanError::Cycle { .. } => Error::Content {
            detail: error.to_string(),
            errors: vec![json!({"severity": "error", "message": error.to_string()})],
        },
    }
}

/// Two hashes of a request: with its members in the order of their names, and as it was sent.
fn hash(request: &impl serde::Serialize) -> String {
    let mut sorted = serde_json::to_value(request).expect("JSON is always JSON");
    sorted.sort_all_objects();
    format!("{} {}", digest(&sorted), digest(request))
}

fn digest(request: &impl serde::Serialize) -> String {
    let text = serde_json::to_vec(request).expect("JSON is always JSON");
    let digest = Sha256::digest(text);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
