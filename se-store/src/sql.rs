//! One text of SQL, two databases. Statements are written in what SQLite and PostgreSQL have in common,
//! with parameters `$1`, `$2` and so on; numbers are 64 bits wide.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::Either;
use rusqlite::types::{ToSqlOutput, ValueRef};
use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::{Arguments, AssertSqlSafe, Connection as _, PgConnection, PgPool, Row as _};

use crate::sqlite::Readers;

/// How long a read may take: a moment longer than the server itself lets it.
const READ_WITHIN: Duration = Duration::from_secs(35);

/// What a database says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Postgres(#[from] sqlx::Error),
    #[error("there is no such row")]
    NoRow,
    #[error("statement has a parameter that is not numbered, or has no value")]
    Parameter,
    #[error("the database was closed")]
    Closed,
    #[error("the database server does not answer")]
    Silent,
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// One connection. That to a file works on the thread of its caller: it belongs to the writer's.
pub(crate) enum Connection {
    Sqlite(rusqlite::Connection),
    Postgres(PgConnection),
}

impl Connection {
    /// Ends it in order.
    pub(crate) async fn close(self) -> Result<()> {
        match self {
            Self::Sqlite(conn) => conn.close().map_err(|(_, error)| error.into()),
            Self::Postgres(conn) => Ok(conn.close().await?),
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
    Sqlite(Readers),
    Postgres(PgPool),
}

impl Pool {
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(readers) => readers.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// What a statement runs on.
pub(crate) enum On<'a> {
    Sqlite(&'a mut rusqlite::Connection),
    SqliteReaders(&'a Readers),
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
            Pool::Sqlite(readers) => Self::SqliteReaders(readers),
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

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = match self {
            Self::Number(it) => it.map_or(ValueRef::Null, ValueRef::Integer),
            Self::Text(it) => it.as_deref().map_or(ValueRef::Null, ValueRef::from),
            Self::Bytes(it) => ValueRef::Blob(it),
        };
        Ok(ToSqlOutput::Borrowed(value))
    }
}

/// What a row of either database is read into: a tuple of its columns, or what [`row!`] declares.
pub(crate) trait Row: Sized + Send + 'static {
    fn read(cells: &mut Cells<'_>) -> Result<Self>;
}

/// A column's value.
pub(crate) trait Cell:
    rusqlite::types::FromSql + for<'r> sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>
{
}

impl<T> Cell for T where
    T: rusqlite::types::FromSql + for<'r> sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>
{
}

/// The columns of one row.
pub(crate) struct Cells<'r> {
    row: Source<'r>,
    next: usize,
}

enum Source<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r PgRow),
}

impl<'r> Cells<'r> {
    fn of(row: Source<'r>) -> Self {
        Self { row, next: 0 }
    }

    /// The next column.
    pub(crate) fn next<T: Cell>(&mut self) -> Result<T> {
        let at = self.next;
        self.next += 1;
        Ok(match self.row {
            Source::Sqlite(row) => row.get(at)?,
            Source::Postgres(row) => row.try_get(at)?,
        })
    }

    /// The column of that name.
    pub(crate) fn named<T: Cell>(&self, name: &str) -> Result<T> {
        Ok(match self.row {
            Source::Sqlite(row) => row.get(name)?,
            Source::Postgres(row) => row.try_get(name)?,
        })
    }
}

macro_rules! tuples {
    ($(($($column:ident),+))+) => {$(
        impl<$($column: Cell + Send + 'static),+> Row for ($($column,)+) {
            fn read(cells: &mut Cells<'_>) -> Result<Self> {
                Ok(($(cells.next::<$column>()?,)+))
            }
        }
    )+};
}

tuples! { (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, F) }

