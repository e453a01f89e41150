use se_runtime::{Accepted, Batch, Timestamp};

use crate::definitions::Definition;
use crate::error::{Doing, Error, Result};
use crate::jobs::{Cursor, Page};
use crate::sql;
use crate::store::Store;
use crate::writer::Tx;

/// Says which CloudEvents tell of a change. Called before the change is written; what it returns is
/// written with it. It must not block: the writer of the change waits for it.
pub trait Announce: Send + Sync {
    /// What tells of these events of a job. Both are sealed: mask them.
    fn job(&self, accepted: &Accepted, batch: &Batch) -> Vec<NewDelivery>;
    /// What tells of a pod definition that a sync has changed.
    fn definition(&self, definition: &Definition, event: PodDefinitionEvent) -> Vec<NewDelivery>;
}

/// How a sync has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodDefinitionEvent {
    /// The version is ready.
    Ready,
    /// The sync failed; [`Definition::error`] says why.
    Failed,
}

/// Announces nothing: for tools and tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Announce for Silent {
    fn job(&self, _accepted: &Accepted, _batch: &Batch) -> Vec<NewDelivery> {
        Vec::new()
    }

    fn definition(&self, _definition: &Definition, _event: PodDefinitionEvent) -> Vec<NewDelivery> {
        Vec::new()
    }
}

/// A CloudEvent to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// Where to.
    pub url: String,
    /// Its `id`, the same in every attempt.
    pub event_id: String,
    /// The whole event as JSON.
    pub body: String,
}

/// A CloudEvent in the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The delivery.
    pub id: i64,
    /// What it tells of; deliveries of one stream to one URL are made in order.
    pub stream: String,
    /// Where to.
    pub url: String,
    /// The CloudEvent's `id`.
    pub event_id: String,
    /// The whole event as JSON.
    pub body: String,
    /// Where it is in its life.
    pub status: DeliveryStatus,
    /// How many attempts have failed.
    pub attempts: u32,
    /// When the next attempt is due.
    pub next_at: Timestamp,
    /// When it was put in.
    pub created_at: Timestamp,
    /// When it arrived or was given up.
    pub ended_at: Option<Timestamp>,
    /// What the last failed attempt said.
    pub error: Option<String>,
}

/// Where a delivery is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// The first of its stream: due when its time has come.
    Pending,
    /// Stands behind another of its stream.
    Waiting,
    /// Arrived.
    Delivered,
    /// Given up; can be sent again.
    Dead,
    /// Its receiver does not want the stream any more.
    Gone,
}

impl DeliveryStatus {
    const ALL: [Self; 5] = [
        Self::Pending,
        Self::Waiting,
        Self::Delivered,
        Self::Dead,
        Self::Gone,
    ];

    /// As the API writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Gone => "gone",
        }
    }

    /// Reads what [`Self::as_str`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

/// The CloudEvents on their way out. Each belongs to the engine that put it in, until that is no more: a
/// delivery that is due stays due until its end is reported.
#[derive(Clone, Copy, Debug)]
pub struct Outbox<'a> {
    pub(crate) store: &'a Store,
}

