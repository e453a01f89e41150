//! Who drives which job: an engine claims jobs that nobody drives, oldest first.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use sqlx::PgConnection;

use crate::error::{Doing, Error, Result};
use crate::sql::{self, Connection};
use crate::store::Store;
use crate::writer::Tx;

/// How many jobs may run at a time that have something in common, over all engines; `None`: as many as there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// On one worker.
    pub per_worker: Option<NonZeroU32>,
    /// Of one pod definition.
    pub per_definition: Option<NonZeroU32>,
}

impl Limits {
    /// As many as there are.
    pub const NONE: Self = Self {
        per_worker: None,
        per_definition: None,
    };
}

/// A limit as the database takes it.
fn most(limit: Option<NonZeroU32>) -> Option<i64> {
    limit.map(|it| i64::from(it.get()))
}

/// A job that this engine drives from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The job.
    pub id: String,
    /// Why it is to be cancelled, sealed, if it is.
    pub cancel: Option<String>,
}

/// What became of the wish to cancel a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelNoted {
    /// Whoever drives it will see it.
    Noted,
    /// It has ended already.
    Ended,
}

/// Jobs that nobody drives, the first that may run. Rows that somebody else holds are passed over. What runs is only
/// counted where there is a limit: otherwise each look would cost as much as there are jobs.
macro_rules! waiting {
    ($locking:literal) => {
        concat!(
            "SELECT row, id, cancel, worker, definition_id FROM jobs WHERE owner IS NULL \
             AND status IN ('accepted', 'running', 'cancelling') AND cancel IS NULL \
             AND ($1 IS NULL OR worker NOT IN (SELECT worker FROM jobs \
               WHERE owner IS NOT NULL AND worker <> '' GROUP BY worker HAVING count(*) >= $1)) \
             AND ($2 IS NULL OR definition_id NOT IN (SELECT definition_id FROM jobs \
               WHERE owner IS NOT NULL GROUP BY definition_id HAVING count(*) >= $2)) \
             AND $4 NOT LIKE '% ' || id || ' %' \
             ORDER BY row LIMIT $3",
            $locking
        )
    };
}

/// Jobs that nobody drives and that are only to be ended.
macro_rules! cancelled {
    ($locking:literal) => {
        concat!(
            "SELECT row, id, cancel, worker, definition_id FROM jobs WHERE owner IS NULL \
             AND status IN ('accepted', 'running', 'cancelling') AND cancel IS NOT NULL \
             ORDER BY row LIMIT $1",
            $locking
        )
    };
}

const DOING: &str = "claim a job";

impl Store {
    /// Claims jobs that nobody drives, but `except` these: up to `count`, oldest first, as far as `limits` let. One
    /// that was cut short by the end of its engine is as old as it is.
    ///
    /// # Errors
    /// [`Error::Fenced`], [`Error::Unavailable`].
    pub async fn claim(
        &self,
        count: u32,
        limits: Limits,
        except: &[String],
    ) -> Result<Vec<Claimed>> {
        let except = listed(except);
        self.write_ahead(DOING, move |tx| Box::pin(claim(tx, count, limits, except)))
            .await
    }

