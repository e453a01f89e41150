//! Runs futures one poll at a time, in an order that is drawn, on a time that moves only when all wait.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::future::BoxFuture;
use se_runtime::Timestamp;

use crate::chance::Chance;

/// Whose task it is; all tasks of an owner stop together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// Callers, receivers, fate.
    Outside,
    /// The store's writer.
    Database,
    /// One life of a replica.
    Replica(u64),
}

/// How a run came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// What was waited for is so.
    Done,
    /// Nothing can happen any more.
    Stuck,
    /// It takes longer than anything may.
    Late,
}

#[derive(Default)]
pub(crate) struct Executor {
    inner: Mutex<Inner>,
    ready: Arc<Mutex<BTreeSet<u64>>>,
}

#[derive(Default)]
struct Inner {
    now: Timestamp,
    count: u64,
    spawned: Vec<(u64, Owner, BoxFuture<'static, ()>)>,
    killed: Vec<Owner>,
    /// Owners that do nothing until then.
    frozen: BTreeMap<Owner, Timestamp>,
    timers: BTreeMap<(Timestamp, u64), Waker>,
}

struct Ring {
    task: u64,
    ready: Arc<Mutex<BTreeSet<u64>>>,
}

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        lock(&self.ready).insert(self.task);
    }
}

impl Executor {
    pub(crate) fn at(now: Timestamp) -> Self {
        let executor = Self::default();
        lock(&executor.inner).now = now;
        executor
    }

    pub(crate) fn now(&self) -> Timestamp {
        lock(&self.inner).now
    }

    pub(crate) fn spawn(&self, owner: Owner, task: impl Future<Output = ()> + Send + 'static) {
        let mut inner = lock(&self.inner);
        inner.count += 1;
        let id = inner.count;
        inner.spawned.push((id, owner, Box::pin(task)));
    }

    /// Drops everything an owner does, before anything else happens.
    pub(crate) fn kill(&self, owner: Owner) {
        let mut inner = lock(&self.inner);
        let (unborn, rest) = std::mem::take(&mut inner.spawned)
            .into_iter()
            .partition(|it| it.1 == owner);
        inner.spawned = rest;
        inner.killed.push(owner);
        drop(inner);
        drop::<Vec<_>>(unborn);
    }

    pub(crate) fn freeze(&self, owner: Owner, until: Timestamp) {
        lock(&self.inner).frozen.insert(owner, until);
    }

    pub(crate) fn sleep(self: &Arc<Self>, length: Duration) -> Sleep {
        Sleep {
            executor: Arc::clone(self),
            until: self.now().after(length),
            place: None,
        }
    }

    /// Runs until `done` holds.
    pub(crate) fn run(&self, chance: &Chance, end: Timestamp, done: impl Fn() -> bool) -> Stopped {
        let mut tasks: BTreeMap<u64, (Owner, BoxFuture<'static, ()>)> = BTreeMap::new();
        loop {
            self.settle(&mut tasks);
            if done() {
                return Stopped::Done;
            }
            let Some(task) = self.pick(&tasks, chance) else {
                match self.advance() {
                    None => return Stopped::Stuck,
                    Some(now) if now > end => return Stopped::Late,
                    Some(_) => continue,
                }
            };
            let Some((_, future)) = tasks.get_mut(&task) else {
                continue;
            };
            let ready = Arc::clone(&self.ready);
            let waker = Waker::from(Arc::new(Ring { task, ready }));
            if let Poll::Ready(()) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                tasks.remove(&task);
            }
        }
    }

    /// Takes in what was spawned and drops what was killed; dropping may do either again.
    fn settle(&self, tasks: &mut BTreeMap<u64, (Owner, BoxFuture<'static, ()>)>) {
        loop {
            let (spawned, killed) = {
                let mut inner = lock(&self.inner);
                let spawned = std::mem::take(&mut inner.spawned);
                (spawned, std::mem::take(&mut inner.killed))
            };
            if spawned.is_empty() && killed.is_empty() {
                return;
            }
            tasks.retain(|_, (owner, _)| !killed.contains(owner));
            for (id, owner, task) in spawned {
                lock(&self.ready).insert(id);
                tasks.insert(id, (owner, task));
            }
        }
    }

    /// One of the tasks that can go on.
    fn pick(
        &self,
        tasks: &BTreeMap<u64, (Owner, BoxFuture<'static, ()>)>,
        chance: &Chance,
    ) -> Option<u64> {
        let inner = lock(&self.inner);
        let mut ready = lock(&self.ready);
        ready.retain(|it| tasks.contains_key(it));
        let is_awake = |id: &&u64| {
            let owner = tasks.get(id).map(|it| it.0);
            let frozen = owner.and_then(|it| inner.frozen.get(&it));
            frozen.is_none_or(|until| *until <= inner.now)
        };
        let awake: Vec<u64> = ready.iter().filter(is_awake).copied().collect();
        let picked = awake.get(chance.place(awake.len())).copied()?;
        ready.remove(&picked);
        Some(picked)
    }

    /// Moves to the next moment somebody waits for.
    fn advance(&self) -> Option<Timestamp> {
        let mut inner = lock(&self.inner);
        let thawed = inner.frozen.values().copied();
        let thawed = thawed.filter(|it| *it > inner.now).min();
        let next = inner.timers.keys().next().map(|(at, _)| *at);
        let at = match (thawed, next) {
            (Some(one), Some(other)) => one.min(other),
            (one, other) => one.or(other)?,
        };
        inner.now = inner.now.max(at);
        let now = inner.now;
        let later = inner.timers.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut inner.timers, later);
        drop(inner);
        due.into_values().for_each(Waker::wake);
        Some(now)
    }
}

/// Ends at a moment of the true time.
pub(crate) struct Sleep {
    executor: Arc<Executor>,
    until: Timestamp,
    place: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut inner = lock(&self.executor.inner);
        if inner.now >= self.until {
            return Poll::Ready(());
        }
        inner.count += 1;
        let place = self.place.unwrap_or(inner.count);
        inner
            .timers
            .insert((self.until, place), context.waker().clone());
        drop(inner);
        self.place = Some(place);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            lock(&self.executor.inner)
                .timers
                .remove(&(self.until, place));
        }
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Executor({})", self.now())
    }
}

/// Everything runs in one thread, and what panics there is caught by the engine itself.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