impl Outbox<'_> {
    /// Deliveries of this engine whose time has come, the longest due first; of each stream only the first.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Unavailable`].
    pub async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<Delivery>> {
        let rows: Vec<Row> = sql::query(
            "SELECT * FROM deliveries WHERE owner = $1 AND status = 'pending' AND next_at <= $2 \
             ORDER BY next_at, id LIMIT $3",
        )
        .bind(self.store.replica())
        .bind(now.micros())
        .bind(i64::from(limit))
        .fetch_all(&self.store.readers)
        .await
        .doing("look for due deliveries")?;
        rows.into_iter().map(Delivery::try_from).collect()
    }

    /// When this engine's next delivery is due, if there is one.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn next_due(&self) -> Result<Option<Timestamp>> {
        let next: (Option<i64>,) = sql::query(
            "SELECT min(next_at) FROM deliveries WHERE owner = $1 AND status = 'pending'",
        )
        .bind(self.store.replica())
        .fetch_one(&self.store.readers)
        .await
        .doing("look for due deliveries")?;
        Ok(next.0.map(Timestamp::from_micros))
    }

    /// It arrived; the next of its stream is due.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it is not pending, [`Error::Unavailable`].
    pub async fn delivered(&self, id: i64) -> Result<()> {
        self.end(id, DeliveryStatus::Delivered, None).await
    }

    /// It is given up; it can be sent again. The next of its stream is due.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it is not pending, [`Error::Unavailable`].
    pub async fn dead(&self, id: i64, error: &str) -> Result<()> {
        self.end(id, DeliveryStatus::Dead, Some(error.to_owned()))
            .await
    }

    /// An attempt failed; the next is due at `next_at`.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it is not pending, [`Error::Unavailable`].
    pub async fn failed(&self, id: i64, error: &str, next_at: Timestamp) -> Result<()> {
        let error = error.to_owned();
        self.store
            .write("note the failed delivery", move |tx| {
                Box::pin(failed(tx, id, error, next_at))
            })
            .await
    }

    /// The receiver does not want this stream any more: neither what waits nor what will come.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the delivery is not pending, [`Error::Unavailable`].
    pub async fn gone(&self, id: i64, error: &str) -> Result<()> {
        self.end(id, DeliveryStatus::Gone, Some(error.to_owned()))
            .await
    }

    /// Deliveries, newest first.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Unavailable`].
    pub async fn list(
        &self,
        status: Option<DeliveryStatus>,
        limit: u32,
        cursor: Option<Cursor>,
    ) -> Result<Page<Delivery>> {
        let limit = limit.clamp(1, 1000);
        let rows: Vec<Row> = sql::query(
            "SELECT * FROM deliveries WHERE id < $1 AND ($2 IS NULL OR status = $2) \
             ORDER BY id DESC LIMIT $3",
        )
        .bind(cursor.map_or(i64::MAX, |it| it.0))
        .bind(status.map(DeliveryStatus::as_str))
        .bind(i64::from(limit) + 1)
        .fetch_all(&self.store.readers)
        .await
        .doing("list the deliveries")?;
        Page::of(rows, limit, |it| it.id)
    }

    /// Puts a delivery that was given up, or refused as gone, back in, at the head of what waits.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] if it arrived or is still on its way;
    /// [`Error::Unavailable`].
    pub async fn resend(&self, id: i64) -> Result<()> {
        let now = self.store.now();
        self.store
            .write("put the delivery back in", move |tx| {
                Box::pin(resend(tx, id, now))
            })
            .await
    }

    async fn end(&self, id: i64, status: DeliveryStatus, error: Option<String>) -> Result<()> {
        let now = self.store.now();
        self.store
            .write("note the end of the delivery", move |tx| {
                Box::pin(end(tx, id, (status, error), now))
            })
            .await
    }
}

/// The stream of a job's events.
pub(crate) fn job_stream(job: &str) -> String {
    format!("jobs/{job}")
}

/// The stream of a pod definition's events.
pub(crate) fn definition_stream(definition: &str) -> String {
    format!("pod-definitions/{definition}")
}

pub(crate) async fn enqueue(
    tx: &mut Tx,
    stream: &str,
    deliveries: Vec<NewDelivery>,
    now: Timestamp,
) -> Result<()> {
    for it in deliveries {
        sql::query(
            "INSERT INTO deliveries (stream, url, event_id, body, next_at, created_at, ended_at, owner, \
               status) \
             SELECT $1, $2, $3, $4, $5, $5, CASE it.status WHEN 'gone' THEN $5 END, \
               CASE WHEN it.status <> 'gone' THEN $6 END, it.status FROM (SELECT CASE \
             WHEN EXISTS (SELECT 1 FROM deliveries WHERE stream = $1 AND url = $2 \
               AND status = 'gone') THEN 'gone' \
             WHEN EXISTS (SELECT 1 FROM deliveries WHERE stream = $1 AND url = $2 \
               AND status IN ('pending', 'waiting')) THEN 'waiting' ELSE 'pending' END AS status \
             LIMIT 1) AS it",
        )
        .bind(stream)
        .bind(it.url)
        .bind(it.event_id)
        .bind(it.body)
        .bind(now.micros())
        .bind((tx.replica != 0).then_some(tx.replica))
        .execute(&mut tx.conn)
        .await
        .doing("store a delivery")?;
        tx.written.deliveries += 1;
    }
    Ok(())
}

async fn failed(tx: &mut Tx, id: i64, error: String, next_at: Timestamp) -> Result<()> {
    let updated = sql::query(
        "UPDATE deliveries SET attempts = attempts + 1, error = $1, next_at = $2 \
         WHERE id = $3 AND status = 'pending' AND owner = $4",
    )
    .bind(error)
    .bind(next_at.micros())
    .bind(id)
    .bind(tx.replica)
    .execute(&mut tx.conn)
    .await
    .doing("note the failed delivery")?;
    if updated == 0 {
        return Err(not_pending(id));
    }
    tx.written.deliveries += 1;
    Ok(())
}

