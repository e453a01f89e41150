mod names;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use se_runtime::{Accepted, Batch, Event, JobStatus, Record, Secret, Summary, Timestamp};

use crate::append::{Line, insert, lines};
use crate::error::{Doing, Error, Result};
use crate::log::acceptance;
use crate::outbox::{NewDelivery, enqueue, job_stream};
use crate::seal::Sealed;
use crate::sql;
use crate::store::Store;
use crate::writer::Tx;

use names::Name;

/// How long the same idempotency key gets the first job.
pub(crate) const WINDOW: Duration = Duration::from_secs(24 * 60 * 60);
/// The most rows of one page.
const PAGE: u32 = 1000;

/// A job to be taken in.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// The first event, a sealed [`Event::JobAccepted`].
    pub accepted: Record,
    /// What the job's secrets are; sealed with the store's key, gone when the job has ended.
    pub secrets: Vec<Secret>,
    /// Which worker it runs on: what it learns is kept for its session and worker.
    pub worker: Option<String>,
    /// A request with the same key within 24 hours gets the first job.
    pub idempotency_key: Option<String>,
    /// Tells apart two requests with the same key.
    pub request_hash: String,
}

/// What became of a [`NewJob`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// It is stored.
    New,
    /// Its idempotency key belongs to this job; nothing was stored.
    Existing {
        /// The first job.
        job_id: String,
        /// Whether the request was the same too.
        same_request: bool,
    },
}

/// A job as lists show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The job.
    pub id: String,
    /// Which content.
    pub definition_id: String,
    /// Which version of it.
    pub version: String,
    /// Hash of exactly that content.
    pub content_hash: String,
    /// The caller's session.
    pub session_id: Option<String>,
    /// The phase it runs, or
    pub phase: Option<String>,
    /// the name of the single scenario it runs, with
    pub scenario_name: Option<String>,
    /// its version.
    pub scenario_version: Option<String>,
    /// Which worker it runs on.
    pub worker: Option<String>,
    /// Where it is in its life.
    pub summary: Summary,
    /// When it was taken in.
    pub created_at: Timestamp,
    /// Number of its last event.
    pub last_seq: u64,
}

/// Which jobs to list; what is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// In this status.
    pub status: Option<JobStatus>,
    /// Of this session.
    pub session_id: Option<String>,
    /// Of this content.
    pub definition_id: Option<String>,
    /// Of this phase.
    pub phase: Option<String>,
}

/// Some of the items of a list, newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the rest begins, if there is one.
    pub next: Option<Cursor>,
}

/// Where a page begins. Text outside, opaque to callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(pub(crate) i64);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}", self.0)
    }
}

impl FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_prefix('c').and_then(|it| it.parse().ok());
        number.map(Self).ok_or_else(|| {
            format!("`{text}` is no cursor; pass on the one of the page before, as it is")
        })
    }
}

impl Store {
    /// Takes a job in: its row, first event, secrets and deliveries are durable when this returns, or
    /// none of them.
    ///
    /// # Errors
    /// [`Error::Conflict`] if there is a job of that id; [`Error::Unavailable`]: nothing was stored.
    pub async fn submit(&self, job: NewJob) -> Result<Submitted> {
        self.submit_resumed(job, Vec::new()).await
    }

