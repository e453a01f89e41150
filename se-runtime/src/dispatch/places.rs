//! Which jobs run in an engine.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use futures_channel::mpsc;
use futures_util::future::AbortHandle;

use super::port::{Begun, Claimed};
use crate::drive::Control;
use crate::planted::{self, Bug};

/// The places of an engine, and who has one. Shared by those who hand jobs out, who keep the lease, and who
/// ask what runs.
#[derive(Debug)]
pub struct Places {
    most: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    running: BTreeMap<String, Running>,
    /// How many of them take a place.
    taken: usize,
    /// Whatever begins from here on stops at its next step boundary.
    draining: bool,
    /// Nothing runs, and nothing begins: others may go on with what was driven here.
    suspended: bool,
    /// How often it may have happened that jobs are this engine's which do not run.
    doubts: u64,
    /// How many of these times it was looked.
    settled: u64,
    /// How many wait in the store, as far as is known here.
    waiting: usize,
    /// Who waits for a change.
    wakers: Vec<Waker>,
    /// Grows with every place that is free again, and when an engine is to look again.
    turns: u64,
}

#[derive(Debug)]
struct Running {
    control: mpsc::UnboundedSender<Control>,
    abandon: AbortHandle,
    takes_place: bool,
}

impl Places {
    /// Room for so many jobs; nothing runs.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let inner = Inner {
            // An engine that begins does not know what it is left with.
            doubts: 1,
            ..Inner::default()
        };
        Self {
            most,
            inner: Mutex::new(inner),
        }
    }

    /// How many jobs run here, and how many wait.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let inner = self.lock();
        (inner.running.len(), inner.waiting)
    }

    /// One more waits; it is found in the store.
    pub fn submitted(&self) {
        self.lock().waiting += 1;
    }

    /// Tells every running job to stop at its next step boundary.
    pub fn drain(&self) {
        let mut inner = self.lock();
        inner.draining = true;
        for it in inner.running.values() {
            it.control.unbounded_send(Control::Drain).ok();
        }
    }

    /// Tells a running job to stop; nothing if it does not run here.
    pub fn cancel(&self, id: &str, reason: String) {
        if let Some(it) = self.lock().running.get(id) {
            it.control.unbounded_send(Control::Cancel { reason }).ok();
        }
    }

    /// A job is over here, or somebody else's.
    pub fn ended(&self, id: &str) {
        let mut inner = self.lock();
        let ended = inner.running.remove(id);
        inner.taken -= usize::from(ended.is_some_and(|it| it.takes_place));
        inner.turn();
    }

    /// Drops every running job where it is, and lets none begin: others go on with them.
    pub fn suspend(&self) {
        let mut inner = self.lock();
        inner.suspended = true;
        for it in inner.running.values() {
            it.abandon.abort();
        }
    }

    /// Lets jobs run again, those first that are this engine's still.
    pub fn resume(&self) {
        let mut inner = self.lock();
        if std::mem::take(&mut inner.suspended) {
            if !planted::is(Bug::ResumedUnsure) {
                inner.doubts += 1;
            }
            inner.turn();
        }
    }

    /// Whether nothing may begin.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.lock().suspended
    }

    /// Ends when nothing runs.
    pub async fn emptied(&self) {
        self.until(|it| it.running.is_empty()).await;
    }

    /// Jobs may be this engine's that do not run.
    pub(super) fn doubt(&self) {
        if !planted::is(Bug::OwnForgotten) {
            self.lock().doubts += 1;
        }
    }

    /// How often there was doubt, if that was not settled since.
    pub(super) fn doubts(&self) -> Option<u64> {
        let inner = self.lock();
        (inner.settled < inner.doubts).then_some(inner.doubts)
    }

    /// It was looked, after there had been doubt so often.
    pub(super) fn settle(&self, doubts: u64) {
        let mut inner = self.lock();
        inner.settled = inner.settled.max(doubts);
    }

    /// How many more may be claimed: none while it is not known which are this engine's already.
    pub(super) fn free(&self) -> usize {
        let inner = self.lock();
        if inner.suspended || inner.settled < inner.doubts {
            return 0;
        }
        self.room(&inner)
    }

    fn room(&self, inner: &Inner) -> usize {
        if planted::is(Bug::PlacesIgnored) {
            return self.most;
        }
        self.most.saturating_sub(inner.taken)
    }

    /// How many are here only to be ended.
    pub(super) fn ending(&self) -> usize {
        let inner = self.lock();
        inner.running.len().saturating_sub(inner.taken)
    }

    /// Whether a job runs here.
    pub(super) fn has(&self, id: &str) -> bool {
        self.lock().running.contains_key(id)
    }

    /// Gives a place to a job that does not run here, if there is one. What is only to be ended takes none of
    /// those that others wait for.
    pub(super) fn begin(&self, Claimed { id, cancel }: Claimed) -> Option<Begun> {
        let mut inner = self.lock();
        let takes_place = cancel.is_none();
        if inner.suspended || takes_place && self.room(&inner) == 0 {
            return None;
        }
        let (control, told) = mpsc::unbounded();
        let (abandon, abandoned) = AbortHandle::new_pair();
        if inner.draining && !planted::is(Bug::DrainUntold) {
            // It was claimed while the engine was told to stop.
            control.unbounded_send(Control::Drain).ok();
        }
        let running = Running {
            control,
            abandon,
            takes_place,
        };
        inner.taken += usize::from(takes_place);
        inner.running.insert(id.clone(), running);
        Some(Begun {
            id,
            cancel,
            told,
            abandoned,
        })
    }

    /// So many were claimed of those that wait.
    pub(super) fn claimed(&self, count: usize) {
        let mut inner = self.lock();
        inner.waiting = inner.waiting.saturating_sub(count);
    }

    /// So many wait.
    pub(super) fn counted(&self, waiting: usize) {
        self.lock().waiting = waiting;
    }

    /// Grows when there may be something to do.
    pub(super) fn turns(&self) -> u64 {
        self.lock().turns
    }

    /// Ends when there may be something to do since.
    pub(super) async fn turned(&self, since: u64) {
        self.until(|it| it.turns != since).await;
    }

    async fn until(&self, holds: impl Fn(&Inner) -> bool) {
        std::future::poll_fn(|context| {
            let mut inner = self.lock();
            if holds(&inner) {
                return Poll::Ready(());
            }
            if !inner.wakers.iter().any(|it| it.will_wake(context.waker())) {
                inner.wakers.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn turn(&mut self) {
        self.turns += 1;
        self.wakers.drain(..).for_each(Waker::wake);
    }
}
