//! How SQLite is opened: one writer, readers beside it, one engine.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use sqlx::migrate::Migrator;

use crate::error::{Doing, Error, Result};
use crate::session::Durability;

mod migrate;
mod place;
mod readers;

use place::Place;
pub(crate) use readers::Readers;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// The schema since which jobs have owners.
pub(crate) const OWNERS: i64 = 2;
/// How long a statement waits for another process that looks into the file.
const BUSY: Duration = Duration::from_secs(5);
/// Statements that a connection keeps prepared: more than there are.
const PREPARED: usize = 256;

pub(crate) struct Opened {
    pub(crate) writer: Connection,
    pub(crate) readers: Readers,
    pub(crate) lock: Option<File>,
}

/// Blocks while it works.
pub(crate) fn open(url: &str) -> Result<Opened> {
    let place = Place::parse(url)?;
    let lock = match &place {
        Place::File(path) => Some(lock(path)?),
        Place::Memory(_) => None,
    };
    let mut writer = connect(&place).doing("open the database")?;
    migrate::run(&mut writer, &MIGRATIONS)?;
    Ok(Opened {
        writer,
        readers: Readers::new(place),
        lock,
    })
}

/// Opens a database that is there, beside whoever uses it; gives its schema too.
pub(crate) fn open_to_read(url: &str) -> Result<(Connection, i64)> {
    let place = Place::parse(url)?;
    let conn = place.connect(false).doing("open the database")?;
    only_read(&conn).doing("open the database")?;
    let schema = migrate::newest(&conn).doing("read the schema of the database")?;
    match (schema, newest_schema()) {
        (found, known) if found > known => Err(Error::NewerSchema { found, known }),
        (found, _) => Ok((conn, found)),
    }
}

/// A connection that may write, to a database that is made if there is none.
fn connect(place: &Place) -> rusqlite::Result<Connection> {
    let conn = place.connect(true)?;
    prepare(&conn)?;
    // What a file cannot be changed to later comes first.
    conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "foreign_keys", "ON")?;
    // What a savepoint would undo is kept in memory, not in a file: a group is short.
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(conn)
}

fn only_read(conn: &Connection) -> rusqlite::Result<()> {
    prepare(conn)?;
    conn.pragma_update(None, "query_only", "ON")
}

fn prepare(conn: &Connection) -> rusqlite::Result<()> {
    conn.busy_timeout(BUSY)?;
    conn.set_prepared_statement_cache_capacity(PREPARED);
    // Partial indexes make SQLite plan a statement anew for each value otherwise.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map(drop)
}

/// Begins to write.
pub(crate) fn begin(conn: &Connection, durability: Durability) -> rusqlite::Result<()> {
    // NORMAL writes the log without waiting for the disk; the next FULL waits for all of it.
    let synchronous = match durability {
        Durability::Now => "PRAGMA synchronous = FULL",
        Durability::Later => "PRAGMA synchronous = NORMAL",
    };
    for sql in [synchronous, "BEGIN IMMEDIATE"] {
        let mut statement = conn.prepare_cached(sql)?;
        statement.raw_execute()?;
    }
    Ok(())
}

/// Keeps a second engine out: it would drive the same jobs.
fn lock(database: &Path) -> Result<File> {
    let failed = |error: std::io::Error| Error::Unavailable {
        doing: "make the lock file beside the database",
        source: Some(Arc::new(error)),
    };
    if let Some(folder) = database.parent().filter(|it| *it != Path::new("")) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    let file = private(&PathBuf::from(path)).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {
            // The files that SQLite puts beside it take over its rights.
            private(database).map_err(failed)?;
            Ok(file)
        }
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::InUse {
            path: database.display().to_string(),
        }),
        Err(std::fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Opens a file; makes it where there is none, for its owner only: device output is nobody else's.
fn private(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// The newest schema that this engine knows.
pub(crate) fn newest_schema() -> i64 {
    MIGRATIONS.iter().map(|it| it.version).max().unwrap_or(0)
}
