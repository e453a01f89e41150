//! One life of a replica: it keeps its lease, takes jobs, drives them and sends what they tell.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_channel::mpsc;
use se_runtime::{Control, Timestamp};

use crate::db::{Refusal, Write};
use crate::executor::Owner;
use crate::job;
use crate::planted::Planted;
use crate::sender;
use crate::world::{LEASE, Life, Running, World};

/// Begins a life on a machine.
pub(crate) fn start(world: &Arc<World>, host: usize) {
    let no = {
        let mut known = world.known();
        let no = known.lives.len() as u64 + 1;
        let life = Life {
            host,
            running: BTreeMap::new(),
            draining: None,
            serves: false,
            sent: false,
            is_over: false,
        };
        known.lives.insert(no, life);
        no
    };
    world.tell(&format!("r{no} starts on machine {host}"));
    let life = live(Arc::clone(world), no, host);
    world.executor.spawn(Owner::Replica(no), life);
}

/// Ends a life at once; the machine begins another one some time later.
pub(crate) fn end(world: &Arc<World>, no: u64) {
    let host = {
        let mut known = world.known();
        let Some(life) = known.lives.get_mut(&no).filter(|it| !it.is_over) else {
            return;
        };
        life.is_over = true;
        life.serves = false;
        life.running.clear();
        life.host
    };
    world.executor.kill(Owner::Replica(no));
    let again = Arc::clone(world);
    world.spawn_outside(async move {
        again.sleep(20, 4000).await;
        start(&again, host);
    });
}

async fn live(world: Arc<World>, no: u64, host: usize) {
    while world.store.write(no, Write::Register).await != Ok(crate::db::Answer::Done) {
        world.sleep(100, 500).await;
    }
    if world.alone && world.bug != Some(Planted::NotClaimedAtStart) {
        // Nobody else can be there: no lease is waited for.
        bury_all(&world, no).await;
    }
    if let Some(life) = world.known().lives.get_mut(&no) {
        life.serves = true;
    }
    let sender = sender::run(Arc::clone(&world), no, host);
    world.executor.spawn(Owner::Replica(no), sender);
    let mut heard: BTreeMap<u64, (u64, Timestamp)> = BTreeMap::new();
    let mut beat = world.now();
    loop {
        if world.now() >= beat {
            match world.store.write(no, Write::Beat).await {
                Err(Refusal::Fenced) => {
                    world.tell(&format!("r{no} finds that it lost its lease"));
                    return end(&world, no);
                }
                // What failed is done again with the next round.
                Ok(_) => beat = world.now().after(LEASE / 5),
                Err(_) => {}
            }
        }
        bury_dead(&world, no, &mut heard).await;
        if is_draining(&world, no) {
            if has_sent(&world, no) && world.store.write(no, Write::Leave).await.is_ok() {
                world.tell(&format!("r{no} has drained"));
                return end(&world, no);
            }
        } else {
            take_jobs(&world, no, host).await;
        }
        hear_wishes(&world, no);
        if world.store.read().outbox.has_left_behind() {
            world.store.write(no, Write::Adopt).await.ok();
        }
        world.sleep(100, 900).await;
    }
}

fn is_draining(world: &World, no: u64) -> bool {
    let known = world.known();
    known.lives.get(&no).is_some_and(|it| it.draining.is_some())
}

/// Whether all that it did has ended.
fn has_sent(world: &World, no: u64) -> bool {
    let known = world.known();
    known
        .lives
        .get(&no)
        .is_none_or(|it| it.running.is_empty() && it.sent)
}

async fn bury_all(world: &World, no: u64) {
    loop {
        let db = world.store.read();
        let Some(other) = db.replicas.keys().find(|it| **it != no) else {
            return;
        };
        if world.store.write(no, Write::Bury(*other)).await.is_err() {
            world.sleep(100, 500).await;
        }
    }
}

/// Declares dead whose heartbeat was the same for a lease, by a clock that does not jump.
async fn bury_dead(world: &World, no: u64, heard: &mut BTreeMap<u64, (u64, Timestamp)>) {
    let now = world.now();
    for (other, beat) in &world.store.read().replicas {
        let seen = heard.entry(*other).or_insert((*beat, now));
        if seen.0 != *beat {
            *seen = (*beat, now);
        }
        let lease = if world.bug == Some(Planted::LeaseTooShort) {
            LEASE / 4
        } else {
            LEASE
        };
        if *other != no && now.since(seen.1) >= lease {
            world.tell(&format!("r{no} declares r{other} dead"));
            if world.alone {
                world.breaks("a lease was waited for on one machine");
            }
            world.store.write(no, Write::Bury(*other)).await.ok();
        }
    }
}

async fn take_jobs(world: &Arc<World>, no: u64, host: usize) {
    let claims_all = world.bug == Some(Planted::ClaimedTwice);
    let db = world.store.read();
    let mut open = db.jobs.values().filter(|it| !it.status.is_final());
    if open.any(|it| it.owner.is_none() || claims_all && it.owner != Some(no)) {
        world.store.write(no, Write::Claim).await.ok();
    }
    // Also what was claimed when the answer got lost.
    let db = world.store.read();
    let own = db.jobs.iter();
    let own = own.filter(|(_, it)| it.owner == Some(no) && !it.status.is_final());
    for (job, _) in own {
        if let Some(told) = begin(world, no, job) {
            let wish = db.wishes.get(job).cloned();
            let work = job::run(Arc::clone(world), (no, host), job.clone(), told, wish);
            world.executor.spawn(Owner::Replica(no), work);
        }
    }
}

/// Makes a place for a job, unless it has one.
fn begin(world: &World, no: u64, job: &str) -> Option<mpsc::UnboundedReceiver<Control>> {
    let mut known = world.known();
    let life = known.lives.get_mut(&no)?;
    if life.running.contains_key(job) {
        return None;
    }
    let (control, told) = mpsc::unbounded();
    if life.draining.is_some() {
        // It was claimed while this life was told to drain.
        control.unbounded_send(Control::Drain).ok();
    }
    let is_told = world.store.read().wishes.contains_key(job);
    let running = Running {
        control,
        told: is_told,
    };
    life.running.insert(job.to_owned(), running);
    Some(told)
}

fn hear_wishes(world: &World, no: u64) {
    let db = world.store.read();
    let mut known = world.known();
    let Some(life) = known.lives.get_mut(&no) else {
        return;
    };
    for (job, running) in &mut life.running {
        if let Some(reason) = db.wishes.get(job).filter(|_| !running.told) {
            let reason = reason.clone();
            let sent = running.control.unbounded_send(Control::Cancel { reason });
            running.told = sent.is_ok();
        }
    }
}
