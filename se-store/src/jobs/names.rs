//! What requests are known by: one that comes again gets the first job.

use se_runtime::Timestamp;

use super::{Submitted, WINDOW};
use crate::error::{Doing, Result};
use crate::sql::{self, On, Query};
use crate::store::Store;
use crate::writer::Tx;

const LOOKING: &str = "look for the idempotency key";

/// A name, and the hash that a request of that name has to have to be the same one; none where the name alone
/// says that it is.
pub(super) type Name = (String, Option<String>);

impl Store {
    /// The job of a request that had one of these names within 24 hours: the first name that is known decides.
    /// Where there is none, nothing is said.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable).
    pub async fn first_job(
        &self,
        names: Vec<(String, Option<String>)>,
    ) -> Result<Option<Submitted>> {
        first(&self.readers, &storable(names), self.now()).await
    }
}

/// Names as every database gives them back.
pub(super) fn storable(names: Vec<Name>) -> Vec<Name> {
    let names = names.into_iter();
    names
        .map(|(key, hash)| (sql::storable(key), hash))
        .collect()
}

pub(super) async fn first(
    on: impl Into<On<'_>>,
    names: &[Name],
    now: Timestamp,
) -> Result<Option<Submitted>> {
    if names.is_empty() {
        return Ok(None);
    }
    let rows: Vec<(String, String, String)> = of(names, now).fetch_all(on).await.doing(LOOKING)?;
    let known = names.iter().find_map(|(key, hash)| {
        let (_, job_id, first) = rows.iter().find(|it| it.0 == *key)?;
        Some(Submitted::Existing {
            job_id: job_id.clone(),
            same_request: hash.as_ref().is_none_or(|it| it == first),
        })
    });
    Ok(known)
}

/// Asks for what is known of them.
fn of(names: &[Name], now: Timestamp) -> Query {
    let places: Vec<String> = (2..names.len() + 2).map(|it| format!("${it}")).collect();
    let query = sql::built(format!(
        "SELECT key, job_id, request_hash FROM idempotency WHERE expires_at > $1 AND key IN ({})",
        places.join(", ")
    ));
    let query = query.bind(now.micros());
    names.iter().fold(query, |query, (key, _)| query.bind(key))
}

/// Lets the names lead to the job from now on. They differ from each other.
pub(super) async fn give(tx: &mut Tx, job: &str, names: Vec<Name>, now: Timestamp) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let place = |at: usize| format!("(${}, $1, ${}, $2)", 2 * at + 3, 2 * at + 4);
    let places: Vec<String> = (0..names.len()).map(place).collect();
    let query = sql::built(format!(
        "INSERT INTO idempotency (key, job_id, request_hash, expires_at) VALUES {} \
         ON CONFLICT (key) DO UPDATE SET job_id = excluded.job_id, \
         request_hash = excluded.request_hash, expires_at = excluded.expires_at",
        places.join(", ")
    ));
    let query = query.bind(job).bind(now.after(WINDOW).micros());
    let names = names.into_iter();
    let query = names.fold(query, |query, (key, hash)| {
        query.bind(key).bind(hash.unwrap_or_default())
    });
    query
        .execute(&mut tx.conn)
        .await
        .doing("store the idempotency key")?;
    Ok(())
}
