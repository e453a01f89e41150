//! The requests a simulated controller answers.

use std::sync::Arc;

use axum::extract::{Path, Query, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::lab::{Lab, Refusal};
use super::node::Deed;
use super::{World, document, fault, web_console};

/// The one user's id.
pub(super) const USER_ID: &str = "00000000-0000-4000-a000-000000000000";

type Shared = State<Arc<World>>;

/// Everything below `/api/v0`.
pub(super) fn router(world: &Arc<World>) -> Router {
    let open = Router::new()
        .route("/system_information", get(system_information))
        .route("/authenticate", post(authenticate))
        .route("/auth_extended", post(auth_extended));
    let closed = Router::new()
        .merge(system_routes())
        .merge(lab_routes())
        .merge(node_routes())
        .layer(from_fn_with_state(Arc::clone(world), authorize));
    Router::new()
        .nest("/api/v0", open.merge(closed))
        .route("/ws/dispatch/frontend/console", get(web_console::open))
        .fallback(|| async { refusal(StatusCode::NOT_FOUND, "Not Found") })
        .layer(from_fn_with_state(Arc::clone(world), fault::gate))
        .with_state(Arc::clone(world))
}

fn system_routes() -> Router<Arc<World>> {
    Router::new()
        .route("/authok", get(|| async { Json("OK") }))
        .route("/authentication", get(authentication))
        .route("/logout", axum::routing::delete(logout))
        .route("/users", get(users))
        .route("/system_stats", get(system_stats))
        .route(
            "/system_health",
            get(|| async { Json(json!({"valid": true})) }),
        )
}

fn lab_routes() -> Router<Arc<World>> {
    Router::new()
        .route("/labs", get(lab_ids))
        .route("/import", post(import))
        .route("/populate_lab_tiles", get(tiles))
        .route(
            "/labs/{lab}",
            of_lab(Lab::value).patch(describe).delete(delete),
        )
        .route("/labs/{lab}/state", of_lab(|it| json!(it.state())))
        .route(
            "/labs/{lab}/check_if_converged",
            of_lab(|it| json!(it.is_converged())),
        )
        .route("/labs/{lab}/lab_element_state", of_lab(Lab::element_states))
        .route("/labs/{lab}/simulation_stats", of_lab(Lab::stats))
        .route("/labs/{lab}/links", of_lab(Lab::link_ids))
        .route("/labs/{lab}/layer3_addresses", of_lab(|_| json!({})))
        .route("/labs/{lab}/resource_pools", of_lab(|_| json!([])))
        .route("/labs/{lab}/events", of_lab(|_| json!([])))
        .route("/labs/{lab}/topology", get(topology))
        .route("/labs/{lab}/download", get(download))
        .route("/labs/{lab}/pyats_testbed", get(testbed))
        .route("/labs/{lab}/start", put_lab(Deed::Start))
        .route("/labs/{lab}/stop", put_lab(Deed::Stop))
        .route("/labs/{lab}/wipe", put_lab(Deed::Wipe))
        .route("/labs/{lab}/nodes", get(nodes))
}

fn node_routes() -> Router<Arc<World>> {
    let at = |rest: &str| format!("/labs/{{lab}}/nodes/{{node}}{rest}");
    Router::new()
        .route(
            &at(""),
            of_node(|lab, node| lab.node_value(node)).patch(change),
        )
        .route(&at("/extract_configuration"), put(extract))
        .route(&at("/state"), of_node(|lab, node| lab.node_state(node)))
        .route(
            &at("/interfaces"),
            of_node(|lab, node| lab.node_interfaces(node)),
        )
        .route(
            &at("/check_if_converged"),
            of_node(|lab, node| {
                let state = lab.node_state(node)?;
                Ok(json!(state["progress"] != "Booting"))
            }),
        )
        .route(
            &at("/keys/console"),
            of_node(|lab, node| lab.node(node).map(|it| json!(it.console_key()))),
        )
        .route(&at("/consoles/{line}/log"), get(console_log))
        .route(&at("/state/start"), put_node(Deed::Start))
        .route(&at("/state/stop"), put_node(Deed::Stop))
        .route(&at("/wipe_disks"), put_node(Deed::Wipe))
}

/// An error as the controller writes it.
pub(super) fn refusal(status: StatusCode, description: &str) -> Response {
    let body = json!({"code": status.as_u16(), "description": description});
    (status, Json(body)).into_response()
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0).unwrap_or(StatusCode::BAD_REQUEST);
        refusal(status, &self.1)
    }
}

