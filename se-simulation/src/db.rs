//! What is in the store, and what a transaction makes of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use se_runtime::cloudevent::{self, Profile};
use se_runtime::deliver::Note;
use se_runtime::{Batch, Event, JobStatus, Record, Timestamp};

use crate::outbox::{Delivery, Outbox, Place};
use crate::planted::Planted;

/// How long the same idempotency key gets the first job; in the product it is a day.
pub(crate) const WINDOW: Duration = Duration::from_secs(20);

/// One state of the database; a new version shares what did not change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Db {
    /// Lives of replicas, with the heartbeats that each has noted.
    pub(crate) replicas: BTreeMap<u64, u64>,
    pub(crate) jobs: BTreeMap<String, Arc<Job>>,
    /// Idempotency keys, with the job that each led to and how long it does.
    pub(crate) keys: BTreeMap<String, (String, Timestamp)>,
    pub(crate) outbox: Outbox,
    /// Jobs that somebody wants to stop.
    pub(crate) wishes: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) log: Vec<Arc<Record>>,
    pub(crate) owner: Option<u64>,
    pub(crate) secrets: Vec<String>,
    pub(crate) status: JobStatus,
}

/// What a replica asks of the store.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    Register,
    Beat,
    /// Another life has ended: its jobs are free.
    Bury(u64),
    /// This life ends well.
    Leave,
    Submit(Submission),
    Claim,
    Append {
        job: String,
        batch: Batch,
    },
    Wish {
        job: String,
        reason: String,
    },
    /// Others may go on with a job.
    Release(String),
    /// What came of an attempt to deliver.
    Note {
        id: i64,
        note: Note,
        at: Timestamp,
    },
    /// A delivery that was given up, or refused, is put back in.
    Resend {
        id: i64,
        at: Timestamp,
    },
    /// Deliveries that nobody sends are sent by this life.
    Adopt,
}

#[derive(Clone, Debug)]
pub(crate) struct Submission {
    pub(crate) key: String,
    pub(crate) job: String,
    pub(crate) first: Box<Record>,
    pub(crate) secrets: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    /// The job that a submission led to.
    Job(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nobody knows whether it was written.
    Unavailable,
    /// Others have declared this replica dead.
    Fenced,
    /// It is not where it would have to be.
    Misplaced,
    Conflict {
        expected: u64,
        found: u64,
    },
}

impl Db {
    /// One transaction of a replica: all of it or nothing.
    pub(crate) fn take(
        &mut self,
        by: u64,
        write: Write,
        bug: Option<Planted>,
    ) -> Result<Answer, Refusal> {
        let is_known = self.replicas.contains_key(&by) || bug == Some(Planted::FencingRemoved);
        if !is_known && !matches!(write, Write::Register) {
            return Err(Refusal::Fenced);
        }
        match write {
            Write::Register => drop(self.replicas.insert(by, 0)),
            Write::Beat => *self.replicas.entry(by).or_default() += 1,
            Write::Bury(other) => {
                if bug != Some(Planted::LeaseRowKept) {
                    self.replicas.remove(&other);
                }
                self.free(other);
                self.outbox.free(other);
            }
            Write::Leave => {
                self.replicas.remove(&by);
                self.outbox.free(by);
                if bug != Some(Planted::JobsNotFreed) {
                    self.free(by);
                }
            }
            Write::Submit(it) => return Ok(Answer::Job(self.submit(by, it, bug))),
            Write::Claim => self.claim(by, bug),
            Write::Append { job, batch } => self.append(by, &job, batch, bug)?,
            Write::Wish { job, reason } => {
                self.wishes.entry(job).or_insert(reason);
            }
            Write::Release(job) => self.release(by, &job),
            Write::Note { id, note, at } => placed(self.outbox.note(id, note, at))?,
            Write::Resend { id, at } => placed(self.outbox.resend(id, by, at))?,
            Write::Adopt => self.outbox.adopt(by),
        }
        Ok(Answer::Done)
    }

