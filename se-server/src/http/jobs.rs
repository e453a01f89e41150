//! `/api/v1/jobs`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use se_runtime::{Accepted, Event, JobStatus, Record};
use se_store::JobFilter;
use serde_json::{Value, json};

use super::deliveries::without_query;
use super::dto;
use super::input::{AnyObject, Object, Params};
use super::problem::Problem;
use crate::engine::Engine;
use crate::error::Error;
use crate::fields::LONGEST_NAME;
use crate::jobs::{self, Submission};

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Takes a job in: a phase of a pod definition, or a single scenario.
#[utoipa::path(
    post,
    path = "/api/v1/jobs",
    tag = "jobs",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key within 24 h gets the first job; at most 255 bytes")),
    request_body = dto::JobRequest,
    responses(
        (status = 202, description = "Stored; it will run", body = dto::JobAccepted),
        (status = 200, description = "The plan, where `dry_run` was asked for", body = Object),
        (status = 404, description = "No such content", body = dto::Problem),
        (status = 409, description = "Content and worker do not fit", body = dto::Problem),
        (status = 429, description = "Too many jobs wait: send it again after Retry-After", body = dto::Problem),
        (status = 422, description = "Fields that cannot be used", body = dto::Problem),
    )
)]
pub(super) async fn submit(
    State(engine): State<Arc<Engine>>,
    headers: HeaderMap,
    Object(body): Object,
) -> Result<Response, Problem> {
    let submission = jobs::submit(&engine, &body, key(&headers)?).await?;
    answer(&engine, submission).await
}

fn key(headers: &HeaderMap) -> Result<Option<&str>, Error> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let wrong = |why: String| Error::Malformed(format!("the header Idempotency-Key {why}"));
    let Ok(key) = value.to_str() else {
        let why = "holds more than visible ASCII; give letters, digits and punctuation";
        return Err(wrong(why.to_owned()));
    };
    match key.len() {
        0 => Err(wrong("is empty; give a key, or leave it out".to_owned())),
        1..=LONGEST_NAME => Ok(Some(key)),
        length => Err(wrong(format!(
            "is {length} bytes long; give at most {LONGEST_NAME}"
        ))),
    }
}

async fn answer(engine: &Engine, submission: Submission) -> Result<Response, Problem> {
    Ok(match submission {
        Submission::Plan(plan) => Json(plan).into_response(),
        Submission::Accepted(accepted) => taken(engine, &accepted, JobStatus::Accepted),
        Submission::Repeated(accepted) => {
            let job = engine.store.job(&accepted.job_id).await;
            let job = job.map_err(Error::from)?;
            taken(engine, &accepted, job.summary.status)
        }
    })
}

/// Takes in a job that goes on after the last completed step of one that failed or was cancelled.
///
/// Secrets are erased when a job ends: those that content, configuration and secret store do not know
/// must be given again. What is given is put over the original request.
#[utoipa::path(
    post,
    path = "/api/v1/jobs/{id}/retry",
    tag = "jobs",
    params(
        ("id" = String, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key within 24 h gets the first job; at most 255 bytes"),
    ),
    request_body = Option<dto::RetryRequest>,
    responses(
        (status = 202, description = "Stored; it will run", body = dto::JobAccepted),
        (status = 404, description = "No such job", body = dto::Problem),
        (status = 409, description = "It has not ended, or has completed, or its content is gone", body = dto::Problem),
        (status = 429, description = "Too many jobs wait: send it again after Retry-After", body = dto::Problem),
        (status = 422, description = "Secrets must be given again: `errors[].pointer` names them", body = dto::Problem),
    )
)]
pub(super) async fn retry(
    State(engine): State<Arc<Engine>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    AnyObject(body): AnyObject,
) -> Result<Response, Problem> {
    let key = key(&headers)?;
    let submission = match jobs::first_again(&engine, "retry", &id, &body, key).await? {
        Some(first) => first,
        None => jobs::retry(&engine, &id, &body, key).await?,
    };
    answer(&engine, submission).await
}

/// Takes in a job that judges the recorded evidence of an ended one again; no pod is touched.
#[utoipa::path(
    post,
    path = "/api/v1/jobs/{id}/regrade",
    tag = "jobs",
    params(
        ("id" = String, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key within 24 h gets the first job; at most 255 bytes"),
    ),
    request_body = Option<dto::RegradeRequest>,
    responses(
        (status = 202, description = "Stored; it will run", body = dto::JobAccepted),
        (status = 404, description = "No such job", body = dto::Problem),
        (status = 409, description = "It has not ended, has no rubric, or the content is gone", body = dto::Problem),
        (status = 429, description = "Too many jobs wait: send it again after Retry-After", body = dto::Problem),
        (status = 422, description = "The version does not exist or has no rubric in that phase", body = dto::Problem),
    )
)]
pub(super) async fn regrade(
    State(engine): State<Arc<Engine>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    AnyObject(body): AnyObject,
) -> Result<Response, Problem> {
    let key = key(&headers)?;
    let submission = match jobs::first_again(&engine, "regrade", &id, &body, key).await? {
        Some(first) => first,
        None => jobs::regrade(&engine, &id, &body, key).await?,
    };
    answer(&engine, submission).await
}