/// Answers with what `read` gives of the lab.
fn of_lab(read: fn(&Lab) -> Value) -> MethodRouter<Arc<World>> {
    get(async move |State(world): Shared, Path(lab): Path<String>| {
        world.labs(|labs| labs.lab(&lab).map(|it| Json(read(it))))
    })
}

/// Answers with what `read` gives of the node.
fn of_node(read: fn(&Lab, &str) -> Result<Value, Refusal>) -> MethodRouter<Arc<World>> {
    get(
        async move |State(world): Shared, Path((lab, node)): Path<(String, String)>| {
            world.labs(|labs| labs.lab(&lab).and_then(|it| read(it, &node)).map(Json))
        },
    )
}

fn put_lab(deed: Deed) -> MethodRouter<Arc<World>> {
    put(async move |State(world): Shared, Path(lab): Path<String>| {
        let done = world.labs(|labs| labs.act(&lab, None, deed));
        done.map(|()| StatusCode::NO_CONTENT)
    })
}

fn put_node(deed: Deed) -> MethodRouter<Arc<World>> {
    put(
        async move |State(world): Shared, Path((lab, node)): Path<(String, String)>| {
            let done = world.labs(|labs| labs.act(&lab, Some(&node), deed));
            done.map(|()| StatusCode::NO_CONTENT)
        },
    )
}

fn bearer(headers: &HeaderMap) -> &str {
    let header = headers.get(AUTHORIZATION).and_then(|it| it.to_str().ok());
    header
        .and_then(|it| it.strip_prefix("Bearer "))
        .unwrap_or_default()
}

async fn authorize(State(world): Shared, request: Request, next: Next) -> Response {
    let token = bearer(request.headers());
    if world.sessions.knows(token) {
        return next.run(request).await;
    }
    let text = match token {
        "" => "No authorization token provided.",
        _ => "Invalid or expired token.",
    };
    refusal(StatusCode::UNAUTHORIZED, text)
}

#[derive(Deserialize)]
struct Login {
    username: String,
    password: String,
}

fn log_in(world: &World, login: &Login) -> Result<String, Refusal> {
    let options = &world.options;
    if login.username != options.username || login.password != options.password {
        return Err(Refusal(403, "Authentication failed!".to_owned()));
    }
    world.journal.add("cml", "login", login.username.as_str());
    Ok(world.sessions.begin())
}

async fn authenticate(
    State(world): Shared,
    Json(login): Json<Login>,
) -> Result<Json<String>, Refusal> {
    log_in(&world, &login).map(Json)
}

async fn auth_extended(
    State(world): Shared,
    Json(login): Json<Login>,
) -> Result<Json<Value>, Refusal> {
    let token = log_in(&world, &login)?;
    Ok(Json(session(&world, &token)))
}

fn session(world: &World, token: &str) -> Value {
    json!({
        "username": world.options.username,
        "id": USER_ID,
        "token": token,
        "admin": true,
        "error": null,
    })
}

async fn authentication(State(world): Shared, headers: HeaderMap) -> Json<Value> {
    Json(session(&world, bearer(&headers)))
}

async fn logout(State(world): Shared, headers: HeaderMap) -> Json<bool> {
    world.sessions.end(bearer(&headers));
    Json(true)
}

async fn system_information(State(world): Shared) -> Json<Value> {
    Json(json!({
        "version": world.options.version,
        "ready": true,
        "allow_ssh_pubkey_auth": false,
        "oui": "52:54:00:00:00:00",
        "timeout": 10,
        "features": [],
    }))
}

async fn users(State(world): Shared) -> Json<Value> {
    Json(json!([{
        "id": USER_ID,
        "username": world.options.username,
        "fullname": "",
        "description": "",
        "admin": true,
        "groups": [],
        "labs": [],
    }]))
}

