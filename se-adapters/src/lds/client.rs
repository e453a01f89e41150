//! Requests to LDS: its REST interface for reservations, with HTTP basic authentication.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Method, StatusCode, Url};
use se_runtime::{Fault, FaultKind, Secret, Vault};
use serde_json::{Value, json};

use super::devices::Device;
use super::{LdsService, invalid};
use crate::deadline::Deadline;

/// The longest one request may take.
const LONGEST_REQUEST: Duration = Duration::from_secs(30);
/// Larger answers are none of LDS's.
const LONGEST_ANSWER: usize = 1024 * 1024;
/// How much of an answer a fault shows.
const SHOWN: usize = 300;
/// How often a request that may be repeated is sent, and how long is waited between, doubled each time.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// The session's only part, as LDS counts.
const PART: u32 = 1;

/// One LDS. Clones share their connections.
#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    username: String,
    password: Secret,
    /// What no message may show.
    mask: Arc<Vault>,
}

/// The id of a session in LDS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session(String);

impl Session {
    /// From what LDS or a job says; nothing if it could not stand in an address.
    pub(super) fn read(value: &Value) -> Option<Self> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let is_plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_');
        let fits = (1..=128).contains(&text.len()) && text.chars().all(is_plain);
        fits.then_some(Self(text))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What went wrong with a request.
enum Trouble {
    Unreachable(reqwest::Error),
    TimedOut,
    TooMuch,
    Refused(StatusCode, Vec<u8>),
}

struct Request<'a> {
    doing: &'static str,
    method: Method,
    path: &'a str,
    body: Option<Value>,
}

impl Request<'_> {
    /// Whether sending it twice is the same as sending it once: only a session is made anew each time.
    fn is_repeatable(&self) -> bool {
        !self.path.is_empty()
    }
}

impl Client {
    pub(super) fn new(service: &LdsService, password: &Secret, mask: Vault) -> Result<Self, Fault> {
        let base = Url::parse(service.url.trim_end_matches('/')).ok();
        let base = base.filter(|it| matches!(it.scheme(), "http" | "https"));
        let Some(base) = base.filter(|it| !it.cannot_be_a_base()) else {
            return Err(invalid(
                "the url of LDS in the engine's configuration is none; write https://<host>",
            ));
        };
        let mut builder = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .user_agent(concat!("scenario-engine/", env!("CARGO_PKG_VERSION")));
        if let Some(file) = &service.ca_file {
            let refuse =
                |why: String| invalid(&format!("lds.tls_ca_file {}: {why}", file.display()));
            let pem = std::fs::read(file).map_err(|error| refuse(error.to_string()))?;
            let found = Certificate::from_pem_bundle(&pem).map_err(|it| refuse(it.to_string()))?;
            builder = builder.tls_certs_only(found);
        }
        let http = builder
            .build()
            .map_err(|error| invalid(&format!("LDS: {error}")))?;
        Ok(Self {
            http,
            base,
            username: service.username.clone(),
            password: password.clone(),
            mask: Arc::new(mask),
        })
    }

    /// Makes a session. An attempt that may have happened is not made again.
    pub(super) async fn make(&self, wanted: &Value, deadline: &Deadline) -> Result<Session, Fault> {
        let request = Request {
            doing: "making a session",
            method: Method::POST,
            path: "",
            body: Some(wanted.clone()),
        };
        let answer = self.json(&request, deadline).await?;
        let id = answer.get("session_id").and_then(Session::read);
        id.ok_or_else(|| self.senseless(&request, "no `session_id`"))
    }

    pub(super) async fn set_devices(
        &self,
        session: &Session,
        devices: &[Device],
        deadline: &Deadline,
    ) -> Result<(), Fault> {
        let request = Request {
            doing: "telling it the devices",
            method: Method::PUT,
            path: &format!("/{session}/part/{PART}/devices"),
            body: Some(json!(devices)),
        };
        self.send(&request, deadline).await.map(drop)
    }

