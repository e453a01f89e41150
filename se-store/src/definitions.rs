use std::fmt;

use se_runtime::Timestamp;
use serde_json::Value;

use crate::error::{Doing, Error, Result};
use crate::jobs::{Cursor, Page};
use crate::sql;
use crate::store::Store;
use kept::Wanted;

mod kept;
mod sync;
mod under_way;

pub(crate) use kept::Kept;
pub use sync::{Content, Sync, SyncRequest};
pub(crate) use under_way::UnderWay;

/// A version of a pod definition.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Which, and which version of it.
    pub key: DefinitionKey,
    /// Name in the manifest; unknown until a sync has ended well, unless the caller said it.
    pub name: Option<String>,
    /// What kind of pod it is for; likewise.
    pub pod_type: Option<String>,
    /// Where it is in its life.
    pub status: DefinitionStatus,
    /// Whether a sync is going on; a ready version goes on serving meanwhile.
    pub synchronizing: bool,
    /// Hash of the content that serves.
    pub content_hash: Option<String>,
    /// Hash of the zip it came in.
    pub package_hash: Option<String>,
    /// Where it came from.
    pub source_uri: String,
    /// Where it is unpacked.
    pub folder: Option<String>,
    /// Why the last sync failed, if it did.
    pub error: Option<String>,
    /// What the last good sync warned of, a JSON array.
    pub warnings: Value,
    /// When it was first heard of.
    pub created_at: Timestamp,
    /// When the last good sync ended.
    pub synced_at: Option<Timestamp>,
}

/// Names a version of a pod definition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DefinitionKey {
    /// Which definition.
    pub definition_id: String,
    /// Which version of it.
    pub version: String,
}

impl DefinitionKey {
    /// That version of that definition.
    pub fn new(definition_id: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            definition_id: definition_id.into(),
            version: version.into(),
        }
    }
}

impl fmt::Display for DefinitionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.definition_id, self.version)
    }
}

/// Where a version is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefinitionStatus {
    /// Heard of, never synced.
    Defined,
    /// Its first content, or its next after a failure, is on the way.
    Synchronizing,
    /// Serves jobs.
    Ready,
    /// The last sync failed and there is nothing from before to serve.
    Failed,
    /// Taken out of service.
    Expired,
    /// Another version of the same name and pod type serves instead.
    Superseded,
}

impl DefinitionStatus {
    const ALL: [Self; 6] = [
        Self::Defined,
        Self::Synchronizing,
        Self::Ready,
        Self::Failed,
        Self::Expired,
        Self::Superseded,
    ];

    /// As the API writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Defined => "defined",
            Self::Synchronizing => "synchronizing",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Superseded => "superseded",
        }
    }

    /// Reads what [`Self::as_str`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

/// The versions of pod definitions and how they change.
#[derive(Clone, Copy, Debug)]
pub struct Definitions<'a> {
    pub(crate) store: &'a Store,
}

