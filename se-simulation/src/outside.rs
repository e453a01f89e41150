//! Those around the engine: callers, operators, and whoever pulls plugs.

use std::sync::Arc;
use std::time::Duration;

use se_runtime::event::{Accepted, FORMAT, FrozenScopes, Record};
use se_runtime::{Clock as _, Event, Secret, Timestamp, Vault};
use serde_json::json;

use crate::db::{Answer, Submission, WINDOW, Write};
use crate::executor::Owner;
use crate::follower;
use crate::package::PASSWORD;
use crate::planted::Planted;
use crate::replica;
use crate::world::World;

/// The first event of a job.
pub(crate) fn accepted(job: &str) -> Accepted {
    Accepted {
        format: FORMAT,
        job_id: job.to_owned(),
        definition_id: "t".into(),
        version: "1".into(),
        content_hash: "0".into(),
        session_id: None,
        phase: Some("main".into()),
        scenario: None,
        sequential: false,
        callback_url: Some("http://receiver".into()),
        metadata: Some(json!({"note": PASSWORD})),
        scopes: FrozenScopes {
            session: json!({}),
            content: json!({}),
            runtime_env: json!({"worker_ip": "127.0.0.1", "worker_password": PASSWORD}),
            ..FrozenScopes::default()
        },
        engine_version: "0".into(),
        origin: None,
    }
}

/// Submits under a key until it is taken in.
pub(crate) async fn submit(world: Arc<World>, key: String, caller: usize, when: (u64, u64)) {
    world.sleep(when.0, when.1).await;
    let mut tries = 0;
    loop {
        tries += 1;
        let Some(no) = world.any_life() else {
            world.sleep(100, 1000).await;
            continue;
        };
        let job = format!("job-{key}-{caller}-{tries}");
        let host = world.known().lives.get(&no).map_or(0, |it| it.engine.host);
        let secrets = vec![PASSWORD.to_owned()];
        let vault = Vault::new(secrets.iter().map(Secret::new));
        let at = world.clock(host).now();
        let first = Record {
            seq: 1,
            at,
            event: Event::JobAccepted(Box::new(accepted(&job))),
        };
        let first = Box::new(first.seal(&vault));
        let asked = key.clone();
        let write = Write::Submit(Submission {
            key: asked,
            job,
            first,
            secrets,
        });
        if let Ok(Answer::Job(job)) = world.write(no, write).await {
            promised(&world, &key, &job, at);
            if world.misfortune(12) {
                // Somebody stops a replica just when there is something to do.
                drain_any(&world);
            }
            return;
        }
        world.sleep(100, 2000).await;
    }
}

/// What was promised at `at` is on disk, and for one key it is one job in its window.
fn promised(world: &Arc<World>, key: &str, job: &str, at: Timestamp) {
    world.tell(&format!("{job} is accepted"));
    let durable = world.store.durable();
    let began = |job: &str| {
        let row = durable.jobs.get(job)?;
        row.log.first().map(|it| it.at)
    };
    let mut known = world.known();
    known.waiting -= 1;
    let jobs = known.accepted.entry(key.to_owned()).or_default();
    let is_new = !jobs.iter().any(|it| it == job);
    if is_new {
        jobs.push(job.to_owned());
    }
    let jobs = jobs.clone();
    known.following += usize::from(is_new);
    drop(known);
    if is_new {
        world.spawn_outside(follower::run(Arc::clone(world), job.to_owned()));
    }
    let Some(first) = began(job) else {
        return world.breaks(&format!("{job} is accepted and not durable"));
    };
    if first.after(WINDOW) <= at {
        world.breaks(&format!("{key} led to {job} of {first} still at {at}"));
    }
    for other in jobs.iter().filter(|it| *it != job) {
        let apart = began(other).map(|it| it.since(first).max(first.since(it)));
        if apart.is_none_or(|it| it < WINDOW) {
            world.breaks(&format!("one key led to {other} and {job}"));
        }
    }
}

/// Wants a job to stop, and asks any replica until one has heard.
pub(crate) async fn cancel(world: Arc<World>, key: String) {
    world.sleep(5_000, 40_000).await;
    let job = world
        .known()
        .accepted
        .get(&key)
        .and_then(|it| it.first().cloned());
    let Some(job) = job else { return };
    world.known().asked.insert(job.clone());
    loop {
        if let Some(no) = world.any_life() {
            let reason = format!("enough of {job}");
            let asked = job.clone();
            let write = Write::Wish {
                job: asked,
                reason: reason.clone(),
            };
            let forgets = world.bug == Some(Planted::WishForgotten);
            if forgets || world.write(no, write).await.is_ok() {
                tell(&world, no, &job, reason);
                world.tell(&format!("{job} is to stop"));
                let now = world.now();
                world.known().cancelled.insert(job, now);
                return;
            }
        }
        world.sleep(100, 1000).await;
    }
}