    /// The address that opens the session for a candidate.
    pub(super) async fn launch_url(
        &self,
        session: &Session,
        deadline: &Deadline,
    ) -> Result<String, Fault> {
        let request = Request {
            doing: "asking for the launch address",
            method: Method::GET,
            path: &format!("/{session}/lablet_launch_url"),
            body: None,
        };
        let answer = self.json(&request, deadline).await?;
        let url = answer.get("url").and_then(Value::as_str);
        url.map(str::to_owned)
            .ok_or_else(|| self.senseless(&request, "no `url`"))
    }

    /// Whether LDS has the session, and it has not ended.
    pub(super) async fn is_live(
        &self,
        session: &Session,
        deadline: &Deadline,
    ) -> Result<bool, Fault> {
        let request = Request {
            doing: "looking at the session",
            method: Method::GET,
            path: &format!("/{session}"),
            body: None,
        };
        match self.attempts(&request, deadline).await {
            Ok(body) => {
                let state: Value = serde_json::from_slice(&body).unwrap_or_default();
                let state = state.get("state").and_then(Value::as_str);
                Ok(!state.is_some_and(|it| it.eq_ignore_ascii_case("released")))
            }
            Err(Trouble::Refused(StatusCode::NOT_FOUND | StatusCode::GONE, _)) => Ok(false),
            Err(trouble) => Err(self.fault(&request, &trouble)),
        }
    }

    /// Releases a session, and says whether it was there to be released.
    pub(super) async fn release(
        &self,
        session: &Session,
        deadline: &Deadline,
    ) -> Result<bool, Fault> {
        let path = format!("/{session}/release");
        let request = releasing(&path);
        match self.attempts(&request, deadline).await {
            Ok(_) => Ok(true),
            Err(Trouble::Refused(StatusCode::NOT_FOUND | StatusCode::GONE, _)) => Ok(false),
            Err(Trouble::Refused(StatusCode::CONFLICT, _))
                if !self.is_live(session, deadline).await? =>
            {
                Ok(false)
            }
            Err(trouble) => Err(self.fault(&request, &trouble)),
        }
    }

    /// Releases a session once, without a clock: nobody waits for it.
    pub(super) async fn let_go(&self, session: &Session) -> Result<(), Fault> {
        let path = format!("/{session}/release");
        let request = releasing(&path);
        let released = self.once(&request, LONGEST_REQUEST).await;
        released.map(drop).map_err(|it| self.fault(&request, &it))
    }

    async fn json(&self, request: &Request<'_>, deadline: &Deadline) -> Result<Value, Fault> {
        let body = self.send(request, deadline).await?;
        serde_json::from_slice(&body)
            .map_err(|_| self.senseless(request, "something that is no JSON"))
    }

    async fn send(&self, request: &Request<'_>, deadline: &Deadline) -> Result<Vec<u8>, Fault> {
        let sent = self.attempts(request, deadline).await;
        sent.map_err(|trouble| self.fault(request, &trouble))
    }

