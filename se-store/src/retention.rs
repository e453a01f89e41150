//! How long what has ended is kept, and the sweep that deletes the rest a little at a time.

use std::time::Duration;

use object_store::path::Path;

use crate::error::{Doing, Result};
use crate::jobs::WINDOW;
use crate::objects::{REFERS, Reference};
use crate::sql;
use crate::store::Store;
use crate::writer::Tx;

const DOING: &str = "delete what is old";
/// Jobs in one transaction, whose events are not more than
const JOBS: i64 = 200;
/// so many, but for the last of them: other writes wait for it.
const EVENTS: i64 = 2_000;
/// As long as the statement of [`Store::old`] says.
const _: () = assert!(REFERS.len() == 24);
/// Rows of other tables in one transaction.
const ROWS: i64 = 500;

/// How long what has ended is kept; `None`: for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Jobs that ended well.
    pub completed: Option<Duration>,
    /// Jobs that failed.
    pub faulted: Option<Duration>,
    /// Jobs that were cancelled.
    pub cancelled: Option<Duration>,
    /// `CloudEvents` that arrived, or that their receiver did not want.
    pub delivered: Option<Duration>,
    /// `CloudEvents` that were given up.
    pub dead: Option<Duration>,
    /// What sessions have learned and the ports they hold, since they last learned or asked for something; a session
    /// with a job that has not ended keeps both.
    pub facts: Option<Duration>,
}

/// What one slice of the sweep has deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Jobs that had ended well.
    pub completed: u64,
    /// Jobs that had failed.
    pub faulted: u64,
    /// Jobs that had been cancelled.
    pub cancelled: u64,
    /// `CloudEvents` that had arrived, or that their receiver did not want.
    pub delivered: u64,
    /// `CloudEvents` that had been given up.
    pub dead: u64,
    /// Whether there is more to delete.
    pub more: bool,
}

impl Retention {
    /// The same for everything.
    #[must_use]
    pub fn all(keep: Option<Duration>) -> Self {
        Self {
            completed: keep,
            faulted: keep,
            cancelled: keep,
            delivered: keep,
            dead: keep,
            facts: keep,
        }
    }

    /// The status of ended jobs, and how long such jobs are kept.
    fn jobs(&self) -> [(&'static str, Option<Duration>); 3] {
        [
            ("completed", self.completed),
            ("faulted", self.faulted),
            ("cancelled", self.cancelled),
        ]
    }

    /// The shortest time for which anything is kept.
    #[must_use]
    pub fn shortest(&self) -> Option<Duration> {
        let all = [
            self.completed,
            self.faulted,
            self.cancelled,
            self.delivered,
            self.dead,
            self.facts,
        ];
        all.into_iter().flatten().min()
    }
}

impl Swept {
    /// How many jobs went.
    #[must_use]
    pub fn jobs(self) -> u64 {
        self.completed + self.faulted + self.cancelled
    }
}

impl Store {
    /// Deletes some of what nobody asks for any more: ended jobs with their events, deliveries,
    /// session facts, and idempotency keys past their window. One short transaction; to be called
    /// again while there is more.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable): nothing was deleted but, maybe, large events of jobs
    /// that are too old to be kept.
    pub async fn sweep(&self, retention: Retention) -> Result<Swept> {
        let now = self.now().micros();
        let mut old = Vec::new();
        for (status, keep) in retention.jobs() {
            if let Some(before) = before(now, keep) {
                old.push((status, self.old(status, before, now).await?));
            }
        }
        // First: what no row refers to any more would not be found again.
        let all = old.iter().flat_map(|(_, old)| &old.objects);
        for path in all {
            self.options.objects.forget(path).await?;
        }
        self.write(DOING, move |tx| Box::pin(slice(tx, retention, old, now)))
            .await
    }

