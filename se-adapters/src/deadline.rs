//! The end of an attempt.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use se_runtime::{Clock, Timestamp};

/// When an attempt must have ended, and the clock that tells.
#[derive(Clone)]
pub struct Deadline {
    clock: Arc<dyn Clock>,
    end: Timestamp,
}

impl Deadline {
    /// Ends `time` from now.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, time: Duration) -> Self {
        let end = clock.now().after(time);
        Self { clock, end }
    }

    /// This moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What is left of the time.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.end.since(self.clock.now())
    }

    /// Whether the time is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    /// Ends `margin` before this one, so that something can still be done afterwards.
    #[must_use]
    pub fn earlier_by(&self, margin: Duration) -> Self {
        let now = self.clock.now();
        Self {
            clock: Arc::clone(&self.clock),
            end: now.after(self.left().saturating_sub(margin)),
        }
    }

    /// Ends after `time`, or with this one if that is earlier.
    #[must_use]
    pub fn at_most(&self, time: Duration) -> Self {
        let now = self.clock.now();
        Self {
            clock: Arc::clone(&self.clock),
            end: now.after(self.left().min(time)),
        }
    }

    /// Waits for `time`, but not longer than is left.
    pub async fn pause(&self, time: Duration) {
        let until = self.clock.now().after(time.min(self.left()));
        self.clock.sleep_until(until).await;
    }
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadline")
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
