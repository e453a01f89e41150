//! The ordering rules: a DAG whose results equal those of the run in document order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use se_dsl::catalog::{Action, Effect};
use se_dsl::checked::{Execution, Step};

use super::connectors::Looks;
use super::paths::{Uses, reserved, written};
use super::{Node, StepIndex, Why};
use crate::planted::{self, Bug};

type EdgeSpec = (StepIndex, StepIndex, Why);

/// Every reason for a step to wait for another.
pub(super) fn edges(nodes: &[Node], sequential: bool) -> Vec<EdgeSpec> {
    let mut edges = Vec::new();
    let mut start = 0;
    let mut before: Option<std::ops::Range<usize>> = None;
    while let Some(first) = nodes.get(start) {
        let length = first.job().steps.len();
        let range = start..start + length;
        let of_job = nodes.get(range.clone()).unwrap_or_default();
        let own = if sequential || first.job().execution == Execution::Sequential {
            in_sequence(range.clone())
        } else {
            by_rules(of_job, start)
        };
        if let Some(before) = before {
            edges.extend(after_job(before, range.clone(), &edges, &own));
        }
        edges.extend(own);
        start = range.end;
        before = Some(range);
    }
    edges
}

/// Every reason for a step of a composite to wait for another of it.
pub(super) fn within(nodes: &[Node], sequential: bool) -> Vec<EdgeSpec> {
    if sequential {
        in_sequence(0..nodes.len())
    } else {
        by_rules(nodes, 0)
    }
}

fn in_sequence(range: std::ops::Range<usize>) -> Vec<EdgeSpec> {
    range
        .clone()
        .zip(range.skip(1))
        .map(|(from, to)| (StepIndex(from), StepIndex(to), Why::Sequential))
        .collect()
}

/// The first steps of a job wait for the last steps of the job before it.
fn after_job(
    before: std::ops::Range<usize>,
    here: std::ops::Range<usize>,
    earlier: &[EdgeSpec],
    own: &[EdgeSpec],
) -> Vec<EdgeSpec> {
    let continued: BTreeSet<usize> = earlier.iter().map(|(from, _, _)| from.0).collect();
    let waiting: BTreeSet<usize> = own.iter().map(|(_, to, _)| to.0).collect();
    let firsts: Vec<usize> = here.filter(|at| !waiting.contains(at)).collect();
    before
        .filter(|at| !continued.contains(at))
        .flat_map(|from| {
            firsts
                .iter()
                .map(move |to| (StepIndex(from), StepIndex(*to), Why::JobOrder))
        })
        .collect()
}

fn by_rules(nodes: &[Node], offset: usize) -> Vec<EdgeSpec> {
    let reserved = Arc::new(reserved(nodes));
    let mut rules = Rules {
        offset,
        writers: Uses::new(Arc::clone(&reserved)),
        readers: Uses::new(reserved),
        ..Rules::default()
    };
    let ids: BTreeMap<&str, usize> = nodes
        .iter()
        .enumerate()
        .map(|(at, node)| (node.step().id.as_str(), offset + at))
        .collect();
    for (at, node) in nodes.iter().enumerate() {
        rules.add(offset + at, node, &ids);
    }
    rules.edges
}

/// What has been seen so far, walking through a job in document order.
#[derive(Default)]
struct Rules {
    offset: usize,
    edges: Vec<EdgeSpec>,
    writers: Uses,
    readers: Uses,
    /// Writes and barriers that no later one has been ordered after.
    changes: Vec<usize>,
    /// Reads since then.
    reads: Vec<Read>,
}

/// A read since the last change.
struct Read {
    looks: Looks,
    at: usize,
    /// Whether it follows all earlier reads that it might meet.
    ordered: bool,
}

