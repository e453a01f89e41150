//! Sends what is in the outbox: in order for each stream, at least once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use se_runtime::Timestamp;
use se_runtime::cloudevent::MEDIA_TYPE;
use se_store::Delivery;

use crate::engine::Engine;
use crate::error::chain;

/// Wait after the first failure; doubles each time.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);
/// A delivery that did not arrive for so long is given up.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);
/// Deliveries under way at the same time; each belongs to a stream of its own.
const AT_ONCE: usize = 32;
/// When the store fails, it is asked again after this time.
const STORE_WAIT: Duration = Duration::from_secs(1);

/// What came of an attempt.
enum Outcome {
    Arrived,
    Gone(String),
    Failed(String),
}

/// Sends until the engine stops, then what is due once more.
pub(crate) async fn run(engine: Arc<Engine>) {
    let client = match client(&engine) {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(error = %chain(&error), "no events are sent: no HTTP client");
            return;
        }
    };
    let mut changes = engine.store.changes();
    let mut under_way = FuturesUnordered::new();
    let mut ids: BTreeSet<i64> = BTreeSet::new();
    loop {
        changes.mark_unchanged();
        let (due, wake) = more(&engine, &ids).await.unwrap_or_else(|error| {
            tracing::warn!(error = %chain(&error), "cannot look for due events");
            (Vec::new(), Some(engine.world.clock.now().after(STORE_WAIT)))
        });
        for delivery in due {
            ids.insert(delivery.id);
            under_way.push(attempt(&engine, &client, delivery));
        }
        let drained = engine.tasks.is_stopping() && engine.dispatcher.counts().0 == 0;
        if drained && under_way.is_empty() {
            return;
        }
        // Each branch can be dropped and made again: attempts stay in the set, changes stay marked.
        tokio::select! {
            Some(id) = under_way.next() => { ids.remove(&id); }
            Ok(()) = changes.changed() => {}
            () = until(&engine, wake) => {}
            () = stopping(&engine) => {}
        }
    }
}

async fn until(engine: &Engine, wake: Option<Timestamp>) {
    match wake {
        Some(at) => engine.world.clock.sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Ends when the engine stops; again and again while its jobs come to their end.
async fn stopping(engine: &Engine) {
    if engine.tasks.is_stopping() {
        let soon = engine.world.clock.now().after(STORE_WAIT / 10);
        engine.world.clock.sleep_until(soon).await;
    } else {
        engine.tasks.stopping().await;
    }
}

fn client(engine: &Engine) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .timeout(Duration::from_secs(engine.config.events.timeout))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("ScenarioEngine/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Due deliveries that are not under way, and when to look again by the clock.
async fn more(
    engine: &Engine,
    under_way: &BTreeSet<i64>,
) -> se_store::Result<(Vec<Delivery>, Option<Timestamp>)> {
    let free = AT_ONCE.saturating_sub(under_way.len());
    if free == 0 {
        return Ok((Vec::new(), None));
    }
    let outbox = engine.store.outbox();
    let limit = u32::try_from(under_way.len() + free).unwrap_or(u32::MAX);
    let mut due = outbox.due(engine.world.clock.now(), limit).await?;
    due.retain(|it| !under_way.contains(&it.id));
    due.truncate(free);
    // While something is under way, its end wakes the loop; it is the earliest due as well.
    let wake = if due.is_empty() && under_way.is_empty() {
        outbox.next_due().await?
    } else {
        None
    };
    let wake = match wake {
        None if !under_way.is_empty() => Some(engine.world.clock.now().after(FIRST_WAIT)),
        other => other,
    };
    Ok((due, wake))
}

/// One attempt, noted in the store. Gives the delivery's id.
async fn attempt(engine: &Engine, client: &reqwest::Client, delivery: Delivery) -> i64 {
    let outcome = post(client, &delivery).await;
    if let Err(error) = note(engine, &delivery, outcome).await {
        // It stays due and is sent again: at least once is what is promised.
        tracing::warn!(delivery = delivery.id, error = %chain(&error), "delivery not noted");
    }
    delivery.id
}

async fn note(engine: &Engine, it: &Delivery, outcome: Outcome) -> se_store::Result<()> {
    let outbox = engine.store.outbox();
    let now = engine.world.clock.now();
    match outcome {
        Outcome::Arrived => {
            engine.metrics.delivered.add();
            outbox.delivered(it.id).await
        }
        Outcome::Gone(error) => outbox.gone(it.id, &error).await,
        Outcome::Failed(error) if now.since(it.created_at) >= PATIENCE => {
            engine.metrics.undelivered.add();
            engine.metrics.dead.add();
            tracing::warn!(delivery = it.id, stream = %it.stream, "event given up");
            outbox.dead(it.id, &error).await
        }
        Outcome::Failed(error) => {
            engine.metrics.undelivered.add();
            outbox
                .failed(it.id, &error, now.after(wait(it.attempts)))
                .await
        }
    }
}

async fn post(client: &reqwest::Client, delivery: &Delivery) -> Outcome {
    let request = client
        .post(&delivery.url)
        .header(CONTENT_TYPE, MEDIA_TYPE)
        .body(delivery.body.clone());
    match request.send().await {
        Ok(answer) if answer.status().is_success() => Outcome::Arrived,
        Ok(answer) if answer.status() == StatusCode::GONE => {
            Outcome::Gone("the receiver answered 410 Gone".to_owned())
        }
        Ok(answer) => Outcome::Failed(format!("the receiver answered {}", answer.status())),
        Err(error) => Outcome::Failed(chain(&error.without_url())),
    }
}

/// The wait after `failures` earlier failures.
fn wait(failures: u32) -> Duration {
    FIRST_WAIT
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    #[test]
    fn waits_double_up_to_five_minutes() {
        let seconds: Vec<u64> = (0..11).map(|n| super::wait(n).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(super::wait(u32::MAX), Duration::from_secs(300));
    }
}
