use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use se_runtime::{Accepted, Batch, Event, EventLog, LogError, Record, Unreadable};

use crate::append::{Append, Appended};
use crate::changes::Stored;
use crate::error::{Doing, Error, Result};
use crate::jobs::no_job;
use crate::sql::{self, Pool};
use crate::store::Store;

/// The log of one job.
#[derive(Clone)]
pub struct JobLog {
    store: Store,
    job: Arc<Subject>,
}

/// What every append needs to know of the job; it never changes.
pub(crate) struct Subject {
    pub(crate) row: i64,
    pub(crate) worker: String,
    pub(crate) accepted: Accepted,
    /// Who this engine was when it took the log: whoever it is later, it may not append here.
    pub(crate) replica: i64,
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
        let row: Option<(i64, String, Option<String>)> = sql::query(
            "SELECT row, worker, record FROM jobs LEFT JOIN events ON job = row AND seq = 1 \
             WHERE id = $1",
        )
        .bind(id)
        .fetch_optional(&self.readers)
        .await
        .doing("read the job")?;
        let (row, worker, first) = row.ok_or_else(|| no_job(id))?;
        let accepted = acceptance(id, first.map(|it| parse(id, 1, &it)).transpose()?)?;
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
        let deliveries = self.store.options.announce.job(&self.job.accepted, &batch);
        let append = Append::new(&self.job, batch, deliveries, self.store.now());
        let stored = match append {
            Ok(append) => self.store.append(append).await,
            Err(error) => Err(error),
        };
        match stored {
            Ok(Appended::Stored) => Ok(()),
            Ok(Appended::Elsewhere(found)) => Err(LogError::Conflict {
                job: id.clone(),
                expected,
                found,
            }),
            Ok(Appended::NotOurs) => Err(LogError::Fenced { job: id.clone() }),
            Ok(Appended::Deleted) => Err(LogError::Corrupt {
                job: id.clone(),
                seq: expected + 1,
                reason: "the job was deleted".to_owned(),
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

/// What a job was accepted as, from its first event.
pub(crate) fn acceptance(id: &str, first: Option<Record>) -> Result<Accepted> {
    match first.map(|it| it.event) {
        Some(Event::JobAccepted(accepted)) => Ok(*accepted),
        _ => Err(Error::corrupt(
            "events",
            format!("{id}/1"),
            "it is not the acceptance of the job",
        )),
    }
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
