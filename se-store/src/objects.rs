//! Events that are too large for a row: their text is an object of its own, and the row refers to it.

use std::fmt;
use std::path::Path as Folder;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload};
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use crate::append::Line;
use crate::error::{Doing, Error, Result};
use crate::seal::hex;
use crate::sql;
use crate::store::Store;

/// The largest text of an event, in bytes, that a row holds.
pub(crate) const LARGEST: usize = 64 << 10;
/// How a row begins that refers to its text. Engines that know nothing of it take it for an event of a newer one.
pub(crate) const REFERS: &str = "{\"event\":\"kept_outside\",";
/// Below which all objects are.
const EVENTS: &str = "events";
/// What nothing refers to is deleted once it is that old: an engine may be about to refer to it.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the object store may take for one of them: the job waits.
const PATIENCE: Duration = Duration::from_secs(15);
const SILENT: &str = "the object store gave no answer in time";
const READING: &str = "read an event that is kept outside the database";

/// Where events are kept that are too large for a row; by default nowhere: rows hold everything.
///
/// Engines that share a database need one that they share.
#[derive(Clone, Default)]
pub struct Objects {
    store: Option<Arc<dyn ObjectStore>>,
    /// Whether one database alone keeps something there.
    is_own: bool,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.store {
            Some(store) => write!(f, "Objects({store})"),
            None => f.write_str("Objects(none)"),
        }
    }
}

impl Objects {
    /// In an object store. What it has taken must not be lost. Others may keep something there too, below
    /// `events/` also other databases.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self {
            store: Some(store),
            is_own: false,
        }
    }

    /// In a folder of one database alone, which is made if there is none.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be used.
    pub fn in_folder(folder: &Folder) -> Result<Self> {
        let failed = |source| Error::File {
            doing: "make the folder of large events",
            source,
        };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let store = LocalFileSystem::new_with_prefix(folder);
        let store = store.map_err(|error| failed(std::io::Error::other(error)))?;
        // A row that refers to it is durable at once; so must it be.
        let store = store.with_fsync(true).with_automatic_cleanup(true);
        Ok(Self {
            store: Some(Arc::new(store)),
            is_own: true,
        })
    }

    /// What a row holds of a text: all of it or, where it is large, a reference to where it is now. Where the row
    /// is not stored then, a later sweep finds what nothing refers to.
    ///
    /// A row holds what cannot be kept outside: an event that has happened is not lost for want of a place.
    pub(crate) async fn keep(&self, job: &str, seq: i64, text: String) -> String {
        let Some(store) = self.store.as_ref().filter(|_| text.len() > LARGEST) else {
            return text;
        };
        let reference = Reference::to(job, seq, &text);
        let path = reference.path();
        let put = store.put(&path, PutPayload::from(text.clone()));
        let why = match timeout(PATIENCE, put).await {
            Ok(Ok(_)) => return reference.row(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => SILENT.to_owned(),
        };
        tracing::warn!(job, event = seq, why, "a large event stays in its row");
        text
    }

    /// Does so with the lines of a log.
    pub(crate) async fn keep_all(&self, job: &str, lines: &mut [Line]) {
        for line in lines {
            let text = std::mem::take(&mut line.text);
            line.text = self.keep(job, line.seq, text).await;
        }
    }

    /// The text of an event: that of its row, or what its row refers to.
    pub(crate) async fn text(&self, job: &str, seq: i64, row: String) -> Result<String> {
        let Some(reference) = Reference::read(job, seq, &row)? else {
            return Ok(row);
        };
        let unavailable = |error: Box<dyn std::error::Error + Send + Sync>| Error::Unavailable {
            doing: READING,
            source: Some(Arc::from(error)),
        };
        let Some(store) = &self.store else {
            let path = reference.path();
            return Err(unavailable(
                format!("{path} is in an object store, and none is configured").into(),
            ));
        };
        let found = async { store.get(&reference.path()).await?.bytes().await };
        let found = timeout(PATIENCE, found).await;
        let bytes = match found {
            Ok(found) => found.map_err(|error| unavailable(error.into()))?,
            Err(_) => return Err(unavailable(SILENT.into())),
        };
        if sha256(&bytes) != reference.sha256 {
            return Err(reference.corrupt("it is not what was stored"));
        }
        String::from_utf8(bytes.into()).map_err(|_| reference.corrupt("it is not UTF-8"))
    }

    /// Deletes what nobody asks for any more.
    pub(crate) async fn forget(&self, path: &Path) -> Result<()> {
        let Some(store) = &self.store else {
            return Ok(());
        };
        match store.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error).doing("delete an event that is kept outside the database"),
        }
    }
}

