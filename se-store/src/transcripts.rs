//! What went over the connectors of jobs: evidence, kept beside the log and as long as the job.

use se_runtime::Timestamp;

use crate::error::{Doing, Error, Result};
use crate::sql;
use crate::store::Store;
use crate::writer::Tx;

const KEEPING: &str = "keep what went over a connector";
const READING: &str = "read what went over a connector";

/// A piece of what went over a connector, secrets masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The connector.
    pub connector: String,
    /// When its last line came.
    pub at: Timestamp,
    /// Whole lines.
    pub text: String,
}

/// A transcript, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranscriptInfo {
    /// The connector.
    pub connector: String,
    /// How long its text is, in bytes.
    pub bytes: u64,
    /// When its last line came.
    pub at: Timestamp,
}

impl Store {
    /// Adds pieces to the transcripts of a job. Returns before the disk has them: a loss of power may cost the last
    /// moments, nothing of the job itself.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the job is not there, [`Error::Unavailable`].
    pub async fn keep_transcripts(&self, job: &str, pieces: Vec<Piece>) -> Result<()> {
        let job = job.to_owned();
        self.write_ahead(KEEPING, move |tx| Box::pin(keep(tx, job, pieces)))
            .await
    }

    /// The transcripts of a job, by connector.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Corrupt`].
    pub async fn transcripts(&self, job: &str) -> Result<Vec<TranscriptInfo>> {
        let rows: Vec<(String, i64, i64)> = sql::query(
            "SELECT connector, CAST(sum(octet_length(text)) AS BIGINT), max(at) FROM transcripts \
             WHERE job = (SELECT row FROM jobs WHERE id = $1) GROUP BY connector ORDER BY connector",
        )
        .bind(job)
        .fetch_all(&self.readers)
        .await
        .doing(READING)?;
        let info = |(connector, bytes, at)| TranscriptInfo {
            connector,
            bytes: u64::try_from(bytes).unwrap_or_default(),
            at: Timestamp::from_micros(at),
        };
        Ok(rows.into_iter().map(info).collect())
    }

    /// All that went over a connector of a job. `None` if nothing did.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn transcript(&self, job: &str, connector: &str) -> Result<Option<String>> {
        let rows: Vec<(String,)> = sql::query(
            "SELECT text FROM transcripts WHERE job = (SELECT row FROM jobs WHERE id = $1) \
             AND connector = $2 ORDER BY id",
        )
        .bind(job)
        .bind(connector)
        .fetch_all(&self.readers)
        .await
        .doing(READING)?;
        let texts: Vec<String> = rows.into_iter().map(|(it,)| it).collect();
        Ok((!texts.is_empty()).then(|| texts.concat()))
    }
}

async fn keep(tx: &mut Tx, job: String, pieces: Vec<Piece>) -> Result<()> {
    let row: Option<(i64,)> = sql::query("SELECT row FROM jobs WHERE id = $1")
        .bind(&job)
        .fetch_optional(&mut tx.conn)
        .await
        .doing(KEEPING)?;
    let (row,) = row.ok_or_else(|| Error::not_found(format!("job {job}")))?;
    for Piece {
        connector,
        at,
        text,
    } in pieces
    {
        // A text of PostgreSQL holds no NUL.
        let text = text.replace('\0', "");
        sql::query("INSERT INTO transcripts (job, connector, at, text) VALUES ($1, $2, $3, $4)")
            .bind(row)
            .bind(connector)
            .bind(at.micros())
            .bind(text)
            .execute(&mut tx.conn)
            .await
            .doing(KEEPING)?;
    }
    Ok(())
}
