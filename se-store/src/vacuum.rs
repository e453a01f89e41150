//! Space that deleted rows leave behind in a SQLite file goes back to the disk.

use crate::error::{Doing, Error, Result};
use crate::sql::{self, Connection};
use crate::store::Store;
use crate::writer::Tx;
use crate::{postgres, sqlite};

const DOING: &str = "give space back";
/// Pages of 4 kB in one transaction: other writes wait for it.
const PAGES: i64 = 256;
/// What a file may hold of free pages, for what comes next: one in so many.
const SLACK: i64 = 10;
/// What SQLite calls a file that can give back pages without being written anew.
const INCREMENTAL: i64 = 2;

impl Store {
    /// Gives some space of a file back, where much of the file is free; whether there is more to give. Of a file
    /// that [`compact`] must prepare first, the pages are used again instead.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable): the file stays as it is.
    pub async fn shrink(&self) -> Result<bool> {
        self.write(DOING, |tx| Box::pin(slice(tx))).await
    }
}

async fn slice(tx: &mut Tx) -> Result<bool> {
    // A server looks after its space by itself.
    if let Connection::Postgres(_) = tx.conn {
        return Ok(false);
    }
    if number(tx, "PRAGMA auto_vacuum").await? != INCREMENTAL {
        return Ok(false);
    }
    let pages = number(tx, "PRAGMA page_count").await?;
    let spare = number(tx, "PRAGMA freelist_count").await? - pages / SLACK;
    if spare < PAGES {
        return Ok(false);
    }
    sql::query("PRAGMA incremental_vacuum(256)")
        .execute(&mut tx.conn)
        .await
        .doing(DOING)?;
    Ok(spare >= 2 * PAGES)
}

async fn number(tx: &mut Tx, pragma: &'static str) -> Result<i64> {
    let (number,): (i64,) = sql::query(pragma)
        .fetch_one(&mut tx.conn)
        .await
        .doing(DOING)?;
    Ok(number)
}

/// Writes the file of the database at `url` anew, without free pages, so that it can give space back
/// by itself from then on: what one needs that was made before that could be. Takes as much space again
/// meanwhile.
///
/// # Errors
/// [`Error::InUse`](crate::Error::InUse) if an engine has it open,
/// [`Error::Unavailable`](crate::Error::Unavailable) if there is none, or no room: nothing was changed.
pub async fn compact(url: &str) -> Result<()> {
    if postgres::is_meant(url) {
        return Err(Error::Conflict {
            what: "the database".to_owned(),
            found: "it is on a server, which looks after its space by itself".to_owned(),
        });
    }
    // What is not there is not made.
    drop(sqlite::open_to_read(url)?);
    let opened = sqlite::open(url)?;
    for sql in [
        "PRAGMA auto_vacuum = INCREMENTAL",
        "VACUUM",
        "PRAGMA wal_checkpoint(TRUNCATE)",
    ] {
        opened.writer.execute_batch(sql).doing(DOING)?;
    }
    let closed = opened.writer.close().map_err(|(_, error)| error);
    closed.doing(DOING)
}