/// What a row says instead of its text.
pub(crate) struct Reference {
    job: String,
    seq: i64,
    bytes: u64,
    sha256: String,
}

impl Reference {
    fn to(job: &str, seq: i64, text: &str) -> Self {
        Self {
            job: job.to_owned(),
            seq,
            bytes: u64::try_from(text.len()).unwrap_or(u64::MAX),
            sha256: sha256(text.as_bytes()),
        }
    }

    fn row(&self) -> String {
        let Self {
            seq, bytes, sha256, ..
        } = self;
        format!("{REFERS}\"seq\":{seq},\"bytes\":{bytes},\"sha256\":\"{sha256}\"}}")
    }

    /// Nothing if the row holds the text itself.
    pub(crate) fn read(job: &str, seq: i64, row: &str) -> Result<Option<Self>> {
        if !row.starts_with(REFERS) {
            return Ok(None);
        }
        let read = || {
            let json: serde_json::Value = serde_json::from_str(row).ok()?;
            let sha256 = json.get("sha256")?.as_str()?.to_owned();
            let is_whole = json.get("seq")?.as_i64()? == seq && sha256.len() == 64;
            Some(Self {
                job: job.to_owned(),
                seq,
                bytes: json.get("bytes")?.as_u64()?,
                sha256,
            })
            .filter(|_| is_whole)
        };
        let reason = "it refers to no text that this event could have";
        let damaged = || Error::corrupt("events", format!("{job}/{seq}"), reason);
        read().ok_or_else(damaged).map(Some)
    }

    /// The text is in the name: another event of that number never takes its place.
    pub(crate) fn path(&self) -> Path {
        let name = format!("{}-{}", self.seq, self.sha256);
        Path::from_iter([EVENTS, self.job.as_str(), name.as_str()])
    }

    /// The job and number of the event that is kept there, if one may be.
    fn event_of(path: &Path) -> Option<(String, i64)> {
        let mut parts = path.parts();
        let (events, job, name) = (parts.next()?, parts.next()?, parts.next()?);
        let (seq, sha256) = name.as_ref().split_once('-')?;
        let is_hash = sha256.len() == 64 && sha256.bytes().all(|it| it.is_ascii_hexdigit());
        let is_ours = events.as_ref() == EVENTS && is_hash && parts.next().is_none();
        let event = (job.as_ref().to_owned(), seq.parse().ok()?);
        is_ours.then_some(event)
    }

    fn corrupt(&self, reason: &str) -> Error {
        let (path, bytes) = (self.path(), self.bytes);
        let reason = format!("its text, {bytes} bytes, is kept as {path}: {reason}");
        Error::corrupt("events", format!("{}/{}", self.job, self.seq), reason)
    }
}

impl Store {
    /// Deletes objects that no event refers to, because an engine stopped between keeping one and referring to it;
    /// only of jobs that this database knows, where others may keep theirs. Gives how many went.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn sweep_objects(&self) -> Result<u64> {
        const DOING: &str = "look through the large events";
        let Some(store) = &self.options.objects.store else {
            return Ok(0);
        };
        let now = self.now().micros();
        let mut gone = 0;
        let mut all = store.list(Some(&Path::from(EVENTS)));
        while let Some(found) = all.next().await {
            let found = found.doing(DOING)?;
            let age = now.saturating_sub(found.last_modified.timestamp_micros());
            let is_old = u128::try_from(age).is_ok_and(|it| it > ABANDONED.as_micros());
            if is_old && self.is_abandoned(&found.location).await? {
                self.options.objects.forget(&found.location).await?;
                gone += 1;
            }
        }
        Ok(gone)
    }

    async fn is_abandoned(&self, path: &Path) -> Result<bool> {
        let Some((job, seq)) = Reference::event_of(path) else {
            return Ok(false);
        };
        let row: Option<(String, Option<String>)> = sql::query(
            "SELECT id, record FROM jobs LEFT JOIN events ON job = row AND seq = $1 WHERE id = $2",
        )
        .bind(seq)
        .bind(&job)
        .fetch_optional(&self.readers)
        .await
        .doing("look whether an event refers to an object")?;
        Ok(match row {
            None => self.options.objects.is_own,
            Some((_, None)) => true,
            Some((_, Some(row))) => match Reference::read(&job, seq, &row) {
                Ok(reference) => reference.is_none_or(|it| it.path() != *path),
                // It may be the text that the row meant; `store check` names the row.
                Err(error) => {
                    tracing::warn!(%error, "a large event is kept that may be nobody's");
                    false
                }
            },
        })
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
