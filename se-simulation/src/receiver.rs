//! Those who are told: they take events in, are away for a while, or want no more.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use se_runtime::Timestamp;
use se_runtime::deliver::Posted;

use crate::chance::hash;
use crate::executor::lock;
use crate::outbox::Delivery;
use crate::package::PASSWORD;
use crate::planted::Planted;
use crate::world::World;

/// What arrived at the receivers of a job: each event once, in the order it first came.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
    arrived: Mutex<BTreeMap<String, Vec<(u64, String)>>>,
}

impl Receiver {
    /// What the receiver makes of an event.
    pub(crate) fn take(&self, world: &World, delivery: &Delivery) -> Posted {
        match manner(world, &delivery.job) {
            Some(answer) => answer,
            None => {
                self.keep(world, delivery);
                Posted::Arrived
            }
        }
    }

    fn keep(&self, world: &World, delivery: &Delivery) {
        let (job, seq) = (&delivery.job, delivery.seq);
        let id = if world.bug == Some(Planted::NewIdAtRepeat) {
            format!("{}-{}", delivery.id, delivery.attempts)
        } else {
            delivery.id.clone()
        };
        if delivery.body.contains(PASSWORD) {
            world.breaks(&format!("event {seq} of {job} tells a secret"));
        }
        let durable = world.store.durable();
        let row = durable.jobs.get(job);
        if row.is_none_or(|it| it.log.len() < place(seq)) {
            world.breaks(&format!("event {seq} of {job} is told and not durable"));
        }
        let mut arrived = lock(&self.arrived);
        let all = arrived.entry(job.clone()).or_default();
        if all.iter().any(|it| it.1 == id) {
            return;
        }
        let is_told = all.iter().any(|it| it.0 == seq);
        let last = all.last().map_or(0, |it| it.0);
        if is_told || seq <= last && !may_be_late(world, delivery) {
            world.breaks(&format!("event {seq} of {job} came as `{id}` after {last}"));
        }
        let mut before = durable.outbox.of(job);
        if let Some(it) = before.find(|it| it.seq < seq && it.is_open() && !it.resent) {
            let first = it.seq;
            world.breaks(&format!("event {seq} of {job} came before {first}"));
        }
        all.push((seq, id));
    }

    /// The events that arrived, in their order.
    pub(crate) fn of(&self, job: &str) -> Vec<u64> {
        let arrived = lock(&self.arrived);
        let all = arrived.get(job).into_iter().flatten();
        let mut all: Vec<u64> = all.map(|it| it.0).collect();
        all.sort_unstable();
        all
    }
}

/// What was given up does not hold up what is behind it, and comes when it is sent again; or when one goes
/// on who stood still while others gave it up.
fn may_be_late(world: &World, delivery: &Delivery) -> bool {
    let odd = world.known().odd_time;
    let durable = world.store.durable();
    let mut rows = durable.outbox.of(&delivery.job);
    let row = rows.find(|it| it.seq == delivery.seq);
    row.is_some_and(|it| it.resent || odd && !it.is_open())
}

/// What the receiver of a job says at the moment, if it takes nothing in.
fn manner(world: &World, job: &str) -> Option<Posted> {
    let drawn = hash(world.seed, ["receiver", job]);
    let from = Timestamp::default()
        .after(crate::START)
        .after(Duration::from_millis(drawn / 8 % 40_000));
    let length = Duration::from_millis(5_000 + drawn / 1024 % 60_000);
    let now = world.now();
    if now < from || now > from.after(length) {
        return None;
    }
    match drawn % 8 {
        0 | 1 => Some(Posted::Failed("503".to_owned())),
        2 => Some(Posted::Gone("410".to_owned())),
        _ => None,
    }
}

fn place(seq: u64) -> usize {
    usize::try_from(seq).unwrap_or(usize::MAX)
}
