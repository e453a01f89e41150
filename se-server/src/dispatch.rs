//! Claims jobs and hands them out to tasks, tells running ones to stop, and keeps each apart from the others.
//! Who waits, and who is to be cancelled, stands in the store: any engine may take it from there.

mod pods;
mod run;
mod transcripts;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use se_runtime::{Control, Timestamp, Vault};
use se_store::{CancelNoted, Changes, Claimed};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::error::{Result, chain};
use crate::tasks::TaskKind;

type Sender = futures_channel::mpsc::UnboundedSender<Control>;
type Receiver = futures_channel::mpsc::UnboundedReceiver<Control>;

/// Where the store failed, it is asked again after this time.
const STORE_WAIT: Duration = Duration::from_secs(1);
/// Jobs claimed in one go: those claimed before begin meanwhile.
const CLAIMED: u32 = 64;
/// How long a count of those that wait is good enough.
const COUNTING: Duration = Duration::from_secs(1);

/// Which jobs run here.
#[derive(Debug)]
pub struct Dispatcher {
    places: Mutex<Places>,
    /// How many wait in the store, as far as is known here.
    waiting: AtomicUsize,
    /// A job has ended here: there is a place.
    place: Notify,
}

#[derive(Debug, Default)]
struct Places {
    running: BTreeMap<String, Running>,
    /// Whatever begins from here on stops at its next step boundary.
    draining: bool,
}

#[derive(Debug)]
struct Running {
    control: Sender,
    /// It is no job of this engine any more.
    abandoned: CancellationToken,
}

impl Dispatcher {
    /// Nothing runs.
    #[must_use]
    pub fn new() -> Self {
        Self {
            places: Mutex::default(),
            waiting: AtomicUsize::new(0),
            place: Notify::new(),
        }
    }

    /// How many jobs run here, and how many wait.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (
            self.places().running.len(),
            self.waiting.load(Ordering::SeqCst),
        )
    }

    /// One more waits; it is found in the store.
    pub(crate) fn submitted(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
    }

    /// Tells every running job to stop at its next step boundary.
    pub(crate) fn drain(&self) {
        let mut places = self.places();
        places.draining = true;
        for it in places.running.values() {
            it.control.unbounded_send(Control::Drain).ok();
        }
    }

    /// Drops every running job where it is: others go on with them.
    pub(crate) fn abandon(&self) {
        for it in self.places().running.values() {
            it.abandoned.cancel();
        }
    }

    /// Tells a running job to stop; nothing if it does not run here.
    fn cancel(&self, id: &str, reason: String) {
        if let Some(it) = self.places().running.get(id) {
            it.control.unbounded_send(Control::Cancel { reason }).ok();
        }
    }

    fn begin(&self, id: &str) -> (Receiver, CancellationToken) {
        let (control, told) = futures_channel::mpsc::unbounded();
        let abandoned = CancellationToken::new();
        let running = Running {
            control,
            abandoned: abandoned.clone(),
        };
        let mut places = self.places();
        if places.draining {
            // It was claimed while the engine was told to stop.
            running.control.unbounded_send(Control::Drain).ok();
        }
        places.running.insert(id.to_owned(), running);
        (told, abandoned)
    }

    fn ended(&self, id: &str) {
        self.places().running.remove(id);
        self.place.notify_one();
    }

    fn claimed(&self, count: usize) {
        let less = |it: usize| Some(it.saturating_sub(count));
        // Never refused.
        self.waiting
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
            .ok();
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Dispatcher {
    fn default() -> Self {
        Self::new()
    }
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
        engine.dispatcher.cancel(id, reason.to_owned());
    }
    Ok(noted)
}

/// Runs jobs in the order they were taken in, as many at a time as configured.
pub(crate) async fn run(engine: Arc<Engine>) {
    let mut hand = Hand {
        places: Arc::new(Semaphore::new(engine.config.jobs.max_concurrent)),
        cancels: None,
        counted: None,
        engine: Arc::clone(&engine),
    };
    let mut changes = engine.store.changes();
    while !engine.tasks.is_stopping() {
        let seen = *changes.borrow_and_update();
        let done = hand.round(seen.cancels).await;
        if let Err(error) = &done {
            tracing::warn!(error = %chain(error), "cannot look for jobs to run");
        }
        let free = hand.free() > 0;
        let mut more = changes.clone();
        // Each branch can be dropped and made again: the store is looked at afterwards.
        tokio::select! {
            () = until(&mut changes, |it| it.cancels != seen.cancels || (free && it.jobs != seen.jobs)) => {}
            () = engine.dispatcher.place.notified() => {}
            () = tokio::time::sleep(STORE_WAIT), if done.is_err() => {}
            () = counting(&mut more, seen.jobs) => {}
            () = engine.tasks.stopping() => return,
        }
    }
}