fn taken(engine: &Engine, accepted: &Accepted, status: JobStatus) -> Response {
    use se_runtime::cloudevent::Profile;
    let public = engine.config.server.public_url.trim_end_matches('/');
    let id = &accepted.job_id;
    let status = match (status, engine.config.events.profile) {
        (JobStatus::Accepted, Profile::Lcm) => "submitted",
        (status, _) => status.as_str(),
    };
    let mut body = json!({
        "job_id": id,
        "id": id,
        "status": status,
        "definition_id": accepted.definition_id,
        "version": accepted.version,
        "session_id": accepted.session_id,
        "phase": accepted.phase,
        "stream_url": format!("{public}/api/v1/jobs/{id}/stream"),
        "report_url": format!("{public}/api/v1/jobs/{id}/report"),
    });
    if let Some(scenario) = &accepted.scenario {
        body["scenario_name"] = Value::from(scenario.name.as_str());
        body["scenario_version"] = Value::from(scenario.version.as_str());
    }
    if let Some((name, id)) = jobs::origin(accepted) {
        body[name] = Value::from(id);
    }
    let location = [(header::LOCATION, format!("{public}/api/v1/jobs/{id}"))];
    (StatusCode::ACCEPTED, location, Json(body)).into_response()
}

/// Jobs, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/jobs",
    tag = "jobs",
    params(
        ("status" = Option<String>, Query, description = "accepted, running, cancelling, completed, faulted or cancelled"),
        ("session_id" = Option<String>, Query),
        ("definition_id" = Option<String>, Query),
        ("phase" = Option<String>, Query),
        ("limit" = Option<u32>, Query, description = "1 to 1000, default 50"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page", body = dto::JobList))
)]
pub(super) async fn list(
    State(engine): State<Arc<Engine>>,
    params: Params,
) -> Result<Json<Value>, Problem> {
    let status = params.parse("status", |text| {
        JobStatus::parse(text).ok_or_else(|| {
            format!(
                "is `{text}`; give accepted, running, cancelling, completed, faulted or cancelled"
            )
        })
    })?;
    let filter = JobFilter {
        status,
        session_id: params.text("session_id"),
        definition_id: params.text("definition_id"),
        phase: params.text("phase"),
    };
    let page = engine
        .store
        .jobs(&filter, params.limit()?, params.cursor()?)
        .await;
    let page = page.map_err(Error::from)?;
    let items: Vec<Value> = page
        .items
        .iter()
        .map(|it| Value::Object(jobs::list_item(it)))
        .collect();
    let next = page.next.map(|it| it.to_string());
    Ok(Json(json!({"jobs": items, "next_cursor": next})))
}

/// Everything about a job; secrets are masked.
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{id}",
    tag = "jobs",
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "The job", body = dto::Job),
        (status = 404, description = "No such job", body = dto::Problem),
    )
)]
pub(super) async fn get(
    State(engine): State<Arc<Engine>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(jobs::view(&engine, &id).await?))
}

/// Asks a job to stop; what it runs is stopped within two seconds.
#[utoipa::path(
    delete,
    path = "/api/v1/jobs/{id}",
    tag = "jobs",
    params(
        ("id" = String, Path),
        ("reason" = Option<String>, Query, description = "Why, for the events"),
    ),
    responses(
        (status = 204, description = "It is being stopped"),
        (status = 404, description = "No such job", body = dto::Problem),
        (status = 409, description = "It has ended", body = dto::Problem),
    )
)]
pub(super) async fn cancel(
    State(engine): State<Arc<Engine>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<StatusCode, Problem> {
    let reason = params
        .text("reason")
        .unwrap_or_else(|| "cancelled by request".to_owned());
    jobs::cancel(&engine, &id, &reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The journal of a job, in order; secrets are masked.
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{id}/events",
    tag = "jobs",
    params(
        ("id" = String, Path),
        ("after" = Option<u64>, Query, description = "Number of the last event already known"),
        ("limit" = Option<u32>, Query, description = "1 to 1000, default 50"),
    ),
    responses(
        (status = 200, description = "A page", body = dto::EventList),
        (status = 404, description = "No such job", body = dto::Problem),
    )
)]
pub(super) async fn events(
    State(engine): State<Arc<Engine>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<Value>, Problem> {
    let wrong = |text: &str| format!("is `{text}`; give the number of an event");
    let after = params.parse("after", |text| text.parse::<u64>().map_err(|_| wrong(text)))?;
    let limit = params.limit()?;
    let page = engine.store.events(&id, after.unwrap_or(0), limit).await;
    let page = page.map_err(Error::from)?;
    let events: Vec<Record> = page.records.into_iter().map(shown).collect();
    let next = events.last().filter(|_| page.more).map(|it| it.seq);
    Ok(Json(json!({"events": events, "next_after": next})))
}

/// Without its secrets, those of the address that its events go to included.
fn shown(record: Record) -> Record {
    let mut shown = record.mask();
    if let Event::JobAccepted(accepted) = &mut shown.event {
        accepted.callback_url = accepted.callback_url.as_deref().map(without_query);
    }
    shown
}
