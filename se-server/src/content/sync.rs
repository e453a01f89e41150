//! A sync: fetch, unpack, check, and only then make the version ready.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use se_content::{Ingested, Origin, Places};
use se_dsl::{Checked, Options};
use se_runtime::cloudevent::Profile;
use se_store::{Content, DefinitionKey, DefinitionStatus, Sync, SyncRequest};
use serde_json::{Map, Value};

use super::findings;
use crate::engine::Engine;
use crate::error::{Error, Result, chain};
use crate::fields::{Fields, LONGEST_NAME};
use crate::tasks::{TaskKind, Tasks};

/// What a sync is asked for, in either shape.
#[derive(Clone, Debug)]
pub struct SyncBody {
    /// Which version.
    pub key: DefinitionKey,
    /// Where from.
    pub source_uri: String,
    /// The key that said so.
    source_key: &'static str,
    /// Its name, where the caller says it.
    pub name: Option<String>,
    /// Its pod type, where the caller says it.
    pub pod_type: Option<String>,
    /// Hash that the caller expects.
    pub content_hash: Option<String>,
    /// Sync though the same content serves already.
    pub force: bool,
}

/// What came of a sync.
#[derive(Clone, Debug, Default)]
pub struct Synced {
    /// `ready`, or `synchronizing` if it still goes on.
    pub status: &'static str,
    /// Hash of the content.
    pub content_hash: Option<String>,
    /// What kind of pod it is for.
    pub pod_type: Option<String>,
    /// What there is to say.
    pub message: Option<String>,
    /// Versions that it replaces.
    pub superseded: Vec<DefinitionKey>,
}

const KNOWN: &[&str] = &[
    "definition_id",
    "version",
    "s3_uri",
    "source_uri",
    "pod_type",
    "name",
    "content_hash",
    "force",
    "callback_url",
    "metadata",
];

impl SyncBody {
    /// Reads both shapes.
    ///
    /// # Errors
    /// [`Error::Invalid`] names every field at fault.
    pub fn read(body: &Map<String, Value>) -> Result<Self> {
        let mut fields = Fields::new();
        fields.known(body, "", KNOWN);
        let s3_uri = fields.text(body, "", "s3_uri");
        let source_key = match s3_uri {
            Some(_) => "s3_uri",
            None => "source_uri",
        };
        let source = s3_uri.or_else(|| fields.text(body, "", "source_uri"));
        if source.is_none() {
            fields.wrong("/source_uri", "is missing: give `s3_uri` or `source_uri`");
        }
        let name = fields.name(body, "", "name");
        let definition_id = fields
            .name(body, "", "definition_id")
            .or_else(|| name.clone());
        if definition_id.is_none() {
            fields.wrong(
                "/definition_id",
                "is missing: give `definition_id`, or `name`",
            );
        }
        let version = fields
            .name(body, "", "version")
            .unwrap_or_else(|| "v1".to_owned());
        let read = Self {
            key: DefinitionKey::new(definition_id.unwrap_or_default(), version),
            source_uri: source.unwrap_or_default(),
            source_key,
            name,
            pod_type: fields.text(body, "", "pod_type"),
            content_hash: fields.text(body, "", "content_hash"),
            force: fields.boolean(body, "", "force"),
        };
        if let Some(pod_type) = &read.pod_type
            && se_dsl::checked::PodType::parse(pod_type).is_none()
        {
            let all: Vec<&str> = se_dsl::checked::PodType::ALL
                .iter()
                .map(|it| it.as_str())
                .collect();
            fields.wrong(
                "/pod_type",
                &format!("is `{pod_type}`; give one of {}", all.join(", ")),
            );
        }
        fields.finish(read)
    }

    /// An error about the address, at the key that gave it.
    fn misplaced(&self, error: Error) -> Error {
        match error {
            Error::Invalid { mut fields } => {
                let at_fault = fields.iter_mut().filter(|it| it.pointer == "/source_uri");
                at_fault.for_each(|it| it.pointer = format!("/{}", self.source_key));
                Error::Invalid { fields }
            }
            other => other,
        }
    }
}

