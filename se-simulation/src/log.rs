//! The log of a job as its driver sees it, with what must be so of all that is written.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use se_runtime::event::Record;
use se_runtime::{Batch, Clock as _, Event, EventLog, LogError, Timestamp};

use crate::db::{Refusal, Write};
use crate::executor::lock;
use crate::package::outer;
use crate::world::World;

/// What is told is heard by then.
pub(crate) const HEARD: Duration = Duration::from_millis(100);
/// Why a job is cancelled that is kept for longer than jobs may take.
pub(crate) const TOO_LONG: &str = "too long";

/// The log of a job, as its driver sees it.
pub(crate) struct StoredLog {
    pub(crate) world: Arc<World>,
    pub(crate) job: String,
    pub(crate) by: u64,
    /// The machine of its driver.
    pub(crate) host: usize,
    /// Whether it is driven only to be cancelled.
    pub(crate) is_cancelled: bool,
    /// When it will have taken longer than jobs may.
    pub(crate) over: Option<Timestamp>,
    /// After which event the last batch came.
    pub(crate) last: Mutex<Option<u64>>,
}

impl EventLog for StoredLog {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<(), LogError>> {
        Box::pin(async move {
            let is_new = lock(&self.last).replace(batch.after) != Some(batch.after);
            self.look(&batch, is_new);
            let cancelled: Vec<String> = batch.records.iter().filter_map(cancelled).collect();
            let job = self.job.clone();
            let write = Write::Append { job, batch };
            let written = self.world.write(self.by, write).await;
            if !is_new {
                self.note_wait();
            }
            match written {
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
    /// What is late is so because the store was out.
    fn note_wait(&self) {
        let now = self.world.clock(self.host).now();
        let drives = &mut self.world.known().drives;
        drives.entry(self.job.clone()).or_default().push(now);
    }

    fn look(&self, batch: &Batch, is_new: bool) {
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
        // What was decided before may be stored late: the store was asked already.
        let late = late && is_new;
        let late = late && !known.odd_time && batch.records.iter().any(starts);
        drop(known);
        if late {
            world.breaks(&format!("{} begins steps while it drains", self.job));
        }
        if self.is_cancelled && batch.records.iter().any(starts) {
            world.breaks(&format!("{} begins steps and is to stop", self.job));
        }
        self.check_limit(batch, is_new && batch.records.iter().any(starts));
        self.check_changes(batch);
    }

    /// Not before its time is over it is cancelled for that, and nothing begins after it.
    fn check_limit(&self, batch: &Batch, starts: bool) {
        let Some(over) = self.over else { return };
        let world = &self.world;
        let now = world.now();
        let odd = world.known().odd_time;
        let is_over = |it: &Record| matches!(&it.event, Event::CancelRequested { reason } if reason == TOO_LONG);
        if !odd && now < over && batch.records.iter().any(is_over) {
            world.breaks(&format!("{} may take until {over}", self.job));
        }
        if !odd && starts && now > over.after(HEARD) {
            world.breaks(&format!("{} begins steps after {over}", self.job));
        }
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

    /// What was stopped has stopped soon after.
    fn check_stopped(&self, step: &str) {
        let world = Arc::clone(&self.world);
        let (job, step, by) = (self.job.clone(), step.to_owned(), self.by);
        let db = world.store.read();
        let log = db.jobs.get(&job).map(|it| it.log.clone());
        let attempt = last_attempt(log.iter().flatten().map(|it| &**it), &step);
        self.world.spawn_outside(async move {
            let heard = u64::try_from(HEARD.as_millis()).unwrap_or_default();
            world.sleep(heard, heard + 1).await;
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
