//! What a state shows; nothing here changes it.

use std::collections::BTreeSet;

use se_dsl::expr::Scopes;
use serde_json::Value;

use super::{State, StepState, StepStatus};
use crate::event::{Accepted, JobStatus, Map, Summary};
use crate::fault::StepError;
use crate::plan::{Plan, StepIndex};
use crate::time::Timestamp;

impl State {
    /// Number of the last event.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// What the job is.
    #[must_use]
    pub fn accepted(&self) -> &Accepted {
        &self.accepted
    }

    /// Where in its life the job is.
    #[must_use]
    pub fn status(&self) -> JobStatus {
        self.status
    }

    /// When it was taken in.
    #[must_use]
    pub fn accepted_at(&self) -> Timestamp {
        self.accepted_at
    }

    /// When a driver first ran it.
    #[must_use]
    pub fn started_at(&self) -> Option<Timestamp> {
        self.started_at
    }

    /// When it ended.
    #[must_use]
    pub fn completed_at(&self) -> Option<Timestamp> {
        self.completed_at
    }

    /// Why somebody wants it to stop.
    #[must_use]
    pub fn cancel_reason(&self) -> Option<&str> {
        self.cancel.as_deref()
    }

    /// Why it failed.
    #[must_use]
    pub fn error(&self) -> Option<&StepError> {
        self.error.as_ref()
    }

    /// Where a step stands.
    ///
    /// # Panics
    /// If the index is of another plan.
    #[must_use]
    pub fn step(&self, step: StepIndex) -> &StepState {
        self.steps
            .get(step.0)
            .expect("an index is used with the plan it came from")
    }

    /// Steps that may begin, in document order.
    pub fn ready(&self) -> impl Iterator<Item = StepIndex> + '_ {
        self.ready.iter().copied()
    }

    /// Steps that have begun and not ended, in document order.
    pub fn active(&self) -> impl Iterator<Item = StepIndex> + '_ {
        self.active.iter().copied()
    }

    /// The first step, in document order, whose attempt is to be made inside the engine now.
    #[must_use]
    pub fn computing(&self) -> Option<StepIndex> {
        self.computing.first().copied()
    }

    /// Steps whose attempt is being made in the world.
    #[must_use]
    pub fn calling(&self) -> &BTreeSet<StepIndex> {
        &self.calling
    }

    /// The next time at which a step goes on by itself.
    #[must_use]
    pub fn timer(&self) -> Option<(Timestamp, StepIndex)> {
        self.timers.first().copied()
    }

    /// The first step, in document order, whose failure the job does not survive.
    #[must_use]
    pub fn failed(&self) -> Option<StepIndex> {
        self.failed.first().copied()
    }

    /// How many steps have ended.
    #[must_use]
    pub fn ended(&self) -> usize {
        self.ended
    }

    /// What expressions see.
    #[must_use]
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// What the job has learned about the pod so far.
    #[must_use]
    pub fn learned(&self) -> &Map {
        &self.learned
    }

    /// The last progress shown, and when.
    #[must_use]
    pub fn progress(&self) -> (u8, &str, Option<Timestamp>) {
        (self.progress.0, &self.progress.1, self.progress_at)
    }

    /// Percent of the steps that have ended.
    #[must_use]
    pub fn percentage(&self) -> u8 {
        let all = self.steps.len().max(1);
        u8::try_from(self.ended * 100 / all).unwrap_or(100)
    }

    /// What each step captured, by step key: its captured outputs; all outputs where a job has only
    /// one step.
    #[must_use]
    pub fn results(&self, plan: &Plan) -> Map {
        let mut results = Map::new();
        for (index, node) in plan.steps() {
            let step = self.step(index);
            if step.status != StepStatus::Completed {
                continue;
            }
            let captured = &node.step().capture;
            let alone = node.job().steps.len() == 1;
            let mut outputs = step.output.clone();
            if !alone || !captured.is_empty() {
                outputs.retain(|key, _| captured.iter().any(|it| it.output == *key));
            }
            if !outputs.is_empty() {
                results.insert(node.key.clone(), Value::Object(outputs));
            }
        }
        results
    }

    /// What lists and queues show.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            status: self.status,
            percentage: self.progress.0,
            message: self.progress.1.clone(),
            started_at: self.started_at,
            completed_at: self.completed_at,
        }
    }
}
