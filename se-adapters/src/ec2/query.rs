//! Requests to EC2: signed forms, answered with XML.

use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use futures_util::StreamExt as _;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpRequest, HttpRequestBody};
use regex::Regex;
use reqwest::header::{CONTENT_TYPE, HOST, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Method, Url};
use se_runtime::{Fault, FaultKind};

use super::Ec2Options;
use crate::deadline::Deadline;

/// The version of the interface that these requests are written in.
const VERSION: &str = "2016-11-15";
/// The longest one request may take.
const LONGEST_REQUEST: Duration = Duration::from_secs(30);
/// Larger answers are none about one instance.
const LONGEST_ANSWER: usize = 1024 * 1024;
/// How often a request is sent that EC2 has no time for, and how long is waited between, doubled each time.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);

static STATE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?s)<instanceState>.*?<name>\s*([a-z-]+)\s*</name>").ok());
static CODE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"<Code>\s*([A-Za-z0-9.]+)\s*</Code>").ok());
static MESSAGE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?s)<Message>([^<]{1,500})").ok());

/// The state of the first instance in an answer.
pub(super) fn state_in(answer: &str) -> Option<String> {
    first(&STATE, answer)
}

fn first(pattern: &Option<Regex>, text: &str) -> Option<String> {
    let found = pattern.as_ref()?.captures(text)?;
    Some(found.get(1)?.as_str().trim().to_owned())
}

/// Asks EC2 of one region.
pub(super) struct Query {
    http: reqwest::Client,
    endpoint: Url,
    region: String,
    credential: AwsCredential,
}

/// What went wrong with a request.
pub(super) enum Trouble {
    /// It did not get through.
    Unreachable(String),
    /// There was no answer in time.
    TimedOut,
    /// EC2 refused it.
    Refused {
        status: u16,
        code: String,
        message: String,
    },
}

