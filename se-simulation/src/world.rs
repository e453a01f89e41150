//! All there is under one seed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::future::BoxFuture;
use se_runtime::{Clock, Plan, Timestamp, deliver};

use crate::chance::Chance;
use crate::db::{Answer, Refusal, Write};
use crate::device::Journal;
use crate::executor::{Executor, Owner, Sleep, lock};
use crate::package::Step;
use crate::planted::Planted;
use crate::receiver::Receiver;
use crate::replica::Engine;
use crate::store::Store;
use crate::trace::Trace;

/// How long nothing may be heard of a replica.
pub(crate) const LEASE: Duration = Duration::from_secs(15);
/// After so long nothing goes wrong any more.
const TROUBLED: Duration = Duration::from_secs(70);

pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) chance: Chance,
    pub(crate) executor: Arc<Executor>,
    pub(crate) trace: Trace,
    pub(crate) store: Store,
    pub(crate) journal: Journal,
    pub(crate) receiver: Receiver,
    pub(crate) bug: Option<Planted>,
    pub(crate) plan: Plan,
    /// How patient senders are.
    pub(crate) policy: deliver::Policy,
    /// How long a job may wait before it is put down.
    pub(crate) patience: Option<Duration>,
    /// How long a job may take where it is kept.
    pub(crate) limit: Option<Duration>,
    pub(crate) steps: Vec<Step>,
    /// How many jobs a life runs at a time.
    pub(crate) places: usize,
    /// Whether the one replica and its store share a machine.
    pub(crate) alone: bool,
    pub(crate) known: Mutex<Known>,
}

/// What the one who looks from outside knows, and no part of the engine.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) lives: BTreeMap<u64, Life>,
    /// How far the clock of each machine is ahead.
    pub(crate) ahead: Vec<i64>,
    /// The last moment at which something was done to the engine.
    pub(crate) trouble: Timestamp,
    /// Whether a clock jumped or a replica stood still.
    pub(crate) odd_time: bool,
    /// Whether the store has ever lost power.
    pub(crate) power_failed: bool,
    pub(crate) buried: BTreeSet<u64>,
    /// When each drive of a job began, or went on after the store was out, by the clock of its machine.
    pub(crate) drives: BTreeMap<String, Vec<Timestamp>>,
    /// The jobs that were promised, by key, in the order in which that was heard of.
    pub(crate) accepted: BTreeMap<String, Vec<String>>,
    /// Jobs that somebody asked to stop, heard or not.
    pub(crate) asked: BTreeSet<String>,
    /// When a wish to cancel was confirmed.
    pub(crate) cancelled: BTreeMap<String, Timestamp>,
    /// When each job ended.
    pub(crate) ended: BTreeMap<String, Timestamp>,
    /// Callers that have not got what they want.
    pub(crate) waiting: usize,
    /// Readers of streams that have not seen the last event.
    pub(crate) following: usize,
    /// Since when nobody drives a job.
    pub(crate) free: BTreeMap<String, Timestamp>,
    /// The last moment at which all places were taken, or some came to be.
    pub(crate) no_place: Timestamp,
    /// Numbers given so far.
    numbers: u64,
}

impl Known {
    /// One that nobody has.
    pub(crate) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}

/// One life of a replica, under the number it has in the store.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) engine: Engine,
    /// When the last sign of life was begun that arrived.
    pub(crate) alive: Timestamp,
    /// Nothing goes between it and the store until then, but for what it reads if it does.
    pub(crate) cut_until: Timestamp,
    pub(crate) reads: bool,
    /// Running jobs that were told to stop.
    pub(crate) told: BTreeSet<String>,
    pub(crate) draining: Option<Timestamp>,
    pub(crate) serves: bool,
    /// Its sender has ended.
    pub(crate) sent: bool,
    pub(crate) is_over: bool,
}

impl World {
    pub(crate) fn now(&self) -> Timestamp {
        self.executor.now()
    }

    pub(crate) fn tell(&self, line: &str) {
        self.trace.tell(self.now(), line);
    }

    pub(crate) fn breaks(&self, what: &str) {
        self.trace.breaks(self.now(), what);
    }

    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        lock(&self.known)
    }

    /// Waits between so many milliseconds.
    pub(crate) fn sleep(&self, from: u64, to: u64) -> Sleep {
        self.executor.sleep(self.chance.millis(from, to))
    }

    /// Whether something small goes wrong here.
    pub(crate) fn misfortune(&self, one_in: u64) -> bool {
        let end = Timestamp::default().after(crate::START).after(TROUBLED);
        self.now() < end && self.chance.one_in(one_in)
    }

    /// The clock of a machine.
    pub(crate) fn clock(self: &Arc<Self>, host: usize) -> HostClock {
        let world = Arc::clone(self);
        HostClock { world, host }
    }

    /// A clock that is always right.
    pub(crate) fn steady(self: &Arc<Self>) -> SteadyClock {
        SteadyClock(Arc::clone(self))
    }

    /// Until when nothing goes between a life and the store.
    pub(crate) fn cut(&self, no: u64) -> Option<Timestamp> {
        let known = self.known();
        let until = known.lives.get(&no)?.cut_until;
        (until > self.now()).then_some(until)
    }

    /// A request of a life to the store.
    pub(crate) async fn write(&self, by: u64, write: Write) -> Result<Answer, Refusal> {
        self.write_over(by, by, write).await
    }

    /// The same, over the net of a life that comes under another number.
    pub(crate) async fn write_over(
        &self,
        life: u64,
        by: u64,
        write: Write,
    ) -> Result<Answer, Refusal> {
        if let Some(until) = self.cut(life) {
            if self.chance.one_in(2) {
                // Nobody says that it does not arrive.
                self.executor.sleep(until.since(self.now())).await;
            } else {
                self.sleep(1, 40).await;
            }
            return Err(Refusal::Unavailable);
        }
        let answer = self.store.write(by, write).await;
        match self.cut(life) {
            Some(_) => Err(Refusal::Unavailable),
            None => answer,
        }
    }

    /// Whether no life has room for another job.
    pub(crate) fn is_full(&self) -> bool {
        let known = self.known();
        let mut serving = known.lives.values().filter(|it| it.serves);
        serving.all(|it| it.engine.places.counts().0 >= self.places)
    }

    pub(crate) fn trouble(&self, until: Timestamp) {
        let mut known = self.known();
        known.trouble = known.trouble.max(until);
    }

    /// A life that takes requests.
    pub(crate) fn any_life(&self) -> Option<u64> {
        let known = self.known();
        let serving = known.lives.iter().filter(|(_, it)| it.serves);
        let serving: Vec<u64> = serving.map(|(no, _)| *no).collect();
        serving.get(self.chance.place(serving.len())).copied()
    }

    pub(crate) fn spawn_outside(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.executor.spawn(Owner::Outside, task);
    }
}

/// A clock that nobody sets.
pub(crate) struct SteadyClock(Arc<World>);

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(self.0.executor.sleep(at.since(self.now())))
    }
}

/// The clock of one machine: it may be wrong, and it may jump.
pub(crate) struct HostClock {
    world: Arc<World>,
    host: usize,
}

impl Clock for HostClock {
    fn now(&self) -> Timestamp {
        let ahead = self.world.known().ahead.get(self.host).copied();
        Timestamp::from_micros(self.world.now().micros() + ahead.unwrap_or_default())
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(self.world.executor.sleep(at.since(self.now())))
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "World({})", self.seed)
    }
}
