//! A whole database as a stream of lines, from one kind of store to another.
//!
//! The first line says what it is, the last how many rows there were and what they hash to; between them
//! each line is a row: `["events", 7, 1, 2, "{…}"]`. What belongs to an engine that runs (who drives a
//! job, who sends a delivery) stays behind: whoever starts next takes it up.

mod export;
mod import;
mod table;

pub use export::export;
pub use import::import;

use std::fmt;

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use crate::error::Error;
use table::TABLES;

/// The format that this engine writes, and the newest that it reads.
const FORMAT: u64 = 1;
/// The key of the first line that says so.
const HEADER: &str = "scenario_engine_store";

/// How many rows were moved, by table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    rows: [u64; TABLES.len()],
}

impl Moved {
    /// Each table, with how many rows of it there were.
    pub fn tables(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        TABLES.iter().map(|it| it.name).zip(self.rows)
    }

    fn count(&mut self, table: usize) {
        if let Some(rows) = self.rows.get_mut(table) {
            *rows += 1;
        }
    }
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self
            .tables()
            .map(|(name, rows)| format!("{name} {rows}"))
            .collect();
        f.write_str(&all.join(", "))
    }
}

/// Hashes the lines and counts the rows: what the last line must say.
#[derive(Default)]
struct Seal {
    hash: Sha256,
    moved: Moved,
}

impl Seal {
    fn line(&mut self, line: &str) {
        self.hash.update(line.as_bytes());
        self.hash.update(b"\n");
    }

    fn end(&self) -> Json {
        let digest = self.hash.clone().finalize();
        let digest: String = digest.iter().map(|it| format!("{it:02x}")).collect();
        let rows: serde_json::Map<_, _> = self
            .moved
            .tables()
            .map(|(name, rows)| (name.to_owned(), json!(rows)))
            .collect();
        json!({"rows": rows, "sha256": digest})
    }
}

fn file_failed(doing: &'static str) -> impl Fn(std::io::Error) -> Error {
    move |source| Error::File { doing, source }
}
