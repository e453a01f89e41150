//! Syncs that this process is at.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Their numbers. One that is not among them goes on no more, whatever the database says.
#[derive(Debug, Default)]
pub(crate) struct UnderWay(Mutex<BTreeSet<i64>>);

impl UnderWay {
    /// Notes a sync until what is given is dropped.
    pub(super) fn begin(self: &Arc<Self>, number: i64) -> Begun {
        self.lock().insert(number);
        Begun {
            all: Arc::clone(self),
            number,
        }
    }

    pub(super) fn has(&self, number: i64) -> bool {
        self.lock().contains(&number)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A sync under way.
#[derive(Debug)]
pub(super) struct Begun {
    all: Arc<UnderWay>,
    pub(super) number: i64,
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.all.lock().remove(&self.number);
    }
}
