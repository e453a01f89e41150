//! Where an engine is in its life.

use std::fmt;

use futures_util::future::BoxFuture;

/// Works, then stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It runs jobs.
    Works,
    /// It is to stop; its jobs come to their ends.
    Stops,
    /// It is to stop, and nothing of it puts anything in any more.
    Idle,
}

/// An engine, as those see it who work for it.
pub trait Stages: Send + Sync {
    /// Where it is.
    fn now(&self) -> Stage;
    /// Ends when it is not there any more; never after the last.
    fn after(&self, stage: Stage) -> BoxFuture<'_, ()>;
}

impl fmt::Debug for dyn Stages + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stages")
    }
}

/// Ends when nothing runs any more in an engine that stops.
pub(crate) async fn idle(stages: &dyn Stages) {
    loop {
        match stages.now() {
            Stage::Idle => return,
            stage => stages.after(stage).await,
        }
    }
}
