//! A receiver of CloudEvents.

use std::fmt;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::serve::{Serving, serve};

/// How a sink behaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct SinkOptions {
    /// Which share of the deliveries is refused with 503, from 0 to 1; the same ones in every run.
    pub fail_rate: f64,
    /// Prints each accepted event on stdout, one JSON a line.
    pub print: bool,
}

/// A running sink; stops when dropped.
pub struct Sink {
    received: Arc<Received>,
    serving: Serving,
}

struct Received {
    options: SinkOptions,
    inner: Mutex<Inner>,
    count: watch::Sender<usize>,
}

#[derive(Default)]
struct Inner {
    deliveries: u64,
    /// What the deliveries so far still owe to the fail rate.
    owed: f64,
    events: Vec<Value>,
}

impl Sink {
    /// Starts one on this address and port; port 0 picks a free one.
    ///
    /// # Errors
    /// If it cannot listen.
    pub async fn start(at: (&str, u16), options: SinkOptions) -> io::Result<Self> {
        let listener = TcpListener::bind(at).await?;
        let received = Arc::new(Received {
            options,
            inner: Mutex::default(),
            count: watch::Sender::new(0),
        });
        let router = Router::new()
            .fallback(post(receive))
            .with_state(Arc::clone(&received));
        let serving = serve(listener, None, router)?;
        Ok(Self { received, serving })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.serving.address
    }

    /// As `callback_url` wants it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/events", self.serving.address)
    }

    /// Every event that was accepted, in order; redeliveries too.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        self.received.with(|it| it.events.clone())
    }

    /// How many deliveries came, refused ones too.
    #[must_use]
    pub fn deliveries(&self) -> u64 {
        self.received.with(|it| it.deliveries)
    }

    /// Waits until so many events were accepted.
    pub async fn wait_for(&self, count: usize) {
        let mut seen = self.received.count.subscribe();
        // The sender lives as long as this sink: it cannot have gone.
        drop(seen.wait_for(|it| *it >= count).await);
    }
}

impl Received {
    fn with<T>(&self, what: impl FnOnce(&mut Inner) -> T) -> T {
        what(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether this delivery is to be refused: spread evenly, without chance.
    fn refuses(&self) -> bool {
        let rate = self.options.fail_rate.clamp(0.0, 1.0);
        self.with(|it| {
            it.deliveries += 1;
            it.owed += rate;
            let refuse = it.owed >= 1.0 - 1e-9;
            if refuse {
                it.owed -= 1.0;
            }
            refuse
        })
    }

    fn take(&self, event: Value) {
        if self.options.print {
            let mut out = io::stdout().lock();
            // Whoever closed the pipe does not want to read on.
            drop(writeln!(out, "{event}").and_then(|()| out.flush()));
        }
        let count = self.with(|it| {
            it.events.push(event);
            it.events.len()
        });
        self.count.send_replace(count);
    }
}

async fn receive(
    State(received): State<Arc<Received>>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, String) {
    if received.refuses() {
        let text = "refused as asked".to_owned();
        return (StatusCode::SERVICE_UNAVAILABLE, text);
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let kind = kind.unwrap_or_default();
    if !kind.starts_with("application/cloudevents+json") {
        let text = format!("`{kind}` is not application/cloudevents+json");
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, text);
    }
    match event(&body) {
        Ok(event) => {
            received.take(event);
            (StatusCode::ACCEPTED, String::new())
        }
        Err(text) => (StatusCode::BAD_REQUEST, text),
    }
}

/// A structured CloudEvent 1.0 with what every one must have.
fn event(body: &str) -> Result<Value, String> {
    let event: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
    for key in ["id", "source", "type", "specversion"] {
        let text = event.get(key).and_then(Value::as_str).unwrap_or_default();
        if text.is_empty() {
            return Err(format!("the event has no `{key}`"));
        }
    }
    match event.get("specversion").and_then(Value::as_str) {
        Some("1.0") => Ok(event),
        other => Err(format!("specversion is {other:?}, not 1.0")),
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink")
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}
