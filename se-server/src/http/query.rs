//! Names of a query that a route does not have are mistakes: a filter that is misspelt would show
//! everything.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Query, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

use super::problem::Problem;
use crate::config::nearest;
use crate::error::Error;

/// The names that each route takes, by method and path, from the description of the API.
#[derive(Debug)]
pub(super) struct Names(BTreeMap<(String, String), Vec<String>>);

impl Names {
    pub(super) fn of(description: &utoipa::openapi::OpenApi) -> Self {
        let description = serde_json::to_value(description).unwrap_or_default();
        let mut names = BTreeMap::new();
        let paths = description["paths"].as_object().into_iter().flatten();
        // Probes and scrapers may say what they like to the rest.
        for (path, methods) in paths.filter(|(path, _)| path.starts_with("/api/v1/")) {
            for (method, operation) in methods.as_object().into_iter().flatten() {
                let parameters = operation["parameters"].as_array();
                let queries = parameters
                    .into_iter()
                    .flatten()
                    .filter(|it| it["in"] == "query");
                let queries = queries.filter_map(|it| it["name"].as_str().map(str::to_owned));
                names.insert((method.to_uppercase(), path.clone()), queries.collect());
            }
        }
        Self(names)
    }

    /// The first name that a route does not take, with what to do about it.
    fn wrong(&self, method: &Method, path: &str, query: &BTreeMap<String, Value>) -> Option<Error> {
        let method = if method == Method::HEAD {
            "GET"
        } else {
            method.as_str()
        };
        let known = self.0.get(&(method.to_owned(), path.to_owned()))?;
        let name = query.keys().find(|name| !known.contains(name))?;
        let names = || known.iter().map(String::as_str);
        let help = match nearest(name, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "this takes no query".to_owned(),
            None => format!("there are {}", names().collect::<Vec<_>>().join(", ")),
        };
        Some(Error::field(
            format!("?{name}"),
            format!("is not known; {help}"),
        ))
    }
}

/// Refuses names that the route does not have.
pub(super) async fn known(
    State(names): State<Arc<Names>>,
    path: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    // A query that cannot be read is told by whoever reads it.
    let query = Query::<BTreeMap<String, Value>>::try_from_uri(request.uri());
    if let (Some(path), Ok(Query(query))) = (path, query)
        && let Some(wrong) = names.wrong(request.method(), path.as_str(), &query)
    {
        return Problem::from(wrong).into_response();
    }
    next.run(request).await
}
