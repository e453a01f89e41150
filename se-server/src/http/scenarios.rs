//! What steps can use.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use se_dsl::catalog;
use serde_json::Value;

use super::dto;
use super::input::Params;
use super::problem::Problem;
use crate::cli::describe;
use crate::engine::Engine;
use crate::error::Error;

/// Every scenario.
#[utoipa::path(
    get,
    path = "/api/v1/scenarios",
    tag = "scenarios",
    params(("name_filter" = Option<String>, Query, description = "What the name begins with")),
    responses((status = 200, description = "Those there are", body = Vec<dto::Scenario>))
)]
pub(super) async fn list(State(engine): State<Arc<Engine>>, params: Params) -> Json<Vec<Value>> {
    let prefix = params.text("name_filter").unwrap_or_default();
    let all = catalog::all()
        .iter()
        .filter(|it| it.name.starts_with(&prefix));
    Json(
        all.map(|it| describe::primitive(it, &engine.registry))
            .collect(),
    )
}

/// One scenario.
#[utoipa::path(
    get,
    path = "/api/v1/scenarios/{name}/{version}",
    tag = "scenarios",
    params(("name" = String, Path), ("version" = String, Path)),
    responses(
        (status = 200, description = "The scenario", body = dto::Scenario),
        (status = 404, description = "No such scenario", body = dto::Problem),
    )
)]
pub(super) async fn get(
    State(engine): State<Arc<Engine>>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let Some(found) = catalog::find(&name, &version) else {
        let versions = catalog::all()
            .iter()
            .filter(|it| it.name == name)
            .map(|it| it.version);
        let versions: Vec<&str> = versions.collect();
        let why = if versions.is_empty() {
            format!("there is no scenario `{name}`; GET /api/v1/scenarios lists them")
        } else {
            format!(
                "scenario `{name}` has no version `{version}`; it has {}",
                versions.join(", ")
            )
        };
        return Err(Error::NotFound(why).into());
    };
    Ok(Json(describe::primitive(found, &engine.registry)))
}

/// The whole catalogue: `scenario-functions.catalog.json`.
#[utoipa::path(
    get,
    path = "/api/v1/catalog",
    tag = "scenarios",
    responses((status = 200, description = "The catalogue", body = Object))
)]
pub(super) async fn catalog(State(engine): State<Arc<Engine>>) -> Json<Value> {
    Json(describe::catalog(&engine.registry))
}

/// A JSON Schema (2020-12) of a document of a package, or of a scenario's inputs.
#[utoipa::path(
    get,
    path = "/api/v1/schemas/{name}",
    tag = "scenarios",
    params(("name" = String, Path, description = "A name that the catalogue shows")),
    responses(
        (status = 200, description = "The schema", body = Object),
        (status = 404, description = "No such schema", body = dto::Problem),
    )
)]
pub(super) async fn schema(Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    let mut all = describe::schemas();
    let bare = name.strip_suffix(".json").unwrap_or(&name);
    let bare = bare.strip_suffix(".schema").unwrap_or(bare);
    if let Some(schema) = all.remove(bare) {
        return Ok(Json(schema));
    }
    let known: Vec<&str> = all.keys().map(String::as_str).collect();
    let why = format!(
        "there is no schema `{name}`; there are: {}",
        known.join(", ")
    );
    Err(Error::NotFound(why).into())
}
