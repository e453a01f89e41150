//! What comes in: bodies within limits, queries, all of it told apart with care.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use bytes::Bytes;
use serde_json::{Map, Value};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::problem::Problem;
use crate::engine::Engine;
use crate::error::Error;

/// How long a place for a large request is waited for.
const WAIT: Duration = Duration::from_secs(5);
/// How long a body may take to come.
const LONGEST: Duration = Duration::from_secs(300);

/// A JSON object.
#[derive(Debug)]
pub(super) struct Object(pub(super) Map<String, Value>);

/// A JSON object; an empty one where nothing was sent.
#[derive(Debug)]
pub(super) struct AnyObject(pub(super) Map<String, Value>);

/// One of the places for requests that need much memory, to be asked for before what is in the body. Whoever waits
/// for one holds nothing yet.
#[derive(Debug)]
pub(super) struct Large {
    _place: OwnedSemaphorePermit,
}

impl FromRequestParts<Arc<Engine>> for Large {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, engine: &Arc<Engine>) -> Result<Self, Problem> {
        let place = Arc::clone(&engine.large).acquire_owned();
        match timeout(WAIT, place).await {
            Ok(Ok(_place)) => Ok(Self { _place }),
            Ok(Err(_)) | Err(_) => Err(Error::Busy(
                "too many large requests are under way: nothing was done; send the same request \
                 again later"
                    .to_owned(),
            )
            .into()),
        }
    }
}

/// A zip.
#[derive(Debug)]
pub(super) struct Zip(pub(super) Bytes);

impl FromRequest<Arc<Engine>> for Object {
    type Rejection = Problem;

    async fn from_request(request: Request, engine: &Arc<Engine>) -> Result<Self, Problem> {
        let bytes = read(request.into_body(), engine.config.server.body_limit).await?;
        object(&bytes).map(Self)
    }
}

impl FromRequest<Arc<Engine>> for AnyObject {
    type Rejection = Problem;

    async fn from_request(request: Request, engine: &Arc<Engine>) -> Result<Self, Problem> {
        let bytes = read(request.into_body(), engine.config.server.body_limit).await?;
        if bytes.is_empty() {
            return Ok(Self(Map::new()));
        }
        object(&bytes).map(Self)
    }
}

fn object(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        // serde_json says where, never what: a body may hold secrets.
        let (line, column) = (error.line(), error.column());
        let reason = error.to_string();
        let what = match () {
            () if error.is_eof() => "it ends too early",
            () if reason.starts_with("recursion limit") => "it nests deeper than 127 levels",
            () if reason.starts_with("number out of range") => "a number is out of range",
            () => "it is malformed",
        };
        Error::Malformed(format!(
            "the body is no JSON: {what} at line {line}, column {column}"
        ))
    })?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(Error::field("", "must be a JSON object").into()),
    }
}

impl FromRequest<Arc<Engine>> for Zip {
    type Rejection = Problem;

    async fn from_request(request: Request, engine: &Arc<Engine>) -> Result<Self, Problem> {
        let bytes = read(request.into_body(), engine.config.server.package_limit).await?;
        if bytes.is_empty() {
            return Err(Error::Malformed("the body is empty; send a zip".to_owned()).into());
        }
        Ok(Self(bytes))
    }
}

async fn read(body: Body, limit: usize) -> Result<Bytes, Problem> {
    let read = timeout(LONGEST, to_bytes(body, limit)).await;
    let read = read.map_err(|_| {
        let longest = LONGEST.as_secs();
        Error::Malformed(format!("the body did not come within {longest} s"))
    });
    read?.map_err(|error| {
        // The only other cause is a connection that broke: then nobody reads the answer.
        let broken = std::error::Error::source(&error).is_none();
        let detail =
            format!("the body is larger than {limit} bytes; send less, or raise the limit");
        let detail = if broken {
            format!("the body cannot be read: {error}")
        } else {
            detail
        };
        Error::TooLarge(detail).into()
    })
}

/// The query, by name.
#[derive(Debug)]
pub(super) struct Params(BTreeMap<String, String>);

impl FromRequestParts<Arc<Engine>> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, engine: &Arc<Engine>) -> Result<Self, Problem> {
        match Query::<BTreeMap<String, String>>::from_request_parts(parts, engine).await {
            Ok(Query(all)) => Ok(Self(all)),
            Err(error) => {
                Err(Error::Malformed(format!("the query cannot be read: {error}")).into())
            }
        }
    }
}

impl Params {
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).filter(|it| !it.is_empty()).cloned()
    }

    /// A value that has to be read.
    pub(super) fn parse<T>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        read(&text)
            .map(Some)
            .map_err(|why| Error::field(format!("?{name}"), why).into())
    }

    /// How many items to show: 50 where nothing is said.
    pub(super) fn limit(&self) -> Result<u32, Problem> {
        let limit = self.parse("limit", |text| match text.parse() {
            Ok(limit @ 1..=1000) => Ok(limit),
            _ => Err(format!("is `{text}`; give a number from 1 to 1000")),
        })?;
        Ok(limit.unwrap_or(50))
    }

    /// Where the page begins.
    pub(super) fn cursor(&self) -> Result<Option<se_store::Cursor>, Problem> {
        self.parse("cursor", str::parse)
    }
}
