//! Engines on one database. Each has a row, which is its lease: it says now and then that it is alive,
//! and whoever finds that it has not for too long deletes the row. That frees what the engine worked on,
//! and the engine itself can write nothing more until it has joined anew, as another.

use std::sync::atomic::Ordering;

use se_runtime::Timestamp;
use se_runtime::lease::Member;

use crate::error::{Doing, Error, Result};
use crate::process;
use crate::sql;
use crate::store::Store;
use crate::writer::Tx;

impl Store {
    /// Whether other engines may work on the same database.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.server.is_some()
    }

    /// Who this engine is at the moment.
    #[must_use]
    pub fn replica(&self) -> i64 {
        self.replica.load(Ordering::SeqCst)
    }

    /// Becomes a member, anew if it was one: what it worked on as another is not its own any more.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn join(&self) -> Result<()> {
        self.replica.store(0, Ordering::SeqCst);
        let (now, alone) = (self.now(), !self.is_shared());
        let id = self
            .write("join the engines on the database", move |tx| {
                Box::pin(join(tx, now, alone))
            })
            .await?;
        self.replica.store(id, Ordering::SeqCst);
        self.adopt().await
    }

    /// Frees what this engine works on.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn leave(&self) -> Result<()> {
        self.write("leave the engines on the database", |tx| {
            Box::pin(async move {
                sql::query("DELETE FROM replicas WHERE id = $1")
                    .bind(tx.replica)
                    .execute(&mut tx.conn)
                    .await
                    .doing("leave the engines on the database")?;
                tx.written.freed();
                Ok(())
            })
        })
        .await
    }

    /// Says that this engine is alive.
    ///
    /// # Errors
    /// [`Error::Fenced`] if it has lost its lease, [`Error::Unavailable`].
    pub async fn beat(&self) -> Result<()> {
        self.write("say that this engine is alive", |tx| Box::pin(beat(tx)))
            .await
    }

    /// Nothing if this engine is the only one on the database.
    ///
    /// # Errors
    /// [`Error::InUse`] if there is another, [`Error::Unavailable`].
    pub async fn alone(&self) -> Result<()> {
        let me = self.replica();
        let members = self.members().await?;
        if members.iter().all(|it| it.id == me || it.is_gone) {
            return Ok(());
        }
        let path = "the database".to_owned();
        Err(Error::InUse { path })
    }

    /// All members, this one among them.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn members(&self) -> Result<Vec<Member>> {
        let rows: Vec<(i64, i64, String)> =
            sql::query("SELECT id, beats, process FROM replicas ORDER BY id")
                .fetch_all(&self.readers)
                .await
                .doing("look for the engines on the database")?;
        let member = |(id, beats, process): (_, _, String)| Member {
            id,
            beats,
            is_gone: process::is_gone(&process),
        };
        Ok(rows.into_iter().map(member).collect())
    }

    /// Takes the lease of a member that is dead, unless it has given a sign of life meanwhile; this
    /// engine sends what that one had to send. Returns whether it was taken.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn bury(&self, dead: &Member) -> Result<bool> {
        let (id, beats) = (dead.id, dead.beats);
        self.write("take the lease of a dead engine", move |tx| {
            Box::pin(async move {
                let gone = sql::query("DELETE FROM replicas WHERE id = $1 AND beats = $2")
                    .bind(id)
                    .bind(beats)
                    .execute(&mut tx.conn)
                    .await
                    .doing("take the lease of a dead engine")?;
                adopt(tx).await?;
                tx.written.freed();
                Ok(gone == 1)
            })
        })
        .await
    }

    /// Takes over what engines have left behind that is not taken by claims: deliveries on their way
    /// are sent by this engine, and syncs are ended.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn adopt(&self) -> Result<()> {
        let left: (i64,) = sql::query(
            "SELECT (SELECT count(*) FROM deliveries \
             WHERE owner IS NULL AND status IN ('pending', 'waiting')) \
             + (SELECT count(*) FROM definitions WHERE sync IS NOT NULL AND sync_owner IS NULL)",
        )
        .fetch_one(&self.readers)
        .await
        .doing("look for what was left behind")?;
        if left.0 == 0 {
            return Ok(());
        }
        self.write("take over what was left behind", |tx| Box::pin(adopt(tx)))
            .await
    }
}

async fn join(tx: &mut Tx, now: Timestamp, alone: bool) -> Result<i64> {
    const DOING: &str = "join the engines on the database";
    if alone {
        // Nobody else has the file: whoever is in the table is no more.
        sql::query("DELETE FROM replicas")
            .execute(&mut tx.conn)
            .await
            .doing(DOING)?;
    }
    let (id,): (i64,) =
        sql::query("INSERT INTO replicas (process, joined_at) VALUES ($1, $2) RETURNING id")
            .bind(process::this())
            .bind(now.micros())
            .fetch_one(&mut tx.conn)
            .await
            .doing(DOING)?;
    tx.written.freed();
    Ok(id)
}

async fn beat(tx: &mut Tx) -> Result<()> {
    let found = sql::query("UPDATE replicas SET beats = beats + 1 WHERE id = $1")
        .bind(tx.replica)
        .execute(&mut tx.conn)
        .await
        .doing("say that this engine is alive")?;
    if found == 1 {
        Ok(())
    } else {
        Err(Error::Fenced)
    }
}

async fn adopt(tx: &mut Tx) -> Result<()> {
    const DOING: &str = "take over what was left behind";
    let adopted = sql::query(
        "UPDATE deliveries SET owner = $1 WHERE owner IS NULL AND status IN ('pending', 'waiting')",
    )
    .bind(tx.replica)
    .execute(&mut tx.conn)
    .await
    .doing(DOING)?;
    tx.written.deliveries += adopted;
    tx.written.definitions = true;
    sql::query(
        "UPDATE definitions SET sync = NULL, \
         error = 'the engine stopped during the sync; sync again', \
         status = CASE status WHEN 'synchronizing' THEN 'failed' ELSE status END \
         WHERE sync IS NOT NULL AND sync_owner IS NULL",
    )
    .execute(&mut tx.conn)
    .await
    .doing(DOING)?;
    Ok(())
}
