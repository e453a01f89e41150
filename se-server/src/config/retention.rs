//! How long what has ended is kept: an answer for all, and one for each kind that is otherwise.

use std::time::Duration;

use se_store::Retention;

use super::{ConfigError, Store};

/// Longer than anything is kept that is not kept for ever.
const MOST: f64 = 36_500.0;
const DAY: f64 = 24.0 * 60.0 * 60.0;

impl Store {
    /// As the store keeps it.
    #[must_use]
    pub fn retention(&self) -> Retention {
        let keep = |days: Option<f64>| {
            let days = days.unwrap_or(self.keep_days);
            // Of what cannot be one, `check` has told.
            let kept = Duration::try_from_secs_f64(days * DAY).ok();
            kept.filter(|it| !it.is_zero())
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
        let is_wrong = |days: f64| !(0.0..=MOST).contains(&days);
        match all.iter().find(|it| it.1.is_some_and(is_wrong)) {
            Some((key, Some(days))) => Err(ConfigError::new(format!(
                "store.{key} is {days}; give a number of days up to {MOST}, or 0 to keep them for ever"
            ))),
            _ => Ok(()),
        }
    }
}
