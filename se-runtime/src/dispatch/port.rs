//! What a dispatcher needs of the world.

use futures_channel::mpsc;
use futures_util::future::{AbortRegistration, BoxFuture};

use crate::drive::Control;
use crate::port::Unanswered;

/// A job that this engine drives from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The job.
    pub id: String,
    /// Why it is to be cancelled, if it is.
    pub cancel: Option<String>,
}

/// The jobs of a store, as one of its engines sees them.
pub trait Jobs: Send + Sync {
    /// Unfinished ones that this engine has claimed and not given up, whether they run or not.
    fn own(&self) -> BoxFuture<'_, Result<Vec<Claimed>, Unanswered>>;

    /// Those of them that are to be cancelled.
    fn cancels(&self) -> BoxFuture<'_, Result<Vec<Claimed>, Unanswered>>;

    /// Claims at most so many that nobody drives and that are only to be ended.
    fn claim_cancelled(&self, most: usize) -> BoxFuture<'_, Result<Vec<Claimed>, Unanswered>>;

    /// Claims at most so many that nobody drives, the first that may run.
    ///
    /// Where that fails, nobody knows whether some were claimed.
    fn claim(&self, most: usize) -> BoxFuture<'_, Result<Vec<Claimed>, Unanswered>>;

    /// How many nobody drives.
    fn waiting(&self) -> BoxFuture<'_, Result<usize, Unanswered>>;
}

/// A job that has a place here.
#[derive(Debug)]
pub struct Begun {
    /// Which.
    pub id: String,
    /// Why it shall not even begin.
    pub cancel: Option<String>,
    /// What it is told while it runs.
    pub told: mpsc::UnboundedReceiver<Control>,
    /// Drops it where it is, because it is no job of this engine any more.
    pub abandoned: AbortRegistration,
}

/// Those who drive jobs.
pub trait Crew: Send + Sync {
    /// Lets a job run beside everything else. Whoever runs it says when it has [ended], however that was.
    ///
    /// [ended]: super::Places::ended
    fn start(&self, job: Begun);
}

/// How often the store has told of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// That there may be something to drive.
    pub jobs: u64,
    /// That somebody wanted a job to be cancelled.
    pub cancels: u64,
}

/// Tells that there is something to do.
pub trait Bell: Send + Sync {
    /// How often it has told so far.
    fn told(&self) -> Told;
    /// Ends when it was told of jobs more often, or less, than that.
    fn jobs_after(&self, told: u64) -> BoxFuture<'_, ()>;
    /// Ends when it was told of cancels more often, or less, than that.
    fn cancels_after(&self, told: u64) -> BoxFuture<'_, ()>;
}
