//! Content as the service keeps it: checked packages by hash, syncs, validation.

mod sync;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use se_content::{Fetched, Limits};
use se_dsl::{Checked, Options, Severity, Sources};
use se_runtime::{Accepted, Plan, PlanError, Plans};
use se_store::{Definition, DefinitionKey, DefinitionStatus, Store};
use serde_json::Value;
use tokio::sync::OwnedMutexGuard;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::tasks::Tasks;

pub use sync::{SyncBody, Synced, sync};

/// Checked packages kept in memory.
const KEPT: usize = 32;

/// A package that jobs run from.
#[derive(Clone, Debug)]
pub struct Package {
    /// What it says.
    pub checked: Arc<Checked>,
    plans: Arc<Plans>,
    /// Where it is unpacked.
    pub folder: PathBuf,
}

impl Package {
    /// The plan of a job; what has to be computed for it is, off the threads that answer.
    ///
    /// # Errors
    /// What `refused` makes of a [`PlanError`].
    pub async fn plan(
        &self,
        accepted: &Accepted,
        refused: impl FnOnce(&PlanError) -> Error,
    ) -> Result<Plan> {
        if let Some(made) = self.plans.made(accepted) {
            return Ok(made);
        }
        let (plans, accepted) = (Arc::clone(&self.plans), accepted.clone());
        let plan = Tasks::blocking(move || plans.of(&accepted));
        plan.await
            .map_err(Error::Internal)?
            .map_err(|it| refused(&it))
    }
}

/// The packages of an engine, unpacked on disk, the last used ones checked in memory.
#[derive(Debug)]
pub struct Packages {
    root: PathBuf,
    limits: Limits,
    kept: Mutex<Kept>,
    opening: tokio::sync::Mutex<()>,
    fetching: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

#[derive(Debug, Default)]
struct Kept {
    by_folder: BTreeMap<PathBuf, (u64, Package)>,
    uses: u64,
}

impl Packages {
    /// Those unpacked below `root`.
    #[must_use]
    pub fn new(root: PathBuf, limits: Limits) -> Self {
        Self {
            root,
            limits,
            kept: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            fetching: Mutex::default(),
        }
    }

    /// Where they are unpacked.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// How much one may ask for.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The package that a job was taken in with.
    ///
    /// # Errors
    /// [`Error::Internal`] if its folder is gone or does not check any more.
    pub async fn of_job(&self, accepted: &Accepted) -> Result<Package> {
        let hash = &accepted.content_hash;
        let folder = se_content::locate(&self.root, hash).ok_or_else(|| {
            Error::Internal(format!(
                "the content {hash} of pod definition {}@{} is not in {} any more; restore that \
                 folder, or sync the version again",
                accepted.definition_id,
                accepted.version,
                self.root.display()
            ))
        })?;
        self.open(&folder).await
    }

    /// The package in that folder.
    ///
    /// # Errors
    /// [`Error::Internal`] if it cannot be read or does not check.
    pub async fn open(&self, folder: &Path) -> Result<Package> {
        if let Some(package) = self.kept(folder) {
            return Ok(package);
        }
        // Of many jobs that begin together, one checks it for all.
        let _turn = self.opening.lock().await;
        if let Some(package) = self.kept(folder) {
            return Ok(package);
        }
        let (path, limits) = (folder.to_path_buf(), self.limits);
        let checked = Tasks::blocking(move || -> Result<Checked> {
            let package = se_content::open(&path, &limits)?;
            let outcome = se_dsl::check(&package.sources, Options::default());
            outcome.checked.ok_or_else(|| {
                let first = outcome.diagnostics.iter().next();
                let first = first.map_or_else(String::new, |it| it.message.clone());
                Error::Internal(format!(
                    "the content in {} does not check any more: {first}; sync it again",
                    path.display()
                ))
            })
        });
        let checked = checked.await.map_err(Error::Internal)??;
        Ok(self.keep(folder, checked))
    }

    /// The turn to fetch content of this hash.
    async fn turn(&self, hash: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut all = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|_, it| Arc::strong_count(it) > 1);
            Arc::clone(all.entry(hash.to_owned()).or_default())
        };
        turn.lock_owned().await
    }

    fn kept(&self, folder: &Path) -> Option<Package> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let now = kept.uses;
        let (used, package) = kept.by_folder.get_mut(folder)?;
        *used = now;
        Some(package.clone())
    }

    /// Keeps a package in memory; the one that was not used for longest makes room.
    fn keep(&self, folder: &Path, checked: Checked) -> Package {
        let checked = Arc::new(checked);
        let package = Package {
            plans: Arc::new(Plans::new(Arc::clone(&checked))),
            checked,
            folder: folder.to_path_buf(),
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let now = kept.uses;
        kept.by_folder
            .insert(folder.to_path_buf(), (now, package.clone()));
        if kept.by_folder.len() > KEPT
            && let Some(oldest) = kept
                .by_folder
                .iter()
                .min_by_key(|(_, it)| it.0)
                .map(|(folder, _)| folder.clone())
        {
            kept.by_folder.remove(&oldest);
        }
        package
    }
}

