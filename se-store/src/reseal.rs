//! Rotation: what another key has sealed is sealed again with the first.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Doing, Error, Result};
use crate::keyring::Keyring;
use crate::seal::{Randomness, Sealed};
use crate::sql;
use crate::store::Store;
use crate::writer::Tx;

/// Jobs in one transaction: other writes wait for it.
const BATCH: i64 = 100;

/// What became of secrets that another key had sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Jobs whose secrets the first key has sealed again.
    pub jobs: u64,
    /// Jobs whose secrets no key at hand opens, by the id of the key that would.
    pub locked: BTreeMap<String, u64>,
    /// Jobs whose secrets are damaged; they are logged.
    pub damaged: u64,
    /// Where to go on, if there may be more.
    pub next: Option<i64>,
}

impl Resealed {
    /// With what was done after it.
    #[must_use]
    pub fn and(mut self, later: Self) -> Self {
        self.jobs += later.jobs;
        self.damaged += later.damaged;
        for (key, jobs) in later.locked {
            *self.locked.entry(key).or_default() += jobs;
        }
        self.next = later.next;
        self
    }
}

impl Store {
    /// Seals what another key has sealed again with the first of `keys`, for all jobs. Each batch is
    /// one transaction: wherever it is cut short, every secret is sealed with one of the keys.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: what was done before stays.
    pub async fn reseal(&self, keys: &Keyring) -> Result<Resealed> {
        let mut all = self.reseal_batch(keys, 0).await?;
        while let Some(after) = all.next {
            all = all.and(self.reseal_batch(keys, after).await?);
        }
        Ok(all)
    }

    /// One batch of [`Self::reseal`], of jobs stored later than `after`.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: nothing was written.
    pub async fn reseal_batch(&self, keys: &Keyring, after: i64) -> Result<Resealed> {
        let (keys, random) = (keys.clone(), Arc::clone(&self.options.random));
        self.write("seal secrets again", move |tx| {
            Box::pin(async move { batch(tx, &keys, &*random, after).await })
        })
        .await
    }
}

struct Row {
    job: i64,
    id: String,
    sealed: Sealed,
}

impl sql::Row for Row {
    fn read(cells: &mut sql::Cells<'_>) -> sql::Result<Self> {
        Ok(Self {
            job: cells.named("job")?,
            id: cells.named("id")?,
            sealed: Sealed::read(cells)?,
        })
    }
}

async fn batch(
    tx: &mut Tx,
    keys: &Keyring,
    random: &dyn Randomness,
    after: i64,
) -> Result<Resealed> {
    let rows: Vec<Row> = sql::query(
        "SELECT job, id, key_id, nonce, sealed FROM job_secrets JOIN jobs ON jobs.row = job \
         WHERE key_id <> $1 AND job > $2 ORDER BY job LIMIT $3",
    )
    .bind(keys.id())
    .bind(after)
    .bind(BATCH)
    .fetch_all(&mut tx.conn)
    .await
    .doing("read the secrets of jobs")?;
    let full = rows.len() == usize::try_from(BATCH).unwrap_or(usize::MAX);
    let mut done = Resealed {
        next: rows.last().map(|it| it.job).filter(|_| full),
        ..Resealed::default()
    };
    for row in rows {
        let secrets = match keys.open(&row.id, &row.sealed) {
            Ok(secrets) => secrets,
            Err(Error::WrongKey { sealed_with, .. }) => {
                *done.locked.entry(sealed_with).or_default() += 1;
                continue;
            }
            Err(error) => {
                tracing::error!(%error, "secrets cannot be sealed again");
                done.damaged += 1;
                continue;
            }
        };
        replace(tx, &row, keys.seal(&row.id, &secrets, random)?).await?;
        done.jobs += 1;
    }
    Ok(done)
}

/// Only over what was read: a job that has ended meanwhile keeps nothing.
async fn replace(tx: &mut Tx, row: &Row, sealed: Sealed) -> Result<()> {
    sql::query(
        "UPDATE job_secrets SET key_id = $1, nonce = $2, sealed = $3 WHERE job = $4 AND nonce = $5",
    )
    .bind(sealed.key_id)
    .bind(sealed.nonce)
    .bind(sealed.sealed)
    .bind(row.job)
    .bind(row.sealed.nonce.clone())
    .execute(&mut tx.conn)
    .await
    .doing("store the secrets of the job")?;
    Ok(())
}
