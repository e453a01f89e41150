//! The only place that spawns.

use std::collections::BTreeSet;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a task is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskKind {
    /// Answers HTTP. Stops taking connections when the engine stops.
    Http,
    /// Hands accepted jobs out. Stops when the engine stops.
    Dispatcher,
    /// Runs one job. Stops at the next step boundary when the engine stops; a panic ends the job.
    Job,
    /// Sends CloudEvents. Sends what is due when the engine stops, then stops.
    Sender,
    /// Syncs one version of content. Is waited for when the engine stops.
    Sync,
    /// Tells readers of streams what is committed. Stops when the engine stops.
    Streams,
    /// Keeps the lease on the database. Stops when the engine stops and its jobs have ended.
    Lease,
    /// Leaves consoles that others wait for. Stops when the engine stops.
    Consoles,
    /// Deletes what is old. Stops when the engine stops.
    Housekeeping,
}

/// Every task of an engine.
#[derive(Clone)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    abandon: CancellationToken,
    lost: Arc<Mutex<BTreeSet<&'static str>>>,
}

impl Tasks {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
            abandon: CancellationToken::new(),
            lost: Arc::default(),
        }
    }

    /// Runs `work` that the engine cannot do without until it stops. Where it ends before, for whatever reason,
    /// that is logged, and [`Self::lost`] names it.
    pub fn spawn_lasting<W>(&self, kind: TaskKind, name: &'static str, work: W)
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let tasks = (self.stop.clone(), Arc::clone(&self.lost));
        self.spawn(kind, name, work, move |_| {
            let (stop, lost) = tasks;
            if !stop.is_cancelled() {
                tracing::error!(?kind, name, "task ended before the engine: start it again");
                lost.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(name);
            }
        });
    }

    /// Names of the tasks that the engine cannot do without, and that have ended all the same.
    #[must_use]
    pub fn lost(&self) -> Vec<&'static str> {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.iter().copied().collect()
    }

    /// Runs `work` beside everything else. A panic in it is logged and ends nothing but it; `ended`
    /// is told whether it was one.
    pub fn spawn<W>(
        &self,
        kind: TaskKind,
        name: &str,
        work: W,
        ended: impl FnOnce(bool) + Send + 'static,
    ) where
        W: Future<Output = ()> + Send + 'static,
    {
        let name: Arc<str> = Arc::from(name);
        let abandon = self.abandon.clone();
        // Apart, or the task would have room for it twice.
        let work = Box::pin(AssertUnwindSafe(work).catch_unwind());
        let task = async move {
            // Dropping the work is what abandoning means; both branches end the task.
            let panicked = tokio::select! {
                done = work => done.is_err(),
                () = abandon.cancelled() => {
                    tracing::warn!(?kind, %name, "task abandoned: it did not stop in time");
                    false
                }
            };
            if panicked {
                tracing::error!(?kind, %name, "task broke down: a defect");
            }
            ended(panicked);
        };
        #[expect(clippy::disallowed_methods, reason = "this is the place that spawns")]
        tokio::spawn(self.tracker.track_future(task));
    }

    /// Work that blocks, off the threads that answer.
    ///
    /// # Errors
    /// The text of the failure if the work panicked.
    pub async fn blocking<T, W>(work: W) -> Result<T, String>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| format!("the engine broke down while it worked: {error}"))
    }

    /// Asks every task to stop.
    pub fn stop(&self) {
        self.stop.cancel();
        self.tracker.close();
    }

    /// Ends when the engine is asked to stop.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }

    /// Whether the engine was asked to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Waits until every task has ended, for `patience` at most; drops the rest.
    pub async fn ended(&self, patience: Duration) {
        self.tracker.close();
        if tokio::time::timeout(patience, self.tracker.wait())
            .await
            .is_err()
        {
            self.abandon.cancel();
            self.tracker.wait().await;
        }
    }
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tasks({})", self.tracker.len())
    }
}
