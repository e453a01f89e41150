//! Versions that serve, as they were read last: each submission asks for one.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Definition, DefinitionKey};

/// The most versions kept.
const MOST: usize = 1024;

/// Which version is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wanted {
    /// The one of a definition that was made ready last.
    Latest(String),
    /// Exactly that one.
    Exact(DefinitionKey),
}

/// What was read since any version changed. Only for an engine that alone writes: of what another one changes it
/// would learn too late.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// How often versions had changed when these were read.
    changes: u64,
    versions: HashMap<Wanted, Definition>,
}

impl Kept {
    /// One that was read since versions have changed so often.
    pub(super) fn get(&self, changes: u64, wanted: &Wanted) -> Option<Definition> {
        let inner = self.lock();
        let found = inner.versions.get(wanted)?;
        (inner.changes == changes).then(|| found.clone())
    }

    /// Keeps what was read when they had changed so often.
    pub(super) fn keep(&self, changes: u64, wanted: Wanted, found: &Definition) {
        let mut inner = self.lock();
        if inner.changes < changes || inner.versions.len() >= MOST {
            inner.versions.clear();
            inner.changes = changes;
        }
        if inner.changes == changes {
            inner.versions.insert(wanted, found.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
