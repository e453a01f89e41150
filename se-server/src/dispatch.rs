//! Runs jobs: the dispatcher of se-runtime, with the store and the tasks of this engine for its ports.

mod pods;
mod run;
mod transcripts;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{Abortable, Aborted, BoxFuture, pending};
use se_runtime::dispatch::{Begun, Bell, Claimed, Crew, Dispatching, Jobs, Policy, Told, dispatch};
use se_runtime::{Control, Timestamp, Unanswered, Vault};
use se_store::{CancelNoted, Changes};
use tokio::sync::watch;

use crate::engine::Engine;
use crate::error::{Result, chain};
use crate::stage::Life;
use crate::tasks::TaskKind;

type Receiver = futures_channel::mpsc::UnboundedReceiver<Control>;

/// Runs jobs in the order they were taken in, as many at a time as configured, until the engine stops.
pub(crate) async fn run(engine: Arc<Engine>) {
    let ports = Dispatching {
        jobs: &Stored(&engine),
        crew: &Hands(&engine),
        places: &engine.places,
        bell: &StoreChanges(engine.store.changes()),
        clock: &*engine.world.clock,
        stages: &Life(&engine),
        policy: Policy::default(),
    };
    dispatch(ports).await;
}

/// Notes that a job shall stop, for whichever engine drives it, and tells it if it is this one.
///
/// # Errors
/// As [`se_store::Store::note_cancel`].
pub(crate) async fn cancel(engine: &Engine, id: &str, reason: &str) -> Result<CancelNoted> {
    let sealed = match engine.store.secrets(id).await {
        Ok(secrets) => Vault::new(secrets).seal_text(reason),
        // Without its secrets nobody knows whether one of them stands in the reason.
        Err(se_store::Error::WrongKey { .. } | se_store::Error::Corrupt { .. }) => {
            "cancelled by request".to_owned()
        }
        Err(error) => return Err(error.into()),
    };
    let noted = engine.store.note_cancel(id, &sealed).await?;
    if noted == CancelNoted::Noted {
        engine.places.cancel(id, reason.to_owned());
    }
    Ok(noted)
}

/// The jobs of the store.
struct Stored<'a>(&'a Engine);

impl Stored<'_> {
    async fn opened(
        &self,
        found: se_store::Result<Vec<se_store::Claimed>>,
    ) -> std::result::Result<Vec<Claimed>, Unanswered> {
        let found = found.map_err(|it| unanswered(&it))?;
        let mut all = Vec::with_capacity(found.len());
        for se_store::Claimed { id, cancel } in found {
            let cancel = match cancel {
                Some(sealed) => Some(self.reason(&id, &sealed).await),
                None => None,
            };
            all.push(Claimed { id, cancel });
        }
        Ok(all)
    }

    /// What was noted as the reason of a cancel.
    async fn reason(&self, id: &str, sealed: &str) -> String {
        let secrets = self.0.store.secrets(id).await.unwrap_or_default();
        Vault::new(secrets).open_text(sealed)
    }

    async fn cancelled(&self, most: usize) -> se_store::Result<Vec<se_store::Claimed>> {
        let store = &self.0.store;
        // Looking costs a writer nothing.
        if !store.has_cancelled().await? {
            return Ok(Vec::new());
        }
        store.claim_cancelled(count(most)).await
    }

    async fn claimable(&self, most: usize) -> se_store::Result<Vec<se_store::Claimed>> {
        let (store, limits) = (&self.0.store, self.0.config.jobs.limits());
        let except = self.0.handed_over.at(self.0.world.clock.now());
        if !store.has_claimable(limits, &except).await? {
            return Ok(Vec::new());
        }
        store.claim(count(most), limits, &except).await
    }
}

type Found<'a> = BoxFuture<'a, std::result::Result<Vec<Claimed>, Unanswered>>;

