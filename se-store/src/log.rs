use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use se_runtime::event::Map;
use se_runtime::secret::mask_value;
use se_runtime::{Accepted, Batch, Event, EventLog, LogError, Record, Unreadable};

use crate::changes::Stored;
use crate::error::{Doing, Error, Result};
use crate::facts::learn;
use crate::jobs::no_job;
use crate::outbox::{NewDelivery, enqueue, job_stream};
use crate::sql::{self, Pool};
use crate::store::Store;
use crate::writer::Tx;

/// The log of one job.
#[derive(Clone)]
pub struct JobLog {
    store: Store,
    job: Arc<Subject>,
}

/// What every append needs to know of the job; it never changes.
struct Subject {
    row: i64,
    worker: String,
    accepted: Accepted,
    /// Who this engine was when it took the log: whoever it is later, it may not append here.
    replica: i64,
}

impl fmt::Debug for JobLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobLog({})", self.job.accepted.job_id)
    }
}

impl Store {
    /// The log of a job. Only who has claimed the job can append to it.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such job, [`Error::Corrupt`] if its first event cannot be
    /// read, [`Error::Unavailable`].
    pub async fn log(&self, id: &str) -> Result<JobLog> {
        let replica = self.replica();
        let row: Option<(i64, String)> = sql::query("SELECT row, worker FROM jobs WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.readers)
            .await
            .doing("read the job")?;
        let (row, worker) = row.ok_or_else(|| no_job(id))?;
        let accepted = self.accepted(id).await?;
        Ok(JobLog {
            store: self.clone(),
            job: Arc::new(Subject {
                row,
                worker,
                accepted,
                replica,
            }),
        })
    }

    /// Events of a job after number `after`, sealed, in order.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such job, [`Error::Corrupt`], [`Error::Unavailable`].
    pub async fn events(&self, id: &str, after: u64, limit: u32) -> Result<Vec<Record>> {
        let rows: Vec<(i64, String)> = sql::query(
            "SELECT seq, record FROM events WHERE job = (SELECT row FROM jobs WHERE id = $1) \
             AND seq > $2 ORDER BY seq LIMIT $3",
        )
        .bind(id)
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await
        .doing("read the events of the job")?;
        if rows.is_empty() {
            self.job(id).await?;
        }
        let read = |(seq, text): (i64, String)| parse(id, seq, &text);
        rows.into_iter().map(read).collect()
    }

    /// Events of all jobs after `position`, sealed, in the order they were stored.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Unavailable`].
    pub async fn events_since(&self, position: i64, limit: u32) -> Result<Vec<Stored>> {
        let read = read_since(&self.readers, position, i64::from(limit)).await;
        let read = read.doing("read the events of all jobs")?;
        read.into_iter().collect()
    }
}

/// Events of all jobs after `position`, each as far as it can be read.
pub(crate) async fn read_since(
    pool: &Pool,
    position: i64,
    limit: i64,
) -> sql::Result<Vec<Result<Stored>>> {
    let rows: Vec<(i64, String, i64, String)> = sql::query(
        "SELECT position, id, seq, record FROM events JOIN jobs ON jobs.row = job \
         WHERE position > $1 ORDER BY position LIMIT $2",
    )
    .bind(position)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    let read = |(position, job_id, seq, text): (i64, String, i64, String)| {
        let record = parse(&job_id, seq, &text)?;
        Ok(Stored {
            position,
            job_id,
            record,
        })
    };
    Ok(rows.into_iter().map(read).collect())
}

impl JobLog {
    /// What the job was accepted as, sealed.
    #[must_use]
    pub fn accepted(&self) -> &Accepted {
        &self.job.accepted
    }

    async fn append(&self, batch: Batch) -> Result<(), LogError> {
        let id = &self.job.accepted.job_id;
        let expected = batch.after;
        let gap = (expected + 1..)
            .zip(&batch.records)
            .find(|(seq, it)| it.seq != *seq);
        if let Some((seq, record)) = gap {
            return Err(LogError::Corrupt {
                job: id.clone(),
                seq: record.seq,
                reason: format!("event {seq} was to be appended"),
            });
        }
        let append = Append {
            deliveries: self.store.options.announce.job(&self.job.accepted, &batch),
            job: Arc::clone(&self.job),
            batch,
            now: self.store.now(),
        };
        let stored = self
            .store
            .write("append to the log", move |tx| Box::pin(append.store(tx)))
            .await;
        match stored {
            Ok(Appended::Stored) => Ok(()),
            Ok(Appended::Elsewhere(found)) => Err(LogError::Conflict {
                job: id.clone(),
                expected,
                found,
            }),
            Ok(Appended::NotOurs) => Err(LogError::Fenced { job: id.clone() }),
            Err(error) => Err(error.for_log(id, expected + 1)),
        }
    }
}

impl EventLog for JobLog {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<(), LogError>> {
        Box::pin(self.append(batch))
    }
}

struct Append {
    job: Arc<Subject>,
    batch: Batch,
    deliveries: Vec<NewDelivery>,
    now: se_runtime::Timestamp,
}

impl Append {
    /// Writes everything, or nothing and says why.
    async fn store(self, tx: &mut Tx) -> Result<Appended> {
        let job = &self.job;
        let id = &job.accepted.job_id;
        if !self.update_job(tx).await? {
            return refused(tx, job).await;
        }
        let ended = self.ended();
        let learned = learned(&self.batch.records);
        insert_events(tx, job.row, id, self.batch.records).await?;
        if let Some(session) = job.accepted.session_id.as_deref()
            && !learned.is_empty()
        {
            learn(tx, session, &job.worker, learned, self.now).await?;
        }
        if ended {
            sql::query("DELETE FROM job_secrets WHERE job = $1")
                .bind(job.row)
                .execute(&mut tx.conn)
                .await
                .doing("erase the secrets of the job")?;
        }
        enqueue(tx, &job_stream(id), self.deliveries, self.now).await?;
        tx.written.jobs |= ended;
        Ok(Appended::Stored)
    }

