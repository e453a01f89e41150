//! HTTP: routes, layers, limits. What requests mean is in [`crate::jobs`] and [`crate::content`].

mod content;
mod deliveries;
mod docs;
mod dto;
mod events;
mod evidence;
mod health;
mod input;
mod jobs;
mod problem;
mod query;
mod reports;
mod scenarios;
mod transcripts;

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tower::Layer as _;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::normalize_path::NormalizePathLayer;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::engine::Engine;
use problem::Problem;

/// The longest path and query, in bytes.
const LONGEST_URL: usize = 8 * 1024;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "ScenarioEngine",
        description = "Runs pod automation for network labs and exams. Errors are RFC 9457 problem documents.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(dto::Problem)),
    tags(
        (name = "jobs", description = "Submit, follow and stop jobs"),
        (name = "content", description = "Packages and the pod definitions made from them"),
        (name = "scenarios", description = "What steps can use"),
        (name = "events", description = "CloudEvents on their way out, and event streams"),
        (name = "health", description = "How the service is"),
    )
)]
struct Api;

type Routes = OpenApiRouter<Arc<Engine>>;

fn routes() -> Routes {
    OpenApiRouter::with_openapi(Api::openapi())
        .merge(job_routes())
        .merge(content_routes())
        .merge(other_routes())
}

fn job_routes() -> Routes {
    Routes::new()
        .routes(routes!(jobs::submit, jobs::list))
        .routes(routes!(jobs::get, jobs::cancel))
        .routes(routes!(jobs::retry))
        .routes(routes!(jobs::regrade))
        .routes(routes!(jobs::events))
        .routes(routes!(reports::report))
        .routes(routes!(evidence::evidence))
        .routes(routes!(transcripts::list))
        .routes(routes!(transcripts::get))
        .routes(routes!(events::job_stream))
        .routes(routes!(events::all_stream))
}

fn content_routes() -> Routes {
    Routes::new()
        .routes(routes!(content::sync))
        .routes(routes!(content::validate))
        .routes(routes!(content::list))
        .routes(routes!(content::get, content::expire))
        .routes(routes!(content::versions))
        .routes(routes!(content::file))
}

fn other_routes() -> Routes {
    Routes::new()
        .routes(routes!(scenarios::list))
        .routes(routes!(scenarios::get))
        .routes(routes!(scenarios::catalog))
        .routes(routes!(scenarios::schema))
        .routes(routes!(deliveries::list))
        .routes(routes!(deliveries::resend))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
        .routes(routes!(health::info))
}

/// The description of the API, OpenAPI 3.1.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes().split_for_parts().1
}

fn in_words(description: &utoipa::openapi::OpenApi) -> String {
    description.to_json().expect("a description is always JSON")
}

/// Every route, ready to be served or called.
pub fn app(engine: Arc<Engine>) -> Router {
    let (router, description) = routes().split_for_parts();
    let names = Arc::new(query::Names::of(&description));
    let text = Bytes::from(in_words(&description));
    let router = router
        .route(
            "/openapi.json",
            get(async move || ([(header::CONTENT_TYPE, "application/json")], text)),
        )
        .route("/docs", get(docs::page))
        .route("/api/health", get(health::healthz))
        .route("/api/ready", get(health::readyz))
        .route("/api/metrics", get(health::metrics))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(middleware::from_fn_with_state(names, query::known))
        .layer(DefaultBodyLimit::disable())
        .layer(CatchPanicLayer::custom(broke_down))
        .layer(middleware::from_fn_with_state(Arc::clone(&engine), around))
        .with_state(engine);
    // Outside of the routes, or they would be chosen before the slash is gone.
    Router::new().fallback_service(NormalizePathLayer::trim_trailing_slash().layer(router))
}

/// Refuses what is too long, counts and logs what is answered.
async fn around(State(engine): State<Arc<Engine>>, request: Request, next: Next) -> Response {
    let started = engine.world.clock.now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let length = request
        .uri()
        .path_and_query()
        .map_or(0, |it| it.as_str().len());
    let answer = if length > LONGEST_URL {
        let detail = format!("path and query are {length} bytes; at most {LONGEST_URL} are read");
        Problem::new(StatusCode::URI_TOO_LONG, "too-large", detail).into_response()
    } else {
        next.run(request).await
    };
    let answer = Problem::place(Problem::explained(answer).await, &path);
    let status = answer.status().as_u16();
    engine.metrics.answered(status);
    let took = engine.world.clock.now().since(started);
    tracing::debug!(%method, path, status, ms = took.as_millis(), "answered");
    answer
}

async fn no_route(request: Request) -> Problem {
    let detail = format!(
        "nothing is at {}; /docs shows what there is",
        request.uri().path()
    );
    Problem::new(StatusCode::NOT_FOUND, "not-found", detail)
}

async fn no_method(request: Request) -> Problem {
    let detail = format!(
        "{} cannot be done with {}; the `Allow` header says what can",
        request.method(),
        request.uri().path()
    );
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
}

fn broke_down(_panic: Box<dyn Any + Send>) -> Response {
    tracing::error!("a handler broke down: a defect");
    let detail = "the engine broke down while it answered: a defect; its log says where";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail).into_response()
}
