//! What an event about a step changes.

use se_dsl::catalog::{Action, Effect};
use serde_json::Value;

use super::run::{Group, Kind};
use super::{MAX_RUNS, State, StepState, StepStatus};
use crate::event::{AfterFault, Event, Map, Record};
use crate::fault::StepError;
use crate::plan::{Plan, StepIndex};
use crate::size;
use crate::time::Timestamp;

impl State {
    pub(super) fn apply_to_step(
        &mut self,
        plan: &Plan,
        index: StepIndex,
        record: &Record,
    ) -> Result<(), String> {
        let next = self.next_status(index, record)?;
        if matches!(next, StepStatus::Running { .. }) {
            self.check_room(index, &record.event)?;
        } else if self.has_active(index) {
            return Err("some of what it consists of has not ended".to_owned());
        }
        self.note(index, record);
        self.enter(plan, index, next, record.at);
        Ok(())
    }

    /// The status that an event leads to, if it may.
    fn next_status(&self, index: StepIndex, record: &Record) -> Result<StepStatus, String> {
        // What a job brings along from another has happened already: its order is that of the other.
        let ready = self.ready.contains(&index) || self.started_at.is_none();
        let step = self.step(index);
        let refused = || Err(format!("the step is {}", step.status.as_str()));
        match (&record.event, step.status) {
            (Event::StepStarted { attempt, .. }, status) => {
                let may = matches!(status, StepStatus::Waiting { .. })
                    || (status == StepStatus::Pending && ready);
                if !may || *attempt != step.attempt + 1 {
                    return refused();
                }
                Ok(StepStatus::Running { since: record.at })
            }
            (Event::StepCompleted { attempt, .. }, StepStatus::Running { .. })
                if *attempt == step.attempt =>
            {
                Ok(StepStatus::Completed)
            }
            (Event::StepFaulted { then, .. }, status)
                if !status.is_final() && (status != StepStatus::Pending || ready) =>
            {
                Ok(match then {
                    AfterFault::Fail => StepStatus::Faulted,
                    AfterFault::Continue => StepStatus::Continued,
                    AfterFault::Retry { at } => StepStatus::Waiting { until: *at },
                })
            }
            (Event::StepSkipped { .. }, StepStatus::Pending) if ready => Ok(StepStatus::Skipped),
            (Event::StepCancelled { .. }, status) if !status.is_final() => {
                Ok(StepStatus::Cancelled)
            }
            _ => refused(),
        }
    }

    /// Whether what a group consists of has room.
    fn check_room(&self, index: StepIndex, event: &Event) -> Result<(), String> {
        let Event::StepStarted { inputs, .. } = event else {
            return Ok(());
        };
        if self.kind(index) == Kind::Loop && !inputs.get("in").is_some_and(Value::is_array) {
            return Err("a loop begins with its list".to_owned());
        }
        if !self.has_room_for_runs(index, inputs) {
            return Err("the job has too many steps".to_owned());
        }
        Ok(())
    }

    /// Whether there is room for the runs that a step consists of which begins with these inputs.
    pub(crate) fn has_room_for_runs(&self, index: StepIndex, inputs: &Map) -> bool {
        let more = match self.kind(index) {
            Kind::Primitive => 0,
            Kind::Loop => inputs
                .get("in")
                .and_then(Value::as_array)
                .map_or(0, Vec::len),
            Kind::Composite => self.node(index).body().map_or(0, |it| it.len()),
        };
        self.runs.len() + more <= MAX_RUNS
    }

    fn has_active(&self, index: StepIndex) -> bool {
        let group = self.run(index).group.as_ref();
        group.is_some_and(|it| it.active > 0)
    }

    /// Keeps what an event tells about a run.
    fn note(&mut self, index: StepIndex, record: &Record) {
        if let Event::StepCompleted { learned, .. } = &record.event {
            merge(&mut self.learned, learned);
        }
        let Some(step) = self.runs.get_mut(index.0).map(|it| &mut it.state) else {
            return;
        };
        match &record.event {
            Event::StepStarted {
                attempt,
                inputs,
                target,
                ..
            } => {
                step.attempt = *attempt;
                step.started_at.get_or_insert(record.at);
                self.held = self.held.saturating_sub(size::of_map(&step.inputs));
                self.held += size::of_map(inputs);
                step.inputs.clone_from(inputs);
                step.target.clone_from(target);
                step.error = None;
            }
            Event::StepCompleted { output, .. } => {
                self.held += size::of_map(output);
                step.output.clone_from(output);
            }
            Event::StepFaulted { error, .. } => {
                step.attempt = error.attempt;
                step.error = Some(error.clone());
            }
            _ => {}
        }
    }

