//! How PostgreSQL is used: many engines on one server, one of them writing at a time.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, PgPool, Row as _};

use crate::error::{Doing, Error, Result};
use crate::sql;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// Readers at a time; reads are short.
const READERS: u32 = 8;
/// How long to wait for a connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often to ask what became of a transaction that is still being ended.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// How often at most.
const QUESTIONS: u32 = 100;
/// Where engines tell each other that something was committed.
pub(crate) const CHANNEL: &str = "scenario_engine";

/// How to reach the server.
#[derive(Clone)]
pub(crate) struct Server {
    options: PgConnectOptions,
}

/// The options hold the password.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Server")
    }
}

impl Server {
    /// From a URL such as `postgres://se@db.example/se`.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let options = PgConnectOptions::from_str(url)
            .doing("understand the database URL")?
            .application_name("scenario-engine")
            // An engine that is stopped in the middle of a transaction must not stop the others.
            .options([("idle_in_transaction_session_timeout", "2s")])
            .disable_statement_logging();
        Ok(Self { options })
    }

    /// A connection.
    pub(crate) async fn connect(&self) -> sql::Result<PgConnection> {
        let connected = tokio::time::timeout(PATIENCE, self.options.connect()).await;
        Ok(connected.map_err(|_| sqlx::Error::PoolTimedOut)??)
    }

    /// Connections for reading only, made when they are needed.
    pub(crate) fn readers(&self) -> PgPool {
        let options = self.options.clone().options([
            ("default_transaction_read_only", "on"),
            ("statement_timeout", "30s"),
        ]);
        PgPoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(PATIENCE)
            .connect_lazy_with(options)
    }

    /// For listening; a pool, because that is what a listener connects again with.
    pub(crate) fn listeners(&self) -> PgPool {
        PgPoolOptions::new()
            .max_connections(2)
            .acquire_timeout(PATIENCE)
            .connect_lazy_with(self.options.clone())
    }

    /// Brings the schema up to date.
    pub(crate) async fn migrate(&self) -> Result<PgConnection> {
        let mut conn = self.connect().await.doing("reach the database server")?;
        let known = newest_schema();
        match MIGRATIONS.run(&mut conn).await {
            Ok(()) => Ok(conn),
            Err(MigrateError::VersionMissing(found)) if found > known => {
                Err(Error::NewerSchema { found, known })
            }
            Err(error) => Err(Error::Unavailable {
                doing: "bring the schema of the database up to date",
                source: Some(Arc::new(error)),
            }),
        }
    }
}

/// Whether `url` names a PostgreSQL server.
pub(crate) fn is_meant(url: &str) -> bool {
    url.starts_with("postgres:") || url.starts_with("postgresql:")
}

/// The newest schema that this engine knows.
pub(crate) fn newest_schema() -> i64 {
    MIGRATIONS.iter().map(|it| it.version).max().unwrap_or(0)
}

/// What serves a connection on the server: it can go on after the connection was lost.
#[derive(Debug)]
pub(crate) struct Backend {
    process: i32,
    since: String,
}

impl Backend {
    pub(crate) async fn of(conn: &mut PgConnection) -> sql::Result<Self> {
        let (process, since) = sqlx::query_as(
            "SELECT pid, CAST(backend_start AS TEXT) FROM pg_stat_activity WHERE pid = pg_backend_pid()",
        )
        .fetch_one(conn)
        .await?;
        Ok(Self { process, since })
    }

    /// Ends it, and returns once it is no more: what it was asked for is committed now, or never will be.
    pub(crate) async fn end(&self, conn: &mut PgConnection) -> sql::Result<()> {
        for _ in 0..QUESTIONS {
            let ending = sqlx::query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE pid = $1 AND CAST(backend_start AS TEXT) = $2",
            )
            .bind(self.process)
            .bind(&self.since)
            .fetch_optional(&mut *conn)
            .await?;
            if ending.is_none() {
                return Ok(());
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
        Err(sqlx::Error::PoolTimedOut.into())
    }
}

/// Begins a transaction once no other engine is in one; gives its name, and whether `replica` has a lease.
/// Writers take turns, as on SQLite: what a request reads is still so when it writes, and events have their
/// positions in the order in which they were committed.
pub(crate) async fn begin(conn: &mut PgConnection, replica: i64) -> sql::Result<(String, bool)> {
    // One round trip; each statement sees what is there when it begins: the last, when nobody else writes.
    let sql = format!(
        "BEGIN; SELECT pg_advisory_xact_lock(1935961716); \
         SELECT CAST(pg_current_xact_id() AS TEXT), EXISTS (SELECT FROM replicas WHERE id = {replica})"
    );
    let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(conn).await?;
    let row = rows.last().ok_or(sql::Error::NoRow)?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// Commits, and tells the other engines if there are any.
pub(crate) async fn commit(conn: &mut PgConnection, replica: i64) -> sql::Result<()> {
    let sql = format!(
        "SELECT pg_notify('{CHANNEL}', '{replica}') \
         WHERE EXISTS (SELECT FROM replicas WHERE id <> {replica}); COMMIT"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(conn).await?;
    Ok(())
}

/// Whether a transaction was committed that is not under way any more.
pub(crate) async fn is_committed(conn: &mut PgConnection, transaction: &str) -> sql::Result<bool> {
    let (status,): (Option<String>,) = sqlx::query_as("SELECT pg_xact_status(CAST($1 AS xid8))")
        .bind(transaction)
        .fetch_one(conn)
        .await?;
    Ok(status.as_deref() == Some("committed"))
}

/// Opens a database that is there, beside whoever uses it; gives its schema too.
pub(crate) async fn open_to_read(url: &str) -> Result<(PgConnection, i64)> {
    let server = Server::parse(url)?;
    let mut conn = server.connect().await.doing("reach the database server")?;
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

/// A transaction in which every statement sees the same moment, however long its reader takes.
pub(crate) async fn begin_to_read(conn: &mut PgConnection) -> sql::Result<()> {
    sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .execute(&mut *conn)
        .await?;
    take_time(conn).await
}

/// Lets the transaction wait for something else, a disk or an object store, for longer than an engine may.
pub(crate) async fn take_time(conn: &mut PgConnection) -> sql::Result<()> {
    sqlx::raw_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        .execute(conn)
        .await?;
    Ok(())
}
