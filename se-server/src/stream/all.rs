//! The stream of all jobs.

use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::unfold;
use se_runtime::follow::{Follow, Heard, Placed, Source};
use se_runtime::{Accepted, Unanswered};
use se_store::Error;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::hub::Said;
use super::{Item, Message, PAGE, broken_off};
use crate::engine::Engine;
use crate::error::Result;

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
///
/// # Errors
/// [`crate::Error::Store`] if the newest place cannot be read.
pub(crate) async fn of_all(
    engine: Arc<Engine>,
    filter: Filter,
    after: i64,
) -> Result<impl Stream<Item = Message>> {
    // Listening begins before reading, so that nothing falls between the two.
    let heard = engine.hub.follow_all(&engine.store);
    // A reader that claims to have seen more than there is, as after a restored backup, has seen everything.
    let after = after.min(engine.store.newest_position().await?);
    let follow = Follow::new(Jobs { engine, heard }, u64::try_from(after).unwrap_or(0));
    Ok(unfold((follow, filter), async |(mut follow, filter)| {
        let message = wanted(&mut follow, &filter).await?;
        Some((message, (follow, filter)))
    }))
}

/// The next that is wanted and tells anything.
async fn wanted(follow: &mut Follow<Jobs>, filter: &Filter) -> Option<Message> {
    loop {
        let Stood(position, item) = follow.next().await?;
        if let Some(told) = item.told.clone().filter(|_| filter.lets(&item.job)) {
            let id = position.to_string();
            return Some(Message { id, told });
        }
    }
}

/// An event with its place among those of all jobs.
struct Stood(i64, Arc<Item>);

impl Placed for Stood {
    fn place(&self) -> u64 {
        self.0.unsigned_abs()
    }

    fn is_last(&self) -> bool {
        false
    }
}

/// The events of all jobs, as they are stored and said.
struct Jobs {
    engine: Arc<Engine>,
    heard: broadcast::Receiver<Said>,
}

impl Jobs {
    async fn page(&self, mut after: i64) -> se_store::Result<Vec<Stood>> {
        let store = &self.engine.store;
        let public = &self.engine.config.server.public_url;
        let mut page = Vec::new();
        while page.is_empty() {
            let stored = store.events_since(after, PAGE).await?;
            let Some(last) = stored.last() else {
                break;
            };
            after = last.position;
            for stored in stored {
                let accepted = match self.engine.hub.accepted(store, &stored.job_id).await {
                    Ok(accepted) => accepted,
                    // Of a job whose beginning cannot be read nothing is told; others go on.
                    Err(Error::Corrupt { .. } | Error::NewerEvent { .. }) => continue,
                    Err(error) => return Err(error),
                };
                let item = Item::new(public, &accepted, &stored.record);
                page.push(Stood(stored.position, Arc::new(item)));
            }
        }
        Ok(page)
    }
}

impl Source for Jobs {
    type Event = Stood;
    const DENSE: bool = false;

    async fn read(&mut self, after: u64) -> std::result::Result<(Vec<Stood>, bool), Unanswered> {
        let page = self.page(i64::try_from(after).unwrap_or(i64::MAX)).await;
        let page = page.inspect_err(broken_off).map_err(|_| Unanswered)?;
        let more = !page.is_empty();
        Ok((page, more))
    }

    async fn hear(&mut self) -> Heard<Stood> {
        match self.heard.recv().await {
            Ok(Said::Event(position, item)) => Heard::Event(Stood(position, item)),
            Ok(Said::Look) | Err(RecvError::Lagged(_)) => Heard::Look,
            Err(RecvError::Closed) => Heard::Over,
        }
    }
}