    /// Moves a run to its next status and lets those around it know.
    pub(super) fn enter(&mut self, plan: &Plan, index: StepIndex, next: StepStatus, at: Timestamp) {
        self.leave(index);
        if let Some(run) = self.runs.get_mut(index.0) {
            run.state.status = next;
        }
        if !next.is_final() {
            return self.activate(plan, index, next);
        }
        if let Some(run) = self.runs.get_mut(index.0) {
            run.state.completed_at = Some(at);
        }
        if next == StepStatus::Completed && self.kind(index) == Kind::Loop {
            self.gather(index);
        }
        self.write_vars(index);
        self.tell_group(index, next);
        if next.releases() || (next == StepStatus::Faulted && !self.is_stopped(index)) {
            self.release(plan, index);
        }
    }

    /// Takes a run out of every set it may be in, and what has not begun of a group with it.
    fn leave(&mut self, index: StepIndex) {
        self.ready.remove(&index);
        self.computing.remove(&index);
        self.calling.remove(&index);
        self.settling.remove(&index);
        self.timers.retain(|(_, it)| *it != index);
        let parent = self.run(index).parent;
        if self.active.remove(&index)
            && let Some(group) = self.group_of_mut(parent)
        {
            group.active = group.active.saturating_sub(1);
        }
        let inside = self.run(index).group.as_ref().map(Group::runs);
        for run in inside.into_iter().flatten() {
            self.ready.remove(&run);
        }
    }

    fn activate(&mut self, plan: &Plan, index: StepIndex, next: StepStatus) {
        self.active.insert(index);
        let parent = self.run(index).parent;
        if let Some(group) = self.group_of_mut(parent) {
            group.active += 1;
        }
        let since = match next {
            StepStatus::Waiting { until } => {
                self.timers.insert((until, index));
                return;
            }
            StepStatus::Running { since } => since,
            _ => return,
        };
        let step = self.node(index).step();
        match step.uses.primitive() {
            Some(primitive) if self.is_leaf(index) => {
                if primitive.action == Action::Pause {
                    let (pause, timeout) = self.pause(index);
                    self.timers.insert((since.after(pause.min(timeout)), index));
                } else if primitive.effect == Effect::Pure {
                    self.computing.insert(index);
                } else {
                    self.calling.insert(index);
                }
            }
            _ => {
                if self.kind(index) == Kind::Composite
                    && let Some(timeout) = step.timeout
                {
                    self.timers.insert((since.after(timeout), index));
                }
                self.expand(plan, index);
            }
        }
    }

    /// Counts a run that has ended, and says whether its group has anything to say.
    fn tell_group(&mut self, index: StepIndex, next: StepStatus) {
        let parent = self.run(index).parent;
        let Some(group) = self.group_of_mut(parent) else {
            return;
        };
        group.ended += 1;
        group.cancelled += usize::from(next == StepStatus::Cancelled);
        if next == StepStatus::Faulted {
            group.failed.insert(index);
        }
        let stopping = group.is_stopping();
        // What was stopped from outside ends as whoever stopped it says.
        let settles = stopping || (group.ended == group.count && group.cancelled == 0);
        if let (true, Some(parent)) = (settles, parent) {
            self.settling.insert(parent);
        }
        if stopping {
            let stopped = self.ready.iter().copied();
            let stopped: Vec<StepIndex> =
                stopped.filter(|it| self.is_within(*it, parent)).collect();
            for run in stopped {
                self.ready.remove(&run);
            }
        }
    }

