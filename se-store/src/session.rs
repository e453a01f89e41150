//! The writer's connection: transactions, and what becomes of them when the database goes away.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgConnection;

use crate::append::{Append, Appended};
use crate::error::{Error, Result};
use crate::postgres::{Backend, Server};
use crate::sql::{self, Connection, query, within};
use crate::together::{Answer, Call};
use crate::writer::{Tx, Written};

/// A connection that writes for one replica.
#[derive(Debug)]
pub(crate) struct Session {
    /// Nothing while it is in a transaction, and after it was lost.
    conn: Option<Connection>,
    /// How to connect again; a file is not lost.
    server: Option<Server>,
    /// What serves the connection, or served the one that was lost.
    backend: Option<Backend>,
    /// How long a server may take for an answer. Then the connection is dropped as it is.
    limit: Option<Duration>,
    replica: Replica,
    /// Position of the last event that this engine is known to have written.
    newest: i64,
}

/// When what a transaction wrote outlives a loss of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// When it is committed.
    Now,
    /// With the next that is durable when it is committed: the log is written in order. A server that
    /// loses power would forget what other engines were told, so there it is [`Self::Now`].
    Later,
}

/// Who this engine is in the database.
pub(crate) type Replica = Arc<std::sync::atomic::AtomicI64>;

/// Why nothing of a transaction is there.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The database has undone it, or cannot be reached.
    Database(Arc<sql::Error>),
    /// This replica has lost its lease.
    Fenced,
    /// What was to be written could not be, and others' work with it.
    Work(Arc<Error>),
}

impl Failure {
    /// As the caller of a write is told.
    pub(crate) fn error(&self) -> Error {
        match self {
            Self::Database(error) => {
                let source: Arc<dyn std::error::Error + Send + Sync> =
                    Arc::<sql::Error>::clone(error);
                Error::Unavailable {
                    doing: "commit",
                    source: Some(source),
                }
            }
            Self::Fenced => Error::Fenced,
            Self::Work(error) => {
                let source: Arc<dyn std::error::Error + Send + Sync> = Arc::<Error>::clone(error);
                Error::Unavailable {
                    doing: "commit",
                    source: Some(source),
                }
            }
        }
    }
}

impl Failure {
    /// Whether the database did not answer.
    fn is_silence(&self) -> bool {
        matches!(self, Self::Database(error) if matches!(**error, sql::Error::Silent))
    }
}

impl From<sql::Error> for Failure {
    fn from(error: sql::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(error) => error.fmt(f),
            Self::Fenced => Error::Fenced.fmt(f),
            Self::Work(error) => error.fmt(f),
        }
    }
}

impl Session {
    pub(crate) fn new(conn: Connection, replica: Replica) -> Self {
        Self {
            conn: Some(conn),
            server: None,
            backend: None,
            limit: None,
            replica,
            newest: 0,
        }
    }

    /// Over a connection to a server.
    pub(crate) async fn on_server(
        mut conn: PgConnection,
        server: Server,
        replica: Replica,
        limit: Duration,
    ) -> sql::Result<Self> {
        let limit = Some(limit);
        let backend = within(limit, Backend::of(&mut conn)).await?;
        Ok(Self {
            server: Some(server),
            backend: Some(backend),
            limit,
            ..Self::new(Connection::Postgres(conn), replica)
        })
    }

    /// Whether appends can be stored in one call.
    pub(crate) fn has_calls(&self) -> bool {
        self.server.is_some()
    }

