//! Appends on a server: all that wait, in one call. It commits by itself where nothing else is in its transaction, so
//! it costs one round trip, and writers of other engines wait for the server alone.

use std::sync::Arc;
use std::time::Duration;

use se_runtime::{Record, Timestamp};
use sqlx::{PgConnection, Row as _};

use crate::append::{Append, Appended, refused};
use crate::changes::News;
use crate::error::{Doing, Error, Result};
use crate::outbox::job_stream;
use crate::sql::{self, On, within};
use crate::writer::Written;

const READING: &str = "read the job";

/// Appends of different jobs, as the database takes them in.
pub(crate) struct Call {
    me: i64,
    logs: Vec<i64>,
    ends: Vec<i64>,
    drivers: Vec<i64>,
    lasts: Vec<i64>,
    percentages: Vec<i64>,
    messages: Vec<String>,
    statuses: Vec<&'static str>,
    starts: Vec<Option<i64>>,
    completions: Vec<Option<i64>>,
    owners: Vec<Option<i64>>,
    event_logs: Vec<i64>,
    seqs: Vec<i64>,
    records: Vec<String>,
    /// What is told of each event: its job, number and record.
    told: Vec<(String, u64, Option<Record>)>,
    delivery_logs: Vec<i64>,
    streams: Vec<String>,
    urls: Vec<String>,
    event_ids: Vec<String>,
    bodies: Vec<String>,
    moments: Vec<i64>,
    /// How long it may take to read what stands against an append.
    limit: Option<Duration>,
}

/// What became of a call.
pub(crate) struct Answer {
    /// Whether the engine has its lease; without it nothing was written.
    pub(crate) mine: bool,
    /// Jobs to which it was appended.
    stored: Vec<i64>,
    /// Of their events, in the order of the call.
    positions: Vec<i64>,
}

impl Call {
    /// Takes lines and deliveries out of `appends`.
    pub(crate) fn new(me: i64, appends: &mut [Append], limit: Option<Duration>) -> Self {
        fn of<T>(appends: &[Append], get: impl Fn(&Append) -> T) -> Vec<T> {
            appends.iter().map(get).collect()
        }
        let mut call = Self {
            me,
            logs: of(appends, |it| it.job.row),
            ends: of(appends, |it| it.after),
            drivers: of(appends, |it| it.job.replica),
            lasts: of(appends, Append::last),
            percentages: of(appends, |it| i64::from(it.summary.percentage)),
            messages: of(appends, |it| sql::storable(it.summary.message.clone())),
            statuses: of(appends, |it| it.summary.status.as_str()),
            starts: of(appends, |it| it.summary.started_at.map(Timestamp::micros)),
            completions: of(appends, |it| it.summary.completed_at.map(Timestamp::micros)),
            owners: of(appends, Append::owner),
            event_logs: Vec::new(),
            seqs: Vec::new(),
            records: Vec::new(),
            told: Vec::new(),
            delivery_logs: Vec::new(),
            streams: Vec::new(),
            urls: Vec::new(),
            event_ids: Vec::new(),
            bodies: Vec::new(),
            moments: Vec::new(),
            limit,
        };
        for it in appends {
            call.take(it);
        }
        call
    }

    fn take(&mut self, append: &mut Append) {
        let (row, id) = (append.job.row, &append.job.accepted.job_id);
        for line in std::mem::take(&mut append.lines) {
            self.event_logs.push(row);
            self.seqs.push(line.seq);
            self.records.push(sql::storable(line.text));
            let (seq, is_large) = (line.record.seq, line.is_large);
            let record = (!is_large).then_some(line.record);
            self.told.push((id.clone(), seq, record));
        }
        for it in std::mem::take(&mut append.deliveries) {
            self.delivery_logs.push(row);
            self.streams.push(job_stream(id));
            self.urls.push(sql::storable(it.url));
            self.event_ids.push(sql::storable(it.event_id));
            self.bodies.push(sql::storable(it.body));
            self.moments.push(append.now.micros());
        }
    }

