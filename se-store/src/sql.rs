//! One text of SQL, two databases. Statements are written in what SQLite and PostgreSQL have in common,
//! with parameters `$1`, `$2` and so on; numbers are 64 bits wide.

use std::fmt;

use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteRow};
use sqlx::{
    Arguments, Connection as _, FromRow, PgConnection, PgPool, SqliteConnection, SqlitePool,
};

/// One connection.
pub(crate) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Connection {
    /// Ends it in order.
    pub(crate) async fn close(self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(conn) => conn.close().await,
            Self::Postgres(conn) => conn.close().await,
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

/// Connections for reading.
#[derive(Clone)]
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Pool {
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// What a statement runs on.
pub(crate) enum On<'a> {
    Sqlite(&'a mut SqliteConnection),
    SqlitePool(&'a SqlitePool),
    Postgres(&'a mut PgConnection),
    PostgresPool(&'a PgPool),
}

impl<'a> From<&'a mut Connection> for On<'a> {
    fn from(conn: &'a mut Connection) -> Self {
        match conn {
            Connection::Sqlite(conn) => Self::Sqlite(conn),
            Connection::Postgres(conn) => Self::Postgres(conn),
        }
    }
}

impl<'a> From<&'a Pool> for On<'a> {
    fn from(pool: &'a Pool) -> Self {
        match pool {
            Pool::Sqlite(pool) => Self::SqlitePool(pool),
            Pool::Postgres(pool) => Self::PostgresPool(pool),
        }
    }
}

/// A value of a parameter. What is not there has a type all the same: PostgreSQL asks for it.
pub(crate) enum Value {
    Number(Option<i64>),
    Text(Option<String>),
    Bytes(Vec<u8>),
}

macro_rules! values {
    ($($from:ty => |$it:ident| $value:expr;)+) => {$(
        impl From<$from> for Value {
            fn from($it: $from) -> Self {
                $value
            }
        }
    )+};
}

values! {
    i64 => |it| Self::Number(Some(it));
    Option<i64> => |it| Self::Number(it);
    &str => |it| Self::Text(Some(it.to_owned()));
    Option<&str> => |it| Self::Text(it.map(str::to_owned));
    String => |it| Self::Text(Some(it));
    &String => |it| Self::Text(Some(it.clone()));
    Option<String> => |it| Self::Text(it);
    &Option<String> => |it| Self::Text(it.clone());
    Option<&String> => |it| Self::Text(it.cloned());
    Vec<u8> => |it| Self::Bytes(it);
}

/// What a row of either database is read into.
pub(crate) trait Row:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{
}

impl<T> Row for T where T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{}

/// A statement with its values.
pub(crate) struct Query {
    sql: &'static str,
    values: Vec<Value>,
}

/// A statement without values yet.
pub(crate) fn query(sql: &'static str) -> Query {
    let values = Vec::new();
    Query { sql, values }
}

impl Query {
    /// Gives the next parameter its value.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Runs it; gives how many rows it changed.
    pub(crate) async fn execute(self, on: impl Into<On<'_>>) -> sqlx::Result<u64> {
        let sql = self.sql;
        Ok(match on.into() {
            On::Sqlite(conn) => {
                let query = sqlx::query_with(sql, self.sqlite()?);
                query.execute(conn).await?.rows_affected()
            }
            On::SqlitePool(pool) => {
                let query = sqlx::query_with(sql, self.sqlite()?);
                query.execute(pool).await?.rows_affected()
            }
            On::Postgres(conn) => {
                let query = sqlx::query_with(sql, self.postgres()?);
                query.execute(conn).await?.rows_affected()
            }
            On::PostgresPool(pool) => {
                let query = sqlx::query_with(sql, self.postgres()?);
                query.execute(pool).await?.rows_affected()
            }
        })
    }

    /// Every row.
    pub(crate) async fn fetch_all<T: Row>(self, on: impl Into<On<'_>>) -> sqlx::Result<Vec<T>> {
        let sql = self.sql;
        match on.into() {
            On::Sqlite(conn) => {
                let query = sqlx::query_as_with::<Sqlite, T, _>(sql, self.sqlite()?);
                query.fetch_all(conn).await
            }
            On::SqlitePool(pool) => {
                let query = sqlx::query_as_with::<Sqlite, T, _>(sql, self.sqlite()?);
                query.fetch_all(pool).await
            }
            On::Postgres(conn) => {
                let query = sqlx::query_as_with::<Postgres, T, _>(sql, self.postgres()?);
                query.fetch_all(conn).await
            }
            On::PostgresPool(pool) => {
                let query = sqlx::query_as_with::<Postgres, T, _>(sql, self.postgres()?);
                query.fetch_all(pool).await
            }
        }
    }

    /// The first row, if there is one.
    pub(crate) async fn fetch_optional<T: Row>(
        self,
        on: impl Into<On<'_>>,
    ) -> sqlx::Result<Option<T>> {
        let rows = self.fetch_all(on).await?;
        Ok(rows.into_iter().next())
    }

    /// The first row.
    pub(crate) async fn fetch_one<T: Row>(self, on: impl Into<On<'_>>) -> sqlx::Result<T> {
        let row = self.fetch_optional(on).await?;
        row.ok_or(sqlx::Error::RowNotFound)
    }

    fn sqlite(self) -> sqlx::Result<SqliteArguments> {
        let mut arguments = SqliteArguments::default();
        for value in self.values {
            match value {
                Value::Number(it) => arguments.add(it),
                Value::Text(it) => arguments.add(it),
                Value::Bytes(it) => arguments.add(it),
            }
            .map_err(sqlx::Error::Encode)?;
        }
        Ok(arguments)
    }

    fn postgres(self) -> sqlx::Result<PgArguments> {
        let mut arguments = PgArguments::default();
        for value in self.values {
            match value {
                Value::Number(it) => arguments.add(it),
                // The one character that its texts cannot hold.
                Value::Text(Some(it)) if it.contains('\0') => {
                    arguments.add(it.replace('\0', "\u{fffd}"))
                }
                Value::Text(it) => arguments.add(it),
                Value::Bytes(it) => arguments.add(it),
            }
            .map_err(sqlx::Error::Encode)?;
        }
        Ok(arguments)
    }
}
