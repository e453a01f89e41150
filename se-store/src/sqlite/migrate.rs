//! Brings the schema of a file up to date. What was done is noted where sqlx notes it, which wrote the
//! files of earlier versions.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, params};
use sqlx::migrate::{Migration, Migrator};

use crate::error::{Doing, Error, Result};

const DOING: &str = "bring the schema of the database up to date";

const NOTES: &str = "CREATE TABLE IF NOT EXISTS _sqlx_migrations (\
    version BIGINT PRIMARY KEY, \
    description TEXT NOT NULL, \
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, \
    success BOOLEAN NOT NULL, \
    checksum BLOB NOT NULL, \
    execution_time BIGINT NOT NULL)";

/// Does what is not done yet, one migration a transaction.
pub(super) fn run(conn: &mut Connection, migrations: &Migrator) -> Result<()> {
    let done = done(conn).doing(DOING)?;
    let known = migrations.iter().map(|it| it.version).max().unwrap_or(0);
    if let Some(found) = done.keys().next_back().copied().filter(|it| *it > known) {
        return Err(Error::NewerSchema { found, known });
    }
    for it in migrations.iter() {
        match done.get(&it.version) {
            Some(checksum) if **checksum == *it.checksum => {}
            Some(_) => return Err(changed(it)),
            None => apply(conn, it).doing(DOING)?,
        }
    }
    Ok(())
}

/// The newest that was done; 0 if none was.
pub(super) fn newest(conn: &Connection) -> rusqlite::Result<i64> {
    let sql = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations";
    conn.query_row(sql, [], |row| row.get(0))
}

fn done(conn: &Connection) -> rusqlite::Result<BTreeMap<i64, Vec<u8>>> {
    conn.execute(NOTES, [])?;
    let mut notes = conn.prepare("SELECT version, checksum FROM _sqlx_migrations")?;
    let notes = notes.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    notes.collect()
}

fn apply(conn: &mut Connection, it: &Migration) -> rusqlite::Result<()> {
    let transaction = conn.transaction()?;
    transaction.execute_batch(it.sql.as_str())?;
    transaction.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (?1, ?2, TRUE, ?3, 0)",
        params![it.version, it.description, it.checksum],
    )?;
    transaction.commit()
}

fn changed(it: &Migration) -> Error {
    let why = format!(
        "migration {} ({}) was done in another form than this engine knows; use the engine that \
         wrote the file",
        it.version, it.description
    );
    Error::Unavailable {
        doing: DOING,
        source: Some(Arc::new(std::io::Error::other(why))),
    }
}