    /// Sends a request again that may be, where it did not get through.
    async fn attempts(
        &self,
        request: &Request<'_>,
        deadline: &Deadline,
    ) -> Result<Vec<u8>, Trouble> {
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            let trouble = match self.once(request, deadline.left()).await {
                Ok(body) => return Ok(body),
                Err(trouble) => trouble,
            };
            if !request.is_repeatable() || !trouble.may_pass() || deadline.left() <= pause {
                return Err(trouble);
            }
            deadline.pause(pause).await;
            pause *= 2;
        }
        self.once(request, deadline.left()).await
    }

    async fn once(&self, request: &Request<'_>, time: Duration) -> Result<Vec<u8>, Trouble> {
        let url = format!(
            "{}/reservations/v3/lab_session{}",
            self.base.as_str().trim_end_matches('/'),
            request.path
        );
        let mut sent = self
            .http
            .request(request.method.clone(), url)
            .basic_auth(&self.username, Some(self.password.expose()))
            .timeout(time.min(LONGEST_REQUEST));
        if let Some(body) = &request.body {
            sent = sent.json(body);
        }
        let reply = sent.send().await?;
        let status = reply.status();
        let mut body = Vec::new();
        let mut pieces = reply.bytes_stream();
        while let Some(piece) = pieces.next().await {
            body.extend_from_slice(&piece?);
            if body.len() > LONGEST_ANSWER {
                return Err(Trouble::TooMuch);
            }
        }
        if status.is_success() {
            Ok(body)
        } else {
            Err(Trouble::Refused(status, body))
        }
    }

    fn senseless(&self, request: &Request<'_>, has: &str) -> Fault {
        let detail = format!(
            "{self}: {}: the answer has {has}; check that this is an LDS and which version it is",
            request.doing
        );
        Fault::new(FaultKind::Communication, detail)
    }

    fn fault(&self, request: &Request<'_>, trouble: &Trouble) -> Fault {
        let (kind, came, check) = match trouble {
            Trouble::TimedOut => (
                FaultKind::Timeout,
                "no answer in time".to_owned(),
                "raise the step's `timeout`, or see why LDS is slow",
            ),
            Trouble::Unreachable(error) => (
                FaultKind::Communication,
                chain(error),
                "check that LDS is up and its url in the engine's configuration",
            ),
            Trouble::TooMuch => (
                FaultKind::Communication,
                format!("an answer of more than {LONGEST_ANSWER} bytes"),
                "check that this is an LDS",
            ),
            Trouble::Refused(status, body) => {
                let (kind, check) = refused(*status);
                let said = String::from_utf8_lossy(body);
                // Masked before it is cut: half a secret would not be found.
                let said = self.mask.mask_text(said.trim());
                let said: String = said.chars().take(SHOWN).collect();
                (kind, format!("{status}: {said}"), check)
            }
        };
        // A session may be there that nobody knows the id of.
        let unsure = !request.is_repeatable() && !matches!(trouble, Trouble::Refused(..));
        let unsure = if unsure {
            "; LDS may have made a session all the same, under the `auth_id` of this one"
        } else {
            ""
        };
        let came = self.mask.mask_text(&came);
        let doing = request.doing;
        Fault::new(kind, format!("{self}: {doing}: {came}; {check}{unsure}"))
    }
}

fn releasing(path: &str) -> Request<'_> {
    Request {
        doing: "releasing the session",
        method: Method::POST,
        path,
        // Without a body LDS answers 415.
        body: Some(json!({})),
    }
}

fn refused(status: StatusCode) -> (FaultKind, &'static str) {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => (
            FaultKind::Authentication,
            "check username and password of LDS in the engine's configuration",
        ),
        StatusCode::NOT_FOUND => (
            FaultKind::NotFound,
            "check the session's id, and that LDS has the form",
        ),
        StatusCode::CONFLICT => (
            FaultKind::Conflict,
            "see in which state LDS has the session",
        ),
        it if it.is_server_error() => (FaultKind::Communication, "see what LDS logged"),
        _ => (FaultKind::Validation, "correct what the step gives"),
    }
}

/// An error with its causes; the first one rarely says what happened.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl Trouble {
    /// Whether it may be otherwise in a moment.
    fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused(status, _) => matches!(status.as_u16(), 429 | 502..=504),
            Self::TimedOut | Self::TooMuch => false,
        }
    }
}

impl From<reqwest::Error> for Trouble {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            Self::TimedOut
        } else {
            Self::Unreachable(error)
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.base.host_str().unwrap_or_default();
        let port = self
            .base
            .port()
            .map(|it| format!(":{it}"))
            .unwrap_or_default();
        write!(f, "LDS ({}://{host}{port})", self.base.scheme())
    }
}