    fn release(&mut self, by: u64, job: &str) {
        if let Some(it) = self.jobs.get_mut(job).filter(|it| it.owner == Some(by)) {
            Arc::make_mut(it).owner = None;
        }
    }

    fn free(&mut self, replica: u64) {
        let own = |job: &&mut Arc<Job>| job.owner == Some(replica);
        for job in self.jobs.values_mut().filter(own) {
            Arc::make_mut(job).owner = None;
        }
    }

    fn submit(&mut self, by: u64, it: Submission, bug: Option<Planted>) -> String {
        let now = it.first.at;
        let known = self.keys.get(&it.key);
        let is_known = |(_, expires_at): &&(String, Timestamp)| match bug {
            Some(Planted::KeyIgnored) => false,
            Some(Planted::KeyKept) => true,
            _ => *expires_at > now,
        };
        if let Some((job, _)) = known.filter(is_known) {
            return job.clone();
        }
        let entry = (it.job.clone(), now.after(WINDOW));
        if known.is_none() || bug != Some(Planted::KeyNotRenewed) {
            self.keys.insert(it.key, entry);
        }
        let row = Job {
            log: Vec::new(),
            owner: None,
            secrets: it.secrets,
            status: JobStatus::Accepted,
        };
        self.jobs.insert(it.job.clone(), Arc::new(row));
        self.add(by, &it.job, vec![*it.first], bug);
        it.job
    }

    fn claim(&mut self, by: u64, bug: Option<Planted>) {
        let twice = bug == Some(Planted::ClaimedTwice);
        for job in self.jobs.values_mut() {
            let is_free = job.owner.is_none() || twice && job.owner != Some(by);
            if is_free && !job.status.is_final() {
                Arc::make_mut(job).owner = Some(by);
            }
        }
    }

    fn append(
        &mut self,
        by: u64,
        id: &str,
        batch: Batch,
        bug: Option<Planted>,
    ) -> Result<(), Refusal> {
        let conflict = |found| Refusal::Conflict {
            expected: batch.after,
            found,
        };
        let job = self.jobs.get_mut(id).ok_or_else(|| conflict(0))?;
        let found = job.log.last().map_or(0, |it| it.seq);
        if found != batch.after {
            return Err(conflict(found));
        }
        if job.owner != Some(by) && bug != Some(Planted::FencingRemoved) {
            return Err(Refusal::Fenced);
        }
        let own = Arc::make_mut(job);
        own.status = batch.summary.status;
        if own.status.is_final() {
            if bug != Some(Planted::SecretsKept) {
                own.secrets.clear();
            }
            self.wishes.remove(id);
        }
        self.add(by, id, batch.records, bug);
        Ok(())
    }

    /// Events, with the deliveries that tell them.
    fn add(&mut self, by: u64, id: &str, records: Vec<Record>, bug: Option<Planted>) {
        let Some(job) = self.jobs.get_mut(id).map(Arc::make_mut) else {
            return;
        };
        for record in records {
            let forgets = bug == Some(Planted::DeliveryForgotten) && record.seq.is_multiple_of(16);
            job.log.push(Arc::new(record));
            let (Some(first), Some(record)) = (job.log.first(), job.log.last()) else {
                continue;
            };
            let Event::JobAccepted(accepted) = &first.event else {
                continue;
            };
            let told = cloudevent::of_job(Profile::Seed, "", accepted, record);
            let Some(event) = told.filter(|_| !forgets) else {
                continue;
            };
            let body = serde_json::to_string(&event).unwrap_or_default();
            let delivery = Delivery {
                job: id.to_owned(),
                seq: record.seq,
                id: event.id,
                body,
                attempts: 0,
                due: record.at,
                created_at: record.at,
                place: Place::Pending,
                owner: Some(by),
                by,
                resent: false,
            };
            self.outbox.put(delivery);
        }
    }
}

fn placed(is_placed: bool) -> Result<(), Refusal> {
    if is_placed {
        Ok(())
    } else {
        Err(Refusal::Misplaced)
    }
}