/// A version that can run jobs, with its package.
pub(crate) async fn ready(
    engine: &Engine,
    definition_id: &str,
    version: Option<&str>,
) -> Result<(Definition, Package)> {
    let definition = match version {
        Some(version) => exact(&engine.store, definition_id, version).await?,
        None => latest(&engine.store, definition_id).await?,
    };
    let Some(hash) = &definition.content_hash else {
        let why = format!(
            "pod definition {} has no content yet; sync it",
            definition.key
        );
        return Err(Error::Conflict(why));
    };
    let folder = at_hand(engine, &definition.key, hash).await?;
    let package = engine.packages.open(&folder).await?;
    Ok((definition, package))
}

/// Makes sure that the content of a job is here.
///
/// # Errors
/// As [`at_hand`].
pub(crate) async fn of_job(engine: &Engine, accepted: &Accepted) -> Result<PathBuf> {
    let key = DefinitionKey::new(&accepted.definition_id, &accepted.version);
    at_hand(engine, &key, &accepted.content_hash).await
}

/// The folder of exactly that content; another engine on the same database may have synced it.
///
/// # Errors
/// [`Error::Unavailable`] if it is not here and cannot be had.
pub(crate) async fn at_hand(engine: &Engine, key: &DefinitionKey, hash: &str) -> Result<PathBuf> {
    let here = || se_content::locate(engine.packages.root(), hash);
    match here() {
        Some(folder) => Ok(folder),
        None if engine.store.is_shared() => {
            // Of many jobs that begin together, one fetches it for all.
            let _turn = engine.packages.turn(hash).await;
            match here() {
                Some(folder) => Ok(folder),
                None => sync::again(engine, key, hash).await,
            }
        }
        None => Err(Error::Internal(format!(
            "the content {hash} of pod definition {key} is not in {} any more; restore that folder, or \
             sync the version again",
            engine.packages.root().display()
        ))),
    }
}

async fn exact(store: &Store, definition_id: &str, version: &str) -> Result<Definition> {
    let key = DefinitionKey::new(definition_id, version);
    match store.definitions().by_version(&key).await {
        Ok(found) if found.status == DefinitionStatus::Ready => Ok(found),
        Ok(found) => Err(Error::Conflict(format!(
            "pod definition {key} is {}; {}",
            found.status.as_str(),
            ready_versions(store, definition_id).await?
        ))),
        Err(se_store::Error::NotFound { .. }) => {
            let versions = ready_versions(store, definition_id).await?;
            Err(Error::NotFound(format!(
                "there is no pod definition {key}; {versions}"
            )))
        }
        Err(error) => Err(error.into()),
    }
}

async fn latest(store: &Store, definition_id: &str) -> Result<Definition> {
    match store.definitions().latest_ready(definition_id).await {
        Err(se_store::Error::NotFound { .. }) => {
            let versions = ready_versions(store, definition_id).await?;
            let why = format!("pod definition {definition_id} has no ready version; {versions}");
            Err(Error::NotFound(why))
        }
        other => Ok(other?),
    }
}

/// What could be asked for instead.
async fn ready_versions(store: &Store, definition_id: &str) -> Result<String> {
    let ready = store
        .definitions()
        .list(Some(DefinitionStatus::Ready), 100, None)
        .await?;
    let mut keys: Vec<&DefinitionKey> = ready.items.iter().map(|it| &it.key).collect();
    if keys.iter().any(|it| it.definition_id == definition_id) {
        keys.retain(|it| it.definition_id == definition_id);
    }
    if keys.is_empty() {
        return Ok("no content is ready: POST /api/v1/content/sync".to_owned());
    }
    let names: Vec<String> = keys.iter().map(ToString::to_string).collect();
    Ok(format!("ready are: {}", names.join(", ")))
}

/// What a check found.
#[derive(Clone, Debug)]
pub struct Findings {
    /// All of them with their places.
    pub all: Vec<Value>,
    /// How many are errors.
    pub errors: usize,
    /// How many are warnings.
    pub warnings: usize,
}

/// Checks a zip without keeping anything.
///
/// # Errors
/// [`Error::Content`] if it breaks a rule of zips, [`Error::Unavailable`] if the disk fails.
pub async fn validate(engine: &Engine, zip: bytes::Bytes) -> Result<Findings> {
    let limits = engine.packages.limits();
    let folder = engine.packages.root().to_path_buf();
    let checked = Tasks::blocking(move || -> Result<Findings> {
        let fetched = Fetched::from_bytes(&zip, &folder)?;
        let package = se_content::from_zip(fetched.path(), &limits)?;
        let outcome = se_dsl::check(&package.sources, Options::default());
        Ok(findings(&outcome, &package.sources))
    });
    checked.await.map_err(Error::Internal)?
}

fn findings(outcome: &se_dsl::Outcome, sources: &Sources) -> Findings {
    let located = outcome.diagnostics.located(sources);
    let all = located
        .iter()
        .filter_map(|it| serde_json::to_value(it).ok())
        .collect();
    Findings {
        all,
        errors: outcome.diagnostics.count(Severity::Error),
        warnings: outcome.diagnostics.count(Severity::Warning),
    }
}