impl Rules {
    fn add(&mut self, at: usize, node: &Node, ids: &BTreeMap<&str, usize>) {
        let step = node.step();
        self.by_data(at, step);
        self.by_alias(at, node);
        match &step.needs {
            Some(needs) => {
                let known = needs.iter().filter_map(|id| ids.get(id.as_str()));
                let edges = known.map(|from| (StepIndex(*from), StepIndex(at), Why::Needs));
                self.edges.extend(edges);
            }
            None => self.by_effect(at, node),
        }
        self.remember(at, node);
    }

    fn edge(&mut self, from: usize, to: usize, why: Why) {
        if from != to && !is_dropped(&why) {
            self.edges.push((StepIndex(from), StepIndex(to), why));
        }
    }

    fn by_data(&mut self, at: usize, step: &Step) {
        for read in step.reads.vars() {
            let read = self.writers.whole(read);
            for (writer, path) in self.writers.meeting(read) {
                self.edge(writer, at, Why::Reads(path));
            }
        }
        if reports_on_everything(step) {
            for from in self.offset..at {
                self.edge(from, at, Why::Reports);
            }
        }
    }

    fn by_alias(&mut self, at: usize, node: &Node) {
        for path in written(node) {
            for (writer, path) in self.writers.meeting_capture(&path) {
                self.edge(writer, at, Why::SameAlias(path));
            }
            for (reader, path) in self.readers.changed_by(&path, &self.writers) {
                self.edge(reader, at, Why::ReadBefore(path));
            }
        }
    }

    fn by_effect(&mut self, at: usize, node: &Node) {
        match node.step().uses.effect() {
            Effect::Pure => {}
            Effect::Read => {
                let mut changes = self.changes.clone();
                changes.retain(|_| !planted::is(Bug::LookUnordered));
                for from in changes {
                    self.edge(from, at, Why::Effect);
                }
                let here = Looks::of(node);
                for from in self.reads_before(&here) {
                    self.edge(from, at, Why::SameConnector(here.to_string()));
                }
            }
            Effect::Write | Effect::Barrier => {
                let reads = self.reads.iter().map(|read| read.at);
                let mut before: Vec<usize> = self.changes.iter().copied().chain(reads).collect();
                before.retain(|_| !planted::is(Bug::ChangeUnordered));
                for from in before {
                    self.edge(from, at, Why::Effect);
                }
            }
        }
    }

    /// The reads that a read on these connectors follows: back to the last one that itself follows all before it.
    fn reads_before(&self, here: &Looks) -> Vec<usize> {
        let mut before = Vec::new();
        let mut reads = self.reads.iter().rev();
        for read in reads.by_ref().filter(|read| read.looks.may_meet(here)) {
            before.push(read.at);
            if read.ordered && read.looks.covers(here) {
                break;
            }
        }
        before
    }

    fn remember(&mut self, at: usize, node: &Node) {
        let step = node.step();
        for path in written(node) {
            self.writers.add(&path, at);
        }
        for path in step.reads.vars() {
            self.readers.add_path(path.to_vec(), at);
        }
        match step.uses.effect() {
            Effect::Pure => {}
            Effect::Read => self.reads.push(Read {
                looks: Looks::of(node),
                at,
                ordered: step.needs.is_none(),
            }),
            Effect::Write | Effect::Barrier => {
                if step.needs.is_none() {
                    self.changes.clear();
                    self.reads.clear();
                }
                self.changes.push(at);
            }
        }
    }
}

/// Whether a planted bug takes this reason to wait for none.
fn is_dropped(why: &Why) -> bool {
    match why {
        Why::Reads(_) => planted::is(Bug::ReadUnordered),
        Why::SameAlias(_) => planted::is(Bug::CaptureUnordered),
        Why::ReadBefore(_) => planted::is(Bug::CaptureBeforeRead),
        _ => false,
    }
}

/// A report that names nothing to show shows what went before.
fn reports_on_everything(step: &Step) -> bool {
    let named = ["items", "checks", "evidence"]
        .iter()
        .any(|input| step.with.contains_key(*input));
    matches!(step.uses.action(), Some(Action::Report(_))) && !named
}
