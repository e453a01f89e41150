use std::sync::Arc;

use futures_util::future::BoxFuture;
use se_runtime::Timestamp;
use serde_json::Value;

use super::under_way::{Begun, UnderWay};
use super::{Definition, DefinitionKey, Definitions, Row, no_definition};
use crate::error::{Doing, Error, Result};
use crate::outbox::{Announce, PodDefinitionEvent, definition_stream, enqueue};
use crate::sql;
use crate::writer::Tx;

/// What is to be synced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncRequest {
    /// Which version.
    pub key: DefinitionKey,
    /// Where from.
    pub source_uri: String,
    /// Its name, if the caller knows it.
    pub name: Option<String>,
    /// Its pod type, if the caller knows it.
    pub pod_type: Option<String>,
}

/// A sync that is going on. It ends with [`Definitions::ready`], [`Definitions::unchanged`] or
/// [`Definitions::failed`]; until then, or until it is dropped, no other sync of the version begins.
#[derive(Debug)]
#[must_use = "what came of a sync that is dropped is not known, and it counts as going on until another begins"]
pub struct Sync {
    key: DefinitionKey,
    source_uri: String,
    begun: Begun,
}

impl Sync {
    /// What is being synced.
    #[must_use]
    pub fn key(&self) -> &DefinitionKey {
        &self.key
    }
}

/// What a good sync found.
#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    /// Name in the manifest.
    pub name: String,
    /// What kind of pod it is for.
    pub pod_type: String,
    /// Hash of the content.
    pub content_hash: String,
    /// Hash of the zip.
    pub package_hash: String,
    /// Where it is unpacked.
    pub folder: String,
    /// What is wrong with it without being fatal, a JSON array.
    pub warnings: Value,
}

impl Definitions<'_> {
    /// Notes a version without syncing it. Nothing changes where it is known.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn define(&self, request: SyncRequest) -> Result<()> {
        let now = self.store.now();
        self.change("note the pod definition", move |tx| {
            Box::pin(async move {
                insert(tx, &request, now).await?;
                Ok(())
            })
        })
        .await
    }

    /// Begins a sync. A ready version goes on serving; any other becomes `synchronizing`.
    ///
    /// # Errors
    /// [`Error::Busy`] if another sync of the version is going on, [`Error::Unavailable`].
    pub async fn begin_sync(&self, request: SyncRequest) -> Result<Sync> {
        let (now, syncs) = (self.store.now(), Arc::clone(&self.store.syncs));
        self.change("begin the sync", move |tx| {
            Box::pin(begin(tx, request, now, syncs))
        })
        .await
    }

    /// Ends a sync well: in one step the version serves the new content and every other ready version
    /// of the same name and pod type is superseded. Returns those.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the sync was given up meanwhile, [`Error::Corrupt`],
    /// [`Error::Unavailable`].
    pub async fn ready(&self, sync: Sync, content: Content) -> Result<Vec<DefinitionKey>> {
        let end = self.end(sync);
        self.change("make the version ready", move |tx| {
            Box::pin(ready(tx, end, content))
        })
        .await
    }

    /// Ends a sync that found what is serving already.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the sync was given up meanwhile, or if the version is not ready;
    /// [`Error::Unavailable`].
    pub async fn unchanged(&self, sync: Sync) -> Result<()> {
        let key = sync.key.clone();
        let ended = self.change("end the sync", move |tx| Box::pin(unchanged(tx, sync)));
        // An error is only said once the end is stored: with it, the end would be undone.
        one(u64::from(ended.await?), &key)
    }

    /// Ends a sync that failed. A ready version goes on serving and shows the error; any other
    /// becomes `failed`.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the sync was given up meanwhile, [`Error::Corrupt`],
    /// [`Error::Unavailable`].
    pub async fn failed(&self, sync: Sync, error: &str) -> Result<()> {
        let end = self.end(sync);
        let error = error.to_owned();
        self.change("note the failed sync", move |tx| {
            Box::pin(failed(tx, end, error))
        })
        .await
    }

    /// Takes ready versions of a definition out of service: one, or all. Jobs that run finish.
    ///
    /// # Errors
    /// [`Error::NotFound`] if none is ready, [`Error::Unavailable`].
    pub async fn expire(&self, definition_id: &str, version: Option<&str>) -> Result<()> {
        let (definition_id, version) = (definition_id.to_owned(), version.map(str::to_owned));
        self.change("expire the pod definition", move |tx| {
            Box::pin(expire(tx, definition_id, version))
        })
        .await
    }

    /// Changes versions: what was read of them before holds no more.
    async fn change<T, W>(&self, doing: &'static str, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + 'static,
    {
        self.store
            .write(doing, move |tx| {
                tx.written.definitions = true;
                work(tx)
            })
            .await
    }

    fn end(&self, sync: Sync) -> End {
        End {
            sync,
            announce: Arc::clone(&self.store.options.announce),
            now: self.store.now(),
        }
    }
}

