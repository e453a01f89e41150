//! The stream of all jobs.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::unfold;
use se_runtime::Accepted;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::hub::Said;
use super::{Item, Message, PAGE, broken_off};
use crate::engine::Engine;

/// Which jobs to follow; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) session_id: Option<String>,
    pub(crate) definition_id: Option<String>,
    pub(crate) phase: Option<String>,
}

impl Filter {
    fn lets(&self, job: &Accepted) -> bool {
        let fits = |wanted: &Option<String>, is: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| is == Some(wanted))
        };
        fits(&self.session_id, job.session_id.as_deref())
            && fits(&self.definition_id, Some(&job.definition_id))
            && fits(&self.phase, job.phase.as_deref())
    }
}

/// The events of all jobs after a place, without end.
pub(crate) fn of_all(
    engine: Arc<Engine>,
    filter: Filter,
    after: i64,
) -> impl Stream<Item = Message> {
    // Listening begins before reading, so that nothing falls between the two.
    let heard = engine.hub.follow_all(&engine.store);
    let follow = Follow {
        engine,
        filter,
        after,
        heard,
        read: VecDeque::new(),
        has_all: false,
    };
    unfold(follow, async |mut follow| {
        let item = follow.next().await?;
        Some((item, follow))
    })
}

struct Follow {
    engine: Arc<Engine>,
    filter: Filter,
    /// Place of the last event that was looked at.
    after: i64,
    heard: broadcast::Receiver<Said>,
    read: VecDeque<(i64, Arc<Item>)>,
    /// Whether what comes next will be heard.
    has_all: bool,
}

impl Follow {
    async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.shown() {
                return Some(message);
            }
            if self.has_all {
                self.listen().await?;
            } else {
                // Apart: who waits holds no room for it.
                Box::pin(self.look()).await?;
            }
        }
    }

    /// The next of those read that is wanted.
    fn shown(&mut self) -> Option<Message> {
        while let Some((position, item)) = self.read.pop_front() {
            self.after = position;
            if let Some(told) = item.told.clone().filter(|_| self.filter.lets(&item.job)) {
                let id = position.to_string();
                return Some(Message { id, told });
            }
        }
        None
    }

    /// Reads the store.
    async fn look(&mut self) -> Option<()> {
        let store = &self.engine.store;
        let page = store.events_since(self.after, PAGE).await;
        let page = page.inspect_err(broken_off).ok()?;
        self.has_all = page.is_empty();
        for stored in page {
            let accepted = self.engine.hub.accepted(store, &stored.job_id).await;
            let accepted = accepted.inspect_err(broken_off).ok()?;
            let public = &self.engine.config.server.public_url;
            let item = Item::new(public, &accepted, &stored.record);
            self.read.push_back((stored.position, Arc::new(item)));
        }
        Some(())
    }

    /// Waits for the next event; nothing when there will not be any.
    async fn listen(&mut self) -> Option<()> {
        // Can be dropped: what was said is kept.
        match self.heard.recv().await {
            Ok(Said::Event(position, _)) if position <= self.after => {}
            Ok(Said::Event(position, item)) => self.read.push_back((position, item)),
            Ok(Said::Look) | Err(RecvError::Lagged(_)) => self.has_all = false,
            Err(RecvError::Closed) => return None,
        }
        Some(())
    }
}
