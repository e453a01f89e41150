//! The stream of one job.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::unfold;
use se_runtime::Accepted;
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
    let follow = Follow {
        has_ended: job.summary.status.is_final() && after == job.last_seq,
        has_all: after == job.last_seq,
        engine,
        accepted,
        after,
        seat,
        read: VecDeque::new(),
    };
    Ok(unfold(follow, async |mut follow| {
        let item = follow.next().await?;
        Some((item, follow))
    }))
}

struct Follow {
    engine: Arc<Engine>,
    accepted: Arc<Accepted>,
    /// The last event that was looked at.
    after: u64,
    seat: Seat,
    read: VecDeque<Arc<Item>>,
    /// Whether what comes next will be heard.
    has_all: bool,
    has_ended: bool,
}

impl Follow {
    async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.shown() {
                return Some(message);
            }
            if self.has_ended {
                return None;
            }
            if self.has_all {
                self.listen().await?;
            } else {
                // Apart: who waits holds no room for it.
                Box::pin(self.look()).await?;
            }
        }
    }

    /// The next of those read that tells the outside anything.
    fn shown(&mut self) -> Option<Message> {
        while let Some(item) = self.read.pop_front() {
            self.after = item.seq;
            self.has_ended |= item.is_last;
            if let Some(told) = item.told.clone() {
                let id = item.seq.to_string();
                return Some(Message { id, told });
            }
        }
        None
    }

    /// Reads the store.
    async fn look(&mut self) -> Option<()> {
        let id = &self.accepted.job_id;
        let page = self.engine.store.events(id, self.after, PAGE).await;
        let page = page.inspect_err(broken_off).ok()?;
        self.has_all = !page.more;
        let public = &self.engine.config.server.public_url;
        let item = |record| Arc::new(Item::new(public, &self.accepted, &record));
        self.read = page.records.into_iter().map(item).collect();
        Some(())
    }

    /// Waits for the next event; nothing when there will not be any.
    async fn listen(&mut self) -> Option<()> {
        // Can be dropped: a seat keeps what was said.
        match self.seat.heard.recv().await {
            Ok(Said::Event(_, item)) if item.seq <= self.after => {}
            Ok(Said::Event(_, item)) if item.seq == self.after + 1 => self.read.push_back(item),
            Ok(Said::Event(..) | Said::Look) | Err(RecvError::Lagged(_)) => self.has_all = false,
            Err(RecvError::Closed) => return None,
        }
        Some(())
    }
}
