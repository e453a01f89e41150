use std::fs::File;
use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};
use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempPath};
use tokio::io::AsyncWriteExt;

use crate::digest::{hex, of_reader};
use crate::error::{Doing, Error, Refused, Result};
use crate::limits::Limits;
use crate::origin::{Origin, Places, S3};

/// Begins the name of a zip that is being fetched.
pub(crate) const FETCHED: &str = ".fetch-";

/// A zip on the local disk with its hash. One that was fetched goes when this does.
#[derive(Debug)]
pub struct Fetched {
    file: Held,
    package_hash: String,
    size: u64,
}

#[derive(Debug)]
enum Held {
    Temporary(TempPath),
    Kept(PathBuf),
}

impl Fetched {
    /// A zip that is on the disk already; it stays there. Blocks: it reads the file.
    ///
    /// # Errors
    /// [`Error::NotFound`] and its like if it cannot be read.
    pub fn from_file(path: &Path) -> Result<Self> {
        let file = File::open(path).doing("open", path)?;
        let (package_hash, size) = of_reader(file).doing("read", path)?;
        Ok(Self {
            file: Held::Kept(path.to_path_buf()),
            package_hash,
            size,
        })
    }

    /// A zip that is in memory already. Blocks: it writes a file in `folder`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] and its like if `folder` cannot be written.
    pub fn from_bytes(bytes: &[u8], folder: &Path) -> Result<Self> {
        let file = temporary(folder)?;
        std::fs::write(file.path(), bytes).doing("write", file.path())?;
        let (package_hash, size) = of_reader(bytes).doing("read", file.path())?;
        Ok(Self {
            file: Held::Temporary(file.into_temp_path()),
            package_hash,
            size,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        match &self.file {
            Held::Temporary(path) => path,
            Held::Kept(path) => path,
        }
    }

    /// SHA-256 of the zip, in lower-case hex.
    #[must_use]
    pub fn package_hash(&self) -> &str {
        &self.package_hash
    }

    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// Streams what is at `origin` to a file in `folder`, hashing on the way. Stops at the size limit.
/// Dropping the future removes the file.
///
/// # Errors
/// [`Error::Address`] if the place is not configured or out of bounds, [`Error::NotFound`],
/// [`Error::Denied`], [`Error::Refused`] if it is too large, [`Error::Unavailable`].
pub async fn fetch(
    origin: &Origin,
    places: &Places,
    limits: &Limits,
    folder: &Path,
) -> Result<Fetched> {
    let (store, key) = locate(origin, places)?;
    let failed = |error| unavailable(origin, "fetch", error);
    let found = store.get(&key).await.map_err(failed)?;
    let limit = limits.package_bytes;
    if found.meta.size > limit {
        return Err(Refused::PackageTooLarge { limit }.into());
    }
    let file = temporary(folder)?;
    let at = file.path().to_path_buf();
    let mut writer = tokio::fs::File::from_std(file.reopen().doing("open", &at)?);
    let mut digest = Sha256::new();
    let mut size = 0_u64;
    let mut chunks = found.into_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(failed)?;
        size += chunk.len() as u64;
        if size > limit {
            return Err(Refused::PackageTooLarge { limit }.into());
        }
        digest.update(&chunk);
        writer.write_all(&chunk).await.doing("write", &at)?;
    }
    writer.flush().await.doing("write", &at)?;
    Ok(Fetched {
        file: Held::Temporary(file.into_temp_path()),
        package_hash: hex(digest),
        size,
    })
}

fn temporary(folder: &Path) -> Result<NamedTempFile> {
    std::fs::create_dir_all(folder).doing("make the folder", folder)?;
    let file = tempfile::Builder::new().prefix(FETCHED).tempfile_in(folder);
    file.doing("make a file in", folder)
}

fn locate(origin: &Origin, places: &Places) -> Result<(Box<dyn ObjectStore>, Key)> {
    match origin {
        Origin::File(path) => {
            let path = places.resolve(path)?;
            let key = Key::from_absolute_path(&path);
            let key = key.map_err(|error| unavailable(origin, "fetch", error.into()))?;
            Ok((Box::new(LocalFileSystem::new()), key))
        }
        Origin::S3 { bucket, key } => {
            let Some(s3) = &places.s3 else {
                return Err(Error::Address {
                    address: origin.to_string(),
                    reason:
                        "no object store is configured; an operator can set its endpoint and keys"
                            .to_owned(),
                });
            };
            let key = Key::parse(key).map_err(|error| Error::Address {
                address: origin.to_string(),
                reason: format!("its key cannot be used: {error}"),
            })?;
            let store = s3
                .connect(bucket)
                .map_err(|error| unavailable(origin, "fetch", error))?;
            Ok((store, key))
        }
    }
}

impl S3 {
    /// The object store with that bucket. Nothing is asked of it yet.
    ///
    /// # Errors
    /// What is configured does not go together.
    pub fn connect(&self, bucket: &str) -> object_store::Result<Box<dyn ObjectStore>> {
        let region = self.region.as_deref().unwrap_or("us-east-1");
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(region);
        if let Some(endpoint) = &self.endpoint {
            builder = builder
                .with_endpoint(endpoint)
                .with_allow_http(endpoint.starts_with("http://"));
        }
        if let Some(id) = &self.access_key_id {
            builder = builder.with_access_key_id(id);
        }
        if let Some(secret) = &self.secret_access_key {
            builder = builder.with_secret_access_key(secret);
        }
        if let Some(token) = &self.session_token {
            builder = builder.with_token(token);
        }
        Ok(Box::new(builder.build()?))
    }
}

/// What an object store says against doing something.
pub(crate) fn unavailable(
    origin: &Origin,
    doing: &'static str,
    error: object_store::Error,
) -> Error {
    let at = origin.to_string();
    match error {
        object_store::Error::NotFound { .. } => Error::NotFound {
            at,
            source: Some(Box::new(error)),
        },
        object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. } => Error::Denied {
            at,
            source: Box::new(error),
        },
        _ => Error::Unavailable {
            doing,
            at,
            source: Box::new(error),
        },
    }
}
