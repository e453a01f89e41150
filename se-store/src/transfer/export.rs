//! A database as lines.

use std::io::Write;

use serde_json::{Value as Json, json};

use super::table::{EVENTS, Kind, TABLES, Table, id_of};
use super::{FORMAT, HEADER, Moved, Seal, file_failed};
use crate::audit;
use crate::error::{Doing, Error, Result};
use crate::objects::{Objects, REFERS};
use crate::sql::{self, Connection};

/// Rows read in one go.
const PAGE: usize = 500;
const WRITING: &str = "write the export";

/// Writes one moment of the database at `url` to `into`, row by row; an engine may be using it. Secrets stay
/// sealed: whoever opens the copy needs the keys too. Events that are kept in `objects` are written like others.
///
/// # Errors
/// [`Error::OlderSchema`] if no engine of this version has opened the database yet,
/// [`Error::NewerSchema`], [`Error::Unavailable`] if it cannot be read, [`Error::File`] if `into` fails.
pub async fn export(url: &str, objects: &Objects, into: &mut (dyn Write + Send)) -> Result<Moved> {
    let (mut conn, found, known) = audit::open_moment(url).await?;
    if found < known {
        return Err(Error::OlderSchema { found, known });
    }
    let mut out = Lines {
        into,
        seal: Seal::default(),
    };
    let (sync,): (i64,) = sql::query("SELECT max(number) FROM syncs")
        .fetch_one(&mut conn)
        .await
        .doing("read the number of syncs")?;
    out.write(&json!({HEADER: FORMAT, "engine": env!("CARGO_PKG_VERSION"), "syncs": sync}))?;
    for (at, table) in TABLES.iter().enumerate() {
        rows(&mut conn, at, table, objects, &mut out).await?;
    }
    let end = out.seal.end();
    out.write(&end)?;
    out.into.flush().map_err(file_failed(WRITING))?;
    // Nothing was written to it: there is nothing to lose.
    conn.close().await.ok();
    Ok(out.seal.moved)
}

struct Lines<'a> {
    into: &'a mut (dyn Write + Send),
    seal: Seal,
}

impl Lines<'_> {
    fn write(&mut self, line: &Json) -> Result<()> {
        let line = line.to_string();
        self.seal.line(&line);
        writeln!(self.into, "{line}").map_err(file_failed(WRITING))
    }
}

async fn rows(
    conn: &mut Connection,
    at: usize,
    table: &'static Table,
    objects: &Objects,
    out: &mut Lines<'_>,
) -> Result<()> {
    let mut after: Option<Vec<sql::Value>> = None;
    loop {
        let mut query = sql::built(select(conn, table, after.is_some()));
        for value in after.take().unwrap_or_default() {
            query = query.bind(value);
        }
        let page = query
            .fetch_each(&mut *conn, |cells| table.read(cells))
            .await;
        let page = page.doing("read the rows of a table")?;
        let full = page.len() == PAGE;
        after = page.last().and_then(|it| table.key_of(it));
        for mut row in page {
            whole(conn, table, objects, &mut row).await?;
            out.seal.moved.count(at);
            let line = std::iter::once(Json::from(table.name)).chain(row);
            out.write(&line.collect())?;
        }
        if !full {
            return Ok(());
        }
    }
}

/// Puts the text of an event in the place of what refers to it.
async fn whole(
    conn: &mut Connection,
    table: &Table,
    objects: &Objects,
    row: &mut [Json],
) -> Result<()> {
    let [_, job, seq, Json::String(text)] = row else {
        return Ok(());
    };
    let (Some(job), Some(seq)) = (job.as_i64(), seq.as_i64()) else {
        return Ok(());
    };
    if table.name != EVENTS || !text.starts_with(REFERS) {
        return Ok(());
    }
    let id = id_of(conn, job).await?;
    *text = objects.text(&id, seq, std::mem::take(text)).await?;
    Ok(())
}

/// The next page, after the key given if there is one.
fn select(conn: &Connection, table: &Table, goes_on: bool) -> String {
    // Both databases in one order, which is that of the bytes.
    let ordered = |name: &&str| {
        let is_text = table.columns.contains(&(*name, Kind::Text));
        match conn {
            Connection::Postgres(_) if is_text => format!("{name} COLLATE \"C\""),
            Connection::Postgres(_) | Connection::Sqlite(_) => (*name).to_owned(),
        }
    };
    let keys: Vec<String> = table.key.iter().map(ordered).collect();
    let keys = keys.join(", ");
    let places: Vec<String> = (1..=table.key.len()).map(|it| format!("${it}")).collect();
    let after = match goes_on {
        true => format!(" WHERE ({keys}) > ({})", places.join(", ")),
        false => String::new(),
    };
    format!(
        "SELECT {} FROM {}{after} ORDER BY {keys} LIMIT {PAGE}",
        table.names(),
        table.name
    )
}
