//! Time, ids and randomness as the machine has them: the only place that asks for them.

use std::fmt;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use se_runtime::{Clock, Timestamp};
use se_store::Randomness;

/// Gives ids that nobody else has.
pub trait Ids: Send + Sync {
    /// Another one; later ones sort behind earlier ones.
    fn next(&self) -> String;
}

/// What the engine takes from the machine it runs on.
#[derive(Clone)]
pub struct World {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids of jobs.
    pub ids: Arc<dyn Ids>,
    /// Unpredictable bytes.
    pub random: Arc<dyn Randomness>,
}

impl World {
    /// The real one.
    #[must_use]
    pub fn system() -> Self {
        Self {
            clock: Arc::new(System),
            ids: Arc::new(System),
            random: Arc::new(System),
        }
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("World")
    }
}

struct System;

impl Clock for System {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that everybody else is given"
    )]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH);
        let micros = since.map_or(0, |it| it.as_micros());
        Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        tokio::time::sleep(at.since(self.now())).boxed()
    }
}

impl Ids for System {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the source of ids for everybody else"
    )]
    fn next(&self) -> String {
        uuid::Uuid::now_v7().to_string()
    }
}

impl Randomness for System {
    fn fill(&self, bytes: &mut [u8]) -> std::io::Result<()> {
        getrandom::fill(bytes).map_err(std::io::Error::other)
    }
}
