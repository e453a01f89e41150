//! The control port of a simulated pod: what was done to it.

use std::io;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use super::journal::Journal;
use super::serve::{Serving, serve};

/// `GET /log`: one JSON line per action. `GET /healthz`.
pub(super) async fn start(address: &str, journal: Journal) -> io::Result<Serving> {
    let listener = TcpListener::bind((address, 0)).await?;
    let router = Router::new()
        .route("/log", get(log))
        .route("/healthz", get(async || "ok\n"))
        .with_state(journal);
    serve(listener, None, router)
}

async fn log(State(journal): State<Journal>) -> impl IntoResponse {
    let lines = journal.entries().into_iter().filter_map(|entry| {
        let line = serde_json::to_string(&entry).ok()?;
        Some(line + "\n")
    });
    (
        [(CONTENT_TYPE, "application/x-ndjson")],
        lines.collect::<String>(),
    )
}
