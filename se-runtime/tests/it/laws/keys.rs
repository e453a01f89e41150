//! The names of runs in events, taken apart: `all[2]#2/copy` is the step `copy` of the composite that the
//! third element of `all` calls, in its second attempt.

use std::time::Duration;

use se_dsl::checked::OnError;
use se_runtime::{Block, Node, Plan};

/// Where a run stands in its plan.
pub(super) struct Place<'p> {
    key: String,
    node: &'p Node,
    /// The steps that it is one of.
    block: &'p Block,
    is_element: bool,
}

/// The place of a key, if there is any.
pub(super) fn place<'p>(plan: &'p Plan, key: &str) -> Option<Place<'p>> {
    let end = key.find(['[', '/', '#']).unwrap_or(key.len());
    let mut block: &Block = plan.block();
    let mut node = plan.node(plan.find(&key[..end])?);
    let mut is_element = false;
    let mut rest = &key[end..];
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (number, after) = inner.split_once(']')?;
            number.parse::<usize>().ok()?;
            is_element = true;
            rest = after;
            continue;
        }
        let (again, inner) = rest.split_once('/')?;
        if let Some(again) = again.strip_prefix('#') {
            again.parse::<u32>().ok().filter(|it| *it > 1)?;
        }
        let end = inner.find(['[', '/', '#']).unwrap_or(inner.len());
        block = node.body()?;
        let mut steps = block.steps();
        node = steps.find(|(_, it)| it.key == inner[..end])?.1;
        is_element = false;
        rest = &inner[end..];
    }
    Some(Place {
        key: key.to_owned(),
        node,
        block,
        is_element,
    })
}

impl<'p> Place<'p> {
    pub(super) fn node(&self) -> &'p Node {
        self.node
    }

    fn is_loop(&self) -> bool {
        self.node.step().for_each.is_some() && !self.is_element
    }

    /// Whether it consists of no other runs.
    pub(super) fn is_leaf(&self) -> bool {
        !self.is_loop() && self.node.body().is_none()
    }

    /// What the keys of the runs begin with that an attempt of it consists of.
    pub(super) fn prefix(&self, attempt: u32) -> String {
        let key = &self.key;
        match (self.is_loop(), attempt) {
            (true, _) => format!("{key}["),
            (false, 0 | 1) => format!("{key}/"),
            (false, attempt) => format!("{key}#{attempt}/"),
        }
    }

    /// The run that it is part of; of a composite, in which attempt.
    pub(super) fn parent(&self) -> Option<(String, Option<u32>)> {
        if self.is_element {
            let at = self.key.rfind('[')?;
            return Some((self.key[..at].to_owned(), None));
        }
        let above = &self.key[..self.key.rfind('/')?];
        let again = above.rfind(['#', '/', ']']);
        let again = again.filter(|at| above[*at..].starts_with('#'));
        match again {
            Some(at) => Some((above[..at].to_owned(), above[at + 1..].parse().ok())),
            None => Some((above.to_owned(), Some(1))),
        }
    }

    /// Of an element: its place in the list, and what the keys of all of them begin with.
    pub(super) fn element(&self) -> Option<(usize, &str)> {
        let at = self.key.rfind('[').filter(|_| self.is_element)?;
        let number = self.key[at + 1..].trim_end_matches(']');
        Some((number.parse().ok()?, &self.key[..=at]))
    }

    /// The keys of what it waits for, each with its step's name.
    pub(super) fn predecessors(&self) -> Vec<(String, &'p str)> {
        let beside = &self.key[..self.key.rfind('/').map_or(0, |at| at + 1)];
        let edges = self.node.predecessors().iter();
        edges
            .map(|it| {
                let name = self.block.node(it.from).key.as_str();
                (format!("{beside}{name}"), name)
            })
            .collect()
    }

    /// How many runs it consists of, if it is a group.
    pub(super) fn count(&self, elements: usize) -> Option<usize> {
        if self.is_loop() {
            return Some(elements);
        }
        self.node.body().map(|it| it.len())
    }

    /// Whether nothing more begins in it once a run of it has failed.
    pub(super) fn stops_on_failure(&self) -> bool {
        let each = self.node.step().for_each.as_ref();
        !self.is_loop() || each.is_none_or(|it| it.stop_on_fail)
    }

    /// The longest that it may take, if it is a composite.
    pub(super) fn timeout(&self) -> Option<Duration> {
        let timeout = self.node.step().timeout;
        timeout.filter(|_| !self.is_loop() && self.node.body().is_some())
    }

    /// What a failure of it means: elements are tried again, loops go on without the step.
    pub(super) fn on_error(&self) -> OnError {
        match &self.node.step().on_error {
            OnError::Continue if self.is_element => OnError::Fail,
            OnError::Retry { .. } if self.is_loop() => OnError::Fail,
            other => other.clone(),
        }
    }
}