/// The one who was asked tells the job at once, if it runs there.
fn tell(world: &World, no: u64, job: &str, reason: String) {
    if let Some(life) = world.known().lives.get_mut(&no) {
        life.told.insert(job.to_owned());
        life.engine.places.cancel(job, reason);
    }
}

/// Has what was given up, or refused, sent again, now and then.
pub(crate) async fn resend(world: Arc<World>) {
    loop {
        world.sleep(1000, 12_000).await;
        let db = world.store.read();
        let given_up: Vec<i64> = db
            .outbox
            .all()
            .filter(|(_, it)| !it.is_open())
            .map(|(id, _)| id)
            .collect();
        let Some(id) = given_up.get(world.chance.place(given_up.len())) else {
            continue;
        };
        let Some(no) = world.any_life() else { continue };
        let host = world.known().lives.get(&no).map_or(0, |it| it.engine.host);
        world.tell(&format!("delivery {id} is sent again by r{no}"));
        let at = world.clock(host).now();
        let write = Write::Resend { id: *id, at };
        world.write(no, write).await.ok();
    }
}

/// Does its worst, a few times.
pub(crate) async fn fate(world: Arc<World>) {
    for _ in 0..world.chance.below(7) {
        world.sleep(50, 14_000).await;
        let now = world.now();
        world.trouble(now);
        let Some(no) = world.any_life() else { continue };
        match world.chance.below(11) {
            0..=2 => crash(&world, no),
            3 => cut_power(&world),
            4 | 5 => drain(&world, no),
            6 => freeze(&world, no),
            7 => jump(&world),
            8 | 9 if !world.alone => cut(&world, no),
            _ => {
                // Longer than a lease, now and then.
                let most = if world.chance.one_in(4) {
                    30_000
                } else {
                    4_000
                };
                let until = now.after(world.chance.millis(200, most));
                world.tell("the store is out");
                world.store.fail_until(until);
                world.trouble(until);
            }
        }
        let now = world.now();
        world.trouble(now);
    }
}

/// The machine of the store loses power, a moment from now.
pub(crate) fn cut_power(world: &Arc<World>) {
    let own = Arc::clone(world);
    world.spawn_outside(async move {
        own.sleep(0, 6).await;
        let now = own.now();
        own.trouble(now);
        if own.alone {
            if let Some(no) = own.any_life() {
                crash(&own, no);
            }
            return;
        }
        own.known().power_failed = true;
        own.tell("the database loses power");
        own.executor.kill(Owner::Database);
        own.store.crash(&own);
        own.sleep(10, 1200).await;
        crate::store::start(&own);
        let now = own.now();
        own.trouble(now);
    });
}

fn crash(world: &Arc<World>, no: u64) {
    world.tell(&format!("r{no} is killed"));
    if world.alone {
        world.known().power_failed = true;
        world.executor.kill(Owner::Database);
        world.store.crash(world);
        crate::store::start(world);
    }
    replica::kill(world, no);
}

fn drain_any(world: &World) {
    if let Some(no) = world.any_life() {
        drain(world, no);
    }
}

fn drain(world: &World, no: u64) {
    world.tell(&format!("r{no} is to drain"));
    let now = world.now();
    world.trouble(now);
    let mut known = world.known();
    if let Some(life) = known.lives.get_mut(&no) {
        life.draining = Some(now);
        life.serves = false;
        life.engine.places.drain();
    }
}

/// Nothing goes between a replica and the store for a while, or nothing but what it reads.
fn cut(world: &World, no: u64) {
    let until = world.now().after(world.chance.millis(500, 40_000));
    world.tell(&format!("r{no} is cut off until {until}"));
    let reads = world.chance.one_in(2);
    if let Some(life) = world.known().lives.get_mut(&no) {
        life.cut_until = until;
        life.reads = reads;
    }
    world.trouble(until);
}

fn freeze(world: &World, no: u64) {
    let until = world.now().after(world.chance.millis(1000, 40_000));
    world.tell(&format!("r{no} stands still"));
    let process = {
        let mut known = world.known();
        known.odd_time = true;
        known.lives.get(&no).map_or(no, |it| it.engine.process)
    };
    world.executor.freeze(Owner::Replica(process), until);
    world.trouble(until);
}

fn jump(world: &World) {
    let by = i64::try_from(world.chance.below(40_000_000)).unwrap_or_default() - 20_000_000;
    let mut known = world.known();
    let host = world.chance.place(known.ahead.len());
    known.odd_time = true;
    if let Some(ahead) = known.ahead.get_mut(host) {
        *ahead += by;
    }
    drop(known);
    let by = Duration::from_micros(by.unsigned_abs());
    world.tell(&format!("the clock of machine {host} jumps by {by:?}"));
}