/// Syncs a version; waits for the end as long as configured.
///
/// # Errors
/// [`Error::Invalid`] for an address that cannot be used, [`Error::Content`] for a broken package (it
/// names every finding and stores nothing), [`Error::Conflict`] if a sync of the version is going on.
pub async fn sync(engine: &Arc<Engine>, body: SyncBody) -> Result<Synced> {
    let origin = Origin::parse(&body.source_uri).map_err(|error| body.misplaced(error.into()))?;
    if let Some(done) = already(engine, &body).await? {
        return Ok(done);
    }
    let request = SyncRequest {
        key: body.key.clone(),
        source_uri: origin.to_string(),
        name: body.name.clone(),
        pod_type: body.pod_type.clone(),
    };
    let begun = engine.store.definitions().begin_sync(request).await?;
    let (tell, told) = tokio::sync::oneshot::channel();
    let (owner, key) = (Arc::clone(engine), body.key.clone());
    let name = key.to_string();
    let work = async move {
        let ended = end(&owner, begun, &origin, &body).await;
        // Nobody may wait any more; the store knows the outcome.
        tell.send(ended).ok();
    };
    engine.tasks.spawn(TaskKind::Sync, &name, work, |_| {});
    let DefinitionKey {
        definition_id: id,
        version,
    } = key;
    let patience = Duration::from_secs(engine.config.content.sync_wait);
    match tokio::time::timeout(patience, told).await {
        Ok(Ok(ended)) => ended,
        Ok(Err(_)) => Err(Error::Internal(format!(
            "the sync of {name} broke down; sync again"
        ))),
        Err(_) => Ok(Synced {
            status: "synchronizing",
            message: Some(format!(
                "still going on; GET /api/v1/content/{id}?version={version} tells the end"
            )),
            ..Synced::default()
        }),
    }
}

