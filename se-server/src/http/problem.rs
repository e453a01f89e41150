//! Errors as RFC 9457 problem documents.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::error::{Error, chain};

/// What went wrong, for the caller.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<Value>,
    /// Path of the request.
    instance: Option<String>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            instance: None,
        }
    }

    /// Says in an answer that is a problem which request it was.
    pub(crate) fn place(answer: Response, path: &str) -> Response {
        let Some(problem) = answer.extensions().get::<Self>() else {
            return answer;
        };
        let allow = answer.headers().get(header::ALLOW).cloned();
        let placed = Self {
            instance: Some(path.to_owned()),
            ..problem.clone()
        };
        let mut answer = placed.into_response();
        if let Some(allow) = allow {
            answer.headers_mut().insert(header::ALLOW, allow);
        }
        answer
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::Malformed(_) => StatusCode::BAD_REQUEST,
            Error::Invalid { .. } | Error::Content { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Error::NotFound(_) => StatusCode::NOT_FOUND,
            Error::Conflict(_) => StatusCode::CONFLICT,
            Error::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Error::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status.is_server_error() {
            tracing::error!(error = %chain(&error), "request failed");
        }
        Self {
            errors: error.findings(),
            ..Self::new(status, error.code(), error.to_string())
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = Map::new();
        let kind = format!(
            "https://lcm.cisco.com/scenario-engine/problems/{}",
            self.code
        );
        body.insert("type".to_owned(), Value::from(kind));
        body.insert("title".to_owned(), json!(self.status.canonical_reason()));
        body.insert("status".to_owned(), json!(self.status.as_u16()));
        body.insert("detail".to_owned(), Value::from(self.detail.as_str()));
        if let Some(path) = &self.instance {
            body.insert("instance".to_owned(), Value::from(path.as_str()));
        }
        if !self.errors.is_empty() {
            body.insert("errors".to_owned(), Value::Array(self.errors.clone()));
        }
        let mut answer = (self.status, Value::Object(body).to_string()).into_response();
        let headers = answer.headers_mut();
        let media = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, media);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        answer.extensions_mut().insert(self);
        answer
    }
}
