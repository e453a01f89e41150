//! One job of a life: kept and driven by se-runtime, with what must be so at each of its ports.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_channel::mpsc;
use futures_util::future::BoxFuture;
use se_runtime::event::Record;
use se_runtime::keep::{Ended, Keeper, Policy, keep};
use se_runtime::{
    Batch, Clock as _, Control, Drive, DriveError, Event, EventLog, LogError, Ports, Secret, State,
    Timestamp, Vault, drive,
};

use crate::db::{Refusal, Write};
use crate::device::Devices;
use crate::executor::lock;
use crate::package::outer;
use crate::world::World;

/// The longest wait before a job is driven again.
const LONGEST_WAIT: Duration = Duration::from_secs(4);
/// A drive begins this long after its time at the latest.
const SLACK: Duration = Duration::from_secs(1);

/// Keeps a job until it is over, or this life drains.
pub(crate) async fn run(
    world: Arc<World>,
    (no, host): (u64, usize),
    job: String,
    (told, wish): (mpsc::UnboundedReceiver<Control>, Option<String>),
) {
    let policy = Policy {
        longest_wait: LONGEST_WAIT,
        ..Policy::default()
    };
    let kept = Kept {
        world: Arc::clone(&world),
        no,
        host,
        job,
        failed: Mutex::default(),
        last: Mutex::default(),
    };
    keep(&kept, &world.clock(host), &policy, told, wish).await;
    kept.check_left();
}

/// A job of a life.
struct Kept {
    world: Arc<World>,
    no: u64,
    host: usize,
    job: String,
    /// How many drives have failed, and when the last did.
    failed: Mutex<(u32, Timestamp)>,
    /// How the last drive ended, and whether the job was released since.
    last: Mutex<Option<(Ended, bool)>>,
}

impl Keeper for Kept {
    fn drive<'a>(
        &'a self,
        told: mpsc::UnboundedReceiver<Control>,
        cancel: Option<&'a str>,
    ) -> BoxFuture<'a, Ended> {
        Box::pin(async move {
            self.check_wait(cancel.is_some());
            match self.once(told, cancel.is_some()).await {
                Ok(ended) => Ended::Well(ended),
                Err(DriveError::Log(LogError::Fenced { .. })) => Ended::Lost,
                Err(DriveError::Log(error)) => Ended::Later(error.to_string()),
                Err(DriveError::Fold(error)) => Ended::Never(error.to_string()),
            }
        })
    }

    fn note(&self, ended: &Ended) {
        let (world, job, no) = (&self.world, &self.job, self.no);
        *lock(&self.last) = Some((ended.clone(), false));
        match ended {
            Ended::Later(_) => {
                let mut failed = lock(&self.failed);
                *failed = (failed.0 + 1, world.now());
            }
            Ended::Never(why) => world.breaks(&format!("{job} cannot be driven: {why}")),
            Ended::Well(_) | Ended::Lost => {}
        }
        world.tell(&format!("{job} r{no}: {ended:?}"));
    }

    fn release(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if let Some(last) = lock(&self.last).as_mut() {
                last.1 = true;
            }
            let job = self.job.clone();
            let released = self.world.write(self.no, Write::Release(job));
            released.await.ok();
        })
    }

    /// The check has failed already.
    fn give_up<'a>(&'a self, _: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }
}

impl Kept {
    /// A job is left when it is over, when others may go on with it, or when others do.
    fn check_left(&self) {
        let last = lock(&self.last).clone();
        let may_be_left = match &last {
            Some((Ended::Well(Drive::Drained), released)) => *released,
            Some((Ended::Later(_), _)) | None => false,
            Some(_) => true,
        };
        if !may_be_left {
            let (job, no) = (&self.job, self.no);
            let how = last.map(|it| it.0);
            self.world
                .breaks(&format!("r{no} drives {job} no more after {how:?}"));
        }
    }

    /// The first wait is a second, and each is twice the one before; a cancel does not wait.
    fn check_wait(&self, is_told: bool) {
        let (count, at) = *lock(&self.failed);
        let world = &self.world;
        let now = world.now();
        let odd = world.known().odd_time;
        if count == 0 || odd {
            return;
        }
        let due = at.after(Duration::from_secs(1 << (count - 1).min(20)).min(LONGEST_WAIT));
        let early = now < due && !is_told;
        if early || now > due.after(SLACK) {
            let job = &self.job;
            world.breaks(&format!("{job} is driven at {now} again, not at {due}"));
        }
    }

    async fn once(
        &self,
        told: mpsc::UnboundedReceiver<Control>,
        is_cancelled: bool,
    ) -> Result<Drive, DriveError> {
        let (world, job, no) = (&self.world, &self.job, self.no);
        let gone = || LogError::Unavailable("the job is not there".to_owned());
        let (vault, records) = opened(world, job).ok_or_else(gone)?;
        // What it reads takes a while, and it may be told something meanwhile.
        world.sleep(0, 60).await;
        let state = State::fold(&world.plan, &records)?;
        if state.status().is_final() {
            return Ok(Drive::Ended(state.status()));
        }
        let clock = world.clock(self.host);
        let now = clock.now();
        noted(&mut world.known().drives, job, now);
        world.tell(&format!("{job} r{no} drives from event {}", state.seq()));
        let devices = Devices {
            world: Arc::clone(world),
            job: job.clone(),
            by: no,
        };
        let log = StoredLog {
            world: Arc::clone(world),
            job: job.clone(),
            by: no,
            is_cancelled,
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
}

fn noted(drives: &mut BTreeMap<String, Vec<Timestamp>>, job: &str, now: Timestamp) {
    drives.entry(job.to_owned()).or_default().push(now);
}

fn opened(world: &World, job: &str) -> Option<(Vault, Vec<Record>)> {
    let db = world.store.read();
    let row = db.jobs.get(job)?;
    let vault = Vault::new(row.secrets.iter().map(Secret::new));
    let records = row.log.iter().map(|it| Record::clone(it).open(&vault));
    let records = records.collect();
    Some((vault, records))
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
    /// Whether it is driven only to be cancelled.
    is_cancelled: bool,
}

impl EventLog for StoredLog {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<(), LogError>> {
        Box::pin(async move {
            self.look(&batch);
            let cancelled: Vec<String> = batch.records.iter().filter_map(cancelled).collect();
            let job = self.job.clone();
            let write = Write::Append { job, batch };
            match self.world.write(self.by, write).await {
                Ok(_) => {
                    cancelled.iter().for_each(|it| self.check_stopped(it));
                    Ok(())
                }
                Err(Refusal::Conflict { expected, found }) => Err(LogError::Conflict {
                    job: self.job.clone(),
                    expected,
                    found,
                }),
                Err(Refusal::Fenced) => Err(LogError::Fenced {
                    job: self.job.clone(),
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
        if self.is_cancelled && batch.records.iter().any(starts) {
            world.breaks(&format!("{} begins steps and is to stop", self.job));
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