impl Query {
    pub(super) fn new(options: Ec2Options) -> Result<Self, Fault> {
        let Ec2Options {
            endpoint,
            region,
            access_key_id,
            secret_access_key,
            session_token,
        } = options;
        let endpoint = endpoint.unwrap_or_else(|| format!("https://ec2.{region}.amazonaws.com"));
        let invalid = |why: &str| {
            // A name and a password may stand before the host.
            let shown = endpoint.rsplit_once('@').map_or(&*endpoint, |(_, it)| it);
            let detail = format!("the endpoint of EC2 is `{shown}`: {why}; write https://<host>");
            Fault::new(FaultKind::Validation, detail)
        };
        let url = Url::parse(&endpoint).map_err(|error| invalid(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() {
            return Err(invalid("it is no plain address of a web server"));
        }
        let http = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .user_agent(concat!("scenario-engine/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| invalid(&error.to_string()))?;
        Ok(Self {
            http,
            endpoint: url,
            region,
            credential: AwsCredential {
                key_id: access_key_id,
                secret_key: secret_access_key.expose().to_owned(),
                token: session_token.map(|it| it.expose().to_owned()),
            },
        })
    }

    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// Sends an action about one instance; each of them may be sent twice.
    pub(super) async fn ask(
        &self,
        action: &str,
        instance: &str,
        deadline: &Deadline,
    ) -> Result<String, Trouble> {
        let id: String = instance
            .bytes()
            .map(|it| match it {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => char::from(it).to_string(),
                other => format!("%{other:02X}"),
            })
            .collect();
        let form = format!("Action={action}&InstanceId.1={id}&Version={VERSION}");
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            match self.once(&form, deadline.left()).await {
                Err(trouble) if trouble.may_pass() && deadline.left() > pause => {
                    tracing::debug!(action, %trouble, "asking EC2 again");
                    deadline.pause(pause).await;
                    pause *= 2;
                }
                answered => return answered,
            }
        }
        self.once(&form, deadline.left()).await
    }

    async fn once(&self, form: &str, time: Duration) -> Result<String, Trouble> {
        let request = self.signed(form)?;
        let sent = self
            .http
            .request(request.method().clone(), self.endpoint.clone())
            .headers(request.headers().clone())
            .body(form.to_owned())
            .timeout(time.min(LONGEST_REQUEST));
        let reply = sent.send().await?;
        let status = reply.status();
        let mut body = Vec::new();
        let mut pieces = reply.bytes_stream();
        while let Some(piece) = pieces.next().await {
            body.extend_from_slice(&piece?);
            if body.len() > LONGEST_ANSWER {
                let why = format!("an answer of more than {LONGEST_ANSWER} bytes");
                return Err(Trouble::Unreachable(why));
            }
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        if status.is_success() {
            return Ok(text);
        }
        Err(Trouble::Refused {
            status: status.as_u16(),
            code: first(&CODE, &text).unwrap_or_default(),
            message: first(&MESSAGE, &text).unwrap_or_default(),
        })
    }

    /// The request as it is signed (AWS Signature Version 4).
    fn signed(&self, form: &str) -> Result<HttpRequest, Trouble> {
        let failed = |why: String| Trouble::Unreachable(format!("it cannot be signed: {why}"));
        let mut request = HttpRequest::new(HttpRequestBody::from(form.to_owned()));
        *request.method_mut() = Method::POST;
        let uri = self.endpoint.as_str().parse();
        *request.uri_mut() = uri.map_err(|_| failed("the endpoint is no URI".to_owned()))?;
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
        request.headers_mut().insert(CONTENT_TYPE, kind);
        let authorizer = AwsAuthorizer::new(&self.credential, "ec2", &self.region);
        let signed = authorizer.try_authorize(&mut request, None);
        signed.map_err(|error| failed(error.to_string()))?;
        // The client that sends it puts its own.
        request.headers_mut().remove(HOST);
        Ok(request)
    }
}

impl Trouble {
    /// Whether it may be otherwise in a moment.
    fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::TimedOut => false,
            Self::Refused { status, code, .. } => {
                is_throttle(code) || matches!(status, 429 | 500 | 502..=504)
            }
        }
    }

    /// The kind of fault, and what to do about it.
    pub(super) fn means(&self) -> (FaultKind, &'static str) {
        let code = match self {
            Self::Unreachable(_) => {
                return (
                    FaultKind::Communication,
                    "check the endpoint and the way to it",
                );
            }
            Self::TimedOut => {
                return (FaultKind::Timeout, "raise the `timeout` if EC2 is slow");
            }
            Self::Refused { code, .. } => code.as_str(),
        };
        match code {
            _ if code.starts_with("InvalidInstanceID") => (
                FaultKind::NotFound,
                "check the worker's instance id and its region",
            ),
            "UnauthorizedOperation" | "AccessDenied" | "OptInRequired" => (
                FaultKind::Authentication,
                "the key needs ec2:DescribeInstances, ec2:StartInstances and ec2:StopInstances on this instance",
            ),
            "AuthFailure"
            | "InvalidClientTokenId"
            | "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "ExpiredToken"
            | "RequestExpired" => (
                FaultKind::Authentication,
                "check the key and its secret, and the clock of this machine",
            ),
            "IncorrectInstanceState" | "IncorrectState" | "OperationNotPermitted" => (
                FaultKind::Conflict,
                "wait until the instance has settled; see whether it is protected",
            ),
            _ if code.starts_with("Insufficient")
                || code.ends_with("LimitExceeded") && !is_throttle(code) =>
            {
                (
                    FaultKind::Conflict,
                    "try later, or in another zone; see the account's limits",
                )
            }
            _ if self.may_pass() => (FaultKind::Communication, "EC2 has no time: try later"),
            _ => (FaultKind::Validation, "see what EC2 says of that code"),
        }
    }
}

/// Too many requests at once.
fn is_throttle(code: &str) -> bool {
    matches!(
        code,
        "RequestLimitExceeded"
            | "Throttling"
            | "ThrottlingException"
            | "Unavailable"
            | "ServiceUnavailable"
            | "InternalError"
    )
}

impl From<reqwest::Error> for Trouble {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::TimedOut;
        }
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        Self::Unreachable(text)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => f.write_str(why),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Refused {
                status,
                code,
                message,
            } => write!(f, "{status} {code}: {message}"),
        }
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query")
            .field("endpoint", &self.endpoint.as_str())
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use se_runtime::FaultKind;

    use super::{Trouble, state_in};

    #[test]
    fn what_ec2_refuses_is_told_by_its_code() {
        for (status, code, kind, again) in [
            (
                400,
                "InvalidInstanceID.NotFound",
                FaultKind::NotFound,
                false,
            ),
            (
                400,
                "InvalidInstanceID.Malformed",
                FaultKind::NotFound,
                false,
            ),
            (
                403,
                "UnauthorizedOperation",
                FaultKind::Authentication,
                false,
            ),
            (401, "AuthFailure", FaultKind::Authentication, false),
            (400, "IncorrectInstanceState", FaultKind::Conflict, false),
            (
                500,
                "InsufficientInstanceCapacity",
                FaultKind::Conflict,
                true,
            ),
            (400, "VcpuLimitExceeded", FaultKind::Conflict, false),
            (503, "RequestLimitExceeded", FaultKind::Communication, true),
            (400, "Throttling", FaultKind::Communication, true),
            (502, "", FaultKind::Communication, true),
            (400, "InvalidParameterValue", FaultKind::Validation, false),
        ] {
            let trouble = Trouble::Refused {
                status,
                code: code.to_owned(),
                message: String::new(),
            };
            assert_eq!(trouble.means().0, kind, "{code}");
            assert_eq!(trouble.may_pass(), again, "{code}");
        }
    }

    #[test]
    fn the_state_is_that_of_the_instance() {
        let answer = "<item><instanceId>i-1</instanceId><instanceState><code>16</code>\n<name>running</name></instanceState></item>";
        assert_eq!(state_in(answer).as_deref(), Some("running"));
        assert_eq!(state_in("<reservationSet/>"), None);
        assert_eq!(state_in("<name>running</name>"), None);
    }
}
