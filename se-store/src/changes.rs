//! Tells readers that something was committed, so that nobody polls.

use std::sync::Arc;

use se_runtime::Record;
use tokio::sync::{broadcast, watch};

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

/// How far the store is. Each number grows with every commit that concerns it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Position of the newest event that was committed since the store was opened.
    pub events: i64,
    /// How many changes of the outbox were committed since the store was opened.
    pub deliveries: u64,
}

#[derive(Clone)]
pub(crate) struct Announced {
    changes: watch::Sender<Changes>,
    events: broadcast::Sender<Arc<Stored>>,
}

impl Announced {
    pub(crate) fn new() -> Self {
        Self {
            changes: watch::Sender::new(Changes::default()),
            events: broadcast::Sender::new(BACKLOG),
        }
    }

    pub(crate) fn changes(&self) -> watch::Receiver<Changes> {
        self.changes.subscribe()
    }

    pub(crate) fn events(&self) -> broadcast::Receiver<Arc<Stored>> {
        self.events.subscribe()
    }

    pub(crate) fn tell(&self, written: Written) {
        let newest = written.events.last().map(|it| it.position);
        for event in written.events {
            // An error means that nobody listens.
            self.events.send(event).ok();
        }
        self.changes.send_if_modified(|changes| {
            let before = *changes;
            changes.events = newest.unwrap_or(changes.events);
            changes.deliveries += written.deliveries;
            *changes != before
        });
    }
}
