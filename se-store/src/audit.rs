//! Whether a database is whole: what an operator asks after a crash, before an upgrade, or of a backup.

use std::fmt;

use se_runtime::{Event, Record};

use crate::error::{Doing, Result, chain};
use crate::jobs::{Job, JobRow};
use crate::objects::Objects;
use crate::sql::{self, Connection};
use crate::{log, postgres, sqlite};

/// Something that is not as an engine writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The table.
    pub table: &'static str,
    /// The row, by its key.
    pub row: String,
    /// What is wrong with it.
    pub message: String,
}

impl Finding {
    /// A finding about a job.
    #[must_use]
    pub fn of_job(id: &str, message: impl Into<String>) -> Self {
        Self::new("jobs", id, message)
    }

    fn new(table: &'static str, row: impl ToString, message: impl Into<String>) -> Self {
        Self {
            table,
            row: row.to_string(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.table, self.row, self.message)
    }
}

/// A job and its events, as far as they can be read.
#[derive(Clone, Debug)]
pub struct Audited {
    /// Its id.
    pub id: String,
    /// Its row and every event of it, sealed; `None` if there are findings.
    pub whole: Option<(Job, Vec<Record>)>,
    /// What is wrong with them.
    pub findings: Vec<Finding>,
}

/// Reads one moment of a database, and writes nothing: an engine may be using it.
#[derive(Debug)]
pub struct Audit {
    conn: Connection,
    /// Whether it says who drives a job: what former engines wrote does not, before a newer one opens it.
    has_owners: bool,
    objects: Objects,
}

/// What the tables say of each other: a query, and what each row that it gives means.
struct Rule {
    table: &'static str,
    /// Gives the key of each row that is wrong.
    sql: &'static str,
    message: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        table: "job_secrets",
        sql: "SELECT id FROM job_secrets JOIN jobs ON jobs.row = job \
              WHERE status IN ('completed', 'faulted', 'cancelled')",
        message: "the job has ended and its secrets are still there",
    },
    Rule {
        table: "deliveries",
        sql: "SELECT CAST(max(id) AS TEXT) FROM deliveries WHERE status = 'pending' \
              GROUP BY stream, url HAVING count(*) > 1",
        message: "another delivery of its stream is due too: they may arrive out of order",
    },
    Rule {
        table: "deliveries",
        sql: "SELECT CAST(min(id) AS TEXT) FROM deliveries WHERE status IN ('pending', 'waiting') \
              GROUP BY stream, url HAVING sum(CASE status WHEN 'pending' THEN 1 ELSE 0 END) = 0",
        message: "nothing of its stream is due, so it will wait for ever",
    },
    Rule {
        table: "deliveries",
        sql: "SELECT CAST(id AS TEXT) FROM deliveries \
              WHERE status NOT IN ('pending', 'waiting', 'delivered', 'dead', 'gone')",
        message: "its status is unknown",
    },
    Rule {
        table: "deliveries",
        sql: "SELECT CAST(max(id) AS TEXT) FROM deliveries GROUP BY stream, url, event_id \
              HAVING count(*) > 1",
        message: "the same event is in the outbox twice",
    },
    Rule {
        table: "deliveries",
        sql: "SELECT CAST(id AS TEXT) FROM deliveries WHERE NOT json_valid(body)",
        message: "its body is no JSON",
    },
    Rule {
        table: "session_facts",
        sql: "SELECT session_id FROM session_facts WHERE NOT json_valid(facts)",
        message: "what the session has learned is no JSON",
    },
    Rule {
        table: "definitions",
        sql: "SELECT definition_id || '@' || version FROM definitions \
              WHERE status = 'ready' AND (content_hash IS NULL OR folder IS NULL)",
        message: "it is ready and has no content",
    },
];

const OWNED: Rule = Rule {
    table: "jobs",
    sql: "SELECT id FROM jobs WHERE owner IS NOT NULL \
          AND status IN ('completed', 'faulted', 'cancelled')",
    message: "the job has ended and somebody drives it still",
};

impl Audit {
    /// Opens the database at `url`, as [`Store::open`](crate::Store::open) takes it; it must be there.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable) if it cannot be opened,
    /// [`Error::NewerSchema`](crate::Error::NewerSchema) if a newer engine wrote it.
    pub async fn open(url: &str, objects: Objects) -> Result<Self> {
        let (conn, schema, _) = open_moment(url).await?;
        let has_owners = matches!(conn, Connection::Postgres(_)) || schema >= sqlite::OWNERS;
        Ok(Self {
            conn,
            has_owners,
            objects,
        })
    }

    /// What is wrong with the file, and with tables beside each other.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable).
    pub async fn tables(&mut self) -> Result<Vec<Finding>> {
        let mut all = self.file().await?;
        let owned = self.has_owners.then_some(&OWNED);
        for rule in RULES.iter().chain(owned) {
            let keys: Vec<(String,)> = sql::query(rule.sql)
                .fetch_all(&mut self.conn)
                .await
                .doing("look through the tables")?;
            let findings = keys.into_iter();
            all.extend(findings.map(|(key,)| Finding::new(rule.table, key, rule.message)));
        }
        Ok(all)
    }

