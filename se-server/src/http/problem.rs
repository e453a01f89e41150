//! Errors as RFC 9457 problem documents.

use axum::body::to_bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::error::{Error, chain};

/// The most of a text that is shown: callers know what they sent.
const LONGEST_TEXT: usize = 2000;

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

    /// Makes a problem of an error that was answered as plain text, before a handler was asked.
    pub(crate) async fn explained(answer: Response) -> Response {
        let status = answer.status();
        let wrong = status.is_client_error() || status.is_server_error();
        if !wrong || answer.extensions().get::<Self>().is_some() {
            return answer;
        }
        let text = to_bytes(answer.into_body(), LONGEST_TEXT).await;
        let text = text.map(|it| String::from_utf8_lossy(&it).into_owned());
        let detail = match text {
            Ok(text) if !text.is_empty() => text,
            _ => "the request cannot be read; /docs shows what can be asked".to_owned(),
        };
        Self::new(status, "malformed", detail).into_response()
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

impl From<se_store::Error> for Problem {
    fn from(error: se_store::Error) -> Self {
        Error::from(error).into()
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
            Error::Busy(_) => StatusCode::TOO_MANY_REQUESTS,
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
        body.insert("detail".to_owned(), Value::from(clipped(&self.detail)));
        if let Some(path) = &self.instance {
            body.insert("instance".to_owned(), Value::from(path.as_str()));
        }
        if !self.errors.is_empty() {
            let errors: Vec<Value> = self.errors.iter().map(shown).collect();
            body.insert("errors".to_owned(), Value::Array(errors));
        }
        let mut answer = (self.status, Value::Object(body).to_string()).into_response();
        let headers = answer.headers_mut();
        let media = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, media);
        let later = [
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::TOO_MANY_REQUESTS,
        ];
        if later.contains(&self.status) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        answer.extensions_mut().insert(self);
        answer
    }
}

/// A finding with its message clipped.
fn shown(finding: &Value) -> Value {
    let mut finding = finding.clone();
    if let Some(Value::String(message)) = finding.get_mut("message") {
        *message = clipped(message);
    }
    finding
}

/// Text with its middle left out where it is too long: a value of a megabyte is not sent back.
fn clipped(text: &str) -> String {
    if text.len() <= LONGEST_TEXT {
        return text.to_owned();
    }
    let half = LONGEST_TEXT / 2;
    let head = text.floor_char_boundary(half);
    let tail = text.ceil_char_boundary(text.len() - half);
    format!("{} … {}", &text[..head], &text[tail..])
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_TEXT, clipped};

    #[test]
    fn long_text_keeps_its_beginning_and_its_end() {
        let text = clipped(&format!("no phase `{}`; give another", "é".repeat(1 << 20)));
        assert!(text.len() < LONGEST_TEXT + 20, "{}", text.len());
        assert!(text.starts_with("no phase `é") && text.ends_with("give another"));
    }
}