/// The same content serves already and nobody insists.
async fn already(engine: &Engine, body: &SyncBody) -> Result<Option<Synced>> {
    if body.force {
        return Ok(None);
    }
    let found = match engine.store.definitions().by_version(&body.key).await {
        Ok(found) if found.status == DefinitionStatus::Ready => found,
        Ok(_) | Err(se_store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let expected = body
        .content_hash
        .as_ref()
        .map(|it| it.trim_start_matches("sha256:"));
    let same = expected.is_some_and(|it| {
        [&found.content_hash, &found.package_hash]
            .into_iter()
            .any(|hash| hash.as_deref() == Some(it))
    });
    if !same {
        return Ok(None);
    }
    nothing_to_do(engine, &body.key, found.content_hash, found.pod_type).map(Some)
}

fn nothing_to_do(
    engine: &Engine,
    key: &DefinitionKey,
    content_hash: Option<String>,
    pod_type: Option<String>,
) -> Result<Synced> {
    let message = format!("pod definition {key} serves exactly this content already");
    if engine.config.events.profile == Profile::Lcm {
        return Err(Error::Conflict(format!(
            "{message}; say `force: true` to sync again"
        )));
    }
    Ok(Synced {
        status: "ready",
        content_hash,
        pod_type,
        message: Some(message),
        superseded: vec![],
    })
}

/// Whatever happens, the sync is ended in the store.
async fn end(engine: &Engine, begun: Sync, origin: &Origin, body: &SyncBody) -> Result<Synced> {
    let definitions = engine.store.definitions();
    let (ingested, checked, warnings) = match take_in(engine, origin, body).await {
        Ok(taken) => taken,
        Err(error) => {
            tracing::warn!(definition = %body.key, error = %chain(&error), "sync failed");
            definitions.failed(begun, &chain(&error)).await?;
            return Err(error);
        }
    };
    let hash = ingested.content_hash;
    let pod_type = checked.manifest.pod_type.to_string();
    if !body.force
        && let Ok(found) = definitions.by_version(&body.key).await
        && found.status == DefinitionStatus::Ready
        && found.content_hash.as_ref() == Some(&hash)
        && found.package_hash.as_ref() == Some(&ingested.package_hash)
    {
        definitions.unchanged(begun).await?;
        return nothing_to_do(engine, &body.key, Some(hash), Some(pod_type));
    }
    let named = Some(checked.manifest.name.as_str()).filter(|it| !it.is_empty());
    let name = named
        .or(body.name.as_deref())
        .unwrap_or(&body.key.definition_id);
    let content = Content {
        name: name.to_owned(),
        pod_type: pod_type.clone(),
        content_hash: hash.clone(),
        package_hash: ingested.package_hash,
        folder: ingested.folder.display().to_string(),
        warnings: Value::Array(warnings),
    };
    engine.packages.keep(&ingested.folder, checked);
    let superseded = definitions.ready(begun, content).await?;
    tracing::info!(definition = %body.key, content = %hash, "content ready");
    Ok(Synced {
        status: "ready",
        content_hash: Some(hash),
        pod_type: Some(pod_type),
        message: None,
        superseded,
    })
}

async fn take_in(
    engine: &Engine,
    origin: &Origin,
    body: &SyncBody,
) -> Result<(Ingested, Checked, Vec<Value>)> {
    let places = Places {
        file_root: engine.config.content.root.clone(),
        s3: engine.config.s3.place(),
    };
    let limits = engine.packages.limits();
    let root = engine.packages.root().to_path_buf();
    let fetched = se_content::fetch(origin, &places, &limits, &root).await;
    let fetched = fetched.map_err(|error| body.misplaced(error.into()))?;
    let name = body.key.to_string();
    let fetched = Arc::new(fetched);
    let package = Arc::clone(&fetched);
    let work = Tasks::blocking(move || {
        let fetched = package;
        // The zip is looked at and checked before any of it is unpacked.
        let package = se_content::from_zip(fetched.path(), &limits)?;
        let outcome = se_dsl::check(&package.sources, Options::default());
        let found = findings(&outcome, &package.sources);
        let Some(checked) = outcome.checked else {
            let detail = format!(
                "the package of {name} cannot be used, nothing was stored; errors: {}, warnings: {}",
                found.errors, found.warnings
            );
            return Err(Error::Content {
                detail,
                errors: found.all,
            });
        };
        let ingested = se_content::ingest(&fetched, &limits, Path::new(&root))?;
        Ok((ingested, checked, found.all))
    });
    let (ingested, checked, warnings) = work.await.map_err(Error::Internal)??;
    expected(body, &ingested, &checked)?;
    if engine.store.is_shared()
        && let Some(shelf) = engine.config.s3.shelf()
    {
        shelf.put(&ingested.content_hash, &fetched).await?;
    }
    Ok((ingested, checked, warnings))
}

/// Unpacks content that another engine has synced: from where engines keep it for each other, else from where
/// it came from. It must be exactly that content.
///
/// # Errors
/// [`Error::Unavailable`] if it cannot be had now.
pub(super) async fn again(engine: &Engine, key: &DefinitionKey, hash: &str) -> Result<PathBuf> {
    let (source_uri, origin) = match engine.config.s3.shelf() {
        Some(shelf) => (String::new(), shelf.place(hash)),
        None => {
            let found = engine.store.definitions().by_version(key).await?;
            let origin = Origin::parse(&found.source_uri)?;
            (found.source_uri, origin)
        }
    };
    let body = SyncBody {
        key: key.clone(),
        source_uri,
        source_key: "source_uri",
        name: None,
        pod_type: None,
        content_hash: Some(hash.to_owned()),
        force: true,
    };
    let lost = |error: Error| {
        Error::Unavailable(format!(
            "the content {hash} of pod definition {key} is not on this machine, and {origin} does not \
             give it: {}; let engines share the folder `packages` or a bucket (s3.bucket), or sync the \
             version again",
            chain(&error)
        ))
    };
    let (ingested, checked, _) = take_in(engine, &origin, &body).await.map_err(lost)?;
    engine.packages.keep(&ingested.folder, checked);
    tracing::info!(definition = %key, content = %hash, "content fetched that another engine has synced");
    Ok(ingested.folder)
}

/// What the caller said about the content must be so.
fn expected(body: &SyncBody, ingested: &Ingested, checked: &Checked) -> Result<()> {
    if let Some(wanted) = &body.content_hash {
        let bare = wanted.trim_start_matches("sha256:").to_ascii_lowercase();
        if bare != ingested.content_hash && bare != ingested.package_hash {
            return Err(Error::Conflict(format!(
                "the package has content hash {} and its zip has {}, not the expected {wanted}; \
                 give the hash of this package, or upload the right one",
                ingested.content_hash, ingested.package_hash
            )));
        }
    }
    let length = checked.manifest.name.len();
    if length > LONGEST_NAME {
        return Err(Error::Content {
            detail: format!(
                "the name in PAv1/manifest.yaml is {length} bytes long; give it at most {LONGEST_NAME}"
            ),
            errors: vec![],
        });
    }
    let found = checked.manifest.pod_type;
    match body
        .pod_type
        .as_deref()
        .and_then(se_dsl::checked::PodType::parse)
    {
        Some(wanted) if wanted != found => Err(Error::Conflict(format!(
            "the package is for `{found}` and the request says `{wanted}`; leave `pod_type` out, or \
             change PAv1/manifest.yaml"
        ))),
        _ => Ok(()),
    }
}
