//! One of several engines on a database: the keeper of leases of se-runtime, with the store for its ports.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use se_runtime::lease::{Beat, Lapse, Living, Member, Members, keep_lease};
use se_runtime::{Clock, Timestamp, Unanswered};
use tokio::time::Instant;

use crate::engine::Engine;
use crate::error::chain;
use crate::stage::Life;

/// Runs until the engine stops, and while its jobs come to their end.
pub(crate) async fn run(engine: Arc<Engine>) {
    let ports = Living {
        members: &Stored(&engine),
        places: &engine.places,
        clock: &Steady(Instant::now()),
        stages: &Life(&engine),
        lease: Duration::from_secs(engine.config.store.lease),
    };
    keep_lease(ports).await;
}

/// Time since a moment, which nobody can set.
struct Steady(Instant);

impl Clock for Steady {
    fn now(&self) -> Timestamp {
        Timestamp::default().after(self.0.elapsed())
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        tokio::time::sleep_until(self.0 + at.since(Timestamp::default())).boxed()
    }
}

/// The engines on the database.
struct Stored<'a>(&'a Engine);

impl Stored<'_> {
    async fn joined(&self) -> Result<(), Unanswered> {
        let joined = self.0.store.join().await;
        joined.map_err(|error| {
            tracing::error!(error = %chain(&error), "not joined again yet");
            Unanswered
        })?;
        let replica = self.me();
        tracing::info!(replica, "joined again");
        Ok(())
    }
}

fn unanswered(error: &se_store::Error) -> Unanswered {
    tracing::warn!(error = %chain(error), "cannot look for engines that are no more");
    Unanswered
}

impl Members for Stored<'_> {
    fn me(&self) -> i64 {
        self.0.store.replica()
    }

    fn beat(&self) -> BoxFuture<'_, Beat> {
        async {
            match self.0.store.beat().await {
                Ok(()) => Beat::Alive,
                Err(se_store::Error::Fenced) => Beat::Lost,
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "no sign of life could be given");
                    Beat::Unanswered
                }
            }
        }
        .boxed()
    }

    fn note(&self, lapse: Lapse) {
        match lapse {
            Lapse::Lost => {
                tracing::error!("the lease is lost: other engines go on with the jobs of this one");
            }
            Lapse::RunOut => {
                tracing::error!("the lease has run out: its jobs are let go until it is renewed");
            }
        }
    }

    fn join(&self) -> BoxFuture<'_, Result<(), Unanswered>> {
        self.joined().boxed()
    }

    fn all(&self) -> BoxFuture<'_, Result<Vec<Member>, Unanswered>> {
        async { self.0.store.members().await.map_err(|it| unanswered(&it)) }.boxed()
    }

    fn bury<'a>(&'a self, dead: &'a Member) -> BoxFuture<'a, Result<(), Unanswered>> {
        async {
            let buried = self.0.store.bury(dead).await;
            if buried.map_err(|it| unanswered(&it))? {
                let replica = dead.id;
                tracing::warn!(
                    replica,
                    "an engine is no more: its jobs go on here or elsewhere"
                );
            }
            Ok(())
        }
        .boxed()
    }

    fn adopt(&self) -> BoxFuture<'_, Result<(), Unanswered>> {
        async { self.0.store.adopt().await.map_err(|it| unanswered(&it)) }.boxed()
    }
}
