//! What there is to move.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value as Json;

use crate::error::Doing as _;
use crate::sql::{self, Cells, Connection, Result, Value};

/// A table, in the order in which rows refer to those before them.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// By which it is read; never changed and never twice.
    pub(super) key: &'static [&'static str],
    pub(super) columns: &'static [(&'static str, Kind)],
    /// Whether the database numbers its rows by the key.
    pub(super) numbered: bool,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Text,
    /// Base64 in a line.
    Bytes,
}

use Kind::{Bytes, Number, Text};

/// The table whose texts may be kept outside.
pub(super) const EVENTS: &str = "events";

pub(super) const TABLES: [Table; 9] = [
    Table {
        name: "definitions",
        key: &["row"],
        columns: &[
            ("row", Number),
            ("definition_id", Text),
            ("version", Text),
            ("name", Text),
            ("pod_type", Text),
            ("status", Text),
            ("content_hash", Text),
            ("package_hash", Text),
            ("source_uri", Text),
            ("folder", Text),
            ("error", Text),
            ("warnings", Text),
            ("sync", Number),
            ("created_at", Number),
            ("synced_at", Number),
        ],
        numbered: true,
    },
    Table {
        name: "jobs",
        key: &["row"],
        columns: &[
            ("row", Number),
            ("id", Text),
            ("definition_id", Text),
            ("version", Text),
            ("content_hash", Text),
            ("session_id", Text),
            ("phase", Text),
            ("scenario_name", Text),
            ("scenario_version", Text),
            ("worker", Text),
            ("status", Text),
            ("percentage", Number),
            ("message", Text),
            ("created_at", Number),
            ("started_at", Number),
            ("completed_at", Number),
            ("last_seq", Number),
            ("cancel", Text),
        ],
        numbered: true,
    },
    Table {
        name: EVENTS,
        key: &["position"],
        columns: &[
            ("position", Number),
            ("job", Number),
            ("seq", Number),
            ("record", Text),
        ],
        numbered: true,
    },
    Table {
        name: "job_secrets",
        key: &["job"],
        columns: &[
            ("job", Number),
            ("key_id", Text),
            ("nonce", Bytes),
            ("sealed", Bytes),
        ],
        numbered: false,
    },
    Table {
        name: "session_facts",
        key: &["session_id", "worker"],
        columns: &[
            ("session_id", Text),
            ("worker", Text),
            ("facts", Text),
            ("updated_at", Number),
        ],
        numbered: false,
    },
    Table {
        name: "idempotency",
        key: &["key"],
        columns: &[
            ("key", Text),
            ("job_id", Text),
            ("request_hash", Text),
            ("expires_at", Number),
        ],
        numbered: false,
    },
    Table {
        name: "deliveries",
        key: &["id"],
        columns: &[
            ("id", Number),
            ("stream", Text),
            ("url", Text),
            ("event_id", Text),
            ("body", Text),
            ("status", Text),
            ("attempts", Number),
            ("next_at", Number),
            ("created_at", Number),
            ("ended_at", Number),
            ("error", Text),
        ],
        numbered: true,
    },
    Table {
        name: "ports",
        key: &["worker", "port"],
        columns: &[
            ("worker", Text),
            ("port", Number),
            ("holder", Text),
            ("name", Text),
            ("since", Number),
        ],
        numbered: false,
    },
    Table {
        name: "transcripts",
        key: &["id"],
        columns: &[
            ("id", Number),
            ("job", Number),
            ("connector", Text),
            ("at", Number),
            ("text", Text),
        ],
        numbered: true,
    },
];

impl Table {
    pub(super) fn names(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        names.join(", ")
    }

    /// The values of the key in a row of this table.
    pub(super) fn key_of(&self, row: &[Json]) -> Option<Vec<Value>> {
        let value = |key: &&str| {
            let at = self.columns.iter().position(|(name, _)| name == key)?;
            let (_, kind) = self.columns.get(at)?;
            kind.value(row.get(at)?)
        };
        self.key.iter().map(value).collect()
    }

    pub(super) fn read(&self, cells: &mut Cells<'_>) -> Result<Vec<Json>> {
        self.columns
            .iter()
            .map(|(_, kind)| kind.read(cells))
            .collect()
    }
}

/// The id of the job in that row.
pub(super) async fn id_of(conn: &mut Connection, row: i64) -> crate::Result<String> {
    let (id,): (String,) = sql::query("SELECT id FROM jobs WHERE row = $1")
        .bind(row)
        .fetch_one(conn)
        .await
        .doing("read the id of a job")?;
    Ok(id)
}

impl Kind {
    fn read(self, cells: &mut Cells<'_>) -> Result<Json> {
        Ok(match self {
            Self::Number => cells.next::<Option<i64>>()?.map_or(Json::Null, Json::from),
            Self::Text => cells
                .next::<Option<String>>()?
                .map_or(Json::Null, Json::from),
            Self::Bytes => Json::from(BASE64_STANDARD.encode(cells.next::<Vec<u8>>()?)),
        })
    }

    /// As it is stored; nothing if it is of another kind.
    pub(super) fn value(self, json: &Json) -> Option<Value> {
        Some(match (self, json) {
            (Self::Number, Json::Null) => Value::Number(None),
            (Self::Number, it) => Value::Number(Some(it.as_i64()?)),
            (Self::Text, Json::Null) => Value::Text(None),
            (Self::Text, it) => Value::Text(Some(it.as_str()?.to_owned())),
            (Self::Bytes, it) => Value::Bytes(BASE64_STANDARD.decode(it.as_str()?).ok()?),
        })
    }
}