/// Ends when that holds of what the store has told.
async fn until(changes: &mut watch::Receiver<Changes>, holds: impl FnMut(&Changes) -> bool) {
    if changes.wait_for(holds).await.is_err() {
        // The store is gone, and with it whatever could change.
        std::future::pending().await
    }
}

/// Ends when it is time to count again who waits.
async fn counting(changes: &mut watch::Receiver<Changes>, seen: u64) {
    until(changes, |it| it.jobs != seen).await;
    tokio::time::sleep(COUNTING).await;
}

/// What hands jobs out.
struct Hand {
    engine: Arc<Engine>,
    places: Arc<Semaphore>,
    /// How often the store had told of cancels when those were looked at.
    cancels: Option<u64>,
    /// When it was counted how many wait.
    counted: Option<Timestamp>,
}

impl Hand {
    fn free(&self) -> u32 {
        u32::try_from(self.places.available_permits()).unwrap_or(u32::MAX)
    }

    async fn round(&mut self, cancels: u64) -> Result<()> {
        if self.cancels != Some(cancels) {
            self.stop_cancelled().await?;
            self.cancels = Some(cancels);
        }
        self.claim().await?;
        let at = self.engine.world.clock.now();
        if self.counted.is_none_or(|it| at.since(it) >= COUNTING) {
            let waiting = self.engine.store.waiting().await?;
            let waiting = usize::try_from(waiting).unwrap_or(usize::MAX);
            let known = &self.engine.dispatcher.waiting;
            known.store(waiting, Ordering::SeqCst);
            self.counted = Some(at);
        }
        Ok(())
    }

    /// Tells running jobs that they shall stop, and ends those that nobody runs.
    async fn stop_cancelled(&self) -> Result<()> {
        let engine = &self.engine;
        for Claimed { id, cancel } in engine.store.cancels().await? {
            if let Some(sealed) = cancel {
                let reason = opened(engine, &id, &sealed).await;
                engine.dispatcher.cancel(&id, reason);
            }
        }
        while engine.store.has_cancelled().await? {
            let claimed = engine.store.claim_cancelled(CLAIMED).await?;
            if claimed.is_empty() {
                // Somebody else was first.
                break;
            }
            for it in claimed {
                start(engine, it, None).await;
            }
        }
        Ok(())
    }

    async fn claim(&self) -> Result<()> {
        let engine = &self.engine;
        let limits = engine.config.jobs.limits();
        while self.free() > 0 && engine.store.has_claimable(limits).await? {
            let most = self.free().min(CLAIMED);
            let claimed = engine.store.claim(most, limits).await?;
            if claimed.is_empty() {
                // Somebody else was first.
                break;
            }
            for it in claimed {
                // Only this task takes places, so there are as many as there were.
                let permit = Arc::clone(&self.places).try_acquire_owned().ok();
                start(engine, it, permit).await;
            }
        }
        Ok(())
    }
}

/// What was noted as the reason of a cancel.
async fn opened(engine: &Engine, id: &str, sealed: &str) -> String {
    let secrets = engine.store.secrets(id).await.unwrap_or_default();
    Vault::new(secrets).open_text(sealed)
}

async fn start(engine: &Arc<Engine>, it: Claimed, permit: Option<OwnedSemaphorePermit>) {
    let Claimed { id, cancel } = it;
    engine.dispatcher.claimed(1);
    let cancel = match cancel {
        Some(sealed) => Some(opened(engine, &id, &sealed).await),
        None => None,
    };
    let (told, abandoned) = engine.dispatcher.begin(&id);
    let (owner, job) = (Arc::clone(engine), id.clone());
    let work = async move {
        // Dropping a run is what abandoning means: its attempts end with it.
        tokio::select! {
            () = run::run(owner, job.clone(), told, cancel) => {}
            () = abandoned.cancelled() => {
                tracing::warn!(%job, "job abandoned: another engine goes on with it");
            }
        }
    };
    let (at_end, job) = (Arc::clone(engine), id.clone());
    engine
        .tasks
        .spawn(TaskKind::Job, &id, work, move |panicked| {
            drop(permit);
            if panicked {
                at_end.metrics.broken.add();
                let (engine, job) = (Arc::clone(&at_end), job.clone());
                let failing = async move { run::give_up(&engine, &job, BROKE_DOWN).await };
                at_end
                    .tasks
                    .spawn(TaskKind::Job, "broken job", failing, |_| {});
            }
            at_end.dispatcher.ended(&job);
        });
}

const BROKE_DOWN: &str =
    "the engine broke down while it ran this job: a defect; its log says where";
