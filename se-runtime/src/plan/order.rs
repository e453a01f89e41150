//! The ordering rules: a DAG whose results equal those of the run in document order.

use std::collections::{BTreeMap, BTreeSet};

use se_dsl::catalog::{Action, Effect};
use se_dsl::checked::{Execution, Step};

use super::{Node, StepIndex, Why};

type EdgeSpec = (StepIndex, StepIndex, Why);
/// Path below `vars` → the steps that use it.
type Uses = BTreeMap<Vec<String>, Vec<usize>>;

/// Every reason for a step to wait for another.
pub(super) fn edges(nodes: &[Node], sequential: bool) -> Vec<EdgeSpec> {
    let mut edges = Vec::new();
    let mut start = 0;
    let mut before: Option<std::ops::Range<usize>> = None;
    while let Some(first) = nodes.get(start) {
        let length = first.job.steps.len();
        let range = start..start + length;
        let of_job = nodes.get(range.clone()).unwrap_or_default();
        let own = if sequential || first.job.execution == Execution::Sequential {
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
    let mut rules = Rules {
        offset,
        ..Rules::default()
    };
    let ids: BTreeMap<&str, usize> = nodes
        .iter()
        .enumerate()
        .map(|(at, node)| (node.step().id.as_str(), offset + at))
        .collect();
    for (at, node) in nodes.iter().enumerate() {
        rules.add(offset + at, node.step(), &ids);
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
    /// What it looks at; `None` if only the run can tell: then it may be any connector.
    connector: Option<String>,
    at: usize,
    /// Whether it follows all earlier reads that it might meet.
    ordered: bool,
}

impl Rules {
    fn add(&mut self, at: usize, step: &Step, ids: &BTreeMap<&str, usize>) {
        self.by_data(at, step);
        self.by_alias(at, step);
        match &step.needs {
            Some(needs) => {
                let known = needs.iter().filter_map(|id| ids.get(id.as_str()));
                let edges = known.map(|from| (StepIndex(*from), StepIndex(at), Why::Needs));
                self.edges.extend(edges);
            }
            None => self.by_effect(at, step),
        }
        self.remember(at, step);
    }

    fn edge(&mut self, from: usize, to: usize, why: Why) {
        if from != to {
            self.edges.push((StepIndex(from), StepIndex(to), why));
        }
    }

    fn by_data(&mut self, at: usize, step: &Step) {
        for read in step.reads.vars() {
            let read = captured_whole(&self.writers, read);
            for (writer, path) in overlapping(&self.writers, read) {
                self.edges
                    .push((StepIndex(writer), StepIndex(at), Why::Reads(path)));
            }
        }
        if reports_on_everything(step) {
            for from in self.offset..at {
                self.edge(from, at, Why::Reports);
            }
        }
    }

    fn by_alias(&mut self, at: usize, step: &Step) {
        for capture in &step.capture {
            for (writer, path) in overlapping(&self.writers, &capture.path) {
                self.edges
                    .push((StepIndex(writer), StepIndex(at), Why::SameAlias(path)));
            }
        }
        for path in written(step) {
            let path = captured_whole(&self.writers, &path);
            for (reader, path) in overlapping(&self.readers, path) {
                self.edge(reader, at, Why::ReadBefore(path));
            }
        }
    }

    fn by_effect(&mut self, at: usize, step: &Step) {
        match step.uses.effect {
            Effect::Pure => {}
            Effect::Read => {
                for from in self.changes.clone() {
                    self.edge(from, at, Why::Effect);
                }
                let here = connector(step);
                let before = self.reads_before(here.as_deref());
                let name = here.unwrap_or_else(|| "(decided when it runs)".to_owned());
                for from in before {
                    self.edge(from, at, Why::SameConnector(name.clone()));
                }
            }
            Effect::Write | Effect::Barrier => {
                let reads = self.reads.iter().map(|read| read.at);
                let before: Vec<usize> = self.changes.iter().copied().chain(reads).collect();
                for from in before {
                    self.edge(from, at, Why::Effect);
                }
            }
        }
    }

    /// The reads that a read on this connector follows: back to the last one that itself follows all before it.
    fn reads_before(&self, here: Option<&str>) -> Vec<usize> {
        let mut before = Vec::new();
        let meets = |read: &&Read| {
            let there = read.connector.as_deref();
            here.is_none() || there.is_none() || here == there
        };
        for read in self.reads.iter().rev().filter(meets) {
            before.push(read.at);
            if here.is_some() && read.ordered {
                break;
            }
        }
        before
    }

    fn remember(&mut self, at: usize, step: &Step) {
        for path in written(step) {
            self.writers.entry(path).or_default().push(at);
        }
        for path in step.reads.vars() {
            self.readers.entry(path.to_vec()).or_default().push(at);
        }
        match step.uses.effect {
            Effect::Pure => {}
            Effect::Read => self.reads.push(Read {
                connector: connector(step),
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

/// The paths below `vars` that a step may write: its captures, under its id too, and its error.
fn written(step: &Step) -> Vec<Vec<String>> {
    let id = step.id.as_str().to_owned();
    let mut paths = vec![vec![id.clone(), "error".to_owned()]];
    for capture in &step.capture {
        paths.push(capture.path.clone());
        paths.push(
            std::iter::once(id.clone())
                .chain(capture.path.iter().cloned())
                .collect(),
        );
    }
    paths
}

/// The uses of a path, of a part of it, or of something it is a part of.
fn overlapping(uses: &Uses, path: &[String]) -> Vec<(usize, String)> {
    let above = (0..path.len()).filter_map(|length| uses.get_key_value(path.get(..length)?));
    let below = uses
        .range(path.to_vec()..)
        .take_while(|(it, _)| it.starts_with(path));
    above
        .chain(below)
        .flat_map(|(path, steps)| steps.iter().map(|step| (*step, path.join("."))))
        .collect()
}

/// What a write below `path` may change: `path`, or the whole that is captured above it.
///
/// `vars.a` may hold a number until `vars.a.c` is captured and makes it an object: `vars.a.b` fails
/// before and is null after that.
fn captured_whole<'a>(writers: &Uses, path: &'a [String]) -> &'a [String] {
    (1..path.len())
        .filter_map(|length| path.get(..length))
        .find(|above| writers.contains_key(*above))
        .unwrap_or(path)
}

/// The connector a read looks at; `None` if only the run can tell. Lab reads share one name.
fn connector(step: &Step) -> Option<String> {
    match &step.target {
        Some(target) => target.literal()?.as_str().map(str::to_owned),
        None => Some("(lab)".to_owned()),
    }
}

/// A report that names nothing to show shows what went before.
fn reports_on_everything(step: &Step) -> bool {
    let named = ["items", "checks", "evidence"]
        .iter()
        .any(|input| step.with.contains_key(*input));
    matches!(step.uses.action, Action::Report(_)) && !named
}
