//! Plans that jobs of a package share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use se_dsl::Checked;

use super::{Plan, PlanError};
use crate::event::Accepted;

/// The plans of a package's jobs: of each phase one is made, once, and shared by all jobs that run it. Only where what
/// a job was taken in with decides what a loop runs over, and for single scenarios, does a job get one of its own.
#[derive(Debug)]
pub struct Plans {
    package: Arc<Checked>,
    /// By phase, and by whether its steps run one after the other.
    made: Mutex<BTreeMap<(String, bool), Plan>>,
}

impl Plans {
    /// None is made yet.
    #[must_use]
    pub fn new(package: Arc<Checked>) -> Self {
        Self {
            package,
            made: Mutex::default(),
        }
    }

    /// The plan of a job: what [`Plan::build`] gives.
    ///
    /// # Errors
    /// As [`Plan::build`].
    pub fn of(&self, accepted: &Accepted) -> Result<Plan, PlanError> {
        if let Some(made) = self.made(accepted) {
            return Ok(made);
        }
        let plan = Plan::build(Arc::clone(&self.package), accepted)?;
        if let Some(key) = key(accepted).filter(|_| !plan.is_own) {
            self.all().insert(key, plan.clone());
        }
        Ok(plan)
    }

    /// The plan of a job, if nothing has to be computed for it: it is made already.
    #[must_use]
    pub fn made(&self, accepted: &Accepted) -> Option<Plan> {
        self.all().get(&key(accepted)?).cloned()
    }

    fn all(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, bool), Plan>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What tells the plans apart that may be shared.
fn key(accepted: &Accepted) -> Option<(String, bool)> {
    let phase = accepted.phase.clone()?;
    let is_phase = accepted.scenario.is_none();
    is_phase.then_some((phase, accepted.sequential))
}