    /// The jobs that go next, those that ended first. Two are kept all the same: that of the newest event, until
    /// there is a newer one (a file gives the position after the highest that it holds, and who follows all jobs
    /// must not see one twice), and one whose idempotency key is valid, because a repeated request gets it.
    async fn old(&self, status: &'static str, before: i64, now: i64) -> Result<Old> {
        let rows: Vec<OldRow> = sql::query(
            "SELECT row, id, last_seq, seq, record FROM (SELECT row, id, last_seq, completed_at FROM jobs \
             WHERE status = $1 AND completed_at < $2 \
             AND row NOT IN (SELECT job FROM events ORDER BY position DESC LIMIT 1) \
             AND (completed_at < $3 OR id NOT IN (SELECT job_id FROM idempotency WHERE expires_at > $4)) \
             ORDER BY completed_at, row LIMIT $5) AS old \
             LEFT JOIN events ON job = row AND substr(record, 1, 24) = $6 \
             ORDER BY completed_at, row",
        )
        .bind(status)
        .bind(before)
        // Whose key is past its window for certain.
        .bind(now.saturating_sub(i64::try_from(WINDOW.as_micros()).unwrap_or(i64::MAX)))
        .bind(now)
        .bind(JOBS)
        .bind(REFERS)
        .fetch_all(&self.readers)
        .await
        .doing(DOING)?;
        Ok(Old::of(rows))
    }
}

/// A job that is too old to be kept, with an event that is kept outside if there is one.
type OldRow = (i64, String, i64, Option<i64>, Option<String>);

/// Jobs that go together: exactly those whose large events were looked for.
#[derive(Default)]
struct Old {
    jobs: Vec<i64>,
    objects: Vec<Path>,
    /// Whether there may be more.
    more: bool,
}

impl Old {
    /// As many of the jobs in these rows as go in one transaction.
    fn of(rows: Vec<OldRow>) -> Self {
        let (mut old, mut events) = (Self::default(), 0);
        for (row, id, last_seq, seq, record) in rows {
            let is_next = old.jobs.last() != Some(&row);
            if is_next && events >= EVENTS {
                old.more = true;
                return old;
            }
            if is_next {
                old.jobs.push(row);
                events += last_seq;
            }
            // One that is damaged does not keep its job from going.
            if let (Some(seq), Some(record)) = (seq, record)
                && let Ok(Some(reference)) = Reference::read(&id, seq, &record)
            {
                old.objects.push(reference.path());
            }
        }
        old.more = i64::try_from(old.jobs.len()).is_ok_and(|it| it == JOBS);
        old
    }
}

async fn slice(
    tx: &mut Tx,
    keep: Retention,
    old: Vec<(&'static str, Old)>,
    now: i64,
) -> Result<Swept> {
    let mut swept = Swept::default();
    for (status, old) in old {
        swept.more |= old.more;
        let count = match status {
            "completed" => &mut swept.completed,
            "faulted" => &mut swept.faulted,
            _ => &mut swept.cancelled,
        };
        *count = jobs(tx, &old).await?;
    }
    swept.more |= is_full(unended(tx).await?);
    for (status, keep) in [
        ("delivered", keep.delivered),
        ("gone", keep.delivered),
        ("dead", keep.dead),
    ] {
        if let Some(before) = before(now, keep) {
            let gone = deliveries(tx, status, before).await?;
            swept.more |= is_full(gone);
            match status {
                "dead" => swept.dead += gone,
                _ => swept.delivered += gone,
            }
        }
    }
    if let Some(before) = before(now, keep.facts) {
        swept.more |= is_full(facts(tx, before).await?);
        swept.more |= is_full(ports(tx, before).await?);
    }
    swept.more |= is_full(keys(tx, now).await?);
    Ok(swept)
}

/// What ended before that is not kept.
fn before(now: i64, keep: Option<Duration>) -> Option<i64> {
    let kept = i64::try_from(keep?.as_micros()).unwrap_or(i64::MAX);
    Some(now.saturating_sub(kept))
}

fn is_full(rows: u64) -> bool {
    i64::try_from(rows).is_ok_and(|it| it >= ROWS)
}

/// Deletes these jobs with all that is theirs; how many. Another engine may have been first.
async fn jobs(tx: &mut Tx, old: &Old) -> Result<u64> {
    let mut gone = 0;
    for row in &old.jobs {
        gone += sql::query("DELETE FROM jobs WHERE row = $1")
            .bind(*row)
            .execute(&mut tx.conn)
            .await
            .doing(DOING)?;
    }
    Ok(gone)
}

/// Notes when deliveries ended that former engines put in as gone: they were not wanted from the beginning.
async fn unended(tx: &mut Tx) -> Result<u64> {
    let gone = sql::query(
        "UPDATE deliveries SET ended_at = created_at, owner = NULL WHERE id IN (SELECT id \
         FROM deliveries WHERE status = 'gone' AND ended_at IS NULL LIMIT $1)",
    );
    some(tx, gone).await
}

async fn deliveries(tx: &mut Tx, status: &str, before: i64) -> Result<u64> {
    let old = sql::query(
        "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries \
         WHERE status = $1 AND ended_at < $2 ORDER BY ended_at LIMIT $3)",
    );
    some(tx, old.bind(status).bind(before)).await
}

/// Of sessions that have learned nothing for so long, and of which no job runs.
async fn facts(tx: &mut Tx, before: i64) -> Result<u64> {
    let old = sql::query(
        "DELETE FROM session_facts WHERE (session_id, worker) IN (SELECT session_id, worker \
         FROM session_facts WHERE updated_at < $1 AND session_id NOT IN (SELECT coalesce(session_id, id) \
         FROM jobs WHERE status IN ('accepted', 'running', 'cancelling')) LIMIT $2)",
    );
    some(tx, old.bind(before)).await
}

/// Of sessions (or jobs without one) that nobody has heard of for so long, and of which no job runs. As
/// [`crate::port_holder`] calls them.
async fn ports(tx: &mut Tx, before: i64) -> Result<u64> {
    let old = sql::query(
        "DELETE FROM ports WHERE (worker, port) IN (SELECT worker, port FROM ports \
         WHERE since < $1 AND NOT EXISTS (SELECT 1 FROM \
         (SELECT coalesce(session_id, 'job ' || id) AS name FROM jobs \
         WHERE status IN ('accepted', 'running', 'cancelling')) AS running \
         WHERE holder = name OR substr(holder, 1, length(name) + 1) = name || ' ') LIMIT $2)",
    );
    some(tx, old.bind(before)).await
}

async fn keys(tx: &mut Tx, now: i64) -> Result<u64> {
    let old = sql::query(
        "DELETE FROM idempotency WHERE key IN (SELECT key FROM idempotency \
         WHERE expires_at <= $1 LIMIT $2)",
    );
    some(tx, old.bind(now)).await
}

/// What `change` says, as many rows of it as its last parameter lets.
async fn some(tx: &mut Tx, change: sql::Query) -> Result<u64> {
    let changed = change.bind(ROWS).execute(&mut tx.conn).await;
    changed.doing(DOING)
}
