//! What is in the store, and what a transaction makes of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use se_runtime::cloudevent::{self, Profile};
use se_runtime::deliver::Note;
use se_runtime::dispatch::Claimed;
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

impl Job {
    /// Whether anybody may claim it.
    pub(crate) fn is_free(&self) -> bool {
        self.owner.is_none() && !self.status.is_final()
    }
}

/// What a replica asks of the store.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    /// Who is alone takes over what anybody else had.
    Register {
        alone: bool,
    },
    Beat,
    /// Another life has ended, if it has beaten so often: its jobs are free.
    Bury {
        other: u64,
        beats: u64,
    },
    /// This life ends well.
    Leave,
    Submit(Submission),
    Claim {
        most: usize,
    },
    ClaimCancelled {
        most: usize,
    },
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
    Claimed(Vec<Claimed>),
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
        if !is_known && !matches!(write, Write::Register { .. }) {
            return Err(Refusal::Fenced);
        }
        match write {
            Write::Register { alone } => self.register(by, alone),
            Write::Beat => *self.replicas.entry(by).or_default() += 1,
            Write::Bury { other, beats } => {
                if self.replicas.get(&other) == Some(&beats) {
                    self.bury(other, bug);
                }
                self.outbox.adopt(by);
            }
            Write::Leave => {
                self.replicas.remove(&by);
                self.outbox.free(by);
                if bug != Some(Planted::JobsNotFreed) {
                    self.free(by);
                }
            }
            Write::Submit(it) => return Ok(Answer::Job(self.submit(by, it, bug))),
            Write::Claim { most } => return Ok(Answer::Claimed(self.claim(by, most, bug))),
            Write::ClaimCancelled { most } => {
                return Ok(Answer::Claimed(self.claim_cancelled(by, most)));
            }
            Write::Append { job, batch } => self.append(by, &job, batch, bug)?,
            Write::Wish { job, reason } => {
                if self.jobs.get(&job).is_some_and(|it| !it.status.is_final()) {
                    self.wishes.entry(job).or_insert(reason);
                }
            }
            Write::Release(job) => self.release(by, &job),
            Write::Note { id, note, at } => placed(self.outbox.note(id, note, (at, by)))?,
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

    fn register(&mut self, by: u64, alone: bool) {
        let others: Vec<u64> = self.replicas.keys().copied().filter(|_| alone).collect();
        others.into_iter().for_each(|it| self.bury(it, None));
        self.replicas.insert(by, 0);
    }

    fn bury(&mut self, other: u64, bug: Option<Planted>) {
        if bug != Some(Planted::LeaseRowKept) {
            self.replicas.remove(&other);
        }
        self.free(other);
        self.outbox.free(other);
    }

    /// Unfinished jobs of a replica.
    pub(crate) fn own(&self, by: u64, wanted: fn(&Self, &str) -> bool) -> Vec<Claimed> {
        let own = |(id, job): &(&String, &Arc<Job>)| {
            job.owner == Some(by) && !job.status.is_final() && wanted(self, id)
        };
        let own = self.jobs.iter().filter(own);
        own.map(|(id, _)| self.claimed(id)).collect()
    }

    fn claimed(&self, id: &str) -> Claimed {
        Claimed {
            id: id.to_owned(),
            cancel: self.wishes.get(id).cloned(),
        }
    }

    /// How many jobs nobody drives that are to be cancelled, or not.
    pub(crate) fn waiting(&self, cancelled: bool) -> usize {
        let waits = |(id, job): &(&String, &Arc<Job>)| {
            job.is_free() && self.wishes.contains_key(*id) == cancelled
        };
        self.jobs.iter().filter(waits).count()
    }

    /// Jobs that [`Self::claim`] would take.
    fn to_claim(&self, by: u64, bug: Option<Planted>) -> impl Iterator<Item = &String> {
        let twice = bug == Some(Planted::ClaimedTwice);
        let fits = move |id: &str, job: &Job| {
            let is_others = twice && job.owner != Some(by) && !job.status.is_final();
            (job.is_free() || is_others) && !self.wishes.contains_key(id)
        };
        let all = self.jobs.iter();
        all.filter(move |(id, job)| fits(id, job)).map(|it| it.0)
    }

    pub(crate) fn claimable(&self, by: u64, bug: Option<Planted>) -> usize {
        self.to_claim(by, bug).count()
    }

    fn claim(&mut self, by: u64, most: usize, bug: Option<Planted>) -> Vec<Claimed> {
        let ids: Vec<String> = self.to_claim(by, bug).take(most).cloned().collect();
        self.take_jobs(by, ids)
    }

    fn claim_cancelled(&mut self, by: u64, most: usize) -> Vec<Claimed> {
        let wished = self.wishes.keys();
        let waits = |id: &&String| self.jobs.get(*id).is_some_and(|it| it.is_free());
        let ids = wished.filter(waits).take(most).cloned().collect();
        self.take_jobs(by, ids)
    }

    fn take_jobs(&mut self, by: u64, ids: Vec<String>) -> Vec<Claimed> {
        for id in &ids {
            if let Some(job) = self.jobs.get_mut(id) {
                Arc::make_mut(job).owner = Some(by);
            }
        }
        ids.iter().map(|it| self.claimed(it)).collect()
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
        let ends = batch.records.iter().any(|it| it.event.is_last());
        let owner = (!ends).then_some(by);
        let was_stored = || {
            let log = job.log.iter().map(|it| &**it);
            log.skip(usize::try_from(batch.after).unwrap_or_default())
                .eq(&batch.records)
        };
        if job.owner == owner && was_stored() && bug != Some(Planted::AgainRefused) {
            return Ok(());
        }
        if job.owner != Some(by) && bug != Some(Planted::FencingRemoved) {
            return Err(Refusal::Fenced);
        }
        if found != batch.after {
            return Err(conflict(found));
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
