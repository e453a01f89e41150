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
        let build = || Plan::build(Arc::clone(&self.package), accepted);
        let (Some(phase), None) = (&accepted.phase, &accepted.scenario) else {
            return build();
        };
        let key = (phase.clone(), accepted.sequential);
        if let Some(made) = self.made().get(&key) {
            return Ok(made.clone());
        }
        let plan = build()?;
        if !plan.is_own {
            self.made().insert(key, plan.clone());
        }
        Ok(plan)
    }

    fn made(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, bool), Plan>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
