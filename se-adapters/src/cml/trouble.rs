//! What can come between a request and a good answer.

use std::error::Error;
use std::time::Duration;

use reqwest::StatusCode;
use se_runtime::{FaultKind, Vault};

use super::client::{Reply, is_passing};
use super::wire;
use crate::lab::in_words;

/// How much of what a controller says a fault shows, in characters.
const LONGEST_SHOWN: usize = 400;

/// Why there is no good answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// No connection came about: nothing was sent.
    Unreachable(String),
    /// The controller's certificate is not believed: nothing was sent.
    Certificate(String),
    /// The connection broke, or what came is no HTTP.
    Broken(String),
    /// No answer in this time.
    TimedOut(Duration),
    /// More than this many bytes.
    TooLarge(usize),
    /// Not the JSON that this request gives.
    Unreadable {
        /// What the parser says.
        reason: String,
        /// How the answer starts.
        start: String,
    },
    /// Not the text that a token is. It may hold one all the same, and is not shown.
    NoToken,
    /// An answer whose status is no success.
    Refused(Reply),
}

impl Trouble {
    /// Of a failed exchange.
    pub(super) fn of(error: &reqwest::Error) -> Self {
        if let Some(reason) = certificate_error(error) {
            return Self::Certificate(reason);
        }
        let reason = chain(error);
        if error.is_connect() {
            Self::Unreachable(reason)
        } else {
            Self::Broken(reason)
        }
    }

    /// Whether the controller cannot have seen the request.
    pub(super) fn was_not_sent(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }

    /// Whether it may go better next time.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Broken(_) | Self::TimedOut(_) => true,
            Self::Refused(reply) => is_passing(reply.status),
            Self::Certificate(_) | Self::TooLarge(_) | Self::Unreadable { .. } | Self::NoToken => {
                false
            }
        }
    }

    /// Which kind of fault it is.
    pub(super) fn kind(&self) -> FaultKind {
        match self {
            Self::Unreachable(_)
            | Self::Certificate(_)
            | Self::Broken(_)
            | Self::TooLarge(_)
            | Self::Unreadable { .. }
            | Self::NoToken => FaultKind::Communication,
            Self::TimedOut(_) => FaultKind::Timeout,
            Self::Refused(reply) => match reply.status.as_u16() {
                401 | 403 => FaultKind::Authentication,
                404 => FaultKind::NotFound,
                408 => FaultKind::Timeout,
                409 | 423 => FaultKind::Conflict,
                429 => FaultKind::Communication,
                400..=499 => FaultKind::Validation,
                _ => FaultKind::Communication,
            },
        }
    }

    /// What came back, with `secrets` masked: the controller may repeat what it got.
    pub(super) fn describe(&self, secrets: &Vault) -> String {
        match self {
            Self::Unreachable(reason) => format!("no connection ({reason})"),
            Self::Certificate(reason) => {
                format!("the controller's certificate is not believed ({reason})")
            }
            Self::Broken(reason) => format!("the connection broke ({reason})"),
            Self::TimedOut(time) if time.is_zero() => "no time was left to send it".to_owned(),
            Self::TimedOut(time) => format!("no answer in {}", in_words(*time)),
            Self::TooLarge(limit) => format!("the answer has more than {limit} bytes"),
            Self::Unreadable { reason, start } => {
                format!("the answer cannot be read ({reason}), it starts with `{start}`")
            }
            Self::NoToken => "the answer is no token".to_owned(),
            Self::Refused(reply) => match wire::description(&reply.body) {
                Some(text) => {
                    format!("{} with `{}`", reply.status, cut(&secrets.mask_text(&text)))
                }
                None => reply.status.to_string(),
            },
        }
    }

    /// What to check.
    pub(super) fn advice(&self, username: &str) -> String {
        let text = match self {
            Self::Unreachable(_) => {
                "check that the worker runs and that `worker.ip` or `worker.cml_url` is right"
            }
            Self::Certificate(_) => {
                "give the job `worker.tls.fingerprint`, or `ca_file` with the authority that signed \
                 it"
            }
            Self::Broken(_) | Self::TimedOut(_) => "check the controller and the way to it",
            Self::TooLarge(_) | Self::Unreadable { .. } | Self::NoToken => {
                "check that this is a Cisco Modeling Labs controller and no proxy in front of it"
            }
            Self::Refused(reply) => return refused_advice(reply, username),
        };
        text.to_owned()
    }
}

/// The start of a long text.
fn cut(text: &str) -> String {
    let start: String = text.chars().take(LONGEST_SHOWN).collect();
    match start.len() < text.len() {
        true => format!("{start}…"),
        false => start,
    }
}

fn refused_advice(reply: &Reply, username: &str) -> String {
    match (reply.status, &reply.location) {
        (status, Some(location)) if status.is_redirection() => {
            format!("it points to {location}: set `worker.cml_url` to where the controller is")
        }
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
            format!("check `cml_username` (`{username}`), `cml_password` and that user's rights")
        }
        (StatusCode::NOT_FOUND, _) => {
            "it may have been removed: cml.lab_resolve@v1 finds or imports the lab again".to_owned()
        }
        (status, _) if status.is_client_error() => {
            "check the state of the lab, and the topology if this was an import".to_owned()
        }
        _ => "check that the controller is up and well".to_owned(),
    }
}

/// An error and its causes, without the URL, which says nothing new.
pub(super) fn chain(error: &reqwest::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if parts.last().is_none_or(|it| !it.ends_with(&text)) {
            parts.push(text);
        }
        next = cause.source();
    }
    match parts.is_empty() {
        true => "no reason known".to_owned(),
        false => parts.join(": "),
    }
}

/// What is wrong with the certificate, if it is that.
fn certificate_error(error: &reqwest::Error) -> Option<String> {
    let mut next: Option<&(dyn Error + 'static)> = error.source();
    while let Some(cause) = next {
        match cause.downcast_ref() {
            Some(rustls::Error::InvalidCertificate(reason)) => return Some(reason.to_string()),
            Some(rustls::Error::General(reason)) => return Some(reason.clone()),
            Some(_) | None => next = inner(cause),
        }
    }
    None
}

/// The cause of a cause; an I/O error hides the error it carries from `source`.
fn inner<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let io = cause.downcast_ref::<std::io::Error>();
    match io.and_then(std::io::Error::get_ref) {
        Some(carried) => Some(carried),
        None => cause.source(),
    }
}
