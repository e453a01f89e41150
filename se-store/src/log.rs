use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use se_runtime::{Accepted, Batch, Event, EventLog, LogError, Record, Unreadable};

use crate::append::{Append, Appended};
use crate::changes::{News, Stored};
use crate::error::{Doing, Error, Result};
use crate::jobs::no_job;
use crate::objects::{LARGEST, Reference};
use crate::sql::{self, Pool};
use crate::store::Store;

/// Bytes of events, about, that are read in one go: what is in memory for one reader.
const PAGE_BYTES: usize = 4 << 20;
/// Bytes of an event of which a thousand are no more than that.
const SHORT: i64 = 4 << 10;

/// Some events of a job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Events {
    /// The events, in order.
    pub records: Vec<Record>,
    /// Whether there may be more after them.
    pub more: bool,
}

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
        let first = match first {
            Some(first) => Some(self.read(id, 1, first).await?),
            None => None,
        };
        let accepted = acceptance(id, first)?;
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

    /// Events of a job after number `after`, sealed, in order: `limit` of them, or fewer if they are large.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such job, [`Error::Corrupt`], [`Error::Unavailable`].
    pub async fn events(&self, id: &str, after: u64, limit: u32) -> Result<Events> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let rows = rows_of(&self.readers, id, after, i64::from(limit)).await;
        let rows = rows.doing("read the events of the job")?;
        if rows.is_empty() {
            self.job(id).await?;
        }
        let read: usize = rows.iter().map(|(_, row)| row.len()).sum();
        let mut events = Events {
            more: rows.len() == limit as usize || read > PAGE_BYTES,
            records: Vec::with_capacity(rows.len()),
        };
        let mut bytes = 0;
        for (seq, row) in rows {
            if bytes > PAGE_BYTES {
                events.more = true;
                break;
            }
            let text = self.options.objects.text(id, seq, row).await?;
            bytes += text.len();
            events.records.push(parse(id, seq, &text)?);
        }
        Ok(events)
    }

    /// Events of all jobs after `position`, sealed, in the order they were stored: `limit` of them, or fewer
    /// if they are large. Those that cannot be read, and never will be here, are left out.
    ///
    /// # Errors
    /// [`Error::Unavailable`], also for a text that is kept elsewhere and cannot be had now.
    pub async fn events_since(&self, mut position: i64, limit: u32) -> Result<Vec<Stored>> {
        loop {
            let rows = rows_since(&self.readers, position, i64::from(limit)).await;
            let rows = rows.doing("read the events of all jobs")?;
            let Some(last) = rows.last().map(Row::position) else {
                return Ok(Vec::new());
            };
            let all = self.stored(rows).await?;
            if !all.is_empty() {
                return Ok(all);
            }
            position = last;
        }
    }

    /// The events of these rows, or of the first of them.
    async fn stored(&self, rows: Vec<Row>) -> Result<Vec<Stored>> {
        let mut all = Vec::new();
        let mut bytes = 0;
        for row in rows {
            if bytes > PAGE_BYTES && !all.is_empty() {
                break;
            }
            match self.one_stored(row, &mut bytes).await {
                Ok(stored) => all.extend(stored),
                Err(error) if all.is_empty() => return Err(error),
                // What stands before it is told; whoever reads on from there hears of it.
                Err(_) => break,
            }
        }
        Ok(all)
    }

    /// Nothing if the event is one that nobody can read here: it does not hide those behind it.
    async fn one_stored(&self, row: Row, bytes: &mut usize) -> Result<Option<Stored>> {
        let Row(position, job_id, seq, text) = row;
        let record = async {
            let text = self.options.objects.text(&job_id, seq, text).await?;
            *bytes += text.len();
            parse(&job_id, seq, &text)
        };
        match record.await {
            Ok(record) => Ok(Some(Stored {
                position,
                job_id,
                record,
            })),
            Err(error @ (Error::Corrupt { .. } | Error::NewerEvent { .. })) => {
                tracing::warn!(%error, "an event is left out of the stream of all jobs");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The position of the newest event; 0 where there is none.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn newest_position(&self) -> Result<i64> {
        let newest: (Option<i64>,) = sql::query("SELECT max(position) FROM events")
            .fetch_one(&self.readers)
            .await
            .doing("read the newest event")?;
        Ok(newest.0.unwrap_or(0))
    }

    async fn read(&self, id: &str, seq: i64, row: String) -> Result<Record> {
        let text = self.options.objects.text(id, seq, row).await?;
        parse(id, seq, &text)
    }
}

/// An event as it is stored: its position, job, number and text, or what refers to it.
pub(crate) struct Row(i64, String, i64, String);

impl Row {
    pub(crate) fn position(&self) -> i64 {
        self.0
    }

    pub(crate) fn news(self) -> Result<News> {
        let Self(position, job_id, seq, text) = self;
        let is_large = text.len() > LARGEST || Reference::read(&job_id, seq, &text)?.is_some();
        let record = match is_large {
            true => None,
            false => Some(parse(&job_id, seq, &text)?),
        };
        Ok(News {
            position,
            job_id,
            seq: u64::try_from(seq).unwrap_or_default(),
            record,
        })
    }
}

/// Events of a job after number `after`, with the texts of their rows: not more than `limit`, nor than what makes
/// [`PAGE_BYTES`] full. Where all are short it is one look; how long others are is known without reading them.
async fn rows_of(
    pool: &Pool,
    job: &str,
    after: i64,
    limit: i64,
) -> sql::Result<Vec<(i64, String)>> {
    let rows: Vec<(i64, Option<String>)> = sql::query(
        "SELECT seq, CASE WHEN octet_length(record) <= $4 THEN record END FROM events \
         WHERE job = (SELECT row FROM jobs WHERE id = $1) AND seq > $2 ORDER BY seq LIMIT $3",
    )
    .bind(job)
    .bind(after)
    .bind(limit)
    .bind(SHORT)
    .fetch_all(pool)
    .await?;
    let short = rows.into_iter().map(|(seq, text)| Some((seq, text?)));
    if let Some(all) = short.collect() {
        return Ok(all);
    }
    sql::query(
        "SELECT seq, record FROM events WHERE job = (SELECT row FROM jobs WHERE id = $1) \
         AND seq > $2 AND seq <= (SELECT coalesce(min(CASE WHEN bytes > $4 THEN seq END), max(seq)) \
           FROM (SELECT seq, sum(size) OVER (ORDER BY seq) AS bytes \
             FROM (SELECT seq, octet_length(record) AS size FROM events \
               WHERE job = (SELECT row FROM jobs WHERE id = $1) AND seq > $2 \
               ORDER BY seq LIMIT $3) AS page) AS sums) \
         ORDER BY seq",
    )
    .bind(job)
    .bind(after)
    .bind(limit)
    .bind(page_bytes())
    .fetch_all(pool)
    .await
}

/// Events of all jobs after `position`: not more than `limit`, nor than what makes [`PAGE_BYTES`] full. Reads as
/// [`rows_of`] does.
pub(crate) async fn rows_since(pool: &Pool, position: i64, limit: i64) -> sql::Result<Vec<Row>> {
    let rows: Vec<(i64, String, i64, Option<String>)> = sql::query(
        "SELECT position, id, seq, CASE WHEN octet_length(record) <= $3 THEN record END \
         FROM events JOIN jobs ON jobs.row = job WHERE position > $1 ORDER BY position LIMIT $2",
    )
    .bind(position)
    .bind(limit)
    .bind(SHORT)
    .fetch_all(pool)
    .await?;
    let short = rows.into_iter();
    let short = short.map(|(position, job, seq, text)| Some(Row(position, job, seq, text?)));
    if let Some(all) = short.collect() {
        return Ok(all);
    }
    let rows: Vec<(i64, String, i64, String)> = sql::query(
        "SELECT position, id, seq, record FROM events JOIN jobs ON jobs.row = job \
         WHERE position > $1 \
         AND position <= (SELECT coalesce(min(CASE WHEN bytes > $3 THEN position END), max(position)) \
           FROM (SELECT position, sum(size) OVER (ORDER BY position) AS bytes \
             FROM (SELECT position, octet_length(record) AS size FROM events WHERE position > $1 \
               ORDER BY position LIMIT $2) AS page) AS sums) \
         ORDER BY position",
    )
    .bind(position)
    .bind(limit)
    .bind(page_bytes())
    .fetch_all(pool)
    .await?;
    let row = |(position, job_id, seq, text)| Row(position, job_id, seq, text);
    Ok(rows.into_iter().map(row).collect())
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
            Ok(mut append) => {
                append.keep(&self.store.options.objects).await;
                self.store.append(append).await
            }
            Err(error) => Err(error),
        };
        match stored {
            Ok(Appended::Stored | Appended::Again) => Ok(()),
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

fn page_bytes() -> i64 {
    i64::try_from(PAGE_BYTES).unwrap_or(i64::MAX)
}

fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite;

    #[tokio::test]
    async fn of_many_large_rows_few_are_read() {
        let opened = sqlite::open("sqlite::memory:").unwrap();
        let fill = "INSERT INTO jobs (id, definition_id, version, content_hash, status, percentage, message, \
            created_at, last_seq) VALUES ('a', 'lab', '1', '', 'running', 0, '', 0, 9); \
            WITH RECURSIVE n (it) AS (SELECT 1 UNION ALL SELECT it + 1 FROM n WHERE it < 9) \
            INSERT INTO events (job, seq, record) SELECT 1, it, printf('%.*c', 3000000, 'x') FROM n";
        opened.writer.execute_batch(fill).unwrap();
        let pool = Pool::Sqlite(opened.readers);
        for (after, expected) in [(0, 2), (7, 2), (8, 1), (9, 0)] {
            let of_job = rows_of(&pool, "a", after, 1000).await.unwrap();
            let of_all = rows_since(&pool, after, 1000).await.unwrap();
            assert_eq!(
                (of_job.len(), of_all.len()),
                (expected, expected),
                "{after}"
            );
        }
        assert_eq!(rows_of(&pool, "a", 0, 1).await.unwrap().len(), 1);
        assert_eq!(rows_since(&pool, 0, 1).await.unwrap().len(), 1);
    }
}