async fn system_stats(State(world): Shared) -> Json<Value> {
    let running = world.labs(|labs| labs.running());
    let memory = json!({"used": 8_000_000_000_u64, "free": 24_000_000_000_u64,
                        "total": 32_000_000_000_u64});
    let cpu = json!({"count": 16, "percent": 7.5, "load": [0.5, 0.4, 0.3]});
    let stats = json!({"cpu": cpu, "memory": memory, "disk": memory,
                       "dominfo": {"total_nodes": running, "running_nodes": running}});
    Json(json!({
        "computes": {USER_ID: {"hostname": "controller", "is_controller": true, "stats": stats}},
        "all": {"cpu": cpu, "memory": memory, "disk": memory},
        "controller": {"disk": memory},
    }))
}

async fn lab_ids(State(world): Shared) -> Json<Value> {
    Json(world.labs(|labs| labs.iter().map(|it| json!(it.id)).collect()))
}

async fn tiles(State(world): Shared) -> Json<Value> {
    let tiles: serde_json::Map<String, Value> =
        world.labs(|labs| labs.iter().map(|it| (it.id.clone(), it.value())).collect());
    Json(json!({"lab_tiles": tiles}))
}

#[derive(Deserialize)]
struct Import {
    title: Option<String>,
}

async fn import(
    State(world): Shared,
    Query(query): Query<Import>,
    body: String,
) -> Result<Json<Value>, Refusal> {
    let document = document::read(&body).map_err(|text| Refusal(400, text))?;
    let id = world.labs(|labs| labs.import(&document, query.title.as_deref()));
    Ok(Json(json!({"id": id, "warnings": world.options.warnings})))
}

#[derive(Deserialize)]
struct Description {
    title: Option<String>,
    notes: Option<String>,
}

async fn describe(
    State(world): Shared,
    Path(lab): Path<String>,
    Json(description): Json<Description>,
) -> Result<Json<Value>, Refusal> {
    let Description { title, notes } = description;
    world.labs(|labs| {
        labs.describe(&lab, title, notes)?;
        labs.lab(&lab).map(|it| Json(it.value()))
    })
}

async fn delete(State(world): Shared, Path(lab): Path<String>) -> Result<StatusCode, Refusal> {
    world.labs(|labs| labs.delete(&lab))?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Shown {
    exclude_configurations: Option<String>,
}

async fn topology(
    State(world): Shared,
    Path(lab): Path<String>,
    Query(shown): Query<Shown>,
) -> Result<Json<Value>, Refusal> {
    // Python's clients write `True`.
    let exclude = shown.exclude_configurations.unwrap_or_default();
    let exclude = exclude.eq_ignore_ascii_case("true");
    world.labs(|labs| labs.lab(&lab).map(|it| Json(it.topology(!exclude))))
}

async fn download(State(world): Shared, Path(lab): Path<String>) -> Result<String, Refusal> {
    // JSON is YAML.
    world.labs(|labs| labs.lab(&lab).map(|it| it.topology(true).to_string()))
}

async fn testbed(State(world): Shared, Path(lab): Path<String>) -> Result<String, Refusal> {
    world.labs(|labs| labs.lab(&lab).map(Lab::testbed))
}

#[derive(Deserialize)]
struct Data {
    data: Option<String>,
}

async fn nodes(
    State(world): Shared,
    Path(lab): Path<String>,
    Query(query): Query<Data>,
) -> Result<Json<Value>, Refusal> {
    let data = query.data.unwrap_or_default();
    let data = data.eq_ignore_ascii_case("true");
    world.labs(|labs| labs.lab(&lab).map(|it| Json(it.nodes(data))))
}

#[derive(Deserialize)]
struct Change {
    tags: Vec<String>,
}

async fn change(
    State(world): Shared,
    Path((lab, node)): Path<(String, String)>,
    Json(change): Json<Change>,
) -> Result<Json<Value>, Refusal> {
    world.labs(|labs| labs.tag(&lab, &node, change.tags))?;
    Ok(Json(json!(node)))
}

async fn extract(
    State(world): Shared,
    Path((lab, node)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    world.labs(|labs| labs.extract(&lab, &node))?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Lines {
    lines: Option<usize>,
}

async fn console_log(
    State(world): Shared,
    Path((lab, node, _line)): Path<(String, String, u32)>,
    Query(query): Query<Lines>,
) -> Result<Json<Value>, Refusal> {
    let lines = query.lines.unwrap_or(usize::MAX);
    world.labs(|labs| labs.lab(&lab)?.console_log(&node, lines).map(Json))
}
