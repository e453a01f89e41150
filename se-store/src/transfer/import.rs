//! A database from lines.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde_json::Value as Json;

use super::table::{EVENTS, TABLES, Table, id_of};
use super::{FORMAT, HEADER, Moved, Seal, file_failed};
use crate::error::{Doing, Error, Result};
use crate::objects::{LARGEST, Objects};
use crate::sql::{self, Connection, Value};
use crate::{postgres, sqlite};

/// The longest line that is read, in bytes: an event with a large output.
const LONGEST: u64 = 256 << 20;
/// Rows put in with one statement.
const ROWS: usize = 100;
const READING: &str = "read the export";
const DOING: &str = "put in what was exported";

/// Puts what [`export`](super::export()) wrote to the file `from` into the database at `url`, which must be
/// empty and is made if there is none; large events go to `objects`. All of it or, where anything fails, nothing that
/// anybody refers to.
///
/// # Errors
/// [`Error::BadExport`] if the file is cut, damaged or of a newer format, [`Error::File`] if it cannot be
/// read, [`Error::Conflict`] if there is something in the database, [`Error::InUse`] if an engine has it open,
/// [`Error::Unavailable`].
pub async fn import(url: &str, objects: &Objects, from: &Path) -> Result<Moved> {
    let syncs = verify(from)?;
    // SQLite's file is locked as long as this lives.
    let (mut conn, _lock) = open(url).await?;
    let done = fill(&mut conn, url, objects, from, syncs).await;
    let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = sql::query(end).execute(&mut conn).await.doing(DOING);
    let moved = done?;
    ended?;
    conn.close().await.doing("close the database")?;
    Ok(moved)
}

async fn open(url: &str) -> Result<(Connection, Option<File>)> {
    if postgres::is_meant(url) {
        let conn = postgres::Server::parse(url)?.migrate().await?;
        return Ok((Connection::Postgres(conn), None));
    }
    let opened = sqlite::open(url)?;
    Ok((Connection::Sqlite(opened.writer), opened.lock))
}

async fn fill(
    conn: &mut Connection,
    url: &str,
    objects: &Objects,
    from: &Path,
    syncs: i64,
) -> Result<Moved> {
    match conn {
        Connection::Sqlite(_) => {
            sql::query("BEGIN IMMEDIATE")
                .execute(&mut *conn)
                .await
                .doing(DOING)?;
        }
        Connection::Postgres(inner) => {
            postgres::begin(inner, 0).await.doing(DOING)?;
            postgres::take_time(inner).await.doing(DOING)?;
        }
    }
    if count(conn, "replicas").await? > 0 {
        return Err(Error::InUse {
            path: url.split('@').next_back().unwrap_or(url).to_owned(),
        });
    }
    for table in &TABLES {
        let rows = count(conn, table.name).await?;
        if rows > 0 {
            return Err(Error::Conflict {
                what: "the database to import into".to_owned(),
                found: format!(
                    "table {} has {rows} rows, and only an empty one is filled; give a new one",
                    table.name
                ),
            });
        }
    }
    let mut lines = Lines::open(from)?;
    lines.next()?;
    let mut rows = Rows::default();
    let mut moved = Moved::default();
    while let Some(Line::Row(at, mut row)) = lines.next()? {
        if rows.table != at || rows.count == ROWS {
            rows.store(conn).await?;
            rows.table = at;
        }
        small(conn, at, objects, &mut row).await?;
        rows.values.extend(row);
        rows.count += 1;
        moved.count(at);
    }
    rows.store(conn).await?;
    go_on(conn, syncs).await?;
    Ok(moved)
}

/// Puts what refers to it in the place of a large event.
async fn small(
    conn: &mut Connection,
    table: usize,
    objects: &Objects,
    row: &mut [Value],
) -> Result<()> {
    let is_events = TABLES.get(table).is_some_and(|it| it.name == EVENTS);
    if let [
        _,
        Value::Number(Some(job)),
        Value::Number(Some(seq)),
        Value::Text(Some(text)),
    ] = row
        && is_events
        && text.len() > LARGEST
    {
        let id = id_of(conn, *job).await?;
        *text = objects.keep(&id, *seq, std::mem::take(text)).await;
    }
    Ok(())
}

async fn count(conn: &mut Connection, table: &str) -> Result<i64> {
    let query = sql::built(format!("SELECT count(*) FROM {table}"));
    let (rows,): (i64,) = query.fetch_one(conn).await.doing("count rows")?;
    Ok(rows)
}

/// Numbers go on after the highest.
async fn go_on(conn: &mut Connection, syncs: i64) -> Result<()> {
    sql::query("UPDATE syncs SET number = $1")
        .bind(syncs)
        .execute(&mut *conn)
        .await
        .doing(DOING)?;
    if let Connection::Sqlite(_) = conn {
        return Ok(());
    }
    for table in TABLES.iter().filter(|it| it.numbered) {
        let (name, key) = (table.name, table.key.join(", "));
        let sql = format!(
            "SELECT setval(pg_get_serial_sequence('{name}', '{key}'), max({key})) FROM {name} \
             HAVING max({key}) IS NOT NULL"
        );
        sql::built(sql).execute(&mut *conn).await.doing(DOING)?;
    }
    Ok(())
}