async fn end(
    tx: &mut Tx,
    id: i64,
    (status, error): (DeliveryStatus, Option<String>),
    now: Timestamp,
) -> Result<()> {
    const DOING: &str = "note the end of the delivery";
    let stream: Option<(String, String)> = sql::query(
        "UPDATE deliveries SET status = $1, error = coalesce($2, error), ended_at = $3, \
         attempts = attempts + $4, owner = NULL \
         WHERE id = $5 AND status = 'pending' AND owner = $6 RETURNING stream, url",
    )
    .bind(status.as_str())
    .bind(&error)
    .bind(now.micros())
    .bind(i64::from(error.is_some()))
    .bind(id)
    .bind(tx.replica)
    .fetch_optional(&mut tx.conn)
    .await
    .doing(DOING)?;
    let (stream, url) = stream.ok_or_else(|| not_pending(id))?;
    if status == DeliveryStatus::Gone {
        sql::query(
            "UPDATE deliveries SET status = 'gone', error = $1, ended_at = $2, owner = NULL \
             WHERE stream = $3 AND url = $4 AND status = 'waiting'",
        )
        .bind(error)
        .bind(now.micros())
        .bind(stream)
        .bind(url)
        .execute(&mut tx.conn)
        .await
        .doing(DOING)?;
    } else {
        promote(tx, &stream, &url, now).await?;
    }
    tx.written.deliveries += 1;
    Ok(())
}

/// Makes the first that waits in a stream the one that is due.
async fn promote(tx: &mut Tx, stream: &str, url: &str, now: Timestamp) -> Result<()> {
    sql::query(
        "UPDATE deliveries SET status = 'pending', next_at = $3 WHERE id = (SELECT min(id) \
         FROM deliveries WHERE stream = $1 AND url = $2 AND status = 'waiting')",
    )
    .bind(stream)
    .bind(url)
    .bind(now.micros())
    .execute(&mut tx.conn)
    .await
    .doing("make the next delivery due")?;
    Ok(())
}

async fn resend(tx: &mut Tx, id: i64, now: Timestamp) -> Result<()> {
    const DOING: &str = "put the delivery back in";
    let found: Option<(String, String, String)> =
        sql::query("SELECT stream, url, status FROM deliveries WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut tx.conn)
            .await
            .doing(DOING)?;
    let (stream, url, status) = found.ok_or_else(|| Error::not_found(format!("delivery {id}")))?;
    if !matches!(
        DeliveryStatus::parse(&status),
        Some(DeliveryStatus::Dead | DeliveryStatus::Gone)
    ) {
        return Err(Error::Conflict {
            what: format!("delivery {id}"),
            found: format!("it is {status}, and only dead or gone ones are sent again"),
        });
    }
    sql::query(
        "UPDATE deliveries SET attempts = 0, ended_at = NULL, next_at = $1, \
         created_at = $1, owner = $2, status = 'waiting' WHERE id = $3",
    )
    .bind(now.micros())
    .bind(tx.replica)
    .bind(id)
    .execute(&mut tx.conn)
    .await
    .doing(DOING)?;
    let head: Option<(i64,)> = sql::query(
        "SELECT id FROM deliveries WHERE stream = $1 AND url = $2 AND status = 'pending'",
    )
    .bind(&stream)
    .bind(&url)
    .fetch_optional(&mut tx.conn)
    .await
    .doing(DOING)?;
    if head.is_none() {
        promote(tx, &stream, &url, now).await?;
    }
    tx.written.deliveries += 1;
    Ok(())
}

fn not_pending(id: i64) -> Error {
    Error::Conflict {
        what: format!("delivery {id}"),
        found: "it is not pending".to_owned(),
    }
}

sql::row! {
    struct Row {
        id: i64,
        stream: String,
        url: String,
        event_id: String,
        body: String,
        status: String,
        attempts: i64,
        next_at: i64,
        created_at: i64,
        ended_at: Option<i64>,
        error: Option<String>,
    }
}

impl TryFrom<Row> for Delivery {
    type Error = Error;

    fn try_from(it: Row) -> Result<Self> {
        let status = DeliveryStatus::parse(&it.status).ok_or_else(|| {
            Error::corrupt(
                "deliveries",
                it.id,
                format!("unknown status `{}`", it.status),
            )
        })?;
        Ok(Self {
            id: it.id,
            stream: it.stream,
            url: it.url,
            event_id: it.event_id,
            body: it.body,
            status,
            attempts: u32::try_from(it.attempts).unwrap_or(u32::MAX),
            next_at: Timestamp::from_micros(it.next_at),
            created_at: Timestamp::from_micros(it.created_at),
            ended_at: it.ended_at.map(Timestamp::from_micros),
            error: it.error,
        })
    }
}