    fn ended(&self) -> bool {
        self.batch.records.iter().any(|it| it.event.is_last())
    }

    async fn update_job(&self, tx: &mut Tx) -> Result<bool> {
        let summary = &self.batch.summary;
        let last = self.batch.after + self.batch.records.len() as u64;
        let updated = sql::query(
            "UPDATE jobs SET status = $1, percentage = $2, message = $3, started_at = $4, \
             completed_at = $5, last_seq = $6, owner = $7, \
             cancel = CASE WHEN $7 IS NULL THEN NULL ELSE cancel END \
             WHERE row = $8 AND last_seq = $9 AND owner = $10",
        )
        .bind(summary.status.as_str())
        .bind(i64::from(summary.percentage))
        .bind(&summary.message)
        .bind(summary.started_at.map(se_runtime::Timestamp::micros))
        .bind(summary.completed_at.map(se_runtime::Timestamp::micros))
        .bind(number(last))
        .bind((!self.ended()).then_some(self.job.replica))
        .bind(self.job.row)
        .bind(number(self.batch.after))
        .bind(self.job.replica)
        .execute(&mut tx.conn)
        .await
        .doing("update the job")?;
        Ok(updated == 1)
    }
}

/// What became of an append.
enum Appended {
    Stored,
    /// The log ends with this event.
    Elsewhere(u64),
    /// Another engine drives the job, or none.
    NotOurs,
}

async fn refused(tx: &mut Tx, job: &Subject) -> Result<Appended> {
    let id = &job.accepted.job_id;
    let found: Option<(i64, Option<i64>)> =
        sql::query("SELECT last_seq, owner FROM jobs WHERE row = $1")
            .bind(job.row)
            .fetch_optional(&mut tx.conn)
            .await
            .doing("read the job")?;
    let (found, owner) = found.ok_or_else(|| Error::corrupt("jobs", id, "the job was deleted"))?;
    if owner != Some(job.replica) {
        return Ok(Appended::NotOurs);
    }
    let found = u64::try_from(found);
    let found = found.map_err(|_| Error::corrupt("jobs", id, "impossible last event"))?;
    Ok(Appended::Elsewhere(found))
}

pub(crate) async fn insert_events(
    tx: &mut Tx,
    job: i64,
    id: &str,
    records: Vec<Record>,
) -> Result<()> {
    for record in records {
        let text = serde_json::to_string(&record)
            .map_err(|error| Error::corrupt("events", format!("{id}/{}", record.seq), error))?;
        let (position,): (i64,) = sql::query(
            "INSERT INTO events (job, seq, record) VALUES ($1, $2, $3) RETURNING position",
        )
        .bind(job)
        .bind(number(record.seq))
        .bind(text)
        .fetch_one(&mut tx.conn)
        .await
        .doing("store an event")?;
        tx.written.events.push(Arc::new(Stored {
            position,
            job_id: id.to_owned(),
            record,
        }));
    }
    Ok(())
}

/// What the events say about the pod. Placeholders mean nothing to another job, so they are masked.
fn learned(records: &[Record]) -> Map {
    let mut all = Map::new();
    for record in records {
        if let Event::StepCompleted { learned, .. } = &record.event {
            let masked = learned
                .iter()
                .map(|(key, it)| (key.clone(), mask_value(it)));
            all.extend(masked);
        }
    }
    all
}

pub(crate) fn parse(id: &str, seq: i64, text: &str) -> Result<Record> {
    let corrupt = |reason: String| Error::corrupt("events", format!("{id}/{seq}"), reason);
    let record = Record::parse(text).map_err(|error| match error {
        Unreadable::Newer(reason) => Error::NewerEvent {
            job: id.to_owned(),
            seq,
            reason,
        },
        Unreadable::Damaged(reason) => corrupt(reason),
    })?;
    if number(record.seq) == seq {
        Ok(record)
    } else {
        Err(corrupt(format!("it says that it is event {}", record.seq)))
    }
}

fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
