//! How SQLite is opened: one writer, readers beside it, one engine.

use std::fs::File;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, SqliteConnection, SqlitePool};

use crate::error::{Doing, Error, Result};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Readers at a time; reads are short.
const READERS: u32 = 4;
/// The schema since which jobs have owners.
pub(crate) const OWNERS: i64 = 2;
/// How long a statement waits for another process that looks into the file.
const BUSY: Duration = Duration::from_secs(5);

pub(crate) struct Opened {
    pub(crate) writer: SqliteConnection,
    pub(crate) readers: SqlitePool,
    pub(crate) lock: Option<File>,
}

pub(crate) async fn open(url: &str) -> Result<Opened> {
    let options = SqliteConnectOptions::from_str(url)
        .doing("understand the database URL")?
        .create_if_missing(true)
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY)
        .disable_statement_logging();
    let lock = lock(&options, url)?;
    let mut writer = options.connect().await.doing("open the database")?;
    migrate(&mut writer).await?;
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(options.pragma("query_only", "ON"));
    Ok(Opened {
        writer,
        readers,
        lock,
    })
}

/// Opens a database that is there, beside whoever uses it; gives its schema too.
pub(crate) async fn open_to_read(url: &str) -> Result<(SqliteConnection, i64)> {
    let options = SqliteConnectOptions::from_str(url)
        .doing("understand the database URL")?
        .busy_timeout(BUSY)
        .pragma("query_only", "ON")
        .disable_statement_logging();
    let mut conn = options.connect().await.doing("open the database")?;
    let known = newest_schema();
    let schema: (Option<i64>,) = sqlx::query_as("SELECT max(version) FROM _sqlx_migrations")
        .fetch_one(&mut conn)
        .await
        .doing("read the schema of the database")?;
    match schema.0.unwrap_or(0) {
        found if found > known => Err(Error::NewerSchema { found, known }),
        found => Ok((conn, found)),
    }
}

/// Keeps a second engine out: it would drive the same jobs.
fn lock(options: &SqliteConnectOptions, url: &str) -> Result<Option<File>> {
    if url.contains(":memory:") {
        return Ok(None);
    }
    let database = options.get_filename();
    let failed = |error: std::io::Error| Error::Unavailable {
        doing: "make the lock file beside the database",
        source: Some(Arc::new(error)),
    };
    if let Some(folder) = database.parent().filter(|it| *it != Path::new("")) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    let file = private(Path::new(&path)).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {
            // The files that SQLite puts beside it take over its rights.
            private(database).map_err(failed)?;
            Ok(Some(file))
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
fn newest_schema() -> i64 {
    MIGRATIONS.iter().map(|it| it.version).max().unwrap_or(0)
}

async fn migrate(conn: &mut SqliteConnection) -> Result<()> {
    let known = newest_schema();
    match MIGRATIONS.run(conn).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(found)) if found > known => {
            Err(Error::NewerSchema { found, known })
        }
        Err(error) => Err(Error::Unavailable {
            doing: "bring the schema of the database up to date",
            source: Some(Arc::new(error)),
        }),
    }
}