    /// Whether [`Self::claim`] would find one, without writing anything.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn has_claimable(&self, limits: Limits, except: &[String]) -> Result<bool> {
        let row: Option<Row> = sql::query(waiting!(""))
            .bind(most(limits.per_worker))
            .bind(most(limits.per_definition))
            .bind(1)
            .bind(listed(except))
            .fetch_optional(&self.readers)
            .await
            .doing("look for a job to run")?;
        Ok(row.is_some())
    }

    /// Whether [`Self::claim_cancelled`] would find one, without writing anything.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn has_cancelled(&self) -> Result<bool> {
        let row: Option<Row> = sql::query(cancelled!(""))
            .bind(1)
            .fetch_optional(&self.readers)
            .await
            .doing("look for a job to end")?;
        Ok(row.is_some())
    }

    /// Gives up a job that this engine does not drive any more; others may claim it.
    ///
    /// # Errors
    /// [`Error::Fenced`], [`Error::Unavailable`].
    pub async fn release(&self, id: &str) -> Result<()> {
        let id = id.to_owned();
        self.write("give up a job", move |tx| {
            Box::pin(async move {
                sql::query("UPDATE jobs SET owner = NULL WHERE id = $1 AND owner = $2")
                    .bind(id)
                    .bind(tx.replica)
                    .execute(&mut tx.conn)
                    .await
                    .doing("give up a job")?;
                tx.written.freed();
                Ok(())
            })
        })
        .await
    }

    /// Claims jobs that nobody drives and that shall be cancelled: up to `count`, whatever else runs.
    ///
    /// # Errors
    /// [`Error::Fenced`], [`Error::Unavailable`].
    pub async fn claim_cancelled(&self, count: u32) -> Result<Vec<Claimed>> {
        self.write(DOING, move |tx| Box::pin(claim_cancelled(tx, count)))
            .await
    }

    /// Claims this job. `None` if somebody drives it, or if it has ended.
    ///
    /// # Errors
    /// [`Error::Fenced`], [`Error::Unavailable`].
    pub async fn claim_one(&self, id: &str) -> Result<Option<Claimed>> {
        let id = id.to_owned();
        self.write_ahead(DOING, move |tx| {
            Box::pin(async move {
                let taken: Option<(String, Option<String>)> = sql::query(
                    "UPDATE jobs SET owner = $1 WHERE id = $2 AND owner IS NULL \
                     AND status IN ('accepted', 'running', 'cancelling') RETURNING id, cancel",
                )
                .bind(tx.replica)
                .bind(id)
                .fetch_optional(&mut tx.conn)
                .await
                .doing(DOING)?;
                Ok(taken.map(|(id, cancel)| Claimed { id, cancel }))
            })
        })
        .await
    }

    /// How many jobs wait to be claimed.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn waiting(&self) -> Result<u64> {
        let (count,): (i64,) = sql::query(
            "SELECT count(*) FROM jobs WHERE owner IS NULL \
             AND status IN ('accepted', 'running', 'cancelling')",
        )
        .fetch_one(&self.readers)
        .await
        .doing("count the jobs that wait")?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// Notes that a job shall be cancelled, for whoever drives it; a wish that is noted already stays.
    /// `reason` is stored as it is: seal it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Fenced`], [`Error::Unavailable`].
    pub async fn note_cancel(&self, id: &str, reason: &str) -> Result<CancelNoted> {
        let (id, reason) = (id.to_owned(), reason.to_owned());
        let noted = self.write("note that the job shall be cancelled", {
            let id = id.clone();
            move |tx| Box::pin(note_cancel(tx, id, reason))
        });
        if noted.await? {
            return Ok(CancelNoted::Noted);
        }
        self.job(&id).await.map(|_| CancelNoted::Ended)
    }

    /// The unfinished jobs that this engine has claimed and not given up.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn own(&self) -> Result<Vec<Claimed>> {
        self.owned(
            "SELECT id, cancel FROM jobs WHERE owner = $1 \
             AND status IN ('accepted', 'running', 'cancelling') ORDER BY row",
        )
        .await
    }

    /// The jobs that this engine drives and that shall be cancelled.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn cancels(&self) -> Result<Vec<Claimed>> {
        self.owned("SELECT id, cancel FROM jobs WHERE owner = $1 AND cancel IS NOT NULL")
            .await
    }

    /// Those of this engine's jobs that `sql` selects.
    async fn owned(&self, sql: &'static str) -> Result<Vec<Claimed>> {
        let rows: Vec<(String, Option<String>)> = sql::query(sql)
            .bind(self.replica())
            .fetch_all(&self.readers)
            .await
            .doing("look for the jobs of this engine")?;
        let claimed = |(id, cancel)| Claimed { id, cancel };
        Ok(rows.into_iter().map(claimed).collect())
    }
}

/// Row, id, cancel, worker and definition of a job.
type Row = (i64, String, Option<String>, String, String);

/// Ids as the database looks through them, each between spaces.
fn listed(ids: &[String]) -> String {
    match ids {
        [] => String::new(),
        ids => format!(" {} ", ids.join(" ")),
    }
}

async fn claim(tx: &mut Tx, count: u32, limits: Limits, except: String) -> Result<Vec<Claimed>> {
    let sql = match tx.conn {
        Connection::Sqlite(_) => waiting!(""),
        Connection::Postgres(_) => waiting!(" FOR UPDATE SKIP LOCKED"),
    };
    let mut all = Vec::new();
    loop {
        let left = i64::from(count) - i64::try_from(all.len()).unwrap_or(i64::MAX);
        let rows: Vec<Row> = sql::query(sql)
            .bind(most(limits.per_worker))
            .bind(most(limits.per_definition))
            .bind(left)
            .bind(except.as_str())
            .fetch_all(&mut tx.conn)
            .await
            .doing(DOING)?;
        // Each may run by itself: those go that may not beside the others.
        let mut taken = Taken::read(tx, limits).await?;
        let found = rows.len();
        let rows: Vec<Row> = rows.into_iter().filter(|it| taken.has_place(it)).collect();
        let passed = rows.len() < found;
        all.extend(take(tx, rows).await?);
        if !passed || found == 0 {
            return Ok(all);
        }
    }
}

