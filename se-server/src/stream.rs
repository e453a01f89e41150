//! Events as they are stored: first those that are there, then each as it comes. Nothing is shown that
//! is not durable, and a slow reader holds up only itself: it reads the store at its own pace.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::unfold;
use se_runtime::cloudevent::{self, CloudEvent, Kind, Profile};
use se_runtime::{Accepted, Record};
use se_store::{News, Stored};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::engine::Engine;
use crate::error::{Result, chain};

/// Events read from the store in one go.
const PAGE: u32 = 256;
/// Acceptances remembered by a stream of all jobs.
const REMEMBERED: usize = 1000;

/// One message.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// Where to go on after it.
    pub(crate) id: String,
    /// Its short name.
    pub(crate) kind: &'static str,
    /// The event as the seed profile tells it: the one that tells everything.
    pub(crate) event: CloudEvent,
}

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

/// The events of a job after number `after`, until the last one.
///
/// # Errors
/// [`crate::Error::NotFound`] if there is no such job.
pub(crate) async fn of_job(
    engine: Arc<Engine>,
    id: String,
    after: u64,
) -> Result<impl Stream<Item = Item>> {
    // Listening begins before reading, so that nothing falls between the two.
    let news = engine.store.committed();
    let accepted = engine.store.accepted(&id).await?;
    let job = engine.store.job(&id).await?;
    // A reader that claims to have seen more than there is has seen everything.
    let after = after.min(job.last_seq);
    let ended = job.summary.status.is_final() && after == job.last_seq;
    let follow = FollowJob {
        engine,
        accepted,
        after,
        news,
        read: VecDeque::new(),
        ended,
    };
    Ok(unfold(follow, async |mut follow| {
        let item = follow.next().await?;
        Some((item, follow))
    }))
}

struct FollowJob {
    engine: Arc<Engine>,
    accepted: Accepted,
    /// The last event that was looked at.
    after: u64,
    news: broadcast::Receiver<Arc<News>>,
    read: VecDeque<Record>,
    ended: bool,
}

impl FollowJob {
    async fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.shown() {
                return Some(item);
            }
            if self.ended {
                return None;
            }
            let id = &self.accepted.job_id;
            let page = self.engine.store.events(id, self.after, PAGE).await;
            let page = page.inspect_err(broken_off).ok()?;
            if page.records.is_empty() {
                self.wait().await?;
            } else {
                self.read = page.records.into();
            }
        }
    }

    /// The next of those read that tells the outside anything.
    fn shown(&mut self) -> Option<Item> {
        while let Some(record) = self.read.pop_front() {
            self.after = record.seq;
            self.ended |= record.event.is_last();
            let item = item(&self.engine, &self.accepted, &record, record.seq);
            if item.is_some() {
                return item;
            }
        }
        None
    }

    /// Ends when there may be more; nothing when there will not be.
    async fn wait(&mut self) -> Option<()> {
        loop {
            // Both can be dropped: the store is read again afterwards.
            let news = tokio::select! {
                news = self.news.recv() => news,
                () = self.engine.tasks.stopping() => return None,
            };
            match news {
                Ok(news) if news.job_id != self.accepted.job_id => {}
                Ok(news) if news.seq <= self.after => {}
                Ok(news) => {
                    let next = news.seq == self.after + 1;
                    self.read.extend(news.record.clone().filter(|_| next));
                    return Some(());
                }
                Err(RecvError::Lagged(_)) => return Some(()),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

/// The events of all jobs after a place, without end.
pub(crate) fn of_all(engine: Arc<Engine>, filter: Filter, after: i64) -> impl Stream<Item = Item> {
    let news = engine.store.committed();
    let follow = FollowAll {
        engine,
        filter,
        after,
        news,
        read: VecDeque::new(),
        jobs: BTreeMap::new(),
    };
    unfold(follow, async |mut follow| {
        let item = follow.next().await?;
        Some((item, follow))
    })
}

struct FollowAll {
    engine: Arc<Engine>,
    filter: Filter,
    after: i64,
    news: broadcast::Receiver<Arc<News>>,
    read: VecDeque<Stored>,
    jobs: BTreeMap<String, Accepted>,
}

impl FollowAll {
    async fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(stored) = self.read.pop_front() {
                self.after = stored.position;
                let accepted = self.accepted(&stored.job_id).await?;
                let lets = self.filter.lets(&accepted);
                let item = item(&self.engine, &accepted, &stored.record, stored.position);
                match item.filter(|_| lets) {
                    None => continue,
                    item => return item,
                }
            }
            let page = self.engine.store.events_since(self.after, PAGE).await;
            let page = page.inspect_err(broken_off).ok()?;
            if page.is_empty() {
                self.wait().await?;
            } else {
                self.read = page.into();
            }
        }
    }

    async fn accepted(&mut self, id: &str) -> Option<Accepted> {
        if let Some(accepted) = self.jobs.get(id) {
            return Some(accepted.clone());
        }
        let accepted = self.engine.store.accepted(id).await;
        let accepted = accepted.inspect_err(broken_off).ok()?;
        if self.jobs.len() >= REMEMBERED {
            self.jobs.clear();
        }
        self.jobs.insert(id.to_owned(), accepted.clone());
        Some(accepted)
    }

    async fn wait(&mut self) -> Option<()> {
        // Both can be dropped: the store is read again afterwards.
        let news = tokio::select! {
            news = self.news.recv() => news,
            () = self.engine.tasks.stopping() => return None,
        };
        match news {
            Ok(_) | Err(RecvError::Lagged(_)) => Some(()),
            Err(RecvError::Closed) => None,
        }
    }
}

fn item(engine: &Engine, accepted: &Accepted, record: &Record, id: impl ToString) -> Option<Item> {
    let public = engine.config.server.public_url.trim_end_matches('/');
    Some(Item {
        id: id.to_string(),
        kind: Kind::of(&record.event)?.short(),
        event: cloudevent::of_job(Profile::Seed, public, accepted, record)?,
    })
}

fn broken_off(error: &se_store::Error) {
    tracing::warn!(error = %chain(error), "event stream broken off");
}