struct End {
    sync: Sync,
    announce: Arc<dyn Announce>,
    now: Timestamp,
}

async fn insert(tx: &mut Tx, request: &SyncRequest, now: Timestamp) -> Result<()> {
    sql::query(
        "INSERT INTO definitions (definition_id, version, name, pod_type, status, source_uri, \
         created_at) VALUES ($1, $2, $3, $4, 'defined', $5, $6) \
         ON CONFLICT (definition_id, version) DO NOTHING",
    )
    .bind(&request.key.definition_id)
    .bind(&request.key.version)
    .bind(&request.name)
    .bind(&request.pod_type)
    .bind(&request.source_uri)
    .bind(now.micros())
    .execute(&mut tx.conn)
    .await
    .doing("note the pod definition")?;
    Ok(())
}

async fn begin(
    tx: &mut Tx,
    request: SyncRequest,
    now: Timestamp,
    syncs: Arc<UnderWay>,
) -> Result<Sync> {
    insert(tx, &request, now).await?;
    free(tx, &request.key, &syncs).await?;
    let (number,): (i64,) = sql::query("UPDATE syncs SET number = number + 1 RETURNING number")
        .fetch_one(&mut tx.conn)
        .await
        .doing("number the sync")?;
    sql::query(
        "UPDATE definitions SET sync = $1, sync_owner = $5, \
         source_uri = CASE status WHEN 'ready' THEN source_uri ELSE $2 END, \
         status = CASE status WHEN 'ready' THEN status ELSE 'synchronizing' END \
         WHERE definition_id = $3 AND version = $4",
    )
    .bind(number)
    .bind(&request.source_uri)
    .bind(&request.key.definition_id)
    .bind(&request.key.version)
    .bind(tx.replica)
    .execute(&mut tx.conn)
    .await
    .doing("begin the sync")?;
    Ok(Sync {
        key: request.key,
        source_uri: request.source_uri,
        begun: syncs.begin(number),
    })
}

/// Whether no sync of the version goes on. One of this engine that it is not at any more has ended, though its end
/// could not be stored; its number comes never again.
async fn free(tx: &mut Tx, key: &DefinitionKey, syncs: &UnderWay) -> Result<()> {
    let (number, owner): (Option<i64>, Option<i64>) = sql::query(
        "SELECT sync, sync_owner FROM definitions WHERE definition_id = $1 AND version = $2",
    )
    .bind(&key.definition_id)
    .bind(&key.version)
    .fetch_one(&mut tx.conn)
    .await
    .doing("look for a sync of the version")?;
    let goes_on = number.is_some_and(|it| owner != Some(tx.replica) || syncs.has(it));
    if goes_on {
        return Err(Error::Busy {
            what: format!("the sync of pod definition {key}"),
        });
    }
    Ok(())
}

