//! Requests to a controller: login, retries, limits.

use std::time::Duration;
use std::{fmt, iter};

use futures_util::StreamExt as _;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode, Url};
use se_runtime::{Fault, FaultKind, Secret, Vault};
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tracing::debug;

use super::config::Config;
use super::tls;
use super::trouble::Trouble;
use super::wire;
use crate::deadline::Deadline;

/// One controller, logged in to when the first call needs it.
pub(super) struct Client {
    http: reqwest::Client,
    pub(super) config: Config,
    /// The session's token. Locked while logging in, so that calls that start together log in once.
    token: Mutex<Option<Secret>>,
}

/// A request, as often as it must be sent.
#[derive(Clone, Debug)]
pub(super) struct Request<'a> {
    pub(super) method: Method,
    /// Below `/api/v0/`.
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, &'a str)>,
    pub(super) body: Option<Body<'a>>,
    /// Whether the answer may take as long as there is time.
    pub(super) is_patient: bool,
}

/// What a request carries.
#[derive(Clone)]
pub(super) enum Body<'a> {
    /// A topology as it is in the package.
    Topology(&'a str),
    /// A login.
    Login(wire::Login<'a>),
    /// What a node is tagged with.
    Tags(wire::Tags<'a>),
    /// What a lab is called, and what is noted about it.
    Description(wire::Description<'a>),
}

impl fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Topology(_) => "Topology",
            Self::Login(_) => "Login",
            Self::Tags(_) => "Tags",
            Self::Description(_) => "Description",
        })
    }
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) location: Option<String>,
    pub(super) body: Vec<u8>,
}

impl<'a> Request<'a> {
    pub(super) fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            body: None,
            is_patient: false,
        }
    }

    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(super) fn put(path: impl Into<String>) -> Self {
        Self::new(Method::PUT, path)
    }

    pub(super) fn with(mut self, key: &'static str, value: &'a str) -> Self {
        self.query.push((key, value));
        self
    }

    /// Waits for its answer as long as there is time: the controller works before it answers.
    pub(super) fn patient(self) -> Self {
        Self {
            is_patient: true,
            ..self
        }
    }

    /// Whether sending it twice is the same as sending it once.
    fn is_repeatable(&self) -> bool {
        self.method != Method::POST || matches!(self.body, Some(Body::Login(_)))
    }
}

impl Client {
    /// A client that has contacted nothing.
    ///
    /// # Errors
    /// `validation` if the configuration cannot be used.
    pub(super) fn new(config: Config) -> Result<Self, Fault> {
        let builder = reqwest::Client::builder()
            .connect_timeout(config.connect_timeout)
            .redirect(Policy::none())
            .no_proxy()
            .user_agent(concat!("scenario-engine/", env!("CARGO_PKG_VERSION")));
        let http = tls::apply(&config.trust, builder)?
            .build()
            .map_err(|error| {
                let detail = format!("the client for {} cannot be set up: {error}", config.api);
                Fault::new(FaultKind::Validation, detail)
            })?;
        Ok(Self {
            http,
            config,
            token: Mutex::new(None),
        })
    }

    /// Sends a request in the session, logging in where there is none, and once more where the
    /// controller has ended it; gives the answer if it is a good one.
    ///
    /// # Errors
    /// What was tried and what came back.
    pub(super) async fn call(
        &self,
        request: &Request<'_>,
        deadline: &Deadline,
    ) -> Result<Reply, Fault> {
        let token = self.token(None, deadline).await?;
        let mut reply = self.exchange(request, Some(&token), deadline).await?;
        if reply.status == StatusCode::UNAUTHORIZED {
            debug!(path = %request.path, "the controller has ended the session; logging in again");
            let token = self.token(Some(&token), deadline).await?;
            reply = self.exchange(request, Some(&token), deadline).await?;
        }
        if reply.status.is_success() {
            Ok(reply)
        } else {
            Err(self.fault(request, &Trouble::Refused(reply), 1))
        }
    }

    /// Sends a request and reads the answer as JSON.
    ///
    /// # Errors
    /// As [`Client::call`]; `communication` if the answer is something else.
    pub(super) async fn fetch<T: DeserializeOwned>(
        &self,
        request: &Request<'_>,
        deadline: &Deadline,
    ) -> Result<T, Fault> {
        let reply = self.call(request, deadline).await?;
        self.read(request, &reply)
    }

    /// Asks without logging in, for what the controller tells anybody.
    ///
    /// # Errors
    /// As [`Client::fetch`].
    pub(super) async fn fetch_openly<T: DeserializeOwned>(
        &self,
        request: &Request<'_>,
        deadline: &Deadline,
    ) -> Result<T, Fault> {
        let reply = self.exchange(request, None, deadline).await?;
        if reply.status.is_success() {
            self.read(request, &reply)
        } else {
            Err(self.fault(request, &Trouble::Refused(reply), 1))
        }
    }