    fn release(&mut self, plan: &Plan, index: StepIndex) {
        for successor in self.successors(plan, index) {
            let Some(run) = self.runs.get_mut(successor.0) else {
                continue;
            };
            run.waiting_for = run.waiting_for.saturating_sub(1);
            let may = run.waiting_for == 0 && run.state.status == StepStatus::Pending;
            if may && !self.is_stopped(successor) {
                self.ready.insert(successor);
            }
        }
    }

    /// The outputs of a loop: for each output that is captured, a list with one value an element.
    fn gather(&mut self, index: StepIndex) {
        let Some(group) = &self.run(index).group else {
            return;
        };
        let mut output = Map::new();
        for capture in &self.node(index).step().capture {
            let values = group.runs().map(|it| {
                let value = self.step(it).output.get(&capture.output);
                value.cloned().unwrap_or(Value::Null)
            });
            output.insert(capture.output.clone(), values.collect());
        }
        if let Some(run) = self.runs.get_mut(index.0) {
            run.state.output = output;
        }
    }

    /// Writes what a run captured. What the elements of a loop give is written when the loop ends, in the
    /// order of the list.
    fn write_vars(&mut self, index: StepIndex) {
        let run = self.run(index);
        if run.element.is_some() {
            return;
        }
        let id = self.node(index).step().id.as_str().to_owned();
        let mut writes: Vec<(Vec<String>, Value)> = Vec::new();
        match run.state.status {
            StepStatus::Completed => self.captures(index, &mut writes),
            StepStatus::Continued => {
                // Which elements of a loop that was stopped had their turn is up to the schedule.
                if self.kind(index) == Kind::Loop && !self.stops(index) {
                    self.captures(index, &mut writes);
                }
                let error = run.state.error.as_ref();
                let error = error.map_or(Value::Null, StepError::to_json);
                writes.push((vec![id, "error".to_owned()], error));
            }
            StepStatus::Pending
            | StepStatus::Running { .. }
            | StepStatus::Waiting { .. }
            | StepStatus::Faulted
            | StepStatus::Skipped
            | StepStatus::Cancelled => {}
        }
        let frame = run.frame;
        if let Some(frame) = self.frames.get_mut(frame) {
            for (path, value) in &writes {
                frame.scopes.write_var(path, value);
            }
        }
    }

    fn captures(&self, index: StepIndex, writes: &mut Vec<(Vec<String>, Value)>) {
        let step = self.node(index).step();
        let id = step.id.as_str().to_owned();
        let mut write = |path: Vec<String>, value: &Value| {
            let own = std::iter::once(id.clone()).chain(path.iter().cloned());
            writes.push((own.collect(), value.clone()));
            writes.push((path, value.clone()));
        };
        let completed = self.step(index).status == StepStatus::Completed;
        for capture in &step.capture {
            let value = |run| {
                let output = &self.step(run).output;
                output.get(&capture.output).unwrap_or(&Value::Null)
            };
            match capture.path.fixed() {
                // A list of which an element failed is none.
                Some(path) if completed => write(path, value(index)),
                Some(_) => {}
                None => self
                    .completed_elements(index)
                    .for_each(|run| write(self.captured_at(run, capture), value(run))),
            }
        }
    }

    /// Whether a group begins nothing more once one of its runs has failed.
    fn stops(&self, index: StepIndex) -> bool {
        let group = self.run(index).group.as_ref();
        group.is_some_and(|it| it.stops)
    }

    /// The runs of a loop's elements that ended well, in the order of the list.
    fn completed_elements(&self, index: StepIndex) -> impl Iterator<Item = StepIndex> + '_ {
        let group = self.run(index).group.as_ref();
        let runs = group.map(Group::runs).into_iter().flatten();
        runs.filter(|it| self.step(*it).status == StepStatus::Completed)
    }

    /// Where a run stands, and what it gave.
    ///
    /// # Panics
    /// If the index is of another state.
    #[must_use]
    pub fn step(&self, index: StepIndex) -> &StepState {
        &self.run(index).state
    }
}

/// Puts what was learned over what was known; mappings key by key.
fn merge(known: &mut Map, learned: &Map) {
    for (key, value) in learned {
        match (known.get_mut(key), value) {
            (Some(Value::Object(known)), Value::Object(more)) => merge(known, more),
            _ => {
                known.insert(key.clone(), value.clone());
            }
        }
    }
}
