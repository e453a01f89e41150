//! The variables that a job begins with: those of the package, and those of each part of it.

use se_dsl::Checked;
use se_dsl::expr::{Root, Scopes};
use serde_json::Value;

use super::run::Frame;
use crate::event::{Accepted, FrozenScopes};
use crate::plan::Plan;

/// One frame for what belongs to no part, then one for each part, in order.
pub(super) fn of_job(plan: &Plan, accepted: &Accepted) -> Vec<Frame> {
    let all = accepted.scopes.seen_in(plan.package()).into_iter();
    let frame = |scopes| Frame {
        scopes,
        target: None,
    };
    all.map(frame).collect()
}

impl FrozenScopes {
    /// What the expressions of the package see, then those of each part, before any step has run.
    #[must_use]
    pub fn seen_in(&self, package: &Checked) -> Vec<Scopes> {
        let mut own = Scopes::new();
        own.set(Root::Session, &self.session);
        own.set(Root::Content, &self.content);
        own.set(Root::RuntimeEnv, &self.runtime_env);
        own.set(Root::Vars, &Value::Object(self.vars.clone()));
        let parts = package.parts.iter().map(|part| {
            let mut scopes = own.clone();
            if let Some(own) = self.parts.get(&part.name) {
                scopes.set(Root::Content, &own.content);
                scopes.set(Root::RuntimeEnv, &own.runtime_env);
                scopes.set(Root::Vars, &Value::Object(own.vars.clone()));
            }
            scopes
        });
        std::iter::once(own.clone()).chain(parts).collect()
    }
}
