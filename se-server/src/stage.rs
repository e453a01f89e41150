//! The engine as it works and stops, for those in se-runtime who work for it.

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, pending};
use se_runtime::{Stage, Stages};

use crate::engine::Engine;

pub(crate) struct Life<'a>(pub(crate) &'a Engine);

impl Stages for Life<'_> {
    fn now(&self) -> Stage {
        if !self.0.tasks.is_stopping() {
            Stage::Works
        } else if self.0.places.counts().0 > 0 {
            Stage::Stops
        } else {
            Stage::Idle
        }
    }

    fn after(&self, stage: Stage) -> BoxFuture<'_, ()> {
        match stage {
            Stage::Works => self.0.tasks.stopping().boxed(),
            Stage::Stops => self.0.places.emptied().boxed(),
            Stage::Idle => pending().boxed(),
        }
    }
}