async fn ready(tx: &mut Tx, end: End, content: Content) -> Result<Vec<DefinitionKey>> {
    const DOING: &str = "make the version ready";
    let sync = &end.sync;
    let updated = sql::query(
        "UPDATE definitions SET status = 'ready', sync = NULL, error = NULL, name = $1, \
         pod_type = $2, content_hash = $3, package_hash = $4, folder = $5, warnings = $6, \
         source_uri = $7, synced_at = $8 WHERE definition_id = $9 AND version = $10 AND sync = $11",
    )
    .bind(&content.name)
    .bind(&content.pod_type)
    .bind(&content.content_hash)
    .bind(&content.package_hash)
    .bind(&content.folder)
    .bind(content.warnings.to_string())
    .bind(&sync.source_uri)
    .bind(end.now.micros())
    .bind(&sync.key.definition_id)
    .bind(&sync.key.version)
    .bind(sync.begun.number)
    .execute(&mut tx.conn)
    .await
    .doing(DOING)?;
    one(updated, &sync.key)?;
    let superseded: Vec<(String, String)> = sql::query(
        "UPDATE definitions SET status = 'superseded' WHERE name = $1 AND pod_type = $2 \
         AND status = 'ready' AND NOT (definition_id = $3 AND version = $4) \
         RETURNING definition_id, version",
    )
    .bind(&content.name)
    .bind(&content.pod_type)
    .bind(&sync.key.definition_id)
    .bind(&sync.key.version)
    .fetch_all(&mut tx.conn)
    .await
    .doing(DOING)?;
    announce(tx, &end, PodDefinitionEvent::Ready).await?;
    let key = |(definition_id, version)| DefinitionKey {
        definition_id,
        version,
    };
    let mut superseded: Vec<DefinitionKey> = superseded.into_iter().map(key).collect();
    superseded.sort();
    Ok(superseded)
}

/// Gives whether the version is ready. Whatever it is, the sync has ended.
async fn unchanged(tx: &mut Tx, sync: Sync) -> Result<bool> {
    let ended: Option<(String,)> = sql::query(
        "UPDATE definitions SET sync = NULL, \
         error = CASE status WHEN 'ready' THEN NULL \
         WHEN 'synchronizing' THEN 'the same content was found, and none serves; sync again' ELSE error END, \
         status = CASE status WHEN 'synchronizing' THEN 'failed' ELSE status END \
         WHERE definition_id = $1 AND version = $2 AND sync = $3 RETURNING status",
    )
    .bind(&sync.key.definition_id)
    .bind(&sync.key.version)
    .bind(sync.begun.number)
    .fetch_optional(&mut tx.conn)
    .await
    .doing("end the sync")?;
    Ok(ended.is_some_and(|(status,)| status == "ready"))
}

async fn failed(tx: &mut Tx, end: End, error: String) -> Result<()> {
    let sync = &end.sync;
    let updated = sql::query(
        "UPDATE definitions SET sync = NULL, error = $1, \
         status = CASE status WHEN 'synchronizing' THEN 'failed' ELSE status END \
         WHERE definition_id = $2 AND version = $3 AND sync = $4",
    )
    .bind(error)
    .bind(&sync.key.definition_id)
    .bind(&sync.key.version)
    .bind(sync.begun.number)
    .execute(&mut tx.conn)
    .await
    .doing("note the failed sync")?;
    one(updated, &sync.key)?;
    announce(tx, &end, PodDefinitionEvent::Failed).await
}

async fn expire(tx: &mut Tx, definition_id: String, version: Option<String>) -> Result<()> {
    let updated = sql::query(
        "UPDATE definitions SET status = 'expired' WHERE definition_id = $1 \
         AND ($2 IS NULL OR version = $2) AND status = 'ready'",
    )
    .bind(&definition_id)
    .bind(version)
    .execute(&mut tx.conn)
    .await
    .doing("expire the pod definition")?;
    if updated == 0 {
        let what = format!("ready version of pod definition {definition_id}");
        return Err(Error::not_found(what));
    }
    Ok(())
}

async fn announce(tx: &mut Tx, end: &End, event: PodDefinitionEvent) -> Result<()> {
    let key = &end.sync.key;
    let row: Option<Row> =
        sql::query("SELECT * FROM definitions WHERE definition_id = $1 AND version = $2")
            .bind(&key.definition_id)
            .bind(&key.version)
            .fetch_optional(&mut tx.conn)
            .await
            .doing("read the pod definition")?;
    let definition: Definition = row.ok_or_else(|| no_definition(key))?.try_into()?;
    let deliveries = end.announce.definition(&definition, event);
    enqueue(
        tx,
        &definition_stream(&key.definition_id),
        deliveries,
        end.now,
    )
    .await
}

fn one(rows: u64, key: &DefinitionKey) -> Result<()> {
    if rows == 1 {
        return Ok(());
    }
    Err(Error::Conflict {
        what: format!("the sync of pod definition {key}"),
        found: "it was given up, or the version changed".to_owned(),
    })
}