    /// The session's token; a new one where there is none or only `stale`.
    async fn token(&self, stale: Option<&Secret>, deadline: &Deadline) -> Result<Secret, Fault> {
        let mut token = self.token.lock().await;
        if let Some(token) = token.as_ref().filter(|it| Some(*it) != stale) {
            return Ok(token.clone());
        }
        *token = None;
        let request = Request {
            body: Some(Body::Login(wire::Login {
                username: &self.config.username,
                password: self.config.password.expose(),
            })),
            ..Request::new(Method::POST, "authenticate")
        };
        let reply = self.exchange(&request, None, deadline).await?;
        if !reply.status.is_success() {
            return Err(self.fault(&request, &Trouble::Refused(reply), 1));
        }
        let fresh: String = serde_json::from_slice(&reply.body)
            .map_err(|_| self.fault(&request, &Trouble::NoToken, 1))?;
        let fresh = Secret::new(fresh);
        *token = Some(fresh.clone());
        Ok(fresh)
    }

    /// Sends a request until there is an answer that is not about passing trouble.
    async fn exchange(
        &self,
        request: &Request<'_>,
        token: Option<&Secret>,
        deadline: &Deadline,
    ) -> Result<Reply, Fault> {
        let mut backoff = self.config.first_backoff;
        let mut tries = 1;
        loop {
            let trouble = match self.send(request, token, deadline).await {
                Ok(reply) if !is_passing(reply.status) => return Ok(reply),
                Ok(reply) => Trouble::Refused(reply),
                Err(trouble) => trouble,
            };
            let may_repeat =
                trouble.was_not_sent() || (request.is_repeatable() && trouble.may_pass());
            let left = deadline.left();
            if !may_repeat || tries >= self.config.max_tries || left <= backoff {
                return Err(self.fault(request, &trouble, tries));
            }
            debug!(path = %request.path, tries, ?trouble, "trying again");
            deadline.pause(backoff).await;
            backoff = (backoff * 2).min(self.config.max_backoff);
            tries += 1;
        }
    }

    async fn send(
        &self,
        request: &Request<'_>,
        token: Option<&Secret>,
        deadline: &Deadline,
    ) -> Result<Reply, Trouble> {
        // What is not sent again gets all the time there is.
        let limit = match request.is_repeatable() && !request.is_patient {
            true => self.config.request_timeout.min(deadline.left()),
            false => deadline.left(),
        };
        if limit.is_zero() {
            return Err(Trouble::TimedOut(Duration::ZERO));
        }
        let outcome = tokio::time::timeout(limit, self.send_unlimited(request, token)).await;
        outcome.unwrap_or(Err(Trouble::TimedOut(limit)))
    }

    async fn send_unlimited(
        &self,
        request: &Request<'_>,
        token: Option<&Secret>,
    ) -> Result<Reply, Trouble> {
        let mut builder = self.http.request(request.method.clone(), self.url(request));
        if let Some(token) = token {
            builder = builder.bearer_auth(token.expose());
        }
        builder = match &request.body {
            Some(Body::Topology(text)) => builder
                .header(CONTENT_TYPE, "application/x-yaml")
                .body((*text).to_owned()),
            Some(Body::Login(login)) => builder.json(login),
            Some(Body::Tags(tags)) => builder.json(tags),
            Some(Body::Description(description)) => builder.json(description),
            None => builder,
        };
        let response = builder.send().await.map_err(|it| Trouble::of(&it))?;
        let status = response.status();
        let location = response.headers().get(LOCATION);
        let location = location.and_then(|it| it.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|it| Trouble::of(&it))?;
            if body.len() + chunk.len() > self.config.max_body {
                return Err(Trouble::TooLarge(self.config.max_body));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply {
            status,
            location,
            body,
        })
    }

    fn url(&self, request: &Request<'_>) -> Url {
        let mut url = self.config.api.clone();
        url.set_path(&format!("{}{}", self.config.api.path(), request.path));
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        url
    }

    /// Reads an answer as JSON.
    pub(super) fn read<T: DeserializeOwned>(
        &self,
        request: &Request<'_>,
        reply: &Reply,
    ) -> Result<T, Fault> {
        serde_json::from_slice(&reply.body).map_err(|error| {
            let text = String::from_utf8_lossy(&reply.body);
            // Masked before it is cut: half a secret would not be found.
            let start = self.secrets().mask_text(&text);
            let start: String = start.chars().take(80).collect();
            let trouble = Trouble::Unreadable {
                reason: error.to_string(),
                start,
            };
            self.fault(request, &trouble, 1)
        })
    }

    /// What went wrong, for people; what the controller says is masked, as it may repeat what it got.
    pub(super) fn fault(&self, request: &Request<'_>, trouble: &Trouble, tries: u32) -> Fault {
        let config = &self.config;
        let origin = config.api.origin().ascii_serialization();
        let path = format!("{}{}", config.api.path(), request.path);
        let often = match tries {
            1 => String::new(),
            many => format!(" (tried {many} times)"),
        };
        let detail = format!(
            "{} {path} at {origin}{often}: {}; {}",
            request.method,
            trouble.describe(&self.secrets()),
            trouble.advice(&config.username)
        );
        Fault::new(trouble.kind(), detail)
    }

    fn secrets(&self) -> Vault {
        // Locked while logging in: there is no token to hide then.
        let token = self.token.try_lock().ok().and_then(|it| it.clone());
        Vault::new(iter::once(self.config.password.clone()).chain(token))
    }
}

/// Whether a status speaks of trouble that passes.
pub(super) fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502..=504)
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("api", &self.config.api.as_str())
            .field("username", &self.config.username)
            .finish_non_exhaustive()
    }
}
