//! The stream of one job.

use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::unfold;
use se_runtime::follow::{Follow, Heard, Placed, Source};
use se_runtime::{Accepted, Unanswered};
use tokio::sync::broadcast::error::RecvError;

use super::hub::{Said, Seat};
use super::{Item, Message, PAGE, broken_off};
use crate::engine::Engine;
use crate::error::Result;

/// The events of a job after number `after`, until the last one.
///
/// # Errors
/// [`crate::Error::NotFound`] if there is no such job.
pub(crate) async fn of_job(
    engine: Arc<Engine>,
    id: String,
    after: u64,
) -> Result<impl Stream<Item = Message>> {
    // Listening begins before reading, so that nothing falls between the two.
    let seat = engine.hub.follow(&engine.store, &id);
    let accepted = engine.hub.accepted(&engine.store, &id).await?;
    let job = engine.store.job(&id).await?;
    // A reader that claims to have seen more than there is has seen everything.
    let after = after.min(job.last_seq);
    let source = Job {
        engine,
        accepted,
        seat,
    };
    let mut follow = Follow::new(source, after);
    if after == job.last_seq {
        follow = follow.with_all(job.summary.status.is_final());
    }
    Ok(unfold(follow, async |mut follow| {
        let message = told(&mut follow).await?;
        Some((message, follow))
    }))
}

/// The next that tells the outside anything.
async fn told(follow: &mut Follow<Job>) -> Option<Message> {
    loop {
        let item = follow.next().await?;
        if let Some(told) = item.told.clone() {
            let id = item.seq.to_string();
            return Some(Message { id, told });
        }
    }
}

/// The events of a job, as they are stored and said.
struct Job {
    engine: Arc<Engine>,
    accepted: Arc<Accepted>,
    seat: Seat,
}

impl Placed for Item {
    fn place(&self) -> u64 {
        self.seq
    }

    fn is_last(&self) -> bool {
        self.is_last
    }
}

impl Source for Job {
    type Event = Arc<Item>;
    const DENSE: bool = true;

    async fn read(
        &mut self,
        after: u64,
    ) -> std::result::Result<(Vec<Arc<Item>>, bool), Unanswered> {
        let id = &self.accepted.job_id;
        let page = self.engine.store.events(id, after, PAGE).await;
        let page = page.inspect_err(broken_off).map_err(|_| Unanswered)?;
        let public = &self.engine.config.server.public_url;
        let item = |record| Arc::new(Item::new(public, &self.accepted, &record));
        Ok((page.records.into_iter().map(item).collect(), page.more))
    }

    async fn hear(&mut self) -> Heard<Arc<Item>> {
        match self.seat.hear().await {
            Ok(Said::Event(_, item)) => Heard::Event(item),
            Ok(Said::Look) | Err(RecvError::Lagged(_)) => Heard::Look,
            Err(RecvError::Closed) => Heard::Over,
        }
    }
}