impl Definitions<'_> {
    /// The version that was made ready last and still is.
    ///
    /// # Errors
    /// [`Error::NotFound`] if none is ready, [`Error::Corrupt`], [`Error::Unavailable`].
    pub async fn latest_ready(&self, definition_id: &str) -> Result<Definition> {
        let wanted = Wanted::Latest(definition_id.to_owned());
        self.kept(wanted, self.read_latest(definition_id)).await
    }

    async fn read_latest(&self, definition_id: &str) -> Result<Definition> {
        let row: Option<Row> = sql::query(
            "SELECT * FROM definitions WHERE definition_id = $1 AND status = 'ready' \
             ORDER BY synced_at DESC, row DESC LIMIT 1",
        )
        .bind(definition_id)
        .fetch_optional(&self.store.readers)
        .await
        .doing("look for a ready version")?;
        let none = || Error::not_found(format!("ready version of pod definition {definition_id}"));
        row.ok_or_else(none)?.try_into()
    }

    /// Exactly that version, whatever its status.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Corrupt`], [`Error::Unavailable`].
    pub async fn by_version(&self, key: &DefinitionKey) -> Result<Definition> {
        let wanted = Wanted::Exact(key.clone());
        self.kept(wanted, self.read_exact(key)).await
    }

    /// What was read before, if no version has changed since.
    async fn kept(
        &self,
        wanted: Wanted,
        read: impl Future<Output = Result<Definition>>,
    ) -> Result<Definition> {
        if self.store.is_shared() {
            return read.await;
        }
        let changes = self.store.changed_definitions();
        if let Some(found) = self.store.kept.get(changes, &wanted) {
            return Ok(found);
        }
        let found = read.await?;
        self.store.kept.keep(changes, wanted, &found);
        Ok(found)
    }

    async fn read_exact(&self, key: &DefinitionKey) -> Result<Definition> {
        let row: Option<Row> =
            sql::query("SELECT * FROM definitions WHERE definition_id = $1 AND version = $2")
                .bind(&key.definition_id)
                .bind(&key.version)
                .fetch_optional(&self.store.readers)
                .await
                .doing("read the pod definition")?;
        row.ok_or_else(|| no_definition(key))?.try_into()
    }

    /// Every version of a definition, newest first.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none, [`Error::Corrupt`], [`Error::Unavailable`].
    pub async fn versions(&self, definition_id: &str) -> Result<Vec<Definition>> {
        let rows: Vec<Row> =
            sql::query("SELECT * FROM definitions WHERE definition_id = $1 ORDER BY row DESC")
                .bind(definition_id)
                .fetch_all(&self.store.readers)
                .await
                .doing("list the versions")?;
        if rows.is_empty() {
            return Err(Error::not_found(format!("pod definition {definition_id}")));
        }
        rows.into_iter().map(Definition::try_from).collect()
    }

    /// Versions of all definitions, newest first.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Unavailable`].
    pub async fn list(
        &self,
        status: Option<DefinitionStatus>,
        limit: u32,
        cursor: Option<Cursor>,
    ) -> Result<Page<Definition>> {
        let limit = limit.clamp(1, 1000);
        let rows: Vec<Row> = sql::query(
            "SELECT * FROM definitions WHERE row < $1 AND ($2 IS NULL OR status = $2) \
             ORDER BY row DESC LIMIT $3",
        )
        .bind(cursor.map_or(i64::MAX, |it| it.0))
        .bind(status.map(DefinitionStatus::as_str))
        .bind(i64::from(limit) + 1)
        .fetch_all(&self.store.readers)
        .await
        .doing("list the pod definitions")?;
        Page::of(rows, limit, |it| it.row)
    }
}

fn no_definition(key: &DefinitionKey) -> Error {
    Error::not_found(format!("pod definition {key}"))
}

sql::row! {
    pub(crate) struct Row {
        row: i64,
        definition_id: String,
        version: String,
        name: Option<String>,
        pod_type: Option<String>,
        status: String,
        content_hash: Option<String>,
        package_hash: Option<String>,
        source_uri: String,
        folder: Option<String>,
        error: Option<String>,
        warnings: String,
        sync: Option<i64>,
        created_at: i64,
        synced_at: Option<i64>,
    }
}

impl TryFrom<Row> for Definition {
    type Error = Error;

    fn try_from(it: Row) -> Result<Self> {
        let key = DefinitionKey::new(it.definition_id, it.version);
        let corrupt = |reason: String| Error::corrupt("definitions", &key, reason);
        let status = DefinitionStatus::parse(&it.status)
            .ok_or_else(|| corrupt(format!("unknown status `{}`", it.status)))?;
        let warnings: Value = serde_json::from_str(&it.warnings)
            .map_err(|error| corrupt(format!("its warnings are no JSON: {error}")))?;
        Ok(Self {
            key,
            name: it.name,
            pod_type: it.pod_type,
            status,
            synchronizing: it.sync.is_some(),
            content_hash: it.content_hash,
            package_hash: it.package_hash,
            source_uri: it.source_uri,
            folder: it.folder,
            error: it.error,
            warnings,
            created_at: Timestamp::from_micros(it.created_at),
            synced_at: it.synced_at.map(Timestamp::from_micros),
        })
    }
}
