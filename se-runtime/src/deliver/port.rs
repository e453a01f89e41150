//! What a sender needs of the world.

use futures_util::future::BoxFuture;

use crate::port::Unanswered;
use crate::time::Timestamp;

/// A delivery whose time has come: the first of its stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due<L> {
    /// Which.
    pub id: i64,
    /// How many attempts have failed.
    pub attempts: u32,
    /// When it was put in.
    pub created_at: Timestamp,
    /// What is sent.
    pub letter: L,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Posted {
    /// The receiver has taken it in.
    Arrived,
    /// The receiver wants no more of this stream.
    Gone(String),
    /// Nobody knows whether it arrived, or it was refused.
    Failed(String),
}

/// What is noted of a delivery after an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// It arrived; the next of its stream is due.
    Delivered,
    /// Neither it nor what follows in its stream is wanted.
    Gone(String),
    /// It is given up; the next of its stream is due.
    Dead(String),
    /// It is due again at that time.
    Again {
        /// What the attempt said.
        error: String,
        /// When.
        at: Timestamp,
    },
}

/// The events that are on their way out.
///
/// # Contract
/// Of each stream only the first that has not come to its end is due, and it stays due until an end is
/// noted.
pub trait Outbox: Send + Sync {
    /// What is sent.
    type Letter: Send + Sync;

    /// At most so many deliveries whose time has come, the longest due first.
    fn due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Due<Self::Letter>>, Unanswered>>;

    /// When the next delivery is due, if there is one.
    fn next_due(&self) -> BoxFuture<'_, Result<Option<Timestamp>, Unanswered>>;

    /// Notes what came of an attempt. Where that is not answered, the delivery stays due and is sent again in a
    /// while: at least once is what is promised.
    fn note<'a>(
        &'a self,
        due: &'a Due<Self::Letter>,
        note: Note,
    ) -> BoxFuture<'a, Result<(), Unanswered>>;
}

/// What carries a delivery to its receiver.
pub trait Post<L>: Send + Sync {
    /// One attempt, bounded in time.
    fn post<'a>(&'a self, due: &'a Due<L>) -> BoxFuture<'a, Posted>;
}

/// Tells that the outbox has changed.
pub trait Bell: Send {
    /// From here on a change is remembered.
    fn listen(&mut self);
    /// Ends when there was a change since [`Self::listen`]; can be dropped and called again.
    fn rings(&mut self) -> BoxFuture<'_, ()>;
}
