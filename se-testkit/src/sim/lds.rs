//! A simulated LDS: sessions with devices, behind HTTP basic authentication.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::serve::{Serving, serve};

/// A running LDS; stops when dropped.
#[derive(Debug)]
pub struct LdsSim {
    lds: Arc<Lds>,
    serving: Serving,
}

/// Calls of LDS, for faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LdsCall {
    /// A session is made.
    Make,
    /// It is looked at.
    Look,
    /// It is told its devices.
    Devices,
    /// It is asked for its address.
    Launch,
    /// It is released.
    Release,
}

/// What a call comes to, in place of what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LdsFault {
    /// This status, whose text repeats what was sent.
    Status(u16),
    /// No answer, ever.
    Silence,
    /// It is done, and never answered.
    DoneInSilence,
}

/// A session as LDS has it.
#[derive(Clone, Debug, PartialEq)]
pub struct LdsSession {
    /// What it was made from.
    pub made_from: Value,
    /// Devices of its part.
    pub devices: Vec<Value>,
    /// Whether it was released.
    pub released: bool,
}

#[derive(Debug)]
struct Lds {
    login: String,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    sessions: BTreeMap<String, LdsSession>,
    calls: Vec<LdsCall>,
    faults: BTreeMap<LdsCall, Vec<LdsFault>>,
}

impl LdsSim {
    /// Starts one on 127.0.0.1.
    ///
    /// # Errors
    /// If it cannot listen.
    pub async fn start(username: &str, password: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let login = STANDARD.encode(format!("{username}:{password}"));
        let lds = Arc::new(Lds {
            login: format!("Basic {login}"),
            inner: Mutex::default(),
        });
        let base = "/reservations/v3/lab_session";
        let router = Router::new()
            .route(base, post(make))
            .route(&format!("{base}/{{id}}"), get(look))
            .route(
                &format!("{base}/{{id}}/part/{{part}}/devices"),
                put(devices),
            )
            .route(&format!("{base}/{{id}}/lablet_launch_url"), get(launch))
            .route(&format!("{base}/{{id}}/release"), post(release))
            .with_state(Arc::clone(&lds));
        let serving = serve(listener, None, router)?;
        Ok(Self { lds, serving })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.serving.address
    }

    /// As it is configured.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.serving.address)
    }

    /// The next of these calls go wrong, one after the other.
    pub fn fail(&self, call: LdsCall, faults: &[LdsFault]) {
        self.lds.with(|it| it.faults.insert(call, faults.to_vec()));
    }

    /// Every session there ever was, by id.
    #[must_use]
    pub fn sessions(&self) -> BTreeMap<String, LdsSession> {
        self.lds.with(|it| it.sessions.clone())
    }

    /// Every call whose login was right, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<LdsCall> {
        self.lds.with(|it| it.calls.clone())
    }
}

impl Lds {
    fn with<T>(&self, what: impl FnOnce(&mut Inner) -> T) -> T {
        what(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Login, type of the body, and what goes wrong; then `what`.
    async fn answer(
        &self,
        call: LdsCall,
        headers: &HeaderMap,
        body: &[u8],
        what: impl FnOnce(&mut Inner, Value) -> Response,
    ) -> Response {
        let login = headers.get(AUTHORIZATION).and_then(|it| it.to_str().ok());
        if login != Some(self.login.as_str()) {
            let said = login.unwrap_or_default();
            return refuse(401, &format!("not allowed: {said}"));
        }
        let fault = self.with(|it| {
            it.calls.push(call);
            let faults = it.faults.get_mut(&call)?;
            (!faults.is_empty()).then(|| faults.remove(0))
        });
        let has_body = !matches!(call, LdsCall::Look | LdsCall::Launch);
        let kind = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
        let sent = serde_json::from_slice(body).ok();
        let sent = sent.filter(|_| kind.is_some_and(|it| it.starts_with("application/json")));
        if has_body && sent.is_none() {
            return refuse(415, "Unsupported Media Type");
        }
        match fault {
            Some(LdsFault::Status(status)) => refuse(
                status,
                &format!("as asked: {}", String::from_utf8_lossy(body)),
            ),
            Some(LdsFault::Silence) => std::future::pending().await,
            Some(LdsFault::DoneInSilence) => {
                drop(self.with(|it| what(it, sent.unwrap_or_default())));
                std::future::pending().await
            }
            None => self.with(|it| what(it, sent.unwrap_or_default())),
        }
    }
}

fn refuse(status: u16, message: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(json!({ "message": message }))).into_response()
}

fn unknown(id: &str) -> Response {
    refuse(404, &format!("no session {id}"))
}

async fn make(State(lds): State<Arc<Lds>>, headers: HeaderMap, body: Bytes) -> Response {
    lds.answer(LdsCall::Make, &headers, &body, |it, made_from| {
        let form = made_from.pointer("/session_parts/0/form_qualified_name");
        if !form.is_some_and(Value::is_string) {
            return refuse(400, "session_parts[0].form_qualified_name is missing");
        }
        let id = format!("lds-{}", it.sessions.len() + 1);
        let session = LdsSession {
            made_from,
            devices: Vec::new(),
            released: false,
        };
        it.sessions.insert(id.clone(), session);
        Json(json!({ "session_id": id })).into_response()
    })
    .await
}

async fn look(State(lds): State<Arc<Lds>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    lds.answer(LdsCall::Look, &headers, &[], |it, _| {
        match it.sessions.get(&id) {
            None => unknown(&id),
            Some(session) => {
                let state = if session.released {
                    "released"
                } else {
                    "created"
                };
                let parts = &session.made_from["session_parts"];
                Json(json!({ "id": id, "state": state, "session_parts": parts })).into_response()
            }
        }
    })
    .await
}

async fn devices(
    State(lds): State<Arc<Lds>>,
    Path((id, part)): Path<(String, u32)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    lds.answer(LdsCall::Devices, &headers, &body, |it, sent| {
        let Some(session) = it.sessions.get_mut(&id).filter(|it| !it.released) else {
            return unknown(&id);
        };
        let sent = sent.as_array().cloned().unwrap_or_default();
        let labels = sent.iter().filter_map(|it| it["device_label"].as_str());
        let labels: BTreeSet<&str> = labels.collect();
        if part != 1 || labels.len() != sent.len() {
            return refuse(400, "device_label must be unique in a part");
        }
        session.devices = sent;
        Json(json!({})).into_response()
    })
    .await
}

async fn launch(
    State(lds): State<Arc<Lds>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    lds.answer(LdsCall::Launch, &headers, &[], |it, _| {
        if it.sessions.get(&id).is_none_or(|it| it.released) {
            return unknown(&id);
        }
        Json(json!({ "url": format!("https://lds.example/launch/{id}") })).into_response()
    })
    .await
}

async fn release(
    State(lds): State<Arc<Lds>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    lds.answer(LdsCall::Release, &headers, &body, |it, _| {
        match it.sessions.get_mut(&id) {
            None => unknown(&id),
            Some(session) if session.released => refuse(409, "it was released already"),
            Some(session) => {
                session.released = true;
                Json(json!({})).into_response()
            }
        }
    })
    .await
}
