//! Server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, StreamExt as _};

use super::dto;
use super::input::Params;
use super::problem::Problem;
use crate::engine::Engine;
use crate::error::Error;
use crate::stream::{self, Filter, Message};

const HEARTBEAT: Duration = Duration::from_secs(15);

/// Follows a job: replays from the start, or after `Last-Event-ID`; ends with the job.
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{id}/stream",
    tag = "events",
    params(
        ("id" = String, Path),
        ("Last-Event-ID" = Option<String>, Header, description = "Number of the last event seen"),
    ),
    responses(
        (status = 200, description = "CloudEvents, one a message", content_type = "text/event-stream", body = String),
        (status = 404, description = "No such job", body = dto::Problem),
    )
)]
pub(super) async fn job_stream(
    State(engine): State<Arc<Engine>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    let after = last_seen(&headers)?.unwrap_or(0);
    let items = stream::of_job(engine, id, u64::try_from(after).unwrap_or(0)).await?;
    Ok(sse(items))
}

/// Follows all jobs, with the filters of the list; `id:` is the place among the events of all jobs.
#[utoipa::path(
    get,
    path = "/api/v1/events/stream",
    tag = "events",
    params(
        ("session_id" = Option<String>, Query),
        ("definition_id" = Option<String>, Query),
        ("phase" = Option<String>, Query),
        ("Last-Event-ID" = Option<String>, Header, description = "Place of the last event seen"),
    ),
    responses((status = 200, description = "CloudEvents, one a message", content_type = "text/event-stream", body = String))
)]
pub(super) async fn all_stream(
    State(engine): State<Arc<Engine>>,
    params: Params,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    let after = last_seen(&headers)?.unwrap_or(0);
    let filter = Filter {
        session_id: params.text("session_id"),
        definition_id: params.text("definition_id"),
        phase: params.text("phase"),
    };
    Ok(sse(stream::of_all(engine, filter, after).await?))
}

fn last_seen(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let number = value.to_str().ok().and_then(|it| it.trim().parse().ok());
    let wrong =
        || Error::Malformed("Last-Event-ID is no number; send the last `id:` seen".to_owned());
    Ok(Some(number.ok_or_else(wrong)?))
}

fn sse(
    items: impl Stream<Item = Message> + Send + 'static,
) -> Sse<impl Stream<Item = Result<Event, Infallible>> + Send> {
    let event = |it: Message| Event::default().id(&it.id).event(it.kind()).data(it.data());
    let events = items.map(move |it| Ok(event(it)));
    Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT).text("heartbeat"))
}
