//! The few HTTP calls of the demo and the soak.

use futures_util::{Stream, StreamExt};
use reqwest::header::ACCEPT;
use serde_json::Value;

use crate::command::Failure;

/// The service's API.
pub(crate) struct Client {
    pub(crate) base: String,
    http: reqwest::Client,
}

impl Client {
    pub(crate) fn new(base: String) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { base, http })
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        let text = self.text(path, "application/json").await?;
        serde_json::from_str(&text).map_err(|error| format!("GET {path}: {error}"))
    }

    pub(crate) async fn text(&self, path: &str, accept: &str) -> Result<String, Failure> {
        let request = self
            .http
            .get(format!("{}{path}", self.base))
            .header(ACCEPT, accept);
        answer(&format!("GET {path}"), request).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let request = self.http.post(format!("{}{path}", self.base)).json(body);
        let what = format!("POST {path}");
        let text = answer(&what, request).await?;
        serde_json::from_str(&text).map_err(|error| format!("{what}: {error}"))
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<(), Failure> {
        let request = self.http.delete(format!("{}{path}", self.base));
        answer(&format!("DELETE {path}"), request).await.map(drop)
    }

    /// The `data:` lines of an event stream.
    pub(crate) async fn events(
        &self,
        path: &str,
    ) -> Result<impl Stream<Item = Result<Value, Failure>> + use<>, Failure> {
        let request = self
            .http
            .get(format!("{}{path}", self.base))
            .header(ACCEPT, "text/event-stream");
        let response = request
            .send()
            .await
            .map_err(|error| format!("GET {path}: {error}"))?;
        let bytes = response.bytes_stream();
        let lines =
            futures_util::stream::unfold((bytes, Vec::new()), |(mut bytes, mut rest)| async {
                let line = next_line(&mut bytes, &mut rest).await?;
                Some((line, (bytes, rest)))
            });
        Ok(lines.filter_map(|line| async {
            let line = match line {
                Ok(line) => String::from_utf8_lossy(&line).trim().to_owned(),
                Err(error) => return Some(Err(error)),
            };
            let data = line.strip_prefix("data:")?;
            Some(serde_json::from_str(data).map_err(|error| format!("`{data}`: {error}")))
        }))
    }
}

async fn answer(what: &str, request: reqwest::RequestBuilder) -> Result<String, Failure> {
    let response = request
        .send()
        .await
        .map_err(|error| format!("{what}: {error}"))?;
    let status = response.status();
    let text = response
        .text()
        .await
        .map_err(|error| format!("{what}: {error}"))?;
    if status.is_success() {
        Ok(text)
    } else {
        Err(format!("{what}: {status}\n{text}"))
    }
}

/// The next line of a body; nothing at its end.
async fn next_line(
    bytes: &mut (impl Stream<Item = reqwest::Result<impl AsRef<[u8]>>> + Unpin),
    rest: &mut Vec<u8>,
) -> Option<Result<Vec<u8>, Failure>> {
    loop {
        if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            return Some(Ok(rest.drain(..=end).collect()));
        }
        match bytes.next().await? {
            Ok(chunk) => rest.extend_from_slice(chunk.as_ref()),
            Err(error) => return Some(Err(error.to_string())),
        }
    }
}