/// How many jobs run on each worker, and of each definition; only where that matters.
struct Taken {
    limits: Limits,
    workers: BTreeMap<String, u32>,
    definitions: BTreeMap<String, u32>,
}

impl Taken {
    async fn read(tx: &mut Tx, limits: Limits) -> Result<Self> {
        let mut taken = Self {
            limits,
            workers: BTreeMap::new(),
            definitions: BTreeMap::new(),
        };
        if limits.per_worker.is_some() {
            let sql = "SELECT worker, count(*) FROM jobs WHERE owner IS NOT NULL GROUP BY worker";
            taken.workers = counts(tx, sql).await?;
        }
        if limits.per_definition.is_some() {
            let sql = "SELECT definition_id, count(*) FROM jobs WHERE owner IS NOT NULL \
                       GROUP BY definition_id";
            taken.definitions = counts(tx, sql).await?;
        }
        Ok(taken)
    }

    /// Whether one more may run; then it counts.
    fn has_place(&mut self, (.., worker, definition): &Row) -> bool {
        let limits = self.limits;
        let on_worker = self.workers.get(worker).copied().unwrap_or(0);
        let of_definition = self.definitions.get(definition).copied().unwrap_or(0);
        let is_below = |count, limit: Option<NonZeroU32>| limit.is_none_or(|it| count < it.get());
        let is_free = worker.is_empty() || is_below(on_worker, limits.per_worker);
        if !is_free || !is_below(of_definition, limits.per_definition) {
            return false;
        }
        if limits.per_worker.is_some() {
            self.workers.insert(worker.clone(), on_worker + 1);
        }
        if limits.per_definition.is_some() {
            self.definitions
                .insert(definition.clone(), of_definition + 1);
        }
        true
    }
}

async fn counts(tx: &mut Tx, sql: &'static str) -> Result<BTreeMap<String, u32>> {
    let rows: Vec<(String, i64)> = sql::query(sql).fetch_all(&mut tx.conn).await.doing(DOING)?;
    let count = |(name, count)| (name, u32::try_from(count).unwrap_or(u32::MAX));
    Ok(rows.into_iter().map(count).collect())
}

async fn claim_cancelled(tx: &mut Tx, count: u32) -> Result<Vec<Claimed>> {
    let sql = match tx.conn {
        Connection::Sqlite(_) => cancelled!(""),
        Connection::Postgres(_) => cancelled!(" FOR UPDATE SKIP LOCKED"),
    };
    let rows = sql::query(sql)
        .bind(i64::from(count))
        .fetch_all(&mut tx.conn);
    let rows = rows.await.doing(DOING)?;
    take(tx, rows).await
}

async fn take(tx: &mut Tx, rows: Vec<Row>) -> Result<Vec<Claimed>> {
    let wanted: Vec<i64> = rows.iter().map(|it| it.0).collect();
    let taken = match &mut tx.conn {
        Connection::Postgres(conn) => take_together(conn, tx.replica, &wanted).await,
        Connection::Sqlite(_) => take_each(tx, &wanted).await,
    };
    if taken.doing(DOING)? != wanted.len() as u64 {
        return Err(Error::Conflict {
            what: format!("one of {} jobs that nobody drove", wanted.len()),
            found: "somebody has claimed it".to_owned(),
        });
    }
    let claimed = |(_, id, cancel, ..): Row| Claimed { id, cancel };
    Ok(rows.into_iter().map(claimed).collect())
}

/// How many of these jobs this engine has from now on: in one round trip.
async fn take_together(conn: &mut PgConnection, replica: i64, rows: &[i64]) -> sql::Result<u64> {
    let taken = sqlx::query("UPDATE jobs SET owner = $1 WHERE row = ANY($2) AND owner IS NULL")
        .bind(replica)
        .bind(rows)
        .execute(conn)
        .await?;
    Ok(taken.rows_affected())
}

async fn take_each(tx: &mut Tx, rows: &[i64]) -> sql::Result<u64> {
    let mut taken = 0;
    for row in rows {
        taken += sql::query("UPDATE jobs SET owner = $1 WHERE row = $2 AND owner IS NULL")
            .bind(tx.replica)
            .bind(*row)
            .execute(&mut tx.conn)
            .await?;
    }
    Ok(taken)
}

async fn note_cancel(tx: &mut Tx, id: String, reason: String) -> Result<bool> {
    let noted = sql::query(
        "UPDATE jobs SET cancel = coalesce(cancel, $1) WHERE id = $2 \
         AND status IN ('accepted', 'running', 'cancelling')",
    )
    .bind(reason)
    .bind(id)
    .execute(&mut tx.conn)
    .await
    .doing("note that the job shall be cancelled")?;
    tx.written.cancels |= noted == 1;
    Ok(noted == 1)
}
