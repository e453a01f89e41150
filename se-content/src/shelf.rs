//! Packages in an object store, by the hash of their content: where engines that share a database find what
//! another of them has synced.

use object_store::{ObjectStoreExt as _, WriteMultipart};
use tokio::io::AsyncReadExt as _;

use crate::error::{Doing, Result};
use crate::fetch::{Fetched, unavailable};
use crate::origin::{Origin, S3};

/// Bytes sent in one go.
const PIECE: usize = 5 << 20;

/// A bucket with packages.
#[derive(Clone, Debug)]
pub struct Shelf {
    /// The object store.
    pub s3: S3,
    /// The bucket.
    pub bucket: String,
}

impl Shelf {
    /// Where the package with that content is.
    #[must_use]
    pub fn place(&self, content_hash: &str) -> Origin {
        Origin::S3 {
            bucket: self.bucket.clone(),
            key: format!("packages/{content_hash}.zip"),
        }
    }

    /// Puts a package there; one with the same content is replaced by its like.
    ///
    /// # Errors
    /// [`Error::Denied`](crate::Error::Denied), [`Error::Unavailable`](crate::Error::Unavailable).
    pub async fn put(&self, content_hash: &str, package: &Fetched) -> Result<()> {
        let place = self.place(content_hash);
        let failed = |error| unavailable(&place, "store", error);
        let key = object_store::path::Path::from(format!("packages/{content_hash}.zip"));
        let store = self.s3.connect(&self.bucket).map_err(failed)?;
        let path = package.path();
        let mut file = tokio::fs::File::open(path).await.doing("open", path)?;
        let upload = store.put_multipart(&key).await.map_err(failed)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PIECE);
        let mut piece = vec![0; PIECE];
        loop {
            let read = file.read(&mut piece).await.doing("read", path)?;
            let Some(bytes) = piece.get(..read).filter(|it| !it.is_empty()) else {
                break;
            };
            // Two pieces on their way at most: so much is held in memory.
            upload.wait_for_capacity(1).await.map_err(failed)?;
            upload.write(bytes);
        }
        upload.finish().await.map_err(failed)?;
        Ok(())
    }
}
