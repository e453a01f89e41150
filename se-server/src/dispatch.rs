//! Hands accepted jobs out to tasks, tells running ones to stop, and keeps each apart from the others.

mod pods;
mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::stream::StreamExt as _;
use se_runtime::Control;
use tokio::sync::Semaphore;

use crate::engine::Engine;
use crate::tasks::TaskKind;

type Sender = futures_channel::mpsc::UnboundedSender<Control>;
type Receiver = futures_channel::mpsc::UnboundedReceiver<Control>;

/// Which jobs wait and which run.
#[derive(Debug)]
pub struct Dispatcher {
    places: Mutex<Places>,
    queue: futures_channel::mpsc::UnboundedSender<String>,
    /// Taken by the one task that hands jobs out.
    waiting: Mutex<Option<futures_channel::mpsc::UnboundedReceiver<String>>>,
}

/// A job is in one of the two, or in neither once it has ended.
#[derive(Debug, Default)]
struct Places {
    queued: BTreeSet<String>,
    running: BTreeMap<String, Sender>,
}

/// What became of a wish to cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cancel {
    /// Its driver was told.
    Told,
    /// It was waiting: it is run by itself, to its end.
    Unqueued,
    /// It neither waits nor runs here.
    Unknown,
}

impl Dispatcher {
    /// Nothing waits, nothing runs.
    #[must_use]
    pub fn new() -> Self {
        // Unbounded: it holds ids of jobs that are in the store already.
        let (queue, waiting) = futures_channel::mpsc::unbounded();
        Self {
            places: Mutex::default(),
            queue,
            waiting: Mutex::new(Some(waiting)),
        }
    }

    /// Puts a stored job at the end of the queue.
    pub fn enqueue(&self, id: &str) {
        self.places().queued.insert(id.to_owned());
        // An error means that the engine stops: the job is resumed at the next start.
        self.queue.unbounded_send(id.to_owned()).ok();
    }

    /// How many jobs run, and how many wait.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let places = self.places();
        (places.running.len(), places.queued.len())
    }

    /// Tells every running job to stop at its next step boundary.
    pub(crate) fn drain(&self) {
        for control in self.places().running.values() {
            control.unbounded_send(Control::Drain).ok();
        }
    }

    /// Tells a job to stop, or takes it out of the queue.
    pub(crate) fn cancel(engine: &Arc<Engine>, id: &str, reason: &str) -> Cancel {
        let mut places = engine.dispatcher.places();
        if let Some(control) = places.running.get(id) {
            control
                .unbounded_send(Control::Cancel {
                    reason: reason.to_owned(),
                })
                .ok();
            return Cancel::Told;
        }
        if !places.queued.remove(id) {
            return Cancel::Unknown;
        }
        let control = places.begin(id);
        drop(places);
        start(engine, id, control, Some(reason.to_owned()), None);
        Cancel::Unqueued
    }

    /// Takes a job out of the queue to run it; nothing if it is not there any more.
    fn take(&self, id: &str) -> Option<Receiver> {
        let mut places = self.places();
        places.queued.remove(id).then(|| places.begin(id))
    }

    fn ended(&self, id: &str) {
        self.places().running.remove(id);
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

impl Places {
    fn begin(&mut self, id: &str) -> Receiver {
        let (control, told) = futures_channel::mpsc::unbounded();
        self.running.insert(id.to_owned(), control);
        told
    }
}

/// Runs jobs in the order they were taken in, as many at a time as configured.
pub(crate) async fn run(engine: Arc<Engine>) {
    let waiting = engine
        .dispatcher
        .waiting
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let Some(mut waiting) = waiting else {
        tracing::error!("jobs are handed out already: a defect");
        return;
    };
    let places = Arc::new(Semaphore::new(engine.config.jobs.max_concurrent));
    loop {
        // Each branch can be dropped and made again: a permit that was not taken stays free, a queue
        // loses nothing.
        let permit = tokio::select! {
            permit = Arc::clone(&places).acquire_owned() => permit,
            () = engine.tasks.stopping() => return,
        };
        let Ok(permit) = permit else { return };
        let next = tokio::select! {
            next = waiting.next() => next,
            () = engine.tasks.stopping() => return,
        };
        let Some(id) = next else { return };
        if let Some(told) = engine.dispatcher.take(&id) {
            start(&engine, &id, told, None, Some(permit));
        }
    }
}

fn start(
    engine: &Arc<Engine>,
    id: &str,
    told: Receiver,
    cancel: Option<String>,
    permit: Option<tokio::sync::OwnedSemaphorePermit>,
) {
    let work = run::run(Arc::clone(engine), id.to_owned(), told, cancel);
    let (at_end, job) = (Arc::clone(engine), id.to_owned());
    engine
        .tasks
        .spawn(TaskKind::Job, id, work, move |panicked| {
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