impl Jobs for Stored<'_> {
    fn own(&self) -> Found<'_> {
        async { self.opened(self.0.store.own().await).await }.boxed()
    }

    fn cancels(&self) -> Found<'_> {
        async { self.opened(self.0.store.cancels().await).await }.boxed()
    }

    fn claim_cancelled(&self, most: usize) -> Found<'_> {
        async move { self.opened(self.cancelled(most).await).await }.boxed()
    }

    fn claim(&self, most: usize) -> Found<'_> {
        async move { self.opened(self.claimable(most).await).await }.boxed()
    }

    fn waiting(&self) -> BoxFuture<'_, std::result::Result<usize, Unanswered>> {
        async {
            let waiting = self.0.store.waiting().await;
            let waiting = waiting.map_err(|it| unanswered(&it))?;
            Ok(usize::try_from(waiting).unwrap_or(usize::MAX))
        }
        .boxed()
    }
}

fn count(most: usize) -> u32 {
    u32::try_from(most).unwrap_or(u32::MAX)
}

fn unanswered(error: &se_store::Error) -> Unanswered {
    tracing::warn!(error = %chain(error), "cannot look for jobs to run");
    Unanswered
}

/// Jobs that this engine could not go on with, and from when on it may take them up again.
#[derive(Debug, Default)]
pub(crate) struct HandedOver(Mutex<BTreeMap<String, Timestamp>>);

impl HandedOver {
    fn put(&self, id: &str, until: Timestamp) {
        self.all().insert(id.to_owned(), until);
    }

    /// Those that it does not take up at that time.
    fn at(&self, now: Timestamp) -> Vec<String> {
        let mut all = self.all();
        all.retain(|_, until| *until > now);
        all.keys().cloned().collect()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far the store is.
struct StoreChanges(watch::Receiver<Changes>);

impl StoreChanges {
    fn until(&self, holds: impl FnMut(&Changes) -> bool + Send + 'static) -> BoxFuture<'_, ()> {
        let mut changes = self.0.clone();
        async move {
            if changes.wait_for(holds).await.is_err() {
                // The store is gone, and with it whatever could change.
                pending().await
            }
        }
        .boxed()
    }
}

impl Bell for StoreChanges {
    fn told(&self) -> Told {
        let Changes { jobs, cancels, .. } = *self.0.borrow();
        Told { jobs, cancels }
    }

    fn jobs_after(&self, told: u64) -> BoxFuture<'_, ()> {
        self.until(move |it| it.jobs != told)
    }

    fn cancels_after(&self, told: u64) -> BoxFuture<'_, ()> {
        self.until(move |it| it.cancels != told)
    }
}

/// Each job is a task of its own.
struct Hands<'a>(&'a Arc<Engine>);

impl Crew for Hands<'_> {
    fn start(&self, job: Begun) {
        let engine = self.0;
        let Begun {
            id,
            cancel,
            told,
            abandoned,
        } = job;
        let (owner, job) = (Arc::clone(engine), id.clone());
        let work = async move {
            let running = run::run(owner, job.clone(), told, cancel);
            // Dropping a run is what abandoning means: its attempts end with it.
            if let Err(Aborted) = Abortable::new(running, abandoned).await {
                tracing::warn!(%job, "job abandoned: another engine goes on with it");
            }
        };
        let (at_end, job) = (Arc::clone(engine), id.clone());
        let ended = move |panicked| {
            if panicked {
                broke_down(&at_end, &job);
            }
            at_end.places.ended(&job);
        };
        engine.tasks.spawn(TaskKind::Job, &id, work, ended);
    }
}

fn broke_down(engine: &Arc<Engine>, job: &str) {
    engine.metrics.broken.add();
    let (owner, job) = (Arc::clone(engine), job.to_owned());
    let failing = async move {
        while run::give_up(&owner, &job, BROKE_DOWN).await.is_err() && !owner.tasks.is_stopping() {
            let again = owner.world.clock.now().after(GIVEN_UP_AGAIN);
            owner.world.clock.sleep_until(again).await;
        }
    };
    let tasks = &engine.tasks;
    tasks.spawn(TaskKind::Job, "broken job", failing, |_| {});
}

/// Where a job that broke the engine down cannot be ended, that is tried again after this time.
const GIVEN_UP_AGAIN: Duration = Duration::from_secs(5);

const BROKE_DOWN: &str =
    "the engine broke down while it ran this job: a defect; its log says where";
