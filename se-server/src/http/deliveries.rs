//! `/api/v1/deliveries`: CloudEvents on their way out.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use se_store::{Delivery, DeliveryStatus};
use serde_json::{Value, json};

use super::dto;
use super::input::Params;
use super::problem::Problem;
use crate::engine::Engine;
use crate::error::Error;

/// Deliveries, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/deliveries",
    tag = "events",
    params(
        ("status" = Option<String>, Query, description = "pending, waiting, delivered, dead or gone"),
        ("limit" = Option<u32>, Query, description = "1 to 1000, default 50"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page", body = dto::DeliveryList))
)]
pub(super) async fn list(
    State(engine): State<Arc<Engine>>,
    params: Params,
) -> Result<Json<Value>, Problem> {
    let status = params.parse("status", |text| {
        DeliveryStatus::parse(text)
            .ok_or_else(|| format!("is `{text}`; give pending, waiting, delivered, dead or gone"))
    })?;
    let outbox = engine.store.outbox();
    let page = outbox
        .list(status, params.limit()?, params.cursor()?)
        .await
        .map_err(Error::from)?;
    let items: Vec<Value> = page.items.iter().map(delivery).collect();
    Ok(Json(
        json!({"deliveries": items, "next_cursor": page.next.map(|it| it.to_string())}),
    ))
}

/// Sends a delivery again that was given up, or refused as gone.
#[utoipa::path(
    post,
    path = "/api/v1/deliveries/{id}/resend",
    tag = "events",
    params(("id" = i64, Path)),
    responses(
        (status = 202, description = "It is due"),
        (status = 404, description = "No such delivery", body = dto::Problem),
        (status = 409, description = "It arrived, or is on its way", body = dto::Problem),
    )
)]
pub(super) async fn resend(
    State(engine): State<Arc<Engine>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let unknown = || Error::NotFound(format!("there is no delivery {id}"));
    let id: i64 = id.parse().map_err(|_| unknown())?;
    engine
        .store
        .outbox()
        .resend(id)
        .await
        .map_err(Error::from)?;
    Ok(StatusCode::ACCEPTED)
}

fn delivery(it: &Delivery) -> Value {
    let event: Value = serde_json::from_str(&it.body).unwrap_or_default();
    json!({
        "id": it.id,
        "stream": it.stream,
        "url": without_query(&it.url),
        "event_id": it.event_id,
        "type": event["type"],
        "status": it.status.as_str(),
        "attempts": it.attempts,
        "next_at": it.next_at,
        "created_at": it.created_at,
        "ended_at": it.ended_at,
        "error": it.error,
    })
}

/// Receivers may keep a token in their address.
pub(super) fn without_query(url: &str) -> String {
    match reqwest::Url::parse(url) {
        Ok(mut url) => {
            let changed = url.set_password(None).and_then(|()| url.set_username(""));
            url.set_query(None);
            if changed.is_err() {
                String::new()
            } else {
                url.into()
            }
        }
        Err(_) => String::new(),
    }
}
