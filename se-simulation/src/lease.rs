//! The keeper of leases of se-runtime, between the store of the simulation and the jobs of a life.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use se_runtime::Unanswered;
use se_runtime::lease::{Beat, Lapse, Living, Member, Members, keep_lease};

use crate::db::{Refusal, Write};
use crate::replica::Engine;
use crate::world::LEASE;

/// Keeps the lease of a life until it has stopped.
pub(crate) async fn run(engine: Engine) {
    let ports = Living {
        members: &engine,
        places: &engine.places,
        clock: &engine.world.steady(),
        stages: &engine,
        lease: LEASE,
    };
    keep_lease(ports).await;
}

fn number(id: u64) -> i64 {
    i64::try_from(id).unwrap_or_default()
}

impl Members for Engine {
    fn me(&self) -> i64 {
        number(Self::me(self))
    }

    fn beat(&self) -> BoxFuture<'_, Beat> {
        Box::pin(async {
            let asked = self.world.now();
            match self.write(Write::Beat).await {
                Ok(_) => {
                    self.change(|life| life.alive = asked);
                    Beat::Alive
                }
                Err(Refusal::Fenced) => Beat::Lost,
                Err(_) => Beat::Unanswered,
            }
        })
    }

    fn note(&self, lapse: Lapse) {
        let no = Self::me(self);
        self.world
            .tell(&format!("r{no} lets its jobs go: {lapse:?}"));
    }

    fn join(&self) -> BoxFuture<'_, Result<(), Unanswered>> {
        Box::pin(async { Self::join(self).await.map_err(|_| Unanswered) })
    }

    fn all(&self) -> BoxFuture<'_, Result<Vec<Member>, Unanswered>> {
        Box::pin(async {
            let db = self.read()?;
            let known = self.world.known();
            let ended = |id: &u64| {
                let life = known.lives.get(id);
                life.is_some_and(|it| it.is_over && it.engine.host == self.host)
            };
            let member = |(id, beats): (&u64, &u64)| Member {
                id: number(*id),
                beats: number(*beats),
                is_gone: ended(id),
            };
            Ok(db.replicas.iter().map(member).collect())
        })
    }

    fn bury<'a>(&'a self, dead: &'a Member) -> BoxFuture<'a, Result<(), Unanswered>> {
        Box::pin(async {
            let other = dead.id.unsigned_abs();
            let world = Arc::clone(&self.world);
            world.tell(&format!("r{} declares r{other} dead", Self::me(self)));
            let beats = dead.beats.unsigned_abs();
            let bury = Write::Bury { other, beats };
            self.write(bury).await.map(drop).map_err(|_| Unanswered)
        })
    }

    fn adopt(&self) -> BoxFuture<'_, Result<(), Unanswered>> {
        Box::pin(async {
            if !self.read()?.outbox.has_left_behind() {
                return Ok(());
            }
            let adopted = self.write(Write::Adopt).await;
            adopted.map(drop).map_err(|_| Unanswered)
        })
    }
}
