//! Packages that can be read and hardly do what their author wants: what can be known without running.

mod constant;
mod evidence;
mod facts;
mod order;
mod secrets;

use super::built_in;
use super::job::{DraftedStep, Within};
use super::place::Place;
use super::step::split_version;
use super::written::Writes;
use crate::catalog::{self, Needs, Primitive};
use crate::checked::Uses;
use crate::diagnostic::codes::lints;
use crate::document::{Input, LifecycleDoc, StepDoc};

pub(super) use evidence::{Evidence, evidence};

impl Place<'_, '_> {
    /// The steps of a job or composite.
    pub(super) fn lint_steps(
        &self,
        steps: &[DraftedStep<'_>],
        written: &Writes,
        within: Within<'_>,
    ) {
        for step in steps {
            self.secrets(step);
            self.never_there(step.doc);
            self.times(step);
            self.pod(step);
            self.patterns(step);
        }
        self.constants(steps, written);
        self.after_report(steps);
        if let Within::Composite(doc) = within {
            self.lost_captures(steps, &doc.export);
        }
    }

    /// Whether pods of this type can do what the step uses.
    fn pod(&self, step: &DraftedStep<'_>) {
        let Some(pod_type) = self.pod_type.filter(|it| !Needs::Labs.fits(*it)) else {
            return;
        };
        let primitive = step.uses.as_ref().and_then(Uses::primitive);
        let needing = primitive.filter(|it| it.needs == Needs::Labs);
        if let (Some(primitive), Some(uses)) = (needing, &step.doc.uses) {
            let found = lints::not_on_pod(uses.span, &primitive.id(), pod_type);
            self.sink.push(found);
        }
    }

    /// Primitives that phases name as jobs.
    pub(super) fn lint_phases(&self, lifecycle: Option<&LifecycleDoc>) {
        let Some(pod_type) = self.pod_type.filter(|it| !Needs::Labs.fits(*it)) else {
            return;
        };
        let phases = lifecycle.into_iter().flat_map(|it| &it.phases);
        for reference in phases.flat_map(|phase| &phase.jobs) {
            let Some((name, version)) = split_version(&reference.definition.value) else {
                continue;
            };
            let is_needing =
                |it: &&Primitive| it.needs == Needs::Labs && built_in::missing(it).is_empty();
            let primitive = catalog::find(name, version).filter(is_needing);
            if primitive.is_some() && !self.jobs.contains_key(name) {
                let (at, id) = (reference.definition.span, &reference.definition.value);
                self.sink.push(lints::not_on_pod(at, id, pod_type));
            }
        }
    }
}

/// Every value of a step that may hold expressions.
fn inputs(doc: &StepDoc) -> impl Iterator<Item = &Input> {
    let list = doc.for_each.as_ref().map(|it| &it.list);
    let inputs = doc.inputs();
    inputs.chain(list)
}
