//! One job of a life: kept and driven by se-runtime, with what must be so at each of its ports.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_channel::mpsc;
use futures_util::future::BoxFuture;
use se_runtime::event::{Event, Record};
use se_runtime::keep::{Ended, Keeper, Limit, Policy, keep};
use se_runtime::{
    Clock as _, Control, Drive, DriveError, LogError, Ports, Secret, State, StepIndex, Timestamp,
    Unanswered, Vault, drive,
};

use crate::db::Write;
use crate::device::Devices;
use crate::executor::lock;
use crate::log::{HEARD, StoredLog, TOO_LONG};
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
        limit: world.limit.map(|length| Limit {
            length,
            since: None,
            reason: TOO_LONG.to_owned(),
        }),
        ..Policy::default()
    };
    let kept = Kept {
        world: Arc::clone(&world),
        no,
        host,
        job,
        since: world.now(),
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
    since: Timestamp,
    /// How many drives have failed, and when the last did.
    failed: Mutex<(u32, Timestamp)>,
    /// How the last drive ended; nothing while there is another.
    last: Mutex<Option<Last>>,
}

#[derive(Clone)]
struct Last {
    ended: Ended,
    at: Timestamp,
    /// Whether the job had been told to stop by then.
    told: bool,
    /// Whether it was released since.
    released: bool,
}

impl Keeper for Kept {
    fn drive<'a>(
        &'a self,
        told: mpsc::UnboundedReceiver<Control>,
        cancel: Option<&'a str>,
    ) -> BoxFuture<'a, Ended> {
        Box::pin(async move {
            self.check_wait(cancel.is_some());
            self.begin();
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
        let last = Last {
            ended: ended.clone(),
            at: world.now(),
            told: self.is_told(),
            released: false,
        };
        let before = lock(&self.last).replace(last);
        match ended {
            Ended::Later(_) | Ended::NotHere(_) => {
                let mut failed = lock(&self.failed);
                *failed = (failed.0 + 1, world.now());
            }
            Ended::Never(why) => world.breaks(&format!("{job} cannot be driven: {why}")),
            Ended::Well(Drive::Waits(_)) => *lock(&self.failed) = (0, Timestamp::default()),
            Ended::Well(Drive::Drained) => self.check_let_go(before),
            Ended::Well(Drive::Ended(_)) | Ended::Lost => {}
        }
        world.tell(&format!("{job} r{no}: {ended:?}"));
    }

    fn release(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.hand_over().await.ok();
        })
    }

    fn hand_over(&self) -> BoxFuture<'_, Result<(), Unanswered>> {
        Box::pin(async {
            if let Some(last) = lock(&self.last).as_mut() {
                last.released = true;
            }
            let job = self.job.clone();
            let released = self.world.write(self.no, Write::Release(job));
            released.await.map(drop).map_err(|_| Unanswered)
        })
    }

    /// The check has failed already.
    fn give_up<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), Unanswered>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

impl Kept {
    /// A job is left when it is over, when others may go on with it, or when others do.
    fn check_left(&self) {
        let last = lock(&self.last).clone();
        let may_be_left = match &last {
            Some(it) if matches!(it.ended, Ended::Well(Drive::Drained) | Ended::NotHere(_)) => {
                it.released
            }
            Some(it) => !matches!(it.ended, Ended::Later(_)),
            None => false,
        };
        if !may_be_left {
            let (job, no) = (&self.job, self.no);
            let how = last.map(|it| it.ended);
            self.world
                .breaks(&format!("r{no} drives {job} no more after {how:?}"));
        }
    }

    /// When it is to be driven again: at its time if it was put down; else the first wait is a second, and each is
    /// twice the one before.
    fn due(&self) -> Option<Timestamp> {
        if let Some(until) = self.put_down() {
            let world = &self.world;
            let ahead = world.clock(self.host).now().micros() - world.now().micros();
            return Some(Timestamp::from_micros(until.micros() - ahead));
        }
        let (count, at) = *lock(&self.failed);
        let wait = Duration::from_secs(1 << count.checked_sub(1)?.min(20));
        Some(at.after(wait.min(LONGEST_WAIT)))
    }

    /// Until when it was put down, if it was.
    fn put_down(&self) -> Option<Timestamp> {
        match lock(&self.last).as_ref()?.ended {
            Ended::Well(Drive::Waits(until)) => Some(until),
            _ => None,
        }
    }

    /// Another drive begins: what is late is so because of it, unless the job was put down.
    fn begin(&self) {
        let now = self.world.clock(self.host).now();
        if self.put_down().is_none() {
            let drives = &mut self.world.known().drives;
            drives.entry(self.job.clone()).or_default().push(now);
        }
        *lock(&self.last) = None;
    }

