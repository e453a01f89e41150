//! What is known of loops before they run: lists that are written out, or that only frozen scopes decide.

use std::time::Duration;

use se_dsl::Checked;
use se_dsl::checked::{ForEach, Job};
use se_dsl::expr::{Limits, Root, Scopes};
use serde_json::Value;

use crate::event::FrozenScopes;
use crate::secret::placeholders;
use crate::state::MAX_ELEMENTS;

/// What the lists of all loops of a plan may take together: one that takes longer is known when it runs.
const TOGETHER: Duration = Duration::from_secs(1);

/// What is known when a job is taken in.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// What the expressions of the package see, then those of each part, as far as it is frozen.
    scopes: Vec<Scopes>,
    limits: Limits,
}

impl Known {
    /// From now on the lists have their time.
    pub(super) fn new(package: &Checked, scopes: &FrozenScopes) -> Self {
        Self {
            scopes: scopes.seen_in(package),
            limits: Limits::default().together(TOGETHER),
        }
    }
}

/// Whether it is what is known that decides what a loop runs over.
pub(super) fn decides(each: &ForEach) -> bool {
    each.list.literal().is_none() && !is_open(each)
}

/// Whether something that is captured or given decides it.
fn is_open(each: &ForEach) -> bool {
    let is_open = |root| matches!(root, Root::Vars | Root::Parameters);
    each.list.reads().iter().any(|(root, _)| is_open(root))
}

/// The elements of a job's loop, if nothing that is captured or given decides them.
pub(super) fn elements(job: &Job, each: &ForEach, known: &Known) -> Option<Vec<Value>> {
    let list = match each.list.literal() {
        Some(list) => list,
        None if is_open(each) => return None,
        None => {
            let scopes = known.scopes.get(job.part.map_or(0, |part| part + 1))?;
            each.list.eval(scopes, &known.limits).ok()?
        }
    };
    let Value::Array(list) = list else {
        return None;
    };
    // What holds a secret is called otherwise in a log that is sealed.
    let is_plain = list
        .iter()
        .all(|it| placeholders(&it.to_string()).is_empty());
    (is_plain && list.len() <= MAX_ELEMENTS).then_some(list)
}
