//! What steps capture, as those see it who judge it.

use crate::checked::{CapturePath, Job, StepId};

/// A path that a step captures: it is written there, and below the name of the step.
#[derive(Clone)]
pub(super) struct Captured {
    pub(super) path: CapturePath,
    pub(super) step: Option<StepId>,
}

impl Captured {
    /// Whether it may be, hold, or lie in what is at `path`.
    pub(super) fn may_touch(&self, path: &[String]) -> bool {
        self.path.may_touch(path) || self.may_touch_below(path)
    }

    fn may_touch_below(&self, path: &[String]) -> bool {
        let (Some(step), [first, rest @ ..]) = (&self.step, path) else {
            return false;
        };
        first == step.as_str() && self.path.may_touch(rest)
    }

    /// Every name it goes by.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        let below = self
            .step
            .as_ref()
            .map(|it| self.path.below(it.as_str()).to_string());
        below.into_iter().chain([self.path.to_string()])
    }
}

/// Everything that a job captures.
pub(super) fn of_job(job: &Job) -> impl Iterator<Item = Captured> {
    job.steps.iter().flat_map(|step| {
        step.capture.iter().map(|it| Captured {
            path: it.path.clone(),
            step: Some(step.id.clone()),
        })
    })
}