    /// Whether it was put down for a while, and had been told to stop before that.
    fn rested_told(&self) -> bool {
        let last = lock(&self.last).clone();
        let late = |it: &Last| self.world.now().since(it.at) > HEARD;
        self.put_down().is_some() && last.is_some_and(|it| it.told && late(&it))
    }

    /// A cancel does not wait.
    fn check_wait(&self, is_told: bool) {
        let world = &self.world;
        let now = world.now();
        let odd = world.known().odd_time;
        let Some(due) = self.due().filter(|_| !odd) else {
            return;
        };
        if self.rested_told() {
            let job = &self.job;
            world.breaks(&format!(
                "{job} was to stop when it was put down, and was left to wait"
            ));
        }
        let early = now < due && !is_told;
        if early || now > due.after(SLACK) {
            let job = &self.job;
            world.breaks(&format!("{job} is driven at {now} again, not at {due}"));
        }
    }

    /// What was put down is let go at once by whoever drains.
    fn check_let_go(&self, before: Option<Last>) {
        let (world, job) = (&self.world, &self.job);
        let Some(Last {
            ended: Ended::Well(Drive::Waits(_)),
            at,
            ..
        }) = before
        else {
            return;
        };
        let known = world.known();
        let draining = known.lives.get(&self.no).and_then(|it| it.draining);
        let late = draining.is_some_and(|it| world.now().since(it.max(at)) > HEARD);
        let late = late && !known.odd_time;
        drop(known);
        if late {
            world.breaks(&format!("{job} was put down and is held while all drains"));
        }
    }

    fn is_told(&self) -> bool {
        let known = self.world.known();
        let life = known.lives.get(&self.no);
        life.is_some_and(|it| it.told.contains(&self.job))
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
        let from = state.seq();
        world.tell(&format!("{job} r{no} drives from event {from}"));
        let devices = Devices {
            world: Arc::clone(world),
            job: job.clone(),
            by: no,
        };
        let log = StoredLog {
            world: Arc::clone(world),
            job: job.clone(),
            by: no,
            host: self.host,
            is_cancelled,
            over: world.limit.map(|it| self.since.after(it)),
            last: Mutex::default(),
        };
        let ports = Ports {
            log: &log,
            actions: &devices,
            clock: &clock,
            patience: world.patience,
        };
        let driven = drive(&world.plan, state, &vault, ports, told).await;
        if matches!(driven, Ok(Drive::Waits(_))) {
            // Its sessions log out, and it may be told something meanwhile.
            world.sleep(0, 1000).await;
        }
        if matches!(driven, Ok(Drive::Drained | Drive::Waits(_))) {
            check_left(world, no, job);
        }
        let over = self.world.limit.map(|it| self.since.after(it));
        let is_over = over.is_some_and(|it| world.now() >= it) || world.known().odd_time;
        let stops = is_cancelled || is_over || self.is_told();
        if matches!(&driven, Err(DriveError::Log(_))) && !stops {
            check_cut_off(world, no, job, from);
        }
        driven
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

/// Whoever has the job still when the store takes nothing keeps at what may not be made twice: what it has begun
/// itself, after event `from`.
fn check_cut_off(world: &World, no: u64, job: &str, from: u64) {
    let db = world.store.read();
    let is_own = db.jobs.get(job).is_some_and(|it| it.owner == Some(no));
    let Some((_, records)) = opened(world, job).filter(|_| is_own) else {
        return;
    };
    let Ok(state) = State::fold(&world.plan, &records) else {
        return;
    };
    let begun = |key: &str| {
        let mut own = records.iter().filter(|it| it.seq > from);
        own.any(|it| matches!(&it.event, Event::StepStarted { step, .. } if step == key))
    };
    let once_only = |it: &&StepIndex| !state.node(**it).step().uses.repeatable();
    let calling = state.calling().iter().filter(once_only);
    if let Some(key) = calling.map(|it| state.key(*it)).find(|it| begun(it)) {
        world.breaks(&format!(
            "{key} of {job} was cut off because the store was out"
        ));
    }
}

/// Whoever drained or put down, and has the job still, leaves nothing under way.
fn check_left(world: &World, no: u64, job: &str) {
    let db = world.store.read();
    let is_own = db.jobs.get(job).is_some_and(|it| it.owner == Some(no));
    let folded = opened(world, job).map(|it| State::fold(&world.plan, &it.1));
    if let Some(Ok(state)) = folded
        && is_own
        && !state.calling().is_empty()
    {
        world.breaks(&format!("{job} was left while a step ran"));
    }
}
