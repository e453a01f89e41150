use se_runtime::Timestamp;
use se_runtime::event::Map;
use serde_json::Value;

use crate::error::{Doing, Error, Result};
use crate::sql;
use crate::store::Store;
use crate::writer::Tx;

impl Store {
    /// What the jobs of a session have learned about the pod on `worker`.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Unavailable`].
    pub async fn session_facts(&self, session_id: &str, worker: Option<&str>) -> Result<Map> {
        let facts: Option<(String,)> =
            sql::query("SELECT facts FROM session_facts WHERE session_id = $1 AND worker = $2")
                .bind(session_id)
                .bind(worker.unwrap_or_default())
                .fetch_optional(&self.readers)
                .await
                .doing("read what the session has learned")?;
        facts.map_or_else(|| Ok(Map::new()), |(text,)| parse(session_id, &text))
    }

    /// The worker that the session's newest job with one ran on.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn session_worker(&self, session_id: &str) -> Result<Option<String>> {
        let worker: Option<(String,)> = sql::query(
            "SELECT worker FROM jobs WHERE session_id = $1 AND worker <> '' ORDER BY row DESC LIMIT 1",
        )
        .bind(session_id)
        .fetch_optional(&self.readers)
        .await
        .doing("look for the worker of the session")?;
        Ok(worker.map(|(it,)| it))
    }
}

/// Puts `learned` over what is known.
pub(crate) async fn learn(
    tx: &mut Tx,
    session: &str,
    worker: &str,
    learned: Map,
    now: Timestamp,
) -> Result<()> {
    let known: Option<(String,)> =
        sql::query("SELECT facts FROM session_facts WHERE session_id = $1 AND worker = $2")
            .bind(session)
            .bind(worker)
            .fetch_optional(&mut tx.conn)
            .await
            .doing("read what the session has learned")?;
    let mut facts = known.map_or_else(|| Ok(Map::new()), |(text,)| parse(session, &text))?;
    merge(&mut facts, learned);
    let text = Value::Object(facts).to_string();
    sql::query(
        "INSERT INTO session_facts (session_id, worker, facts, updated_at) \
         VALUES ($1, $2, $3, $4) ON CONFLICT (session_id, worker) \
         DO UPDATE SET facts = $3, updated_at = $4",
    )
    .bind(session)
    .bind(worker)
    .bind(text)
    .bind(now.micros())
    .execute(&mut tx.conn)
    .await
    .doing("store what the session has learned")?;
    Ok(())
}

/// Mappings key by key, anything else as a whole.
fn merge(known: &mut Map, learned: Map) {
    for (key, value) in learned {
        match (known.get_mut(&key), value) {
            (Some(Value::Object(known)), Value::Object(more)) => merge(known, more),
            (_, value) => {
                known.insert(key, value);
            }
        }
    }
}

fn parse(session: &str, text: &str) -> Result<Map> {
    serde_json::from_str(text).map_err(|error| Error::corrupt("session_facts", session, error))
}
