//! One seed, from the first draw to the last check.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use se_runtime::{Plan, Timestamp, deliver};

use crate::chance::Chance;
use crate::executor::Executor;
use crate::outside;
use crate::planted::Planted;
use crate::trace::Trace;
use crate::world::{Known, World};
use crate::{check, device, package, receiver, replica, store};

/// Longer than all steps, waits and misfortunes together.
const LONGEST: Duration = Duration::from_secs(2 * 60 * 60);

/// What came of a seed.
#[derive(Clone, Debug)]
pub struct Report {
    /// Which.
    pub seed: u64,
    /// Over all that happened, in its order.
    pub hash: u64,
    /// The first promise that was broken.
    pub broken: Option<String>,
    /// What happened, line by line, if that was asked for.
    pub trace: Vec<String>,
}

/// Runs a seed, with a bug around the core if one is named.
#[must_use]
pub fn run(seed: u64, bug: Option<Planted>, keep_trace: bool) -> Report {
    let world = world(seed, bug, keep_trace);
    store::start(&world);
    let hosts = world.known().ahead.len();
    for host in 0..hosts {
        replica::start(&world, host);
    }
    for key in 0..1 + world.chance.below(3) {
        let key = format!("k{key}");
        for caller in 0..1 + world.chance.place(2) {
            world.known().waiting += 1;
            let submit = outside::submit(Arc::clone(&world), key.clone(), caller, (0, 15_000));
            world.spawn_outside(submit);
        }
        // Some come with the key when its window is over, or about to be.
        let late = if world.chance.one_in(4) { 3 } else { 0 };
        for caller in 2..2 + late {
            world.known().waiting += 1;
            let when = (15_000, 60_000);
            let submit = outside::submit(Arc::clone(&world), key.clone(), caller, when);
            world.spawn_outside(submit);
        }
        if world.chance.one_in(2) {
            world.spawn_outside(outside::cancel(Arc::clone(&world), key));
        }
    }
    world.spawn_outside(outside::resend(Arc::clone(&world)));
    world.spawn_outside(outside::fate(Arc::clone(&world)));
    let end = Timestamp::default().after(crate::START).after(LONGEST);
    let is_done = || {
        world.trace.broken().is_some() || {
            let db = world.store.durable();
            let mut jobs = db.jobs.values();
            let known = world.known();
            let is_heard = known.waiting == 0 && known.following == 0;
            drop(known);
            is_heard
                && jobs.all(|it| it.status.is_final())
                && db.outbox.all().all(|(_, it)| !it.is_open())
        }
    };
    let stopped = world.executor.run(&world.chance, end, is_done);
    check::all(&world, stopped);
    // Each knows the world.
    world.known().lives.clear();
    Report {
        seed,
        hash: world.trace.hash(),
        broken: world.trace.broken(),
        trace: world.trace.lines(),
    }
}

fn world(seed: u64, bug: Option<Planted>, keep_trace: bool) -> Arc<World> {
    let chance = Chance::new(seed);
    let steps = package::steps(&chance);
    let checked = Arc::new(package::checked(&steps));
    let plan = match Plan::build(checked, &outside::accepted("plan")) {
        Ok(plan) => plan,
        Err(error) => unreachable!("a package that checks is planned: {error}"),
    };
    let hosts = 1 + chance.place(3);
    let policy = policy(&chance);
    let places = if chance.one_in(2) {
        1 + chance.place(2)
    } else {
        8
    };
    let patience = (!chance.one_in(4)).then(|| chance.millis(500, 8000));
    let limit = chance.one_in(6).then(|| chance.millis(5000, 60_000));
    let mut known = Known::default();
    for _ in 0..hosts {
        let ahead = i64::try_from(chance.below(200_000)).unwrap_or_default();
        known.ahead.push(ahead - 100_000);
    }
    Arc::new(World {
        seed,
        chance,
        executor: Arc::new(Executor::at(Timestamp::default().after(crate::START))),
        trace: Trace::new(keep_trace),
        store: store::Store::default(),
        journal: device::Journal::default(),
        receiver: receiver::Receiver::default(),
        bug,
        plan,
        policy,
        patience,
        limit,
        steps,
        places,
        alone: hosts == 1,
        known: Mutex::new(known),
    })
}

/// As the product's, but of less patience, and sometimes with room for few.
fn policy(chance: &Chance) -> deliver::Policy {
    let usual = deliver::Policy::default();
    deliver::Policy {
        longest_wait: Duration::from_secs(4),
        patience: chance.millis(10_000, 20_000),
        at_once: if chance.one_in(3) {
            1 + chance.place(2)
        } else {
            usual.at_once
        },
        ..usual
    }
}