    /// Makes it. Every message of the answer is read: the last comes after the commit.
    pub(crate) async fn make(&self, conn: &mut PgConnection) -> sql::Result<Answer> {
        let rows = sqlx::query(
            "SELECT mine, stored, positions FROM append_events($1, $2, $3, $4, $5, $6, $7, $8, $9, \
             $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
        )
        .bind(self.me)
        .bind(&self.logs)
        .bind(&self.ends)
        .bind(&self.drivers)
        .bind(&self.lasts)
        .bind(&self.percentages)
        .bind(&self.messages)
        .bind(&self.statuses)
        .bind(&self.starts)
        .bind(&self.completions)
        .bind(&self.owners)
        .bind(&self.event_logs)
        .bind(&self.seqs)
        .bind(&self.records)
        .bind(&self.delivery_logs)
        .bind(&self.streams)
        .bind(&self.urls)
        .bind(&self.event_ids)
        .bind(&self.bodies)
        .bind(&self.moments)
        .fetch_all(conn)
        .await?;
        let row = rows.first().ok_or(sql::Error::NoRow)?;
        Ok(Answer {
            mine: row.try_get(0)?,
            stored: row.try_get(1)?,
            positions: row.try_get(2)?,
        })
    }

    /// What became of it where its answer was lost, and whoever worked on it has ended; nothing if it has written
    /// nothing. Its events are those of these texts behind position `newest`, where this engine knew the last event
    /// of its own before; that it has its lease still means that nobody else has written them.
    pub(crate) async fn look(
        &self,
        conn: &mut PgConnection,
        newest: i64,
    ) -> sql::Result<Option<Answer>> {
        let found: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT job, position FROM events \
             JOIN unnest($1, $2, $3) AS it (log, number, text) ON job = log AND seq = number \
             WHERE record = text AND position > $4 ORDER BY position",
        )
        .bind(&self.event_logs)
        .bind(&self.seqs)
        .bind(&self.records)
        .bind(newest)
        .fetch_all(&mut *conn)
        .await?;
        let (mine,): (bool,) = sqlx::query_as("SELECT EXISTS (SELECT FROM replicas WHERE id = $1)")
            .bind(self.me)
            .fetch_one(conn)
            .await?;
        if found.is_empty() && mine {
            return Ok(None);
        }
        let (stored, positions) = found.into_iter().unzip();
        Ok(Some(Answer {
            mine,
            stored,
            positions,
        }))
    }

    /// What became of each of the appends that it was made of. What stands against one is read where it was not
    /// stored; if that cannot be read in time, nothing of it was written all the same.
    pub(crate) async fn conclude(
        self,
        conn: &mut PgConnection,
        answer: Answer,
        appends: &[Append],
        written: &mut Written,
    ) -> Vec<Result<Appended>> {
        let is_stored = |log: &i64| answer.stored.contains(log);
        let told = self.told.into_iter().zip(&self.event_logs);
        let told = told.filter_map(|(it, log)| is_stored(log).then_some(it));
        let news = |((job_id, seq, record), &position)| {
            Arc::new(News {
                position,
                job_id,
                seq,
                record,
            })
        };
        written.events.extend(told.zip(&answer.positions).map(news));
        let deliveries = self.delivery_logs.iter().filter(|it| is_stored(it)).count();
        written.deliveries += deliveries as u64;
        let mut outcomes = Vec::with_capacity(appends.len());
        let mut answers = true;
        for it in appends {
            outcomes.push(if is_stored(&it.job.row) {
                written.jobs |= it.ended;
                Ok(Appended::Stored)
            } else if answers {
                let lines = self.event_logs.iter().zip(&self.records);
                let own = lines.filter(|(log, _)| **log == it.job.row);
                let texts = own.map(|(_, text)| text.as_str());
                let read = against(conn, it, texts, self.limit).await;
                answers = read.is_ok();
                read.inspect(|found| it.ring(*found, written))
            } else {
                Err(Error::stopped(READING))
            });
        }
        outcomes
    }
}

/// What stands against an append.
async fn against<'t>(
    conn: &mut PgConnection,
    it: &Append,
    texts: impl Iterator<Item = &'t str>,
    limit: Option<Duration>,
) -> Result<Appended> {
    let read = async { Ok(refused(On::Postgres(conn), it, texts).await) };
    let read: sql::Result<_> = within(limit, read).await;
    read.doing(READING).flatten()
}