    fn who(&self) -> i64 {
        self.replica.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// The connection, or another where it was lost: then nothing is under way any more that was asked for over
    /// the former one.
    async fn connection(&mut self) -> sql::Result<Connection> {
        if let Some(conn) = self.conn.take() {
            return Ok(conn);
        }
        let server = self.server.as_ref().ok_or(sql::Error::Closed)?;
        let mut conn = server.connect().await?;
        if let Some(former) = &self.backend {
            within(self.limit, former.end(&mut conn)).await?;
        }
        self.backend = Some(within(self.limit, Backend::of(&mut conn)).await?);
        Ok(Connection::Postgres(conn))
    }

    /// Begins a transaction beside which no other engine writes.
    pub(crate) async fn begin(&mut self, durability: Durability) -> Result<Tx, Failure> {
        let mut conn = self.connection().await?;
        let replica = self.who();
        match within(self.limit, begin(&mut conn, replica, durability)).await {
            Ok(transaction) => Ok(Tx {
                conn,
                written: Written::default(),
                replica,
                transaction,
                limit: self.limit,
            }),
            Err(failure) => {
                self.undo(conn, failure.is_silence()).await;
                Err(failure)
            }
        }
    }

    /// Commits it if all is well so far.
    pub(crate) async fn end(
        &mut self,
        mut tx: Tx,
        done: Result<(), Failure>,
    ) -> Result<Written, Failure> {
        let done = match done {
            Ok(()) => within(self.limit, commit(&mut tx))
                .await
                .map_err(Failure::from),
            Err(failure) => Err(failure),
        };
        match done {
            Ok(()) => self.conn = Some(tx.conn),
            Err(failure) => {
                self.undo(tx.conn, failure.is_silence()).await;
                if !self.is_there(tx.transaction.as_deref()).await {
                    return Err(failure);
                }
            }
        }
        self.has_written(&tx.written);
        Ok(tx.written)
    }

    /// Stores appends of different jobs on a server, in a transaction of their own; gives what became of each.
    pub(crate) async fn append(
        &mut self,
        mut appends: Vec<Append>,
    ) -> Result<(Vec<Result<Appended>>, Written), Failure> {
        let call = Call::new(self.who(), &mut appends, self.limit);
        let Connection::Postgres(mut conn) = self.connection().await? else {
            return Err(sql::Error::Closed.into());
        };
        let answer = match within(self.limit, call.make(&mut conn)).await {
            Ok(answer) => answer,
            Err(error) => {
                let is_silent = matches!(error, sql::Error::Silent);
                self.undo(Connection::Postgres(conn), is_silent).await;
                let looked = self.look(&call).await.inspect_err(unknown);
                let Ok(Some((answer, other))) = looked else {
                    return Err(error.into());
                };
                conn = other;
                answer
            }
        };
        let mut written = Written::default();
        if !answer.mine {
            self.conn = Some(Connection::Postgres(conn));
            return Err(Failure::Fenced);
        }
        let concluded = call.conclude(&mut conn, answer, &appends, &mut written);
        let outcomes = concluded.await;
        // One that does not say what stands against an append is of no use.
        if outcomes.iter().all(|it| it.is_ok()) {
            self.conn = Some(Connection::Postgres(conn));
        }
        self.has_written(&written);
        Ok((outcomes, written))
    }

    /// What became of a call whose answer is not there, and the connection that said so; nothing if it has
    /// written nothing.
    async fn look(&mut self, call: &Call) -> sql::Result<Option<(Answer, PgConnection)>> {
        let Connection::Postgres(mut conn) = self.connection().await? else {
            return Err(sql::Error::Closed);
        };
        let found = within(self.limit, call.look(&mut conn, self.newest)).await?;
        if let Some(answer) = found {
            return Ok(Some((answer, conn)));
        }
        self.conn = Some(Connection::Postgres(conn));
        Ok(None)
    }

    fn has_written(&mut self, written: &Written) {
        if let Some(last) = written.events.last() {
            self.newest = last.position;
        }
    }

    /// Gives the connection up if it does not even answer, at once if that is known.
    async fn undo(&mut self, mut conn: Connection, is_silent: bool) {
        if is_silent {
            return;
        }
        let undone = within(self.limit, query("ROLLBACK").execute(&mut conn)).await;
        // SQLite fails where it has undone everything by itself, and is as good as before.
        if undone.is_ok() || matches!(conn, Connection::Sqlite(_)) {
            self.conn = Some(conn);
        }
    }

    /// Whether a transaction was committed although its connection was lost before the answer.
    async fn is_there(&mut self, transaction: Option<&str>) -> bool {
        let (Some(transaction), None) = (transaction, &self.conn) else {
            return false;
        };
        let committed = self.ask(transaction).await.inspect_err(unknown);
        committed.unwrap_or(false)
    }

    async fn ask(&mut self, transaction: &str) -> sql::Result<bool> {
        let Connection::Postgres(mut conn) = self.connection().await? else {
            return Err(sql::Error::Closed);
        };
        let asked = crate::postgres::is_committed(&mut conn, transaction);
        let committed = within(self.limit, asked).await?;
        self.conn = Some(Connection::Postgres(conn));
        Ok(committed)
    }

    pub(crate) async fn close(self) {
        if let Some(conn) = self.conn
            && let Err(error) = within(self.limit, conn.close()).await
        {
            tracing::warn!(%error, "the database did not close cleanly; nothing committed is lost");
        }
    }
}

fn unknown(error: &sql::Error) {
    tracing::warn!(%error, "it is not known whether the last writes were committed");
}

/// Gives the transaction's name, where the database has names for them.
async fn begin(
    conn: &mut Connection,
    replica: i64,
    durability: Durability,
) -> Result<Option<String>, Failure> {
    match conn {
        Connection::Sqlite(inner) => {
            crate::sqlite::begin(inner, durability).map_err(sql::Error::from)?;
            Ok(None)
        }
        Connection::Postgres(inner) => {
            let (transaction, has_lease) = crate::postgres::begin(inner, replica).await?;
            // Before it has joined, nobody can have taken anything from it.
            if !has_lease && replica != 0 {
                return Err(Failure::Fenced);
            }
            Ok(Some(transaction))
        }
    }
}

async fn commit(tx: &mut Tx) -> sql::Result<()> {
    if let Connection::Postgres(conn) = &mut tx.conn {
        return crate::postgres::commit(conn, tx.replica).await;
    }
    query("COMMIT").execute(&mut tx.conn).await.map(drop)
}
