//! Hands jobs out: who is to be stopped comes first, then who has waited longest, as far as there are places.
//!
//! Who waits, and who is to be cancelled, stands in the store: any engine may take it from there. One
//! dispatcher is one future. It spawns nothing and waits on nothing but its ports.

mod places;
mod port;

use std::fmt;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{pending, select, select_all};

pub use places::Places;
pub use port::{Begun, Bell, Claimed, Crew, Jobs, Told};

use crate::planted::{self, Bug};
use crate::port::{Clock, Unanswered};
use crate::stage::{Stage, Stages};
use crate::time::Timestamp;

/// How much a dispatcher does at a time, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Jobs claimed in one go: those claimed before begin meanwhile.
    pub at_once: usize,
    /// Where the store failed, it is asked again after this time.
    pub look_again: Duration,
    /// How long a count of those that wait is good enough.
    pub counting: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            at_once: 64,
            look_again: Duration::from_secs(1),
            counting: Duration::from_secs(1),
        }
    }
}

/// The world, for one dispatcher.
#[derive(Clone, Copy)]
pub struct Dispatching<'a> {
    /// Who waits.
    pub jobs: &'a dyn Jobs,
    /// Who drives them.
    pub crew: &'a dyn Crew,
    /// Which run here.
    pub places: &'a Places,
    /// What tells that there is something to do.
    pub bell: &'a dyn Bell,
    /// Time.
    pub clock: &'a dyn Clock,
    /// The engine it belongs to.
    pub stages: &'a dyn Stages,
    /// How much it does at a time.
    pub policy: Policy,
}

impl fmt::Debug for Dispatching<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dispatching({:?})", self.places)
    }
}

/// Runs jobs in the order they were taken in, as many at a time as there are places, until the engine stops.
pub async fn dispatch(ports: Dispatching<'_>) {
    let mut hand = Hand {
        ports,
        cancels: None,
        counted: None,
    };
    while hand.works() {
        let (told, turns) = (ports.bell.told(), ports.places.turns());
        let done = hand.round(told).await;
        hand.wait(told, turns, done).await;
    }
}

/// What hands jobs out.
struct Hand<'a> {
    ports: Dispatching<'a>,
    /// How often it was told of cancels when those were looked at.
    cancels: Option<u64>,
    /// When it was counted how many wait.
    counted: Option<Timestamp>,
}

impl Hand<'_> {
    async fn round(&mut self, told: Told) -> Result<(), Unanswered> {
        let places = self.ports.places;
        if places.is_suspended() {
            return Ok(());
        }
        if let Some(doubts) = places.doubts() {
            for it in self.ports.jobs.own().await? {
                self.start(it);
            }
            places.settle(doubts);
        }
        if self.cancels != Some(told.cancels) {
            if planted::is(Bug::CancelsLookedAtOnce) {
                self.cancels = Some(told.cancels);
            }
            if self.stop_cancelled().await? {
                self.cancels = Some(told.cancels);
            }
        }
        self.claim().await?;
        self.count().await
    }

    /// Tells running jobs that they shall stop, and ends those that nobody runs; whether these were all. Each is in
    /// memory while it is ended: when so many are, the end of one makes way for the next.
    async fn stop_cancelled(&self) -> Result<bool, Unanswered> {
        let Dispatching { jobs, places, .. } = self.ports;
        for Claimed { id, cancel } in jobs.cancels().await? {
            if let Some(reason) = cancel {
                places.cancel(&id, reason);
            }
        }
        if planted::is(Bug::CancelWaitsForPlace) && places.free() == 0 {
            return Ok(true);
        }
        let at_once = self.ports.policy.at_once;
        while self.works() {
            let most = at_once.saturating_sub(places.ending());
            if most == 0 {
                return Ok(false);
            }
            if !self.begin(jobs.claim_cancelled(most).await)? {
                break;
            }
        }
        Ok(true)
    }

    async fn claim(&self) -> Result<(), Unanswered> {
        let at_once = self.ports.policy.at_once;
        while self.works() {
            let most = self.ports.places.free().min(at_once);
            if most == 0 || !self.begin(self.ports.jobs.claim(most).await)? {
                break;
            }
        }
        Ok(())
    }

    /// Who stops gives back at once what it claims, and would find it again.
    fn works(&self) -> bool {
        self.ports.stages.now() == Stage::Works
    }

    /// Starts what was claimed; whether that was anything.
    fn begin(&self, claimed: Result<Vec<Claimed>, Unanswered>) -> Result<bool, Unanswered> {
        let places = self.ports.places;
        let claimed = claimed.inspect_err(|_| places.doubt())?;
        places.claimed(claimed.len());
        let any = !claimed.is_empty();
        claimed.into_iter().for_each(|it| self.start(it));
        Ok(any)
    }

    fn start(&self, job: Claimed) {
        let places = self.ports.places;
        if places.has(&job.id) {
            return;
        }
        match places.begin(job) {
            Some(begun) => self.ports.crew.start(begun),
            // It is this engine's, and begins when there is a place.
            None => places.doubt(),
        }
    }

    async fn count(&mut self) -> Result<(), Unanswered> {
        let at = self.ports.clock.now();
        let counting = self.ports.policy.counting;
        if self.counted.is_none_or(|it| at.since(it) >= counting) {
            self.ports.places.counted(self.ports.jobs.waiting().await?);
            self.counted = Some(at);
        }
        Ok(())
    }

    /// Ends when there may be something to do. Each branch can be dropped and made again: the store is
    /// looked at afterwards.
    async fn wait(&self, told: Told, turns: u64, done: Result<(), Unanswered>) {
        let Dispatching {
            places,
            bell,
            clock,
            policy,
            ..
        } = self.ports;
        let in_a_while = |wait| clock.sleep_until(clock.now().after(wait));
        let jobs = match places.free() {
            0 => pending().boxed(),
            _ => bell.jobs_after(told.jobs),
        };
        let again = match done {
            Ok(()) => pending().boxed(),
            Err(Unanswered) => in_a_while(policy.look_again),
        };
        let counting = async {
            bell.jobs_after(told.jobs).await;
            in_a_while(policy.counting).await;
        };
        let branches = [
            jobs,
            again,
            counting.boxed(),
            bell.cancels_after(told.cancels),
            places.turned(turns).boxed(),
        ];
        let stopping = self.ports.stages.after(Stage::Works);
        select(stopping, select_all(branches)).await;
    }
}
