//! Events on their way into logs. The writer puts those that wait into the tables together: on a server,
//! a statement costs a round trip, whatever it holds.

use std::sync::Arc;

use rusqlite::params;
use se_runtime::event::Map;
use se_runtime::secret::mask_value;
use se_runtime::{Batch, Event, Record, Summary, Timestamp};
use sqlx::PgConnection;

use crate::changes::News;
use crate::error::{Doing, Error, Result};
use crate::facts::learn;
use crate::log::Subject;
use crate::objects::{LARGEST, Objects};
use crate::outbox::{NewDelivery, enqueue, job_stream};
use crate::sql::{self, Connection, On};
use crate::together::Call;
use crate::writer::{Tx, Written};

const DOING: &str = "append to logs";

/// Events for the end of one log, with all that they bring about.
pub(crate) struct Append {
    pub(crate) job: Arc<Subject>,
    /// Number of the event that the log ends with so far.
    pub(crate) after: i64,
    pub(crate) lines: Vec<Line>,
    pub(crate) summary: Summary,
    /// Whether the job is in another status afterwards.
    moves: bool,
    pub(crate) ended: bool,
    learned: Map,
    pub(crate) deliveries: Vec<NewDelivery>,
    pub(crate) now: Timestamp,
}

/// One event, as it is told and as it is stored.
pub(crate) struct Line {
    pub(crate) seq: i64,
    /// Or what refers to it.
    pub(crate) text: String,
    pub(crate) record: Record,
    pub(crate) is_large: bool,
}

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Appended {
    Stored,
    /// It was stored before, though whoever asked for it was not told.
    Again,
    /// The log ends with this event.
    Elsewhere(u64),
    /// Another engine drives the job, or none.
    NotOurs,
    /// The job is not there any more.
    Deleted,
}

impl Append {
    pub(crate) fn new(
        job: &Arc<Subject>,
        batch: Batch,
        deliveries: Vec<NewDelivery>,
        now: Timestamp,
    ) -> Result<Self> {
        Ok(Self {
            after: number(batch.after),
            moves: batch.records.iter().any(|it| changes_status(&it.event)),
            ended: batch.records.iter().any(|it| it.event.is_last()),
            learned: learned(&batch.records),
            lines: lines(&job.accepted.job_id, batch.records)?,
            summary: batch.summary,
            job: Arc::clone(job),
            deliveries,
            now,
        })
    }

    /// Keeps texts outside that are too large for rows.
    pub(crate) async fn keep(&mut self, objects: &Objects) {
        let id = &self.job.accepted.job_id;
        objects.keep_all(id, &mut self.lines).await;
    }

    /// Whether more is to be read before it is written: such an append goes alone.
    pub(crate) fn learns(&self) -> bool {
        !self.learned.is_empty() && self.job.accepted.session_id.is_some()
    }

    pub(crate) fn last(&self) -> i64 {
        self.lines.last().map_or(self.after, |it| it.seq)
    }

    /// Where it was stored before, nobody may have been told to see to what it has brought about.
    pub(crate) fn ring(&self, found: Appended, written: &mut Written) {
        if found == Appended::Again {
            written.deliveries += 1;
            written.jobs |= self.ended;
        }
    }

    pub(crate) fn owner(&self) -> Option<i64> {
        (!self.ended).then_some(self.job.replica)
    }
}

