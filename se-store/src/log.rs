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
use crate::store::Store;
use crate::writer::Tx;

/// The log of one job.
#[derive(Clone)]
pub struct JobLog {
    store: Store,
    job: Arc<Owner>,
}

/// What every append needs to know of the job; it never changes.
struct Owner {
    row: i64,
    worker: String,
    accepted: Accepted,
}

impl fmt::Debug for JobLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobLog({})", self.job.accepted.job_id)
    }
}

impl Store {
    /// The log of a job.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such job, [`Error::Corrupt`] if its first event cannot be
    /// read, [`Error::Unavailable`].
    pub async fn log(&self, id: &str) -> Result<JobLog> {
        let row: Option<(i64, String)> =
            sqlx::query_as("SELECT row, worker FROM jobs WHERE id = ?")
                .bind(id)
                .fetch_optional(&self.readers)
                .await
                .doing("read the job")?;
        let (row, worker) = row.ok_or_else(|| no_job(id))?;
        let accepted = self.accepted(id).await?;
        Ok(JobLog {
            store: self.clone(),
            job: Arc::new(Owner {
                row,
                worker,
                accepted,
            }),
        })
    }

    /// Events of a job after number `after`, sealed, in order.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such job, [`Error::Corrupt`], [`Error::Unavailable`].
    pub async fn events(&self, id: &str, after: u64, limit: u32) -> Result<Vec<Record>> {
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT seq, record FROM events WHERE job = (SELECT row FROM jobs WHERE id = ?) \
             AND seq > ? ORDER BY seq LIMIT ?",
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
        let rows: Vec<(i64, String, i64, String)> = sqlx::query_as(
            "SELECT position, id, seq, record FROM events JOIN jobs ON jobs.row = job \
             WHERE position > ? ORDER BY position LIMIT ?",
        )
        .bind(position)
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await
        .doing("read the events of all jobs")?;
        let read = |(position, job_id, seq, text): (i64, String, i64, String)| {
            let record = parse(&job_id, seq, &text)?;
            Ok(Stored {
                position,
                job_id,
                record,
            })
        };
        rows.into_iter().map(read).collect()
    }
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
            Ok(None) => Ok(()),
            Ok(Some(found)) => Err(LogError::Conflict {
                job: id.clone(),
                expected,
                found,
            }),
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
    job: Arc<Owner>,
    batch: Batch,
    deliveries: Vec<NewDelivery>,
    now: se_runtime::Timestamp,
}

impl Append {
    /// Where the log ends elsewhere than expected, writes nothing and says where.
    async fn store(self, tx: &mut Tx) -> Result<Option<u64>> {
        let job = &self.job;
        let id = &job.accepted.job_id;
        if !self.update_job(tx).await? {
            return last_seq(tx, job.row, id).await.map(Some);
        }
        let ended = self.batch.records.iter().any(|it| it.event.is_last());
        let learned = learned(&self.batch.records);
        insert_events(tx, job.row, id, self.batch.records).await?;
        if let Some(session) = job.accepted.session_id.as_deref()
            && !learned.is_empty()
        {
            learn(tx, session, &job.worker, learned, self.now).await?;
        }
        if ended {
            sqlx::query("DELETE FROM job_secrets WHERE job = ?")
                .bind(job.row)
                .execute(&mut tx.conn)
                .await
                .doing("erase the secrets of the job")?;
        }
        enqueue(tx, &job_stream(id), self.deliveries, self.now).await?;
        Ok(None)
    }

    async fn update_job(&self, tx: &mut Tx) -> Result<bool> {
        let summary = &self.batch.summary;
        let last = self.batch.after + self.batch.records.len() as u64;
        let updated = sqlx::query(
            "UPDATE jobs SET status = ?, percentage = ?, message = ?, started_at = ?, \
             completed_at = ?, last_seq = ? WHERE row = ? AND last_seq = ?",
        )
        .bind(summary.status.as_str())
        .bind(i64::from(summary.percentage))
        .bind(&summary.message)
        .bind(summary.started_at.map(se_runtime::Timestamp::micros))
        .bind(summary.completed_at.map(se_runtime::Timestamp::micros))
        .bind(number(last))
        .bind(self.job.row)
        .bind(number(self.batch.after))
        .execute(&mut tx.conn)
        .await
        .doing("update the job")?;
        Ok(updated.rows_affected() == 1)
    }
}

async fn last_seq(tx: &mut Tx, row: i64, id: &str) -> Result<u64> {
    let found: Option<(i64,)> = sqlx::query_as("SELECT last_seq FROM jobs WHERE row = ?")
        .bind(row)
        .fetch_optional(&mut tx.conn)
        .await
        .doing("read the job")?;
    let (found,) = found.ok_or_else(|| Error::corrupt("jobs", id, "the job was deleted"))?;
    u64::try_from(found).map_err(|_| Error::corrupt("jobs", id, "impossible last event"))
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
        let inserted = sqlx::query("INSERT INTO events (job, seq, record) VALUES (?, ?, ?)")
            .bind(job)
            .bind(number(record.seq))
            .bind(text)
            .execute(&mut tx.conn)
            .await
            .doing("store an event")?;
        tx.written.events.push(Arc::new(Stored {
            position: inserted.last_insert_rowid(),
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
