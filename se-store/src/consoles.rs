//! Consoles of devices: one user each, over all engines on the database.

use crate::error::{Doing, Result};
use crate::sql;
use crate::store::Store;
use crate::writer::Tx;

const TAKING: &str = "take a console";

impl Store {
    /// Takes the console at `address` for this engine, if it has it already or nobody has; else notes that it is
    /// wanted. Returns whether it is this engine's.
    ///
    /// An engine that loses its lease loses its consoles.
    ///
    /// # Errors
    /// [`Error::Fenced`](crate::Error::Fenced), [`Error::Unavailable`](crate::Error::Unavailable).
    pub async fn take_console(&self, address: &str, job: &str) -> Result<bool> {
        let (address, job) = (address.to_owned(), job.to_owned());
        let now = self.now().micros();
        self.write(TAKING, move |tx| {
            Box::pin(async move { take(tx, &address, &job, now).await })
        })
        .await
    }

    /// Lets others take a console; nothing if it is not this engine's.
    ///
    /// # Errors
    /// [`Error::Fenced`](crate::Error::Fenced), [`Error::Unavailable`](crate::Error::Unavailable).
    pub async fn leave_console(&self, address: &str) -> Result<()> {
        let address = address.to_owned();
        self.write("leave a console", move |tx| {
            Box::pin(async move {
                sql::query("DELETE FROM consoles WHERE address = $1 AND owner = $2")
                    .bind(address)
                    .bind(tx.replica)
                    .execute(&mut tx.conn)
                    .await
                    .doing("leave a console")?;
                Ok(())
            })
        })
        .await
    }

    /// Consoles of this engine for which others wait.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable).
    pub async fn wanted_consoles(&self) -> Result<Vec<String>> {
        let rows: Vec<(String,)> = sql::query(
            "SELECT address FROM consoles WHERE owner = $1 AND wanted IS NOT NULL ORDER BY wanted",
        )
        .bind(self.replica())
        .fetch_all(&self.readers)
        .await
        .doing("look for consoles that others wait for")?;
        Ok(rows.into_iter().map(|(it,)| it).collect())
    }
}

async fn take(tx: &mut Tx, address: &str, job: &str, now: i64) -> Result<bool> {
    let (owner,): (i64,) = sql::query(
        "INSERT INTO consoles (address, owner, job, since) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (address) DO UPDATE SET \
           wanted = CASE WHEN consoles.owner = $2 THEN consoles.wanted \
                    ELSE coalesce(consoles.wanted, $4) END, \
           job = CASE WHEN consoles.owner = $2 THEN $3 ELSE consoles.job END \
         RETURNING owner",
    )
    .bind(address)
    .bind(tx.replica)
    .bind(job)
    .bind(now)
    .fetch_one(&mut tx.conn)
    .await
    .doing(TAKING)?;
    Ok(owner == tx.replica)
}