/// Writes everything of each of them, or nothing of it and says why. They are of different jobs. An error
/// is one of the database: whatever was written has to be undone.
pub(crate) async fn store(tx: &mut Tx, mut appends: Vec<Append>) -> Result<Vec<Appended>> {
    let mut outcomes = Vec::with_capacity(appends.len());
    if let Connection::Postgres(conn) = &mut tx.conn {
        let call = Call::new(tx.replica, &mut appends, tx.limit);
        let answer = call.make(conn).await.doing(DOING)?;
        let all = call.conclude(conn, answer, &appends, &mut tx.written).await;
        for (outcome, it) in all.into_iter().zip(appends) {
            let outcome = outcome?;
            if outcome == Appended::Stored {
                learn_from(tx, it).await?;
            }
            outcomes.push(outcome);
        }
        return Ok(outcomes);
    }
    for mut it in appends {
        outcomes.push(if update(tx, &it).await? {
            let lines = std::mem::take(&mut it.lines);
            insert(
                tx,
                vec![(it.job.row, it.job.accepted.job_id.clone(), lines)],
            )
            .await?;
            finish(tx, it).await?
        } else {
            let texts = it.lines.iter().map(|it| it.text.as_str());
            let found = refused((&mut tx.conn).into(), &it, texts).await?;
            it.ring(found, &mut tx.written);
            found
        });
    }
    Ok(outcomes)
}

/// What else an append brings about.
async fn finish(tx: &mut Tx, mut it: Append) -> Result<Appended> {
    let job = &it.job;
    if it.ended {
        sql::query("DELETE FROM job_secrets WHERE job = $1")
            .bind(job.row)
            .execute(&mut tx.conn)
            .await
            .doing("erase the secrets of the job")?;
    }
    let deliveries = std::mem::take(&mut it.deliveries);
    enqueue(tx, &job_stream(&job.accepted.job_id), deliveries, it.now).await?;
    tx.written.jobs |= it.ended;
    learn_from(tx, it).await?;
    Ok(Appended::Stored)
}

async fn learn_from(tx: &mut Tx, it: Append) -> Result<()> {
    match it.job.accepted.session_id.as_deref() {
        Some(session) if !it.learned.is_empty() => {
            learn(tx, session, &it.job.worker, it.learned, it.now).await
        }
        _ => Ok(()),
    }
}

/// Whether the log ended where the append begins, and is this engine's.
async fn update(tx: &mut Tx, it: &Append) -> Result<bool> {
    let summary = &it.summary;
    // What is indexed is only written where it changes: an index is as dear as a row.
    let moved = if it.moves {
        sql::query(
            "UPDATE jobs SET last_seq = $1, percentage = $2, message = $3, status = $4, \
             started_at = $5, completed_at = $6, owner = $7, \
             cancel = CASE WHEN $7 IS NULL THEN NULL ELSE cancel END \
             WHERE row = $8 AND last_seq = $9 AND owner = $10",
        )
        .bind(it.last())
        .bind(i64::from(summary.percentage))
        .bind(&summary.message)
        .bind(summary.status.as_str())
        .bind(summary.started_at.map(Timestamp::micros))
        .bind(summary.completed_at.map(Timestamp::micros))
        .bind(it.owner())
    } else {
        sql::query(
            "UPDATE jobs SET last_seq = $1, percentage = $2, message = $3 \
             WHERE row = $4 AND last_seq = $5 AND owner = $6",
        )
        .bind(it.last())
        .bind(i64::from(summary.percentage))
        .bind(&summary.message)
    };
    let moved = moved.bind(it.job.row).bind(it.after).bind(it.job.replica);
    let moved = moved.execute(&mut tx.conn).await.doing("update the job")?;
    Ok(moved == 1)
}

/// What stands against an append; `texts` are those of its lines. Nothing if its log ends with just these: that it
/// is this engine's, or has ended by them, means that nobody else has written them.
pub(crate) async fn refused<'t>(
    on: On<'_>,
    it: &Append,
    texts: impl Iterator<Item = &'t str>,
) -> Result<Appended> {
    let texts: Vec<&str> = texts.collect();
    let last = it.after.saturating_add_unsigned(texts.len() as u64);
    let found: Vec<(i64, Option<i64>, Option<String>)> = sql::query(
        "SELECT last_seq, owner, record FROM jobs \
         LEFT JOIN events ON job = row AND last_seq = $2 AND seq > $3 WHERE row = $1 ORDER BY seq",
    )
    .bind(it.job.row)
    .bind(last)
    .bind(it.after)
    .fetch_all(on)
    .await
    .doing("read the job")?;
    let Some(&(end, owner, _)) = found.first() else {
        return Ok(Appended::Deleted);
    };
    let stored = found.iter().filter_map(|(.., text)| text.as_deref());
    let is_own = owner == Some(it.job.replica);
    Ok(
        if !texts.is_empty() && owner == it.owner() && stored.eq(texts) {
            Appended::Again
        } else if is_own {
            Appended::Elsewhere(u64::try_from(end).unwrap_or_default())
        } else {
            Appended::NotOurs
        },
    )
}

