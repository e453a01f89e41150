//! Tells readers that something was committed, so that nobody polls.

use std::sync::Arc;

use se_runtime::Record;
use tokio::sync::{broadcast, mpsc, watch};

use crate::writer::Written;

/// Events kept for a listener that is slow; one that falls behind further reads the store again.
const BACKLOG: usize = 4096;

/// An event with its place among the events of all jobs.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Place among the events of all jobs; grows, may have holes.
    pub position: i64,
    /// The job.
    pub job_id: String,
    /// The event, sealed.
    pub record: Record,
}

/// That an event was committed.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    /// Place among the events of all jobs; grows, may have holes.
    pub position: i64,
    /// The job.
    pub job_id: String,
    /// Number of the event.
    pub seq: u64,
    /// The event, sealed; `None` if it is large: not to be held in memory for all who listen, but read.
    pub record: Option<Record>,
}

/// How far the store is. Each number grows with every commit that concerns it; where there are other engines
/// on the database, also when one of them has committed something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Position of the newest event that was committed since the store was opened.
    pub events: i64,
    /// How many changes of the outbox were committed since the store was opened.
    pub deliveries: u64,
    /// How often there was something to drive since the store was opened.
    pub jobs: u64,
    /// How often somebody wanted a job to be cancelled since the store was opened.
    pub cancels: u64,
    /// How often versions of pod definitions have changed since the store was opened.
    pub definitions: u64,
}

#[derive(Clone)]
pub(crate) struct Announced {
    changes: watch::Sender<Changes>,
    events: broadcast::Sender<Arc<News>>,
    /// To who tells the events of all engines, where there are several.
    feed: Option<mpsc::Sender<Vec<Arc<News>>>>,
}

impl Announced {
    pub(crate) fn new(feed: Option<mpsc::Sender<Vec<Arc<News>>>>) -> Self {
        Self {
            changes: watch::Sender::new(Changes::default()),
            events: broadcast::Sender::new(BACKLOG),
            feed,
        }
    }

    pub(crate) fn changes(&self) -> watch::Receiver<Changes> {
        self.changes.subscribe()
    }

    pub(crate) fn events(&self) -> broadcast::Receiver<Arc<News>> {
        self.events.subscribe()
    }

    /// What this engine has committed.
    pub(crate) fn tell(&self, written: Written) {
        match &self.feed {
            None => self.tell_events(written.events),
            // Where it has no room for them, it reads them.
            Some(feed) if !written.events.is_empty() => {
                feed.try_send(written.events).ok();
            }
            Some(_) => {}
        }
        self.changes.send_if_modified(|changes| {
            changes.deliveries += written.deliveries;
            changes.jobs += u64::from(written.jobs);
            changes.cancels += u64::from(written.cancels);
            changes.definitions += u64::from(written.definitions);
            written.deliveries > 0 || written.jobs || written.cancels || written.definitions
        });
    }

    /// Events in the order in which they were committed.
    pub(crate) fn tell_events(&self, events: Vec<Arc<News>>) {
        let Some(newest) = events.last().map(|it| it.position) else {
            return;
        };
        for event in events {
            // An error means that nobody listens.
            self.events.send(event).ok();
        }
        self.changes.send_modify(|changes| changes.events = newest);
    }

    /// Another engine has committed something, whatever it was.
    pub(crate) fn tell_foreign(&self) {
        self.changes.send_modify(|changes| {
            changes.deliveries += 1;
            changes.jobs += 1;
            changes.cancels += 1;
            changes.definitions += 1;
        });
    }

    /// How often versions of pod definitions have changed.
    pub(crate) fn changed_definitions(&self) -> u64 {
        self.changes.borrow().definitions
    }

    /// Whether anybody wants events at the moment.
    pub(crate) fn has_listeners(&self) -> bool {
        self.events.receiver_count() > 0
    }
}
