//! What a state shows; nothing here changes it.

use std::collections::BTreeSet;
use std::time::Duration;

use se_dsl::catalog::Primitive;
use se_dsl::expr::{Root, Scopes};
use serde_json::Value;

use super::{MAX_HELD, State, StepStatus};
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

    /// Whether its steps may hold so many bytes more.
    pub(crate) fn has_room(&self, more: usize) -> bool {
        self.held.saturating_add(more) <= MAX_HELD
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
        self.timers().next()
    }

    /// Every time at which a step goes on by itself, the next one first.
    pub(crate) fn timers(&self) -> impl Iterator<Item = (Timestamp, StepIndex)> + '_ {
        self.timers.iter().copied()
    }

    /// The first step, in document order, whose failure the job does not survive.
    #[must_use]
    pub fn failed(&self) -> Option<StepIndex> {
        self.root.failed.first().copied()
    }

    /// The first, in document order, of a group's runs whose failure it does not survive.
    pub(crate) fn failed_within(&self, group: StepIndex) -> Option<StepIndex> {
        self.run(group).group.as_ref()?.failed.first().copied()
    }

    /// The innermost group that has come to its end or has failed, and has not said so yet.
    pub(crate) fn settling(&self) -> impl Iterator<Item = StepIndex> + '_ {
        self.settling.iter().rev().copied()
    }

    /// Whether every run of a group has ended.
    pub(crate) fn is_through(&self, group: StepIndex) -> bool {
        let group = self.run(group).group.as_ref();
        group.is_some_and(|it| it.ended == it.count)
    }

    /// Active runs none of whose own runs is active.
    pub(crate) fn tips(&self) -> impl Iterator<Item = StepIndex> + '_ {
        let has_none = |it: &StepIndex| {
            let group = self.run(*it).group.as_ref();
            group.is_none_or(|it| it.active == 0)
        };
        self.active().filter(has_none)
    }

    /// How long a pause lasts, and the longest it may.
    pub(crate) fn pause(&self, index: StepIndex) -> (Duration, Duration) {
        let seconds = self.step(index).inputs.get("seconds");
        let seconds = seconds.and_then(Value::as_f64).unwrap_or_default();
        let step = self.node(index).step();
        let longest = step.uses.primitive().map(Primitive::timeout);
        let timeout = step.timeout.or(longest).unwrap_or(Duration::MAX);
        (
            Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX),
            timeout,
        )
    }

    /// The exports of a composite that has come to its end.
    pub(crate) fn exports(&self, index: StepIndex) -> Map {
        let run = self.run(index);
        let frame = run.group.as_ref().and_then(|it| it.frame);
        let (Some(frame), Some(composite)) = (frame, self.node(index).step().uses.composite())
        else {
            return Map::new();
        };
        let scopes = &self.frame(frame).scopes;
        let value = |name: &String| {
            let value = scopes.at(Root::Vars, std::slice::from_ref(name));
            (name.clone(), value)
        };
        composite.export.iter().map(value).collect()
    }

    /// How many of the plan's own steps have ended.
    #[must_use]
    pub fn ended(&self) -> usize {
        self.root.ended
    }

    /// What expressions see that belong to no part.
    #[must_use]
    pub fn scopes(&self) -> &Scopes {
        &self.frame(0).scopes
    }

    /// What the expressions of a part see, or those that belong to none.
    ///
    /// # Panics
    /// If the package has no such part.
    #[must_use]
    pub fn scopes_of_part(&self, part: Option<usize>) -> &Scopes {
        &self.frame(part.map_or(0, |it| it + 1)).scopes
    }

    /// What expressions see that stand beside a step.
    #[must_use]
    pub fn scopes_beside(&self, index: StepIndex) -> &Scopes {
        &self.frame(self.run(index).frame).scopes
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
        let all = self.root.count.max(1);
        u8::try_from(self.root.ended * 100 / all).unwrap_or(100)
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