/// The lines of a log, each as it is stored.
pub(crate) fn lines(id: &str, records: Vec<Record>) -> Result<Vec<Line>> {
    let line = |record: Record| {
        let text = serde_json::to_string(&record);
        let text =
            text.map_err(|error| Error::corrupt("events", format!("{id}/{}", record.seq), error))?;
        Ok(Line {
            seq: number(record.seq),
            is_large: text.len() > LARGEST,
            text,
            record,
        })
    };
    records.into_iter().map(line).collect()
}

/// Puts the lines of jobs (row, id) into their logs.
pub(crate) async fn insert(tx: &mut Tx, jobs: Vec<(i64, String, Vec<Line>)>) -> Result<()> {
    match &mut tx.conn {
        Connection::Postgres(conn) => {
            let stored = insert_together(conn, jobs).await;
            tx.written.events.extend(stored.doing("store events")?);
        }
        Connection::Sqlite(conn) => {
            for (row, id, lines) in jobs {
                for line in lines {
                    let stored = insert_one(conn, row, &id, line).doing("store an event")?;
                    tx.written.events.push(Arc::new(stored));
                }
            }
        }
    }
    Ok(())
}

/// Without RETURNING, for which SQLite makes a table each time.
fn insert_one(conn: &rusqlite::Connection, job: i64, id: &str, line: Line) -> sql::Result<News> {
    let insert = "INSERT INTO events (job, seq, record) VALUES (?1, ?2, ?3)";
    let position = conn
        .prepare_cached(insert)?
        .insert(params![job, line.seq, line.text])?;
    Ok(News {
        position,
        job_id: id.to_owned(),
        seq: line.record.seq,
        record: (!line.is_large).then_some(line.record),
    })
}

/// Positions are given in the order of the lines.
async fn insert_together(
    conn: &mut PgConnection,
    jobs: Vec<(i64, String, Vec<Line>)>,
) -> sqlx::Result<Vec<Arc<News>>> {
    let (mut rows, mut seqs, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    let mut records = Vec::new();
    for (row, id, lines) in jobs {
        for line in lines {
            rows.push(row);
            seqs.push(line.seq);
            texts.push(sql::storable(line.text));
            let seq = line.record.seq;
            records.push((id.clone(), seq, (!line.is_large).then_some(line.record)));
        }
    }
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut positions: Vec<(i64,)> = sqlx::query_as(
        "INSERT INTO events (job, seq, record) SELECT job, seq, record \
         FROM unnest(CAST($1 AS BIGINT[]), CAST($2 AS BIGINT[]), CAST($3 AS TEXT[])) \
         WITH ORDINALITY AS it (job, seq, record, place) ORDER BY place RETURNING position",
    )
    .bind(rows)
    .bind(seqs)
    .bind(texts)
    .fetch_all(conn)
    .await?;
    positions.sort_unstable();
    let stored = |((position,), (job_id, seq, record))| {
        Arc::new(News {
            position,
            job_id,
            seq,
            record,
        })
    };
    Ok(positions.into_iter().zip(records).map(stored).collect())
}

fn changes_status(event: &Event) -> bool {
    let begins = matches!(event, Event::JobStarted | Event::CancelRequested { .. });
    begins || event.is_last()
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

fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
