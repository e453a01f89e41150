//! Sends what is in the outbox: in order for each job, at least once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use se_runtime::Clock as _;

use crate::db::{Delivery, Write};
use crate::executor::{Owner, lock};
use crate::planted::Planted;
use crate::world::World;

pub(crate) async fn run(world: Arc<World>, no: u64, host: usize) {
    let clock = world.clock(host);
    let under_way: Arc<Mutex<BTreeSet<u64>>> = Arc::default();
    loop {
        for (id, delivery) in heads(&world) {
            if delivery.due <= clock.now() && lock(&under_way).insert(id) {
                let sending = send(Arc::clone(&world), (no, host), id, delivery);
                let sent = Arc::clone(&under_way);
                let done = sending.map(move |()| sent.lock().map(|mut it| it.remove(&id)).is_ok());
                world.executor.spawn(Owner::Replica(no), done.map(|_| ()));
            }
        }
        world.sleep(20, 250).await;
    }
}

/// The oldest of each job.
fn heads(world: &World) -> Vec<(u64, Arc<Delivery>)> {
    let db = world.store.read();
    let mut heads: BTreeMap<&str, (u64, Arc<Delivery>)> = BTreeMap::new();
    for (id, it) in &db.outbox {
        let head = || (*id, Arc::clone(it));
        if world.bug == Some(Planted::DeliveriesReordered) {
            heads.insert(&it.job, head());
        } else {
            heads.entry(&it.job).or_insert_with(head);
        }
    }
    heads.into_values().collect()
}

async fn send(world: Arc<World>, (no, host): (u64, usize), id: u64, delivery: Arc<Delivery>) {
    world.sleep(2, 80).await;
    let arrives = !world.misfortune(10);
    if arrives {
        let event = if world.bug == Some(Planted::NewIdAtRepeat) {
            format!("{}-{}", delivery.id, delivery.attempts)
        } else {
            delivery.id.clone()
        };
        world.receiver.take(&world, &delivery, event);
        world.sleep(2, 80).await;
    }
    let answered = arrives && !world.misfortune(10);
    if answered || world.bug == Some(Planted::SentUnanswered) {
        world.store.write(no, Write::Sent(id)).await.ok();
    } else {
        let wait = Duration::from_millis(500 << delivery.attempts.min(6));
        let due = world.clock(host).now().after(wait);
        world.store.write(no, Write::Unsent(id, due)).await.ok();
    }
}
