//! The runs of steps: those of the plan, and those that loops and composites bring about.
//!
//! A step that loops has a run of its own and one for each element; a step that calls a composite has a
//! run of its own and one for each step of it. Such a run is a group. All of them live in one list, so
//! that ready steps, timers and calls need no tree.

use std::collections::BTreeSet;
use std::sync::Arc;

use se_dsl::checked::OnError;
use se_dsl::expr::{Root, Scopes};
use serde_json::Value;

use super::{State, StepState, StepStatus};
use crate::event::Map;
use crate::plan::{Block, Node, Plan, StepIndex};
use crate::planted::{self, Bug};

/// Elements a loop may have.
pub(crate) const MAX_ELEMENTS: usize = 1_000;
/// Runs a job may have, over all loops and composites.
pub(crate) const MAX_RUNS: usize = 20_000;
/// Bytes, about, that the steps of a job may be given and give, all together: they are in memory as long as it runs,
/// and what is captured a second time.
pub(crate) const MAX_HELD: usize = 128 << 20;
/// Elements that a loop takes together, at most.
const TOGETHER: usize = 32;

/// One run of a step.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// Its place in the plan.
    pub(super) block: Arc<Block>,
    pub(super) at: StepIndex,
    /// Its name in events.
    pub(super) key: String,
    pub(super) parent: Option<StepIndex>,
    /// Which element of its parent's list it is for.
    pub(super) element: Option<usize>,
    /// Whose variables it reads and writes.
    pub(super) frame: usize,
    pub(super) waiting_for: usize,
    pub(super) state: StepState,
    /// What it consists of, if it is a group that has begun.
    pub(super) group: Option<Group>,
}

/// Runs that make up another.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    /// The runs: they stand together.
    pub(super) first: usize,
    pub(super) count: usize,
    pub(super) ended: usize,
    pub(super) active: usize,
    /// How many of those that have ended were stopped from outside.
    pub(super) cancelled: usize,
    /// Those whose failure the group does not survive.
    pub(super) failed: BTreeSet<StepIndex>,
    /// Whether nothing more begins once one has failed.
    pub(super) stops: bool,
    /// The variables of a composite.
    pub(super) frame: Option<usize>,
}

impl Group {
    pub(super) fn runs(&self) -> impl Iterator<Item = StepIndex> + use<> {
        (self.first..self.first + self.count).map(StepIndex)
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stops && !self.failed.is_empty()
    }
}

/// What a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One attempt after the other at a primitive.
    Primitive,
    /// The elements of a list, one run each.
    Loop,
    /// The steps of a composite.
    Composite,
}

/// Variables of their own: a part's, or those of one call of a composite.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) scopes: Scopes,
    /// The connector that steps work on which name none.
    pub(super) target: Option<String>,
}

impl State {
    pub(super) fn run(&self, index: StepIndex) -> &Run {
        self.runs
            .get(index.0)
            .expect("an index is used with the state it came from")
    }

    /// The step of a run, with its neighbours in the plan.
    #[must_use]
    pub fn node(&self, index: StepIndex) -> &Node {
        let run = self.run(index);
        run.block.node(run.at)
    }

    /// The steps that a run is one of.
    pub(crate) fn block(&self, index: StepIndex) -> &Block {
        &self.run(index).block
    }

    /// The name of a run in events: `bounce`, `bounce[2]`, `prepare/copy`.
    #[must_use]
    pub fn key(&self, index: StepIndex) -> &str {
        &self.run(index).key
    }