    /// Whether a request with this idempotency key was taken in within its window.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn has_key(&self, key: &str) -> Result<bool> {
        let found: Option<(i64,)> =
            sql::query("SELECT expires_at FROM idempotency WHERE key = $1 AND expires_at > $2")
                .bind(key)
                .bind(self.now().micros())
                .fetch_optional(&self.readers)
                .await
                .doing("look for the idempotency key")?;
        Ok(found.is_some())
    }

    /// Takes in a job that goes on where another stopped. `done` is what it need not do again: events
    /// numbered from 2, sealed with the secrets of this job. They are stored with it, in the same
    /// transaction, and announced to nobody.
    ///
    /// # Errors
    /// As [`Self::submit`]; [`Error::Corrupt`] if `done` is numbered otherwise.
    pub async fn submit_resumed(&self, job: NewJob, done: Vec<Record>) -> Result<Submitted> {
        let key = job.idempotency_key.clone();
        let names = key.map(|key| (key, Some(job.request_hash.clone())));
        self.submit_named(job, done, names.into_iter().collect())
            .await
    }

    /// Takes in such a job whose request has these names instead of an idempotency key, each with the hash that
    /// the same request has, or none where the name alone says that it is the same. The first name that is known
    /// decides; no two are alike.
    ///
    /// # Errors
    /// As [`Self::submit_resumed`].
    pub async fn submit_named(
        &self,
        job: NewJob,
        done: Vec<Record>,
        names: Vec<(String, Option<String>)>,
    ) -> Result<Submitted> {
        let Event::JobAccepted(accepted) = &job.accepted.event else {
            let reason = "the first event of a job must be its acceptance";
            return Err(Error::corrupt("events", "1", reason));
        };
        let accepted = (**accepted).clone();
        if let Some((seq, it)) = (2..).zip(&done).find(|(seq, it)| it.seq != *seq) {
            let reason = format!("event {seq} was expected, not {}", it.seq);
            return Err(Error::corrupt(
                "events",
                format!("{}/{seq}", accepted.job_id),
                reason,
            ));
        }
        let sealed = if job.secrets.is_empty() {
            None
        } else {
            let options = &self.options;
            let id = &accepted.job_id;
            Some(options.keys.seal(id, &job.secrets, &*options.random)?)
        };
        let created_at = job.accepted.at;
        let mut batch = Batch {
            after: 0,
            records: vec![job.accepted],
            summary: Summary {
                status: JobStatus::Accepted,
                percentage: 0,
                message: String::new(),
                started_at: None,
                completed_at: None,
            },
        };
        let deliveries = self.options.announce.job(&accepted, &batch);
        batch.records.extend(done);
        let mut lines = lines(&accepted.job_id, batch.records)?;
        let objects = &self.options.objects;
        objects.keep_all(&accepted.job_id, &mut lines).await;
        let submission = Submission {
            deliveries,
            accepted,
            created_at,
            lines,
            sealed,
            worker: job.worker.unwrap_or_default(),
            names: names::storable(names),
            now: self.now(),
        };
        self.write("store the job", move |tx| Box::pin(submission.store(tx)))
            .await
    }

    /// The job.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none, [`Error::Corrupt`], [`Error::Unavailable`].
    pub async fn job(&self, id: &str) -> Result<Job> {
        let row: Option<JobRow> = sql::query("SELECT * FROM jobs WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.readers)
            .await
            .doing("read the job")?;
        row.ok_or_else(|| no_job(id))?.try_into()
    }

    /// Jobs, newest first.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Unavailable`].
    pub async fn jobs(
        &self,
        filter: &JobFilter,
        limit: u32,
        cursor: Option<Cursor>,
    ) -> Result<Page<Job>> {
        let limit = limit.clamp(1, PAGE);
        let rows: Vec<JobRow> = sql::query(
            "SELECT * FROM jobs WHERE row < $1 AND ($2 IS NULL OR status = $2) \
             AND ($3 IS NULL OR session_id = $3) AND ($4 IS NULL OR definition_id = $4) \
             AND ($5 IS NULL OR phase = $5) ORDER BY row DESC LIMIT $6",
        )
        .bind(cursor.map_or(i64::MAX, |it| it.0))
        .bind(filter.status.map(JobStatus::as_str))
        .bind(&filter.session_id)
        .bind(&filter.definition_id)
        .bind(&filter.phase)
        .bind(i64::from(limit) + 1)
        .fetch_all(&self.readers)
        .await
        .doing("list the jobs")?;
        Page::of(rows, limit, |it| it.row)
    }

    /// The jobs that have not ended, oldest first: what is to be resumed after a start. One whose row
    /// cannot be read is logged and left out, so that it does not keep the others from going on.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn unfinished(&self) -> Result<Vec<Job>> {
        let rows: Vec<JobRow> = sql::query(
            "SELECT * FROM jobs WHERE status IN ('accepted', 'running', 'cancelling') ORDER BY row",
        )
        .fetch_all(&self.readers)
        .await
        .doing("look for unfinished jobs")?;
        let read = |row| {
            Job::try_from(row)
                .inspect_err(|error| tracing::error!(%error, "an unfinished job cannot be resumed"))
                .ok()
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// What the job was accepted as, sealed.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Corrupt`], [`Error::Unavailable`].
    pub async fn accepted(&self, id: &str) -> Result<Accepted> {
        acceptance(id, self.events(id, 0, 1).await?.records.pop())
    }

    /// The job's secrets, in the order given; none once it has ended.
    ///
    /// # Errors
    /// [`Error::WrongKey`], [`Error::Corrupt`], [`Error::NotFound`] if there is no such job,
    /// [`Error::Unavailable`].
    pub async fn secrets(&self, id: &str) -> Result<Vec<Secret>> {
        let sealed: Option<Sealed> = sql::query(
            "SELECT key_id, nonce, sealed FROM job_secrets JOIN jobs ON jobs.row = job WHERE id = $1",
        )
        .bind(id)
        .fetch_optional(&self.readers)
        .await
        .doing("read the secrets of the job")?;
        match sealed {
            Some(sealed) => self.options.keys.open(id, &sealed),
            None => self.job(id).await.map(|_| Vec::new()),
        }
    }
}

impl<T> Page<T> {
    /// From one row more than wanted, so that it is known whether there are more.
    pub(crate) fn of<R>(mut rows: Vec<R>, limit: u32, key: impl Fn(&R) -> i64) -> Result<Self>
    where
        T: TryFrom<R, Error = Error>,
    {
        let limit = limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|it| Cursor(key(it)));
        let items = rows.into_iter().map(T::try_from).collect::<Result<_>>()?;
        Ok(Self { items, next })
    }
}

