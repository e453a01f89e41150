//! Why a step failed.

use serde::{Deserialize, Serialize};

/// The kinds of failure of `spec/dsl.md` section 6, by what a caller can do about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// An expression failed or went over its bounds.
    Expression,
    /// A login was refused, or asked for and not given.
    Authentication,
    /// A lab, node, device or file does not exist.
    NotFound,
    /// It took too long.
    Timeout,
    /// It is in a state that does not allow this.
    Conflict,
    /// An input, or what a device answered to it, is not acceptable.
    Validation,
    /// It was cancelled.
    Cancelled,
    /// The other side could not be reached, or broke off.
    Communication,
    /// The engine stopped while it ran, and it may not be run twice.
    Interrupted,
}

impl FaultKind {
    /// The last part of the type's URL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expression => "expression",
            Self::Authentication => "authentication",
            Self::NotFound => "not-found",
            Self::Timeout => "timeout",
            Self::Conflict => "conflict",
            Self::Validation => "validation",
            Self::Cancelled => "cancelled",
            Self::Communication => "communication",
            Self::Interrupted => "interrupted",
        }
    }

    /// The type's URL.
    #[must_use]
    pub fn url(self) -> String {
        format!("https://lcm.cisco.com/dsl/2.0.0/errors/{}", self.as_str())
    }

    /// The status that goes with it.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Expression => 400,
            Self::Authentication => 401,
            Self::NotFound => 404,
            Self::Timeout => 408,
            Self::Conflict => 409,
            Self::Validation => 422,
            Self::Cancelled => 499,
            Self::Communication | Self::Interrupted => 503,
        }
    }

    /// A few words for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Expression => "Expression failed",
            Self::Authentication => "Login refused",
            Self::NotFound => "Not found",
            Self::Timeout => "Took too long",
            Self::Conflict => "Wrong state",
            Self::Validation => "Not acceptable",
            Self::Cancelled => "Cancelled",
            Self::Communication => "No connection",
            Self::Interrupted => "Interrupted",
        }
    }
}

/// A failed attempt: what was tried, what came back, what to check. Never holds a secret in the clear
/// once it is in an event: the driver seals it first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}: {detail}", kind.title())]
pub struct Fault {
    /// Which kind.
    pub kind: FaultKind,
    /// What was tried on what, what came back, what to check.
    pub detail: String,
}

impl Fault {
    /// A fault of that kind.
    #[must_use]
    pub fn new(kind: FaultKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
        }
    }
}

/// The error of a step or job as events, answers and reports show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepError {
    /// URL of the kind.
    #[serde(rename = "type")]
    pub url: String,
    /// Status of the kind.
    pub status: u16,
    /// A few words.
    pub title: String,
    /// What was tried, what came back, what to check.
    pub detail: String,
    /// JSON Pointer of the step in the package: `/jobs/grade/steps/3`.
    pub instance: String,
    /// Which attempt failed, from 1.
    pub attempt: u32,
}

impl StepError {
    /// A fault with its place.
    #[must_use]
    pub fn new(fault: &Fault, instance: &str, attempt: u32) -> Self {
        Self {
            url: fault.kind.url(),
            status: fault.kind.status(),
            title: fault.kind.title().to_owned(),
            detail: fault.detail.clone(),
            instance: instance.to_owned(),
            attempt,
        }
    }

    /// As JSON: what `vars.<step>.error` holds.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "type": self.url,
            "status": self.status,
            "title": self.title,
            "detail": self.detail,
            "instance": self.instance,
            "attempt": self.attempt,
        })
    }
}
