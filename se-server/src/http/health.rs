//! How the service is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::dto;
use super::problem::Problem;
use crate::engine::Engine;

/// Whether it is alive.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, description = "It is", body = dto::Health)))]
pub(super) async fn healthz(State(engine): State<Arc<Engine>>) -> Json<Value> {
    Json(json!({"status": "healthy", "timestamp": engine.world.clock.now()}))
}

/// Whether it can do its work: store, object store and dispatcher are looked at.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    responses(
        (status = 200, description = "It can", body = dto::Health),
        (status = 503, description = "It cannot; `detail` says why", body = dto::Problem),
    )
)]
pub(super) async fn readyz(State(engine): State<Arc<Engine>>) -> Response {
    let mut trouble = Vec::new();
    if engine.tasks.is_stopping() {
        trouble.push("dispatcher: the engine stops".to_owned());
    }
    for name in engine.tasks.lost() {
        let why = "it has broken down, and the log says where; start the engine again";
        trouble.push(format!("{name}: {why}"));
    }
    if let Err(error) = engine.store.ping().await {
        trouble.push(format!("store: {error}"));
    }
    if let Some(bucket) = &engine.bucket
        && let Some(why) = bucket.trouble().await
    {
        trouble.push(format!("object store: {why}"));
    }
    let root = engine.config.content.root.as_ref();
    for folder in std::iter::once(&engine.config.store.data_dir).chain(root) {
        if !folder.is_dir() {
            trouble.push(format!("content: there is no folder {}", folder.display()));
        }
    }
    if !trouble.is_empty() {
        let detail = trouble.join("; ");
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            .into_response();
    }
    let at = engine.world.clock.now();
    Json(json!({"status": "ready", "message": "ready to take jobs", "timestamp": at}))
        .into_response()
}

/// Numbers for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = 200, description = "The numbers", content_type = "text/plain", body = String)))]
pub(super) async fn metrics(State(engine): State<Arc<Engine>>) -> Response {
    let text = engine.metrics.text(engine.gauges());
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
        .into_response()
}

/// What runs here.
#[utoipa::path(get, path = "/api/info", tag = "health", responses((status = 200, description = "Name, version, build", body = Object)))]
pub(super) async fn info(State(engine): State<Arc<Engine>>) -> Json<Value> {
    Json(json!({
        "name": "scenario-engine",
        "version": env!("CARGO_PKG_VERSION"),
        "description": env!("CARGO_PKG_DESCRIPTION"),
        "build": {
            "profile": if cfg!(debug_assertions) { "debug" } else { "release" },
            "commit": option_env!("BUILD_COMMIT"),
            "time": option_env!("BUILD_TIME"),
        },
        "runtime": {
            "uptime_seconds": engine.gauges().uptime,
            "start_time": engine.started_at,
            "pod_types": engine.registry.names(),
        },
    }))
}