struct Submission {
    accepted: Accepted,
    created_at: Timestamp,
    lines: Vec<Line>,
    deliveries: Vec<NewDelivery>,
    sealed: Option<Sealed>,
    worker: String,
    names: Vec<Name>,
    now: Timestamp,
}

impl Submission {
    async fn store(self, tx: &mut Tx) -> Result<Submitted> {
        let id = &self.accepted.job_id;
        if let Some(existing) = names::first(&mut tx.conn, &self.names, self.now).await? {
            return Ok(existing);
        }
        let job = self.insert_job(tx).await?;
        insert(tx, vec![(job, id.clone(), self.lines)]).await?;
        if let Some(sealed) = self.sealed {
            sql::query(
                "INSERT INTO job_secrets (job, key_id, nonce, sealed) VALUES ($1, $2, $3, $4)",
            )
            .bind(job)
            .bind(sealed.key_id)
            .bind(sealed.nonce)
            .bind(sealed.sealed)
            .execute(&mut tx.conn)
            .await
            .doing("store the secrets of the job")?;
        }
        names::give(tx, id, self.names, self.now).await?;
        enqueue(tx, &job_stream(id), self.deliveries, self.now).await?;
        Ok(Submitted::New)
    }

    async fn insert_job(&self, tx: &mut Tx) -> Result<i64> {
        let it = &self.accepted;
        let scenario = it.scenario.as_ref();
        let inserted: Option<(i64,)> = sql::query(
            "INSERT INTO jobs (id, definition_id, version, content_hash, session_id, phase, \
             scenario_name, scenario_version, worker, status, percentage, message, created_at, \
             last_seq) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, '', $11, $12) \
             ON CONFLICT (id) DO NOTHING RETURNING row",
        )
        .bind(&it.job_id)
        .bind(&it.definition_id)
        .bind(&it.version)
        .bind(&it.content_hash)
        .bind(&it.session_id)
        .bind(&it.phase)
        .bind(scenario.map(|it| &it.name))
        .bind(scenario.map(|it| &it.version))
        .bind(&self.worker)
        .bind(JobStatus::Accepted.as_str())
        .bind(self.created_at.micros())
        .bind(i64::try_from(self.lines.len()).unwrap_or(i64::MAX))
        .fetch_optional(&mut tx.conn)
        .await
        .doing("store the job")?;
        let (row,) = inserted.ok_or_else(|| Error::Conflict {
            what: format!("the id of job {}", it.job_id),
            found: "another job has it".to_owned(),
        })?;
        tx.written.jobs = true;
        Ok(row)
    }
}

pub(crate) fn no_job(id: &str) -> Error {
    Error::not_found(format!("job {id}"))
}

sql::row! {
    pub(crate) struct JobRow {
        pub(crate) row: i64,
        pub(crate) id: String,
        definition_id: String,
        version: String,
        content_hash: String,
        session_id: Option<String>,
        phase: Option<String>,
        scenario_name: Option<String>,
        scenario_version: Option<String>,
        worker: String,
        status: String,
        percentage: i64,
        message: String,
        created_at: i64,
        started_at: Option<i64>,
        completed_at: Option<i64>,
        last_seq: i64,
    }
}

impl TryFrom<JobRow> for Job {
    type Error = Error;

    fn try_from(it: JobRow) -> Result<Self> {
        let corrupt = |reason: String| Error::corrupt("jobs", &it.id, reason);
        let status = JobStatus::parse(&it.status)
            .ok_or_else(|| corrupt(format!("unknown status `{}`", it.status)))?;
        let percentage = u8::try_from(it.percentage)
            .map_err(|_| corrupt(format!("impossible percentage {}", it.percentage)))?;
        let last_seq = u64::try_from(it.last_seq)
            .map_err(|_| corrupt(format!("impossible last event {}", it.last_seq)))?;
        Ok(Self {
            id: it.id,
            definition_id: it.definition_id,
            version: it.version,
            content_hash: it.content_hash,
            session_id: it.session_id,
            phase: it.phase,
            scenario_name: it.scenario_name,
            scenario_version: it.scenario_version,
            worker: Some(it.worker).filter(|it| !it.is_empty()),
            summary: Summary {
                status,
                percentage,
                message: it.message,
                started_at: it.started_at.map(Timestamp::from_micros),
                completed_at: it.completed_at.map(Timestamp::from_micros),
            },
            created_at: Timestamp::from_micros(it.created_at),
            last_seq,
        })
    }
}
