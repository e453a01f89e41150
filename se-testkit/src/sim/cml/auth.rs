//! Logins of a simulated controller.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::CmlOptions;

/// Tokens that were given out.
#[derive(Debug)]
pub(super) struct Sessions {
    life: Duration,
    given: Mutex<Given>,
}

#[derive(Debug, Default)]
struct Given {
    count: u32,
    ends: BTreeMap<String, Instant>,
}

impl Sessions {
    pub(super) fn new(options: &CmlOptions) -> Self {
        Self {
            life: Duration::try_from_secs_f64(options.token_seconds).unwrap_or_default(),
            given: Mutex::default(),
        }
    }

    /// A token, three parts long as the real ones.
    pub(super) fn begin(&self) -> String {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.count += 1;
        let token = format!("simhead.session{:06}.signature", given.count);
        given.ends.insert(token.clone(), Instant::now() + self.life);
        token
    }

    /// Whether a token is good.
    pub(super) fn knows(&self, token: &str) -> bool {
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given
            .ends
            .get(token)
            .is_some_and(|end| *end > Instant::now())
    }

    pub(super) fn end(&self, token: &str) {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.ends.remove(token);
    }

    pub(super) fn revoke(&self) {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.ends.clear();
    }
}
