//! How long what has ended is kept: an answer for all, and one for each kind that is otherwise.

use std::time::Duration;

use se_store::Retention;

use super::{ConfigError, Store};

/// Longer than anything is kept that is not kept for ever.
const MOST: u64 = 36_500;
const DAY: u64 = 24 * 60 * 60;

impl Store {
    /// As the store keeps it.
    #[must_use]
    pub fn retention(&self) -> Retention {
        let keep = |days: Option<u64>| {
            let days = days.unwrap_or(self.keep_days);
            (days > 0).then(|| Duration::from_secs(days.saturating_mul(DAY)))
        };
        Retention {
            completed: keep(self.keep_completed_days),
            faulted: keep(self.keep_faulted_days),
            cancelled: keep(self.keep_cancelled_days),
            delivered: keep(self.keep_delivered_days),
            dead: keep(self.keep_dead_days),
            facts: keep(None),
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let all = [
            ("keep_days", Some(self.keep_days)),
            ("keep_completed_days", self.keep_completed_days),
            ("keep_faulted_days", self.keep_faulted_days),
            ("keep_cancelled_days", self.keep_cancelled_days),
            ("keep_delivered_days", self.keep_delivered_days),
            ("keep_dead_days", self.keep_dead_days),
        ];
        match all.iter().find(|it| it.1 > Some(MOST)) {
            Some((key, Some(days))) => Err(ConfigError::new(format!(
                "store.{key} is {days}; give a number of days up to {MOST}, or 0 to keep them for ever"
            ))),
            _ => Ok(()),
        }
    }
}