    /// The run of that name, as far as it has come about.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<StepIndex> {
        self.keys.get(key).copied()
    }

    pub(crate) fn kind(&self, index: StepIndex) -> Kind {
        let run = self.run(index);
        let node = run.block.node(run.at);
        if node.step().for_each.is_some() && run.element.is_none() {
            Kind::Loop
        } else if node.body().is_some() {
            Kind::Composite
        } else {
            Kind::Primitive
        }
    }

    /// What a failure of this run means: an element that fails is tried again by itself; whether the job
    /// goes on without it is for the loop to say.
    pub(crate) fn on_error(&self, index: StepIndex) -> OnError {
        let own = &self.node(index).step().on_error;
        let is_element = self.run(index).element.is_some();
        match (self.kind(index), is_element, own) {
            (_, true, OnError::Continue) | (Kind::Loop, false, OnError::Retry { .. }) => {
                OnError::Fail
            }
            _ => own.clone(),
        }
    }

    /// What the expressions of a run see.
    pub(crate) fn scopes_of(&self, index: StepIndex) -> Scopes {
        let run = self.run(index);
        let mut scopes = self.frame(run.frame).scopes.clone();
        if let (Some(at), Some(parent)) = (run.element, run.parent)
            && let Some(binds) = &self.node(index).step().for_each
        {
            let element = self.elements(parent).get(at).unwrap_or(&Value::Null);
            scopes.write_var(std::slice::from_ref(&binds.var), element);
            scopes.write_var(&[binds.index_var()], &Value::from(at));
        }
        scopes
    }

    /// The connector that a run works on if its step names none.
    pub(crate) fn inherited_target(&self, index: StepIndex) -> Option<&str> {
        self.frame(self.run(index).frame).target.as_deref()
    }

    /// The list of a loop that has begun.
    pub(super) fn elements(&self, index: StepIndex) -> &[Value] {
        let list = self.run(index).state.inputs.get("in");
        list.and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// What an element is called in captures: its text, or its `name` or `id`.
    pub(super) fn element_name(&self, index: StepIndex) -> Option<String> {
        let run = self.run(index);
        let element = self.elements(run.parent?).get(run.element?)?;
        Some(name_of(element))
    }

    pub(super) fn frame(&self, at: usize) -> &Frame {
        self.frames
            .get(at)
            .expect("a run has a frame that was made before it")
    }

    /// Makes the runs that a group consists of. Its inputs are known: the list, or the parameters.
    pub(super) fn expand(&mut self, plan: &Plan, index: StepIndex) {
        let group = match self.kind(index) {
            Kind::Primitive => return,
            Kind::Loop => self.expand_loop(plan, index),
            Kind::Composite => self.expand_composite(index),
        };
        let failing = self.is_stopped(index);
        let may_begin = |it: &StepIndex| !failing && self.run(*it).waiting_for == 0;
        let first: Vec<StepIndex> = group.runs().filter(may_begin).collect();
        self.ready.extend(first);
        if let Some(run) = self.runs.get_mut(index.0) {
            run.group = Some(group);
        }
    }

    fn expand_loop(&mut self, plan: &Plan, index: StepIndex) -> Group {
        let run = self.run(index).clone();
        let node = run.block.node(run.at);
        let window = if plan.takes_together(node) {
            TOGETHER
        } else {
            1
        };
        let stops = node
            .step()
            .for_each
            .as_ref()
            .is_none_or(|it| it.stop_on_fail);
        let first = self.runs.len();
        let count = self.elements(index).len();
        let count = match count {
            all if all > 0 && planted::is(Bug::ElementLost) => all - 1,
            all => all,
        };
        for element in 0..count {
            self.add(Run {
                key: format!("{}[{element}]", run.key),
                parent: Some(index),
                element: Some(element),
                waiting_for: usize::from(element >= window),
                state: StepState::default(),
                group: None,
                ..run.clone()
            });
        }
        Group {
            first,
            count,
            stops,
            ..Group::default()
        }
    }

    fn expand_composite(&mut self, index: StepIndex) -> Group {
        let run = self.run(index).clone();
        let Some(body) = run.block.node(run.at).body().cloned() else {
            return Group::default();
        };
        let outer = self.frame(run.frame);
        let mut scopes = outer.scopes.clone();
        let inputs = Value::Object(run.state.inputs.clone());
        scopes.set(Root::Parameters, &inputs);
        scopes.set(Root::Vars, &Value::Object(Map::new()));
        let target = run.state.target.clone().or_else(|| outer.target.clone());
        let frame = self.frames.len();
        self.frames.push(Frame { scopes, target });
        let again = match run.state.attempt {
            0 | 1 => String::new(),
            attempt => format!("#{attempt}"),
        };
        let first = self.runs.len();
        for (at, node) in body.steps() {
            self.add(Run {
                block: Arc::clone(&body),
                at,
                key: format!("{}{again}/{}", run.key, node.key),
                parent: Some(index),
                element: None,
                frame,
                waiting_for: node.predecessors().len(),
                state: StepState::default(),
                group: None,
            });
        }
        Group {
            first,
            count: body.len(),
            stops: true,
            frame: Some(frame),
            ..Group::default()
        }
    }

    fn add(&mut self, run: Run) {
        self.keys
            .insert(run.key.clone(), StepIndex(self.runs.len()));
        self.runs.push(run);
    }

    /// The runs that wait for this one.
    pub(super) fn successors(&self, plan: &Plan, index: StepIndex) -> Vec<StepIndex> {
        let run = self.run(index);
        let parent = run.parent.map(|it| (it, self.run(it)));
        match (run.element, parent) {
            (Some(at), Some((_, parent))) => {
                let window = if plan.takes_together(parent.block.node(parent.at)) {
                    TOGETHER
                } else {
                    1
                };
                let group = parent.group.as_ref();
                let next = group.filter(|it| at + window < it.count);
                next.map(|it| StepIndex(it.first + at + window))
                    .into_iter()
                    .collect()
            }
            (None, Some((_, parent))) => {
                let first = parent.group.as_ref().map_or(0, |it| it.first);
                let own = run.block.node(run.at).successors().iter();
                own.map(|it| StepIndex(first + it.0)).collect()
            }
            (_, None) => run.block.node(run.at).successors().to_vec(),
        }
    }

    /// Whether a failure around it keeps a run from beginning.
    pub(super) fn is_stopped(&self, index: StepIndex) -> bool {
        let mut above = self.run(index).parent;
        while let Some(parent) = above {
            let run = self.run(parent);
            if run.group.as_ref().is_some_and(Group::is_stopping) {
                return true;
            }
            above = run.parent;
        }
        self.root.is_stopping()
    }

    /// Whether a run is part of a group, at whatever depth; everything is part of the job (`None`).
    pub(crate) fn is_within(&self, index: StepIndex, group: Option<StepIndex>) -> bool {
        let Some(group) = group else { return true };
        let mut above = self.run(index).parent;
        while let Some(parent) = above {
            if parent == group {
                return true;
            }
            above = self.run(parent).parent;
        }
        false
    }

    pub(super) fn group_of_mut(&mut self, parent: Option<StepIndex>) -> Option<&mut Group> {
        match parent {
            Some(parent) => self.runs.get_mut(parent.0)?.group.as_mut(),
            None => Some(&mut self.root),
        }
    }

    /// Whether the run is one attempt in the world or engine, not a group of others.
    #[must_use]
    pub fn is_leaf(&self, index: StepIndex) -> bool {
        self.kind(index) == Kind::Primitive
    }

    /// Whether the run is for one element of a loop.
    #[must_use]
    pub fn is_element(&self, index: StepIndex) -> bool {
        self.run(index).element.is_some()
    }

    /// Whether a run reads and writes the variables of the job or one of its parts, not those of a composite.
    pub(crate) fn is_beside_the_job(&self, index: StepIndex) -> bool {
        let mut above = self.run(index).parent;
        while let Some(parent) = above {
            if self.kind(parent) == Kind::Composite {
                return false;
            }
            above = self.run(parent).parent;
        }
        true
    }

    /// Whether two runs share their variables.
    pub(crate) fn is_beside(&self, index: StepIndex, other: StepIndex) -> bool {
        self.run(index).frame == self.run(other).frame
    }

    /// Every run that has come about, in document order; a group before what it consists of. Of a
    /// composite that was tried again, the last attempt.
    #[must_use]
    pub fn all(&self) -> Vec<StepIndex> {
        let mut all = Vec::with_capacity(self.runs.len());
        let mut open: Vec<StepIndex> = self.root.runs().collect();
        open.reverse();
        while let Some(index) = open.pop() {
            all.push(index);
            let Some(group) = &self.run(index).group else {
                continue;
            };
            let mut inside: Vec<StepIndex> = group.runs().collect();
            inside.reverse();
            open.extend(inside);
        }
        all
    }

    /// Where a run's capture goes: the path of its element, in a loop.
    #[must_use]
    pub fn captured_at(&self, index: StepIndex, capture: &se_dsl::checked::Capture) -> Vec<String> {
        let element = self.element_name(index).unwrap_or_default();
        capture.path.of(&element)
    }
}

/// The plan's own steps, before any has begun.
pub(super) fn of_plan(plan: &Plan) -> Vec<Run> {
    let run = |(at, node): (StepIndex, &Node)| Run {
        block: Arc::clone(plan.block()),
        at,
        key: node.key.clone(),
        parent: None,
        element: None,
        frame: node.job().part.map_or(0, |part| part + 1),
        waiting_for: node.predecessors().len(),
        state: StepState::default(),
        group: None,
    };
    plan.steps().map(run).collect()
}

/// Text as it is, a mapping by its `name` or `id`, anything else as JSON.
pub(crate) fn name_of(element: &Value) -> String {
    let named = |key: &str| {
        element
            .get(key)
            .filter(|it| it.is_string() || it.is_number())
    };
    match (element, named("name").or_else(|| named("id"))) {
        (Value::String(name), _) | (_, Some(Value::String(name))) => name.clone(),
        (_, Some(number)) => number.to_string(),
        (other, None) => other.to_string(),
    }
}

impl StepStatus {
    /// Whether what waits for the step may begin.
    pub(super) fn releases(self) -> bool {
        matches!(self, Self::Completed | Self::Continued | Self::Skipped)
    }
}
