//! What was done to a simulated pod, so that a test can ask.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// One thing that was done.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// Device, node or `cml`.
    pub subject: String,
    /// What: `connect`, `command`, `login`, `put`, `start`, `wipe`, …
    pub action: String,
    /// The command, path or payload.
    pub detail: String,
}

/// A shared, append-only list of [`Entry`].
#[derive(Clone, Debug, Default)]
pub struct Journal {
    entries: Arc<Mutex<Vec<Entry>>>,
}

impl Journal {
    /// Adds an entry with the present time.
    pub fn add(&self, subject: &str, action: &str, detail: impl Into<String>) {
        #[expect(clippy::disallowed_methods, reason = "a simulator lives in real time")]
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let entry = Entry {
            at_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            subject: subject.to_owned(),
            action: action.to_owned(),
            detail: detail.into(),
        };
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(entry);
    }

    /// Everything so far, in order.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
