//! One life of a replica: it keeps its lease, takes jobs, drives them and sends what they tell.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_channel::mpsc;
use futures_util::future::BoxFuture;
use se_runtime::event::Record;
use se_runtime::{
    Batch, Clock as _, Control, Drive, DriveError, Event, EventLog, LogError, Ports, Secret, State,
    Timestamp, Vault, drive,
};

use crate::db::{Refusal, Write};
use crate::device::Devices;
use crate::executor::Owner;
use crate::package::outer;
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
        let (control, _) = mpsc::unbounded();
        let mut known = world.known();
        let Some(life) = known.lives.get_mut(&no) else {
            return;
        };
        if !life.running.contains_key(job) {
            let told = false;
            life.running.insert(job.clone(), Running { control, told });
            drop(known);
            let work = run_job(Arc::clone(world), no, host, job.clone());
            world.executor.spawn(Owner::Replica(no), work);
        }
    }
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

/// Drives a job until it has ended, or this life drains.
async fn run_job(world: Arc<World>, no: u64, host: usize, job: String) {
    let mut wait = 500;
    loop {
        match once(&world, no, host, &job).await {
            Ok(Drive::Ended(status)) => {
                world.tell(&format!("{job} r{no} {}", status.as_str()));
                break;
            }
            Ok(Drive::Drained) => break,
            Err(DriveError::Fold(error)) => {
                world.breaks(&format!("{job} cannot be driven: {error}"));
                return;
            }
            Err(DriveError::Log(error)) => {
                world.tell(&format!("{job} r{no}: {error}"));
                if world.bug == Some(Planted::NotDrivenAgain) {
                    return;
                }
            }
        }
        world.sleep(wait, wait * 2).await;
        wait = (wait * 2).min(4000);
        let db = world.store.read();
        let row = db.jobs.get(&job);
        if is_draining(&world, no) || row.is_none_or(|it| it.owner != Some(no)) {
            break;
        }
    }
    if let Some(life) = world.known().lives.get_mut(&no) {
        life.running.remove(&job);
    }
}

fn opened(world: &World, job: &str) -> Option<(Vault, Vec<Record>)> {
    let db = world.store.read();
    let row = db.jobs.get(job)?;
    let vault = Vault::new(row.secrets.iter().map(Secret::new));
    let records = row.log.iter().map(|it| Record::clone(it).open(&vault));
    let records = records.collect();
    Some((vault, records))
}

async fn once(world: &Arc<World>, no: u64, host: usize, job: &str) -> Result<Drive, DriveError> {
    let gone = || LogError::Unavailable("the job is not there".to_owned());
    let (vault, records) = opened(world, job).ok_or_else(gone)?;
    let state = State::fold(&world.plan, &records)?;
    if state.status().is_final() {
        return Ok(Drive::Ended(state.status()));
    }
    let clock = world.clock(host);
    let (control, told) = mpsc::unbounded();
    {
        let now = clock.now();
        let mut known = world.known();
        let drives = known.drives.entry(job.to_owned()).or_default();
        drives.push(now);
        let Some(life) = known.lives.get_mut(&no) else {
            return Ok(Drive::Drained);
        };
        // Nothing is begun by one who leaves.
        if life.draining.is_some() {
            return Ok(Drive::Drained);
        }
        let told = false;
        life.running
            .insert(job.to_owned(), Running { control, told });
    }
    hear_wishes(world, no);
    world.tell(&format!("{job} r{no} drives from event {}", state.seq()));
    let devices = Devices {
        world: Arc::clone(world),
        job: job.to_owned(),
        by: no,
    };
    let log = StoredLog {
        world: Arc::clone(world),
        job: job.to_owned(),
        by: no,
    };
    let ports = Ports {
        log: &log,
        actions: &devices,
        clock: &clock,
    };
    let driven = drive(&world.plan, state, &vault, ports, told).await;
    if matches!(driven, Ok(Drive::Drained)) {
        check_drained(world, no, job);
    }
    driven
}

