//! Which paths an expression reads: the edges of the DAG come from here.

mod analysis;
pub(super) mod plain;

use std::collections::BTreeSet;

use super::Root;

pub(super) use analysis::of;
pub use plain::Known;

/// The paths that an expression, a template or a step reads, by root.
///
/// A path is what can be told without running: `vars.rtr01[.x]` reads `vars.rtr01`. A root read as a
/// whole (`vars`, `.`, `vars | keys`) is the empty path below that root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    paths: BTreeSet<(Root, Vec<String>)>,
}

impl Reads {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a path.
    pub fn add(&mut self, root: Root, path: Vec<String>) {
        self.paths.insert((root, path));
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: &Self) {
        self.paths.extend(other.paths.iter().cloned());
    }

    /// Whether nothing is read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Every path, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (Root, &[String])> {
        self.paths
            .iter()
            .map(|(root, path)| (*root, path.as_slice()))
    }

    /// The paths below `vars`.
    pub fn vars(&self) -> impl Iterator<Item = &[String]> {
        self.iter()
            .filter(|(root, _)| *root == Root::Vars)
            .map(|(_, path)| path)
    }

    /// Whether writing `vars.<path>` could change what is read: one of the two is a prefix of the other.
    #[must_use]
    pub fn touches_var(&self, path: &[String]) -> bool {
        self.vars()
            .any(|read| read.iter().zip(path).all(|(a, b)| a == b))
    }
}
