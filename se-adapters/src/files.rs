//! The files of a package, as steps name them.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use se_runtime::{Fault, FaultKind};

/// Gives the bytes of a content file a place on this machine.
pub trait ContentFiles: fmt::Debug + Send + Sync {
    /// Where the file is; `source` is its path in the package, what `${ content.files.<stem> }` gives.
    ///
    /// # Errors
    /// `not-found` if the package has no such file.
    fn locate<'a>(&'a self, source: &'a str) -> BoxFuture<'a, Result<PathBuf, Fault>>;
}

/// The files of a package that is unpacked in a folder.
#[derive(Clone, Debug)]
pub struct FilesIn {
    root: PathBuf,
}

impl FilesIn {
    /// `root` holds `PAv1/`.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    async fn find(&self, source: &str) -> Result<PathBuf, Fault> {
        let missing = |why: String| {
            let detail = format!(
                "the package has no file `{source}` ({why}): put it under PAv1/files/ and name it by \
                 ${{ content.files.<stem> }}"
            );
            Fault::new(FaultKind::NotFound, detail)
        };
        let inside = |it: Component<'_>| matches!(it, Component::Normal(_) | Component::CurDir);
        if source.is_empty() || !Path::new(source).components().all(inside) {
            return Err(missing("it would be outside of the package".to_owned()));
        }
        let path = self.root.join(source);
        let found = tokio::fs::canonicalize(&path).await;
        let root = tokio::fs::canonicalize(&self.root).await;
        match (found, root) {
            (Ok(found), Ok(root)) if !found.starts_with(&root) => {
                Err(missing("it is a link that leads outside of it".to_owned()))
            }
            (Ok(found), Ok(_)) if found.is_file() => Ok(found),
            (Ok(_), Ok(_)) => Err(missing("it is no file".to_owned())),
            (Err(error), _) | (_, Err(error)) => Err(missing(error.to_string())),
        }
    }
}

impl ContentFiles for FilesIn {
    fn locate<'a>(&'a self, source: &'a str) -> BoxFuture<'a, Result<PathBuf, Fault>> {
        self.find(source).boxed()
    }
}
