//! The dispatcher of se-runtime, between the store of the simulation and the jobs of a life.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use futures_util::future::{Abortable, BoxFuture};
use se_runtime::Unanswered;
use se_runtime::dispatch::{Begun, Bell, Claimed, Crew, Dispatching, Jobs, Policy, Told, dispatch};

use crate::db::{Answer, Db, Write};
use crate::executor::lock;
use crate::job;
use crate::replica::Engine;

/// Hands jobs out until this life is to stop.
pub(crate) async fn run(engine: Engine) {
    let world = Arc::clone(&engine.world);
    let hands = Hands {
        engine: engine.clone(),
        with_place: Arc::default(),
    };
    let ports = Dispatching {
        jobs: &Stored(&engine),
        crew: &hands,
        places: &engine.places,
        bell: &StoreBell(&engine),
        clock: &world.clock(engine.host),
        stages: &engine,
        policy: Policy::default(),
    };
    dispatch(ports).await;
}

/// The jobs of the store.
struct Stored<'a>(&'a Engine);

type Found<'a> = BoxFuture<'a, Result<Vec<Claimed>, Unanswered>>;

impl Stored<'_> {
    async fn found(&self, wanted: fn(&Db, &str) -> bool) -> Result<Vec<Claimed>, Unanswered> {
        let engine = self.0;
        let db = engine.read()?;
        engine.world.sleep(0, 20).await;
        Ok(db.own(engine.me(), wanted))
    }

    async fn claimed(&self, write: Write) -> Result<Vec<Claimed>, Unanswered> {
        match self.0.write(write).await {
            Ok(Answer::Claimed(claimed)) => Ok(claimed),
            Ok(_) | Err(_) => Err(Unanswered),
        }
    }
}

impl Jobs for Stored<'_> {
    fn own(&self) -> Found<'_> {
        Box::pin(self.found(|_, _| true))
    }

    fn cancels(&self) -> Found<'_> {
        Box::pin(async {
            let found = self.found(|db, job| db.wishes.contains_key(job)).await?;
            let ids = found.iter().map(|it| it.id.clone());
            self.0.change(|life| life.told.extend(ids));
            Ok(found)
        })
    }

    fn claim_cancelled(&self, most: usize) -> Found<'_> {
        Box::pin(async move {
            if self.0.read()?.waiting(true) == 0 {
                return Ok(Vec::new());
            }
            self.claimed(Write::ClaimCancelled { most }).await
        })
    }

    fn claim(&self, most: usize) -> Found<'_> {
        Box::pin(async move {
            if self.0.read()?.claimable(self.0.me(), self.0.world.bug) == 0 {
                return Ok(Vec::new());
            }
            self.claimed(Write::Claim { most }).await
        })
    }

    fn waiting(&self) -> BoxFuture<'_, Result<usize, Unanswered>> {
        Box::pin(async {
            let db = self.0.read()?;
            Ok(db.waiting(true) + db.waiting(false))
        })
    }
}

/// Rings at every change of the store.
struct StoreBell<'a>(&'a Engine);

impl StoreBell<'_> {
    async fn until(&self, holds: impl Fn(Told) -> bool) {
        let store = &self.0.world.store;
        loop {
            let rings = store.rings();
            if holds(store.told()) {
                return;
            }
            store.rung(rings).await;
        }
    }
}

impl Bell for StoreBell<'_> {
    fn told(&self) -> Told {
        self.0.world.store.told()
    }

    fn jobs_after(&self, told: u64) -> BoxFuture<'_, ()> {
        Box::pin(self.until(move |it| it.jobs != told))
    }

    fn cancels_after(&self, told: u64) -> BoxFuture<'_, ()> {
        Box::pin(self.until(move |it| it.cancels != told))
    }
}

/// Each job is a task of its own.
struct Hands {
    engine: Engine,
    /// Jobs that are not only to be ended.
    with_place: Arc<Mutex<BTreeSet<String>>>,
}

impl Crew for Hands {
    fn start(&self, job: Begun) {
        let engine = self.engine.clone();
        let world = Arc::clone(&engine.world);
        let with_place = Arc::clone(&self.with_place);
        let id = job.id.clone();
        if job.cancel.is_none() {
            let mut taken = lock(&with_place);
            taken.insert(id.clone());
            if taken.len() > world.places {
                let (many, most) = (taken.len(), world.places);
                world.breaks(&format!("{many} jobs run in {most} places"));
            }
        }
        engine.change(|life| {
            life.told.remove(&id);
        });
        let told = (job.told, job.cancel);
        let run = job::run(
            Arc::clone(&world),
            (engine.me(), engine.host),
            id.clone(),
            told,
        );
        self.engine.spawn(async move {
            if Abortable::new(run, job.abandoned).await.is_err() {
                world.tell(&format!("{id} is let go by r{}", engine.me()));
            }
            lock(&with_place).remove(&id);
            let is_full = world.is_full();
            engine.places.ended(&id);
            if is_full {
                let now = world.now();
                world.known().no_place = now;
            }
        });
    }
}