/// Declares a struct that rows are read into, by the names of their columns.
macro_rules! row {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty,)+
    }) => {
        $(#[$meta])*
        $vis struct $name {
            $($(#[$field_meta])* $field_vis $field: $type,)+
        }

        impl $crate::sql::Row for $name {
            fn read(cells: &mut $crate::sql::Cells<'_>) -> $crate::sql::Result<Self> {
                Ok(Self { $($field: cells.named(stringify!($field))?,)+ })
            }
        }
    };
}

pub(crate) use row;

/// What comes of `work`, or that the server does not answer; nothing limits what is asked of a file.
pub(crate) fn within<T, E: From<Error>>(
    limit: Option<Duration>,
    work: impl Future<Output = Result<T, E>>,
) -> impl Future<Output = Result<T, E>> {
    let Some(limit) = limit else {
        return Either::Left(work);
    };
    let done = tokio::time::timeout(limit, work);
    Either::Right(done.map(|it| it.unwrap_or_else(|_| Err(Error::Silent.into()))))
}

/// What comes of `work` on a reader. One that does not answer is not used again: the pool would wait for it.
async fn on_reader<T>(
    pool: &PgPool,
    limit: Duration,
    work: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
) -> Result<T> {
    let mut conn = pool.acquire().await?;
    match tokio::time::timeout(limit, work(&mut conn)).await {
        Ok(done) => Ok(done?),
        Err(_) => {
            drop(conn.detach());
            Err(Error::Silent)
        }
    }
}

/// A statement with its values.
pub(crate) struct Query {
    sql: Cow<'static, str>,
    values: Vec<Value>,
    /// How long a reader may take for it.
    limit: Duration,
}

/// A statement without values yet.
pub(crate) fn query(sql: &'static str) -> Query {
    Query {
        sql: Cow::Borrowed(sql),
        values: Vec::new(),
        limit: READ_WITHIN,
    }
}

/// The same, of a statement that was put together from names that the engine knows: never of what a user sent.
pub(crate) fn built(sql: String) -> Query {
    Query {
        sql: Cow::Owned(sql),
        values: Vec::new(),
        limit: READ_WITHIN,
    }
}

impl Query {
    /// Gives the next parameter its value.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Limits how long a reader may take for it.
    pub(crate) fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it; gives how many rows it changed.
    pub(crate) async fn execute(self, on: impl Into<On<'_>>) -> Result<u64> {
        match on.into() {
            On::Sqlite(conn) => self.change(conn),
            On::SqliteReaders(readers) => readers.run(move |conn| self.change(conn)).await,
            On::Postgres(conn) => {
                let (sql, arguments) = self.arguments()?;
                let query = sqlx::query_with(sql, arguments);
                Ok(query.execute(conn).await?.rows_affected())
            }
            On::PostgresPool(pool) => {
                let limit = self.limit;
                let (sql, arguments) = self.arguments()?;
                let query = sqlx::query_with(sql, arguments);
                let done = on_reader(pool, limit, async |conn| query.execute(conn).await).await?;
                Ok(done.rows_affected())
            }
        }
    }

    /// Every row.
    pub(crate) async fn fetch_all<T: Row>(self, on: impl Into<On<'_>>) -> Result<Vec<T>> {
        self.fetch_each(on, T::read).await
    }

    /// What `read` makes of every row.
    pub(crate) async fn fetch_each<T: Send + 'static>(
        self,
        on: impl Into<On<'_>>,
        read: impl Fn(&mut Cells<'_>) -> Result<T> + Send + 'static,
    ) -> Result<Vec<T>> {
        let rows = match on.into() {
            On::Sqlite(conn) => return self.read(conn, read),
            On::SqliteReaders(readers) => {
                return readers.run(move |conn| self.read(conn, read)).await;
            }
            On::Postgres(conn) => {
                let (sql, arguments) = self.arguments()?;
                sqlx::query_with(sql, arguments).fetch_all(conn).await?
            }
            On::PostgresPool(pool) => {
                let limit = self.limit;
                let (sql, arguments) = self.arguments()?;
                let query = sqlx::query_with(sql, arguments);
                on_reader(pool, limit, async |conn| query.fetch_all(conn).await).await?
            }
        };
        let rows = rows.iter().map(Source::Postgres);
        rows.map(|it| read(&mut Cells::of(it))).collect()
    }

    /// The first row, if there is one.
    pub(crate) async fn fetch_optional<T: Row>(self, on: impl Into<On<'_>>) -> Result<Option<T>> {
        let rows = self.fetch_all(on).await?;
        Ok(rows.into_iter().next())
    }

    /// The first row.
    pub(crate) async fn fetch_one<T: Row>(self, on: impl Into<On<'_>>) -> Result<T> {
        let row = self.fetch_optional(on).await?;
        row.ok_or(Error::NoRow)
    }

    fn change(self, conn: &rusqlite::Connection) -> Result<u64> {
        let mut statement = self.prepare(conn)?;
        let mut rows = statement.raw_query();
        while rows.next()?.is_some() {}
        Ok(conn.changes())
    }

    fn read<T>(
        self,
        conn: &rusqlite::Connection,
        read: impl Fn(&mut Cells<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.prepare(conn)?;
        let mut rows = statement.raw_query();
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(read(&mut Cells::of(Source::Sqlite(row)))?);
        }
        Ok(all)
    }

    /// SQLite takes `$1` for a name, and numbers parameters by where they first stand.
    fn prepare(self, conn: &rusqlite::Connection) -> Result<rusqlite::CachedStatement<'_>> {
        let mut statement = conn.prepare_cached(&self.sql)?;
        for at in 1..=statement.parameter_count() {
            let number = statement.parameter_name(at).and_then(|it| {
                let number: usize = it.strip_prefix('$')?.parse().ok()?;
                number.checked_sub(1)
            });
            let value = number.and_then(|it| self.values.get(it));
            statement.raw_bind_parameter(at, value.ok_or(Error::Parameter)?)?;
        }
        Ok(statement)
    }

    fn arguments(self) -> Result<(AssertSqlSafe<Cow<'static, str>>, PgArguments)> {
        let mut arguments = PgArguments::default();
        for value in self.values {
            match value {
                Value::Number(it) => arguments.add(it),
                Value::Text(it) => arguments.add(it.map(storable)),
                Value::Bytes(it) => arguments.add(it),
            }
            .map_err(sqlx::Error::Encode)?;
        }
        // Values are never part of it.
        Ok((AssertSqlSafe(self.sql), arguments))
    }
}

/// A text as PostgreSQL can hold it: all but one character.
pub(crate) fn storable(text: String) -> String {
    if text.contains('\0') {
        return text.replace('\0', "\u{fffd}");
    }
    text
}
