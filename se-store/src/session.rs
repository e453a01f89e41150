//! The writer's connection: transactions, and what becomes of them when the database goes away.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::postgres::Server;
use crate::sql::{self, Connection, query};
use crate::writer::{Tx, Written};

/// A connection that writes for one replica.
#[derive(Debug)]
pub(crate) struct Session {
    /// Nothing while it is in a transaction, and after it was lost.
    conn: Option<Connection>,
    /// How to connect again; a file is not lost.
    server: Option<Server>,
    replica: Replica,
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
    pub(crate) fn new(conn: Connection, server: Option<Server>, replica: Replica) -> Self {
        Self {
            conn: Some(conn),
            server,
            replica,
        }
    }

    /// Begins a transaction beside which no other engine writes.
    pub(crate) async fn begin(&mut self, durability: Durability) -> Result<Tx, Failure> {
        let mut conn = match (self.conn.take(), &self.server) {
            (Some(conn), _) => conn,
            (None, Some(server)) => Connection::Postgres(server.connect().await?),
            (None, None) => return Err(sql::Error::Closed.into()),
        };
        let replica = self.replica.load(std::sync::atomic::Ordering::SeqCst);
        match begin(&mut conn, replica, durability).await {
            Ok(transaction) => Ok(Tx {
                conn,
                written: Written::default(),
                replica,
                transaction,
            }),
            Err(failure) => {
                self.undo(conn).await;
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
            Ok(()) => commit(&mut tx).await.map_err(Failure::from),
            Err(failure) => Err(failure),
        };
        match done {
            Ok(()) => {
                self.conn = Some(tx.conn);
                Ok(tx.written)
            }
            Err(failure) => {
                self.undo(tx.conn).await;
                if self.is_there(tx.transaction.as_deref()).await {
                    return Ok(tx.written);
                }
                Err(failure)
            }
        }
    }

    /// Gives the connection up if it does not even answer.
    async fn undo(&mut self, mut conn: Connection) {
        let undone = query("ROLLBACK").execute(&mut conn).await;
        // SQLite fails where it has undone everything by itself, and is as good as before.
        if undone.is_ok() || matches!(conn, Connection::Sqlite(_)) {
            self.conn = Some(conn);
        }
    }

    /// Whether a transaction was committed although its connection was lost before the answer.
    async fn is_there(&mut self, transaction: Option<&str>) -> bool {
        let (Some(transaction), None, Some(server)) = (transaction, &self.conn, &self.server)
        else {
            return false;
        };
        match server.outcome(transaction).await {
            Ok((conn, committed)) => {
                self.conn = Some(Connection::Postgres(conn));
                committed
            }
            Err(error) => {
                tracing::warn!(%error, "it is not known whether the last writes were committed");
                false
            }
        }
    }

    pub(crate) async fn close(self) {
        if let Some(conn) = self.conn
            && let Err(error) = conn.close().await
        {
            tracing::warn!(%error, "the database did not close cleanly; nothing committed is lost");
        }
    }
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
