//! What a simulated controller does wrong on purpose.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use regex::Regex;
use serde::Deserialize;

use super::World;
use super::api::refusal;
use crate::sim::serve::HangUp;

/// One thing that goes wrong.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CmlFault {
    /// A regular expression on `METHOD /api/v0/…`.
    pub path: String,
    /// Answers with this status.
    #[serde(default)]
    pub status: Option<u16>,
    /// What the answer says to it.
    #[serde(default)]
    pub description: Option<String>,
    /// Does this in place of an answer.
    #[serde(default)]
    pub kind: Option<CmlFaultKind>,
    /// How often; default: always.
    #[serde(default)]
    pub times: Option<u32>,
}

/// What comes in place of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CmlFaultKind {
    /// Nothing, and the connection stays.
    Hang,
    /// The end of the connection.
    Drop,
    /// A page that is no JSON.
    Garbage,
    /// Half an answer, and the end of the connection.
    HalfClose,
    /// The answer, a second late.
    Slow,
}

#[derive(Debug)]
struct Rule {
    path: Regex,
    status: Option<u16>,
    description: String,
    kind: Option<CmlFaultKind>,
    left: Option<u32>,
}

/// What happens in place of an answer.
enum Happening {
    Status(u16, String),
    Kind(CmlFaultKind),
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    rules: Mutex<Vec<Rule>>,
    requests: Mutex<Vec<String>>,
}

impl Faults {
    pub(super) fn new(faults: &[CmlFault]) -> io::Result<Self> {
        let all = Self::default();
        for fault in faults {
            all.add(fault)?;
        }
        Ok(all)
    }

    pub(super) fn add(&self, fault: &CmlFault) -> io::Result<()> {
        let path = Regex::new(&fault.path)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let rule = Rule {
            path,
            status: fault.status,
            description: fault
                .description
                .clone()
                .unwrap_or_else(|| "as the profile says".to_owned()),
            kind: fault.kind,
            left: fault.times,
        };
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.push(rule);
        Ok(())
    }

    pub(super) fn requests(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.clone()
    }

    /// What shall go wrong with this request.
    fn happening(&self, request: &str) -> Option<Happening> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.push(request.to_owned());
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let rule = rules
            .iter_mut()
            .find(|it| it.left != Some(0) && it.path.is_match(request))?;
        rule.left = rule.left.map(|it| it - 1);
        match (rule.status, rule.kind) {
            (Some(status), _) => Some(Happening::Status(status, rule.description.clone())),
            (None, Some(kind)) => Some(Happening::Kind(kind)),
            (None, None) => None,
        }
    }
}

/// Lets a request pass, or not.
pub(super) async fn gate(
    State(world): State<Arc<World>>,
    Extension(hang_up): Extension<HangUp>,
    request: Request,
    next: Next,
) -> Response {
    let name = format!("{} {}", request.method(), request.uri().path());
    let kind = match world.faults.happening(&name) {
        None => return next.run(request).await,
        Some(Happening::Status(status, description)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            return refusal(status, &description);
        }
        Some(Happening::Kind(kind)) => kind,
    };
    match kind {
        CmlFaultKind::Slow => {
            tokio::time::sleep(Duration::from_secs(1)).await;
            next.run(request).await
        }
        CmlFaultKind::Garbage => "<html><title>502</title>\u{1}\u{2}".into_response(),
        CmlFaultKind::HalfClose => half(&hang_up),
        CmlFaultKind::Drop => {
            hang_up.0.cancel();
            std::future::pending().await
        }
        CmlFaultKind::Hang => std::future::pending().await,
    }
}

/// An answer that stops in the middle.
fn half(hang_up: &HangUp) -> Response {
    let hang_up = hang_up.clone();
    let start = futures_util::stream::once(async {
        Ok::<Bytes, Infallible>(Bytes::from_static(b"{\"id\":"))
    });
    let end = futures_util::stream::once(async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        hang_up.0.cancel();
        std::future::pending().await
    });
    let body = Body::from_stream(futures_util::StreamExt::chain(start, end));
    ([(CONTENT_LENGTH, "1000")], body).into_response()
}