    /// The pages of the file, and rows that refer to nothing. A server looks after both by itself.
    async fn file(&mut self) -> Result<Vec<Finding>> {
        if let Connection::Postgres(_) = self.conn {
            return Ok(Vec::new());
        }
        let pages: Vec<(String,)> = sql::query("PRAGMA integrity_check")
            .fetch_all(&mut self.conn)
            .await
            .doing("check the pages of the file")?;
        let pages = pages.into_iter().filter(|(it,)| it != "ok");
        let mut all: Vec<Finding> = pages
            .map(|(it,)| Finding::new("sqlite", "file", it))
            .collect();
        let lost: Vec<(String, Option<i64>, String, i64)> = sql::query("PRAGMA foreign_key_check")
            .fetch_all(&mut self.conn)
            .await
            .doing("look for rows that refer to nothing")?;
        all.extend(lost.into_iter().map(|(table, row, _, _)| {
            let row = row.map_or_else(|| "?".to_owned(), |it| it.to_string());
            Finding::new("sqlite", format!("{table} {row}"), "it belongs to no job")
        }));
        Ok(all)
    }

    /// The next job after row `after`, which moves on to it; begin with 0.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable).
    pub async fn next_job(&mut self, after: &mut i64) -> Result<Option<Audited>> {
        let row: Option<JobRow> =
            sql::query("SELECT * FROM jobs WHERE row > $1 ORDER BY row LIMIT 1")
                .bind(*after)
                .fetch_optional(&mut self.conn)
                .await
                .doing("read the next job")?;
        let Some(row) = row else {
            return Ok(None);
        };
        *after = row.row;
        let id = row.id.clone();
        let events: Vec<(i64, String)> =
            sql::query("SELECT seq, record FROM events WHERE job = $1 ORDER BY seq")
                .bind(row.row)
                .fetch_all(&mut self.conn)
                .await
                .doing("read the events of the job")?;
        let mut findings = Vec::new();
        let mut found = |message: String| findings.push(Finding::of_job(&id, message));
        let job = Job::try_from(row).map_err(|it| found(it.to_string())).ok();
        let mut records = Vec::with_capacity(events.len());
        for (seq, text) in events {
            let text = self.objects.text(&id, seq, text).await;
            match text.and_then(|it| log::parse(&id, seq, &it)) {
                Ok(record) => records.push(record),
                Err(error) => found(chain(&error)),
            }
        }
        if findings.is_empty() {
            findings = job
                .as_ref()
                .map_or_else(Vec::new, |it| in_order(it, &records));
        }
        let is_whole = findings.is_empty();
        let whole = job.filter(|_| is_whole).map(|job| (job, records));
        Ok(Some(Audited {
            id,
            whole,
            findings,
        }))
    }

    /// Ends the reading.
    pub async fn close(self) {
        // Nothing was written: there is nothing to lose.
        self.conn.close().await.ok();
    }
}

/// A connection to a database that is there, to which everything is as it is now; its schema, and the newest
/// that this engine knows.
pub(crate) async fn open_moment(url: &str) -> Result<(Connection, i64, i64)> {
    const DOING: &str = "begin to read the database";
    if postgres::is_meant(url) {
        let (mut conn, schema) = postgres::open_to_read(url).await?;
        postgres::begin_to_read(&mut conn).await.doing(DOING)?;
        return Ok((
            Connection::Postgres(conn),
            schema,
            postgres::newest_schema(),
        ));
    }
    let (conn, schema) = sqlite::open_to_read(url)?;
    let mut conn = Connection::Sqlite(conn);
    sql::query("BEGIN").execute(&mut conn).await.doing(DOING)?;
    Ok((conn, schema, sqlite::newest_schema()))
}

/// What is wrong with the order of a job's events, all of which can be read.
fn in_order(job: &Job, records: &[Record]) -> Vec<Finding> {
    let mut all = Vec::new();
    let mut found = |message: String| all.push(Finding::of_job(&job.id, message));
    let gap = (1..).zip(records).find(|(seq, it)| it.seq != *seq);
    if let Some((seq, it)) = gap {
        found(format!("event {seq} is missing: {} comes next", it.seq));
    }
    let last = records.last().map_or(0, |it| it.seq);
    if last != job.last_seq {
        found(format!(
            "its row ends with event {}, its log with {last}",
            job.last_seq
        ));
    }
    match records.first().map(|it| &it.event) {
        Some(Event::JobAccepted(accepted)) if accepted.job_id == job.id => {}
        Some(Event::JobAccepted(accepted)) => {
            found(format!("its log is that of job {}", accepted.job_id));
        }
        _ => found("its log does not begin with its acceptance".to_owned()),
    }
    let end = records.iter().position(|it| it.event.is_last());
    if end.is_some_and(|at| at + 1 < records.len()) {
        found("events come after its end".to_owned());
    }
    if end.is_some() != job.summary.status.is_final() {
        let status = job.summary.status.as_str();
        found(format!("its row says {status}, and its log otherwise"));
    }
    all
}
