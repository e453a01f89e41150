//! Sends what is in the outbox: the sender of se-runtime, with the store, HTTP and this engine for its ports.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, pending};
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use se_runtime::cloudevent::MEDIA_TYPE;
use se_runtime::deliver::{Bell, Due, Note, Outbox, Policy, Post, Posted, Sending, deliver};
use se_runtime::{Timestamp, Unanswered};
use se_store::{Changes, Delivery};
use tokio::sync::watch;

use crate::engine::Engine;
use crate::error::chain;
use crate::stage::Life;

/// Sends until the engine stops, then what is due once more.
pub(crate) async fn run(engine: Arc<Engine>) {
    let client = match client(&engine) {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(error = %chain(&error), "no events are sent: no HTTP client");
            return;
        }
    };
    let mut changes = StoreChanges(engine.store.changes());
    let ports = Sending {
        outbox: &Stored(&engine),
        post: &Http(client),
        clock: &*engine.world.clock,
        stages: &Life(&engine),
        policy: Policy::default(),
    };
    deliver(ports, &mut changes).await;
}

fn client(engine: &Engine) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .timeout(Duration::from_secs(engine.config.events.timeout))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("ScenarioEngine/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// The outbox of the store; counts and logs what becomes of deliveries.
struct Stored<'a>(&'a Engine);

impl Outbox for Stored<'_> {
    type Letter = Delivery;

    fn due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Due<Delivery>>, Unanswered>> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        async move {
            let due = self.0.store.outbox().due(now, limit).await;
            let due = due.map_err(|it| unanswered(&it))?;
            Ok(due.into_iter().map(of).collect())
        }
        .boxed()
    }

    fn next_due(&self) -> BoxFuture<'_, Result<Option<Timestamp>, Unanswered>> {
        async {
            let next = self.0.store.outbox().next_due().await;
            next.map_err(|it| unanswered(&it))
        }
        .boxed()
    }

    fn note<'a>(
        &'a self,
        due: &'a Due<Delivery>,
        note: Note,
    ) -> BoxFuture<'a, Result<(), Unanswered>> {
        async move {
            self.tell(due, &note);
            let (outbox, id) = (self.0.store.outbox(), due.id);
            let noted = match note {
                Note::Delivered => outbox.delivered(id).await,
                Note::Gone(error) => outbox.gone(id, &error).await,
                Note::Dead(error) => outbox.dead(id, &error).await,
                Note::Again { error, at } => outbox.failed(id, &error, at).await,
            };
            let Err(error) = noted else { return Ok(()) };
            tracing::warn!(delivery = id, error = %chain(&error), "delivery not noted");
            // Anything else says that it is not this engine's to note any more.
            match error {
                se_store::Error::Unavailable { .. } => Err(Unanswered),
                _ => Ok(()),
            }
        }
        .boxed()
    }
}

impl Stored<'_> {
    fn tell(&self, due: &Due<Delivery>, note: &Note) {
        let metrics = &self.0.metrics;
        match note {
            Note::Delivered => metrics.delivered.add(),
            Note::Gone(_) => {}
            Note::Dead(_) => {
                metrics.undelivered.add();
                metrics.dead.add();
                tracing::warn!(delivery = due.id, stream = %due.letter.stream, "event given up");
            }
            Note::Again { .. } => metrics.undelivered.add(),
        }
    }
}

fn of(letter: Delivery) -> Due<Delivery> {
    Due {
        id: letter.id,
        attempts: letter.attempts,
        created_at: letter.created_at,
        letter,
    }
}

fn unanswered(error: &se_store::Error) -> Unanswered {
    tracing::warn!(error = %chain(error), "cannot look for due events");
    Unanswered
}

/// POSTs events.
struct Http(reqwest::Client);

impl Post<Delivery> for Http {
    fn post<'a>(&'a self, due: &'a Due<Delivery>) -> BoxFuture<'a, Posted> {
        let request = self
            .0
            .post(&due.letter.url)
            .header(CONTENT_TYPE, MEDIA_TYPE)
            .body(due.letter.body.clone());
        async move {
            match request.send().await {
                Ok(answer) if answer.status().is_success() => Posted::Arrived,
                Ok(answer) if answer.status() == StatusCode::GONE => {
                    Posted::Gone("the receiver answered 410 Gone".to_owned())
                }
                Ok(answer) => Posted::Failed(format!("the receiver answered {}", answer.status())),
                Err(error) => Posted::Failed(chain(&error.without_url())),
            }
        }
        .boxed()
    }
}

/// Rings at every change of the store.
struct StoreChanges(watch::Receiver<Changes>);

impl Bell for StoreChanges {
    fn listen(&mut self) {
        self.0.mark_unchanged();
    }

    fn rings(&mut self) -> BoxFuture<'_, ()> {
        async {
            if self.0.changed().await.is_err() {
                // The store is gone, and with it whatever could change.
                pending().await
            }
        }
        .boxed()
    }
}