/// Whoever drained, and has the job still, leaves nothing under way.
fn check_drained(world: &World, no: u64, job: &str) {
    let db = world.store.read();
    let is_own = db.jobs.get(job).is_some_and(|it| it.owner == Some(no));
    let folded = opened(world, job).map(|it| State::fold(&world.plan, &it.1));
    if let Some(Ok(state)) = folded
        && is_own
        && !state.calling().is_empty()
    {
        world.breaks(&format!("{job} was drained while a step ran"));
    }
}

/// The log of a job, as its driver sees it.
struct StoredLog {
    world: Arc<World>,
    job: String,
    by: u64,
}

impl EventLog for StoredLog {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<(), LogError>> {
        Box::pin(async move {
            self.look(&batch);
            let cancelled: Vec<String> = batch.records.iter().filter_map(cancelled).collect();
            let job = self.job.clone();
            let write = Write::Append { job, batch };
            match self.world.store.write(self.by, write).await {
                Ok(_) => {
                    cancelled.iter().for_each(|it| self.check_stopped(it));
                    Ok(())
                }
                Err(Refusal::Conflict { expected, found }) => Err(LogError::Conflict {
                    job: self.job.clone(),
                    expected,
                    found,
                }),
                Err(why) => Err(LogError::Unavailable(format!("{why:?}"))),
            }
        })
    }
}

fn cancelled(record: &Record) -> Option<String> {
    match &record.event {
        Event::StepCancelled { step } => Some(step.clone()),
        _ => None,
    }
}

impl StoredLog {
    fn look(&self, batch: &Batch) {
        let world = &self.world;
        for record in &batch.records {
            let step = record.event.step().unwrap_or_default();
            let (seq, kind) = (record.seq, record.event.kind());
            world.tell(&format!("{} r{} {seq} {kind} {step}", self.job, self.by));
        }
        let starts = |it: &Record| matches!(it.event, Event::StepStarted { .. });
        let known = world.known();
        let draining = known.lives.get(&self.by).and_then(|it| it.draining);
        let late = draining.is_some_and(|it| world.now().since(it).as_millis() > 100);
        let late = late && !known.odd_time && batch.records.iter().any(starts);
        drop(known);
        if late {
            world.breaks(&format!("{} begins steps while it drains", self.job));
        }
        self.check_changes(batch);
    }

    /// A change that is being made is stopped by a cancel only.
    fn check_changes(&self, batch: &Batch) {
        let db = self.world.store.read();
        let Some(row) = db.jobs.get(&self.job) else {
            return;
        };
        let all = || row.log.iter().map(|it| &**it).chain(&batch.records);
        let wanted = all().any(|it| matches!(it.event, Event::CancelRequested { .. }));
        for step in batch.records.iter().filter_map(cancelled) {
            let model = self.world.steps.iter().find(|it| it.id == outer(&step));
            let is_change = model.is_some_and(|it| it.changes_in(&step));
            let attempt = last_attempt(all(), &step);
            let journal = &self.world.journal;
            let runs = journal.is_under_way(&self.job, &step, attempt, self.by);
            if is_change && runs && !wanted {
                self.world.breaks(&format!("the change {step} was cut off"));
            }
        }
    }

    /// What was stopped has stopped two seconds later.
    fn check_stopped(&self, step: &str) {
        let world = Arc::clone(&self.world);
        let (job, step, by) = (self.job.clone(), step.to_owned(), self.by);
        let db = world.store.read();
        let log = db.jobs.get(&job).map(|it| it.log.clone());
        let attempt = last_attempt(log.iter().flatten().map(|it| &**it), &step);
        self.world.spawn_outside(async move {
            world.sleep(2000, 2001).await;
            let odd = world.known().odd_time;
            if !odd && world.journal.is_under_way(&job, &step, attempt, by) {
                world.breaks(&format!("{step} of {job} goes on after it was stopped"));
            }
        });
    }
}

fn last_attempt<'r>(log: impl Iterator<Item = &'r Record>, key: &str) -> u32 {
    let attempts = log.filter_map(|it| match &it.event {
        Event::StepStarted { step, attempt, .. } if step == key => Some(*attempt),
        _ => None,
    });
    attempts.max().unwrap_or_default()
}
