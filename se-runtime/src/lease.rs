//! Keeps the lease of one of several engines on a store: says that it is alive, lets its jobs go when others
//! may have them, and takes over what dead engines leave behind.
//!
//! It spawns nothing and waits on nothing but its ports.

mod watch;

use std::fmt;
use std::time::Duration;

use futures_util::future::{BoxFuture, Either, select};
use futures_util::pin_mut;

pub use watch::{Member, Watch};

use crate::dispatch::Places;
use crate::planted::{self, Bug};
use crate::port::{Clock, Unanswered};
use crate::stage::{self, Stages};
use crate::time::Timestamp;

/// Signs of life in one lease: two may be lost.
const BEATS: u32 = 4;

/// What came of a sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// It arrived.
    Alive,
    /// Others have declared this engine dead.
    Lost,
    /// Nobody knows whether it arrived.
    Unanswered,
}

/// Why jobs are let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lapse {
    /// Others have declared this engine dead.
    Lost,
    /// For a whole lease no sign of life has arrived: others may have.
    RunOut,
}

/// The engines on a store, as one of them sees them.
pub trait Members: Send + Sync {
    /// Its number at the moment; another each time it joins.
    fn me(&self) -> i64;

    /// Says that it is alive.
    fn beat(&self) -> BoxFuture<'_, Beat>;

    /// Hears that jobs are let go.
    fn note(&self, lapse: Lapse);

    /// Joins as another: what it had is not its own any more.
    fn join(&self) -> BoxFuture<'_, Result<(), Unanswered>>;

    /// All of them, this one among them.
    fn all(&self) -> BoxFuture<'_, Result<Vec<Member>, Unanswered>>;

    /// Frees what a dead one had, unless it has given a sign of life meanwhile.
    fn bury<'a>(&'a self, dead: &'a Member) -> BoxFuture<'a, Result<(), Unanswered>>;

    /// Takes over what dead engines leave behind and nobody claims.
    fn adopt(&self) -> BoxFuture<'_, Result<(), Unanswered>>;
}

/// The world, for the one who keeps a lease.
#[derive(Clone, Copy)]
pub struct Living<'a> {
    /// The engines.
    pub members: &'a dyn Members,
    /// What runs in this one.
    pub places: &'a Places,
    /// A clock that never jumps.
    pub clock: &'a dyn Clock,
    /// The engine it belongs to.
    pub stages: &'a dyn Stages,
    /// After so long without a sign of life an engine is dead.
    pub lease: Duration,
}

impl fmt::Debug for Living<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Living({:?})", self.lease)
    }
}

/// Keeps the lease of an engine that has just joined, until it stops and its jobs have ended.
pub async fn keep_lease(ports: Living<'_>) {
    let (beating, looking, idle) = (beating(ports), looking(ports), stage::idle(ports.stages));
    pin_mut!(beating, looking, idle);
    // The first two never end.
    select(select(beating, looking), idle).await;
}

async fn beating(ports: Living<'_>) {
    let Living { places, clock, .. } = ports;
    let mut alive = clock.now();
    loop {
        let asked = clock.now();
        match beat(ports, alive).await {
            Beat::Alive => {
                alive = asked;
                if places.is_suspended() {
                    // Nothing begins beside what still runs of it.
                    places.emptied().await;
                    places.resume();
                }
            }
            Beat::Lost => {
                let asked = clock.now();
                if begin_anew(ports).await.is_ok() {
                    alive = asked;
                    places.resume();
                }
            }
            Beat::Unanswered if planted::is(Bug::BeatNotRepeated) => {
                return std::future::pending().await;
            }
            Beat::Unanswered => {}
        }
        let next = asked.after(ports.lease / BEATS);
        let next = match places.is_suspended() {
            true => next,
            // Its end is not slept through.
            false => next.min(alive.after(ports.lease)),
        };
        clock.sleep_until(next).await;
    }
}

/// Gives a sign of life. Where the lease runs out before it has arrived, others may have the jobs, for all
/// that is known here.
async fn beat(ports: Living<'_>, alive: Timestamp) -> Beat {
    let Living { members, clock, .. } = ports;
    let end = clock.sleep_until(alive.after(ports.lease));
    match select(end, members.beat()).await {
        Either::Right((beat, _)) => beat,
        Either::Left(((), beat)) => {
            if !ports.places.is_suspended() && !planted::is(Bug::NotLetGo) {
                members.note(Lapse::RunOut);
                ports.places.suspend();
            }
            beat.await
        }
    }
}

/// Joins again as another, once nothing of the former one runs any more.
async fn begin_anew(ports: Living<'_>) -> Result<(), Unanswered> {
    ports.members.note(Lapse::Lost);
    ports.places.suspend();
    ports.places.emptied().await;
    ports.members.join().await
}

async fn looking(ports: Living<'_>) {
    let Living { places, clock, .. } = ports;
    let mut watch = Watch::new(ports.lease);
    loop {
        let asked = clock.now();
        if !places.is_suspended() {
            // What does not work is done with the next look.
            look(ports, &mut watch).await.ok();
        }
        clock.sleep_until(asked.after(ports.lease / BEATS)).await;
    }
}

/// Takes over what dead engines leave behind.
async fn look(ports: Living<'_>, watch: &mut Watch) -> Result<(), Unanswered> {
    let Living { members, clock, .. } = ports;
    let mut all = members.all().await?;
    let lost = watch.lost(clock.now(), &all);
    let me = members.me();
    all.retain(|it| it.id != me && (it.is_gone || lost.contains(&it.id)));
    for dead in all {
        members.bury(&dead).await?;
    }
    members.adopt().await
}
