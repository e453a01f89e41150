//! `/api/v1/content`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use se_store::{Definition, DefinitionKey, DefinitionStatus};
use serde_json::{Value, json};
use tokio_util::io::ReaderStream;

use super::dto;
use super::input::{Large, Object, Params, Zip};
use super::problem::Problem;
use crate::content::{self, SyncBody};
use crate::engine::Engine;
use crate::error::Error;

/// Fetches a package, checks it, and makes it serve jobs. Waits for the end as long as configured.
#[utoipa::path(
    post,
    path = "/api/v1/content/sync",
    tag = "content",
    request_body = dto::SyncRequest,
    responses(
        (status = 202, description = "Ready, or still synchronizing", body = dto::Synced),
        (status = 404, description = "Nothing at that address", body = dto::Problem),
        (status = 409, description = "Another sync is going on, or the content is not what was said", body = dto::Problem),
        (status = 422, description = "The package is broken; nothing was stored", body = dto::Problem),
        (status = 429, description = "Too many large requests at a time; see Retry-After", body = dto::Problem),
    )
)]
pub(super) async fn sync(
    State(engine): State<Arc<Engine>>,
    _place: Large,
    Object(body): Object,
) -> Result<Response, Problem> {
    let body = SyncBody::read(&body)?;
    let key = body.key.clone();
    let synced = content::sync(&engine, body).await?;
    let replaced = synced.superseded.iter();
    let others: BTreeSet<&str> = replaced
        .clone()
        .map(|it| it.definition_id.as_str())
        .filter(|it| *it != key.definition_id)
        .collect();
    let replaced: Vec<String> = replaced.map(ToString::to_string).collect();
    let answer = json!({
        "definition_id": key.definition_id,
        "version": key.version,
        "status": synced.status,
        "content_hash": synced.content_hash,
        "pod_type": synced.pod_type,
        "message": synced.message,
        "superseded_ids": others,
        "superseded_versions": replaced,
    });
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}

/// Checks a zip without storing anything.
#[utoipa::path(
    post,
    path = "/api/v1/content/validate",
    tag = "content",
    request_body(content = String, content_type = "application/zip", description = "The zip"),
    responses(
        (status = 200, description = "What was found; `valid` says whether it can be used", body = dto::Findings),
        (status = 422, description = "No zip, or one that breaks a rule", body = dto::Problem),
        (status = 429, description = "Too many large requests at a time; see Retry-After", body = dto::Problem),
    )
)]
pub(super) async fn validate(
    State(engine): State<Arc<Engine>>,
    _place: Large,
    Zip(zip): Zip,
) -> Result<Json<Value>, Problem> {
    let found = content::validate(&engine, zip).await?;
    Ok(Json(json!({
        "valid": found.errors == 0,
        "errors": found.errors,
        "warnings": found.warnings,
        "diagnostics": found.all,
    })))
}

/// Versions of all pod definitions, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/content",
    tag = "content",
    params(
        ("status" = Option<String>, Query, description = "defined, synchronizing, ready, failed, expired or superseded"),
        ("limit" = Option<u32>, Query, description = "1 to 1000, default 50"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page", body = dto::DefinitionList))
)]
pub(super) async fn list(
    State(engine): State<Arc<Engine>>,
    params: Params,
) -> Result<Json<Value>, Problem> {
    let status = params.parse("status", |text| {
        DefinitionStatus::parse(text).ok_or_else(|| {
            format!(
                "is `{text}`; give defined, synchronizing, ready, failed, expired or superseded"
            )
        })
    })?;
    let definitions = engine.store.definitions();
    let page = definitions
        .list(status, params.limit()?, params.cursor()?)
        .await;
    let page = page.map_err(Error::from)?;
    let items: Vec<Value> = page.items.iter().map(definition).collect();
    Ok(Json(
        json!({"definitions": items, "next_cursor": page.next.map(|it| it.to_string())}),
    ))
}