/// Rows of one table that wait to be put in.
#[derive(Default)]
struct Rows {
    table: usize,
    count: usize,
    values: Vec<Value>,
}

impl Rows {
    async fn store(&mut self, conn: &mut Connection) -> Result<()> {
        let Some(table) = TABLES.get(self.table).filter(|_| self.count > 0) else {
            return Ok(());
        };
        let mut query = sql::built(insert(conn, table, self.count));
        for value in self.values.drain(..) {
            query = query.bind(value);
        }
        self.count = 0;
        query.execute(conn).await.doing(DOING)?;
        Ok(())
    }
}

fn insert(conn: &Connection, table: &Table, rows: usize) -> String {
    let width = table.columns.len();
    let row = |at: usize| {
        let places: Vec<String> = (1..=width)
            .map(|it| format!("${}", at * width + it))
            .collect();
        format!("({})", places.join(", "))
    };
    let values: Vec<String> = (0..rows).map(row).collect();
    let own_numbers = match conn {
        Connection::Postgres(_) if table.numbered => " OVERRIDING SYSTEM VALUE",
        Connection::Postgres(_) | Connection::Sqlite(_) => "",
    };
    format!(
        "INSERT INTO {} ({}){own_numbers} VALUES {}",
        table.name,
        table.names(),
        values.join(", ")
    )
}

/// Whether the file is whole; gives the number of syncs.
fn verify(from: &Path) -> Result<i64> {
    let mut lines = Lines::open(from)?;
    let Some(Line::Header(syncs)) = lines.next()? else {
        return Err(lines.bad("it does not begin as an export does"));
    };
    loop {
        match lines.next()? {
            Some(Line::Row(..)) => {}
            Some(Line::End) => break,
            Some(Line::Header(_)) => return Err(lines.bad("a second beginning")),
            None => return Err(lines.bad("it is cut: its last line is missing; export again")),
        }
    }
    match lines.next()? {
        None => Ok(syncs),
        Some(_) => Err(lines.bad("something comes after its end")),
    }
}

/// A line of an export.
enum Line {
    Header(i64),
    /// Of the table of that number.
    Row(usize, Vec<Value>),
    End,
}

struct Lines {
    from: BufReader<File>,
    number: u64,
    seal: Seal,
}

impl Lines {
    fn open(from: &Path) -> Result<Self> {
        let file = File::open(from).map_err(file_failed(READING))?;
        Ok(Self {
            from: BufReader::new(file),
            number: 0,
            seal: Seal::default(),
        })
    }

    fn bad(&self, reason: impl Into<String>) -> Error {
        Error::BadExport {
            line: self.number,
            reason: reason.into(),
        }
    }

    fn next(&mut self) -> Result<Option<Line>> {
        let mut line = Vec::new();
        let mut limited = (&mut self.from).take(LONGEST);
        limited
            .read_until(b'\n', &mut line)
            .map_err(file_failed(READING))?;
        if line.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        if line.pop() != Some(b'\n') {
            return Err(self.bad("it is cut in the middle of a line; export again"));
        }
        let line = String::from_utf8(line).map_err(|_| self.bad("it is not UTF-8"))?;
        let json: Json =
            serde_json::from_str(&line).map_err(|it| self.bad(format!("it is no JSON: {it}")))?;
        let read = match &json {
            Json::Array(row) => self.row(row)?,
            Json::Object(it) if it.contains_key(HEADER) => self.header(it)?,
            end if *end == self.seal.end() => Line::End,
            _ => {
                return Err(self.bad("what it holds is not what was exported; export again"));
            }
        };
        self.seal.line(&line);
        Ok(Some(read))
    }

    fn header(&self, it: &serde_json::Map<String, Json>) -> Result<Line> {
        let format = it.get(HEADER).and_then(Json::as_u64).unwrap_or(u64::MAX);
        if format > FORMAT {
            let engine = it.get("engine").and_then(Json::as_str).unwrap_or("?");
            return Err(self.bad(format!(
                "it has format {format} of engine {engine}, and this one knows {FORMAT}; import with that engine"
            )));
        }
        let syncs = it.get("syncs").and_then(Json::as_i64);
        let syncs = syncs.ok_or_else(|| self.bad("its beginning has no number of syncs"))?;
        Ok(Line::Header(syncs))
    }

    fn row(&mut self, row: &[Json]) -> Result<Line> {
        let Some((Json::String(name), row)) = row.split_first() else {
            return Err(self.bad("it names no table"));
        };
        let at = TABLES.iter().position(|it| it.name == name);
        let Some((at, table)) = at.and_then(|at| Some((at, TABLES.get(at)?))) else {
            return Err(self.bad(format!("there is no table `{name}`")));
        };
        if row.len() != table.columns.len() {
            return Err(self.bad(format!(
                "a row of {name} has {} values, not {}",
                table.columns.len(),
                row.len()
            )));
        }
        let values = table.columns.iter().zip(row).map(|((column, kind), it)| {
            let value = kind.value(it);
            value.ok_or_else(|| self.bad(format!("`{column}` of {name} is of another kind")))
        });
        let values = values.collect::<Result<_>>()?;
        self.seal.moved.count(at);
        Ok(Line::Row(at, values))
    }
}
