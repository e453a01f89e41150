//! What went over the connectors of a job.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::dto;
use super::problem::Problem;
use crate::engine::Engine;
use crate::error::Error;

/// The connectors that a job used, with the transcript of each: what was sent and received when, secrets masked.
/// While the job runs, it is at most some seconds old.
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{id}/transcripts",
    tag = "jobs",
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "`transcripts[] {connector, bytes, at, url}`", body = Object),
        (status = 404, description = "No such job", body = dto::Problem),
    )
)]
pub(super) async fn list(
    State(engine): State<Arc<Engine>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    // Tells a job without transcripts from one that is not there.
    engine.store.job(&id).await?;
    let all = engine.store.transcripts(&id).await?;
    let one = |it: se_store::TranscriptInfo| {
        json!({
            "connector": it.connector,
            "bytes": it.bytes,
            "at": it.at.to_string(),
            "url": format!("/api/v1/jobs/{id}/transcripts/{}", it.connector),
        })
    };
    let all: Vec<Value> = all.into_iter().map(one).collect();
    Ok(Json(json!({"transcripts": all})))
}

/// One transcript as text: `time > sent`, `time < received`, `time | note`.
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{id}/transcripts/{connector}",
    tag = "jobs",
    params(("id" = String, Path), ("connector" = String, Path)),
    responses(
        (status = 200, description = "The transcript", content_type = "text/plain", body = String),
        (status = 404, description = "No such job, or nothing went over such a connector", body = dto::Problem),
    )
)]
pub(super) async fn get(
    State(engine): State<Arc<Engine>>,
    Path((id, connector)): Path<(String, String)>,
) -> Result<Response, Problem> {
    engine.store.job(&id).await?;
    let Some(text) = engine.store.transcript(&id, &connector).await? else {
        let known = engine.store.transcripts(&id).await?;
        let known: Vec<&str> = known.iter().map(|it| it.connector.as_str()).collect();
        let why = match known.as_slice() {
            [] => format!("job {id} has used no connector"),
            known => format!(
                "job {id} has not used a connector `{connector}`; it used: {}",
                known.join(", ")
            ),
        };
        return Err(Error::NotFound(why).into());
    };
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        // A device has written it.
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, text).into_response())
}