/// A pod definition: the latest version that is ready, or the one asked for.
#[utoipa::path(
    get,
    path = "/api/v1/content/{id}",
    tag = "content",
    params(("id" = String, Path), ("version" = Option<String>, Query)),
    responses(
        (status = 200, description = "The version", body = dto::Definition),
        (status = 404, description = "No such version", body = dto::Problem),
    )
)]
pub(super) async fn get(
    State(engine): State<Arc<Engine>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<Value>, Problem> {
    Ok(Json(definition(
        &find(&engine, &id, params.text("version")).await?,
    )))
}

/// Every version of a pod definition, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/content/{id}/versions",
    tag = "content",
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "The versions", body = dto::DefinitionList),
        (status = 404, description = "No such pod definition", body = dto::Problem),
    )
)]
pub(super) async fn versions(
    State(engine): State<Arc<Engine>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let all = engine
        .store
        .definitions()
        .versions(&id)
        .await
        .map_err(Error::from)?;
    let all: Vec<Value> = all.iter().map(definition).collect();
    Ok(Json(json!({"definitions": all, "next_cursor": null})))
}

/// A file of a package.
#[utoipa::path(
    get,
    path = "/api/v1/content/{id}/files/{*path}",
    tag = "content",
    params(
        ("id" = String, Path),
        ("path" = String, Path, description = "Path in the package: PAv1/jobs/grade.yaml"),
        ("version" = Option<String>, Query),
    ),
    responses(
        (status = 200, description = "Its bytes", content_type = "application/octet-stream", body = String),
        (status = 404, description = "No such file", body = dto::Problem),
    )
)]
pub(super) async fn file(
    State(engine): State<Arc<Engine>>,
    Path((id, path)): Path<(String, String)>,
    params: Params,
) -> Result<Response, Problem> {
    let found = find(&engine, &id, params.text("version")).await?;
    let Some(hash) = &found.content_hash else {
        let why = format!("pod definition {} has no content yet; sync it", found.key);
        return Err(Error::Conflict(why).into());
    };
    let folder = content::at_hand(&engine, &found.key, hash).await?;
    let missing = |error: &dyn std::fmt::Display| {
        Error::NotFound(format!(
            "pod definition {} has no file `{path}`: {error}",
            found.key
        ))
    };
    // Where it lies on this machine is nobody's business.
    let place = se_content::file_in(&folder, &path)
        .map_err(|_| missing(&"GET the package's listing for its names"))?;
    let file = tokio::fs::File::open(&place)
        .await
        .map_err(|error| missing(&error.kind()))?;
    let kind = match place.extension().and_then(|it| it.to_str()) {
        Some("yaml" | "yml" | "txt" | "md" | "cfg") => "text/plain; charset=utf-8",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, Body::from_stream(ReaderStream::new(file))).into_response())
}

/// Takes ready versions out of service: all, or the one asked for. Running jobs finish.
#[utoipa::path(
    delete,
    path = "/api/v1/content/{id}",
    tag = "content",
    params(("id" = String, Path), ("version" = Option<String>, Query)),
    responses(
        (status = 204, description = "Expired"),
        (status = 404, description = "No ready version", body = dto::Problem),
    )
)]
pub(super) async fn expire(
    State(engine): State<Arc<Engine>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<StatusCode, Problem> {
    let version = params.text("version");
    let expired = engine
        .store
        .definitions()
        .expire(&id, version.as_deref())
        .await;
    expired.map_err(Error::from)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn find(engine: &Engine, id: &str, version: Option<String>) -> Result<Definition, Problem> {
    let definitions = engine.store.definitions();
    let found = match version {
        Some(version) => {
            definitions
                .by_version(&DefinitionKey::new(id, version))
                .await
        }
        None => match definitions.latest_ready(id).await {
            // Nothing is ready: the newest says why.
            Err(se_store::Error::NotFound { .. }) => {
                let newest = definitions.versions(id).await;
                newest.and_then(|all| {
                    let what = format!("version of pod definition {id}");
                    all.into_iter()
                        .next()
                        .ok_or(se_store::Error::NotFound { what })
                })
            }
            other => other,
        },
    };
    Ok(found.map_err(Error::from)?)
}

fn definition(it: &Definition) -> Value {
    json!({
        "definition_id": it.key.definition_id,
        "id": it.key.definition_id,
        "version": it.key.version,
        "name": it.name,
        "pod_type": it.pod_type,
        "status": it.status.as_str(),
        "synchronizing": it.synchronizing,
        "content_hash": it.content_hash,
        "package_hash": it.package_hash,
        "source_uri": it.source_uri,
        "error": it.error,
        "error_message": it.error,
        "warnings": it.warnings,
        "created_at": it.created_at,
        "synced_at": it.synced_at,
    })
}
