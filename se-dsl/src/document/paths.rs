//! The files of a package by path.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::source::{FileId, Sources};

/// Every path, sorted, so that a folder is a range.
pub(crate) struct Paths<'s> {
    documents: BTreeMap<&'s str, FileId>,
    assets: BTreeSet<&'s str>,
}

impl<'s> Paths<'s> {
    pub(super) fn of(sources: &'s Sources) -> Self {
        let mut documents = BTreeMap::new();
        for file in sources.files() {
            documents.entry(sources.path(file)).or_insert(file);
        }
        Self {
            documents,
            assets: sources.assets().map(|(path, _)| path).collect(),
        }
    }

    /// The document at exactly this path.
    pub(super) fn find(&self, path: &str) -> Option<FileId> {
        self.documents.get(path).copied()
    }

    /// Whether a file is there, document or not.
    pub(super) fn has(&self, path: &str) -> bool {
        self.documents.contains_key(path) || self.assets.contains(path)
    }

    /// Every document below a folder: its path from there, and the document.
    pub(super) fn below<'f>(
        &'f self,
        folder: &'f str,
    ) -> impl Iterator<Item = (&'s str, FileId)> + 'f {
        let found = self.documents.range::<str, _>(from(folder));
        found.map_while(move |(path, file)| Some((path.strip_prefix(folder)?, *file)))
    }

    /// The YAML documents directly in a folder, with their stems.
    pub(super) fn documents_in(&self, folder: &str) -> Vec<(FileId, &'s str)> {
        self.below(folder)
            .filter_map(|(rest, file)| {
                let stem = rest
                    .strip_suffix(".yaml")
                    .or_else(|| rest.strip_suffix(".yml"))?;
                (!stem.contains('/')).then_some((file, stem))
            })
            .collect()
    }

    /// Full paths of everything below a folder, other files first.
    pub(super) fn all_below<'f>(&'f self, folder: &'f str) -> impl Iterator<Item = &'s str> + 'f {
        let assets = self.assets.range::<str, _>(from(folder)).copied();
        let documents = self
            .documents
            .range::<str, _>(from(folder))
            .map(|(path, _)| *path);
        let is_below = move |path: &&str| path.starts_with(folder);
        assets
            .take_while(is_below)
            .chain(documents.take_while(is_below))
    }
}

/// Everything from a path on.
fn from(path: &str) -> (Bound<&str>, Bound<&str>) {
    (Bound::Included(path), Bound::Unbounded)
}
