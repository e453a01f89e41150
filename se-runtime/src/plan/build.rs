//! Nodes and edges put together.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use petgraph::algo::{tarjan_scc, toposort};
use petgraph::graph::DiGraph;
use se_dsl::Checked;
use se_dsl::catalog::{self, Target};
use se_dsl::checked::{Composite, Execution, Job, Uses};
use se_dsl::expr::Template;

use super::{
    Block, Edge, Node, Owner, PlanError, StepIndex, Why, known, known::Known, order, paths,
};
use crate::event::ScenarioRef;

/// Keys of a scenario's input that name the connector it works on.
const TARGET_INPUTS: [&str; 3] = ["target", "device", "node"];

pub(super) fn phase_jobs(package: &Checked, phase: &str) -> Result<Vec<Arc<Job>>, PlanError> {
    let Some(found) = package.phase(phase) else {
        let known = package.phases.iter().map(|it| it.name.clone()).collect();
        return Err(PlanError::UnknownPhase {
            wanted: phase.to_owned(),
            known,
        });
    };
    if found.jobs.is_empty() {
        return Err(PlanError::NothingToRun(phase.to_owned()));
    }
    Ok(found.jobs.clone())
}

/// A single scenario as a job: one of the package's own, or a primitive with the inputs given.
pub(super) fn scenario_job(package: &Checked, scenario: &ScenarioRef) -> Result<Job, PlanError> {
    let id = format!("{}@{}", scenario.name, scenario.version);
    if let Some(job) = package.content.jobs.get(&scenario.name) {
        return Ok(Job::clone(job));
    }
    let Some(primitive) = catalog::find(&scenario.name, &scenario.version) else {
        return Err(PlanError::UnknownScenario(id));
    };
    let bad = |input: &str, reason: String| PlanError::BadInput {
        scenario: id.clone(),
        input: input.to_owned(),
        reason,
    };
    let mut with = IndexMap::new();
    for field in primitive.inputs {
        match scenario.input.get(field.name) {
            Some(value) if field.kind.accepts(value) => {
                with.insert(field.name.to_owned(), Template::Literal(value.clone()));
            }
            Some(value) if !value.is_null() => {
                return Err(bad(
                    field.name,
                    format!("must be {}", field.kind.describe()),
                ));
            }
            _ if field.required => return Err(bad(field.name, "is required".to_owned())),
            _ => {}
        }
    }
    let named = TARGET_INPUTS
        .iter()
        .find_map(|key| scenario.input.get(*key));
    let target = match (primitive.target, named) {
        (Target::Forbidden, _) => None,
        (Target::Required, Some(name)) => Some(Template::Literal(name.clone())),
        (Target::Required, None) => return Err(bad("target", "is required".to_owned())),
    };
    let span = package.phases.first().map(|phase| phase.span);
    let Some(span) = span.or_else(|| package.content.connectors.first().map(|it| it.span)) else {
        return Err(PlanError::NothingToRun(id));
    };
    Ok(Job::of_primitive(primitive, target, with, span))
}

/// The blocks of a plan while it is built: one for each composite and the job that calls it.
struct Blocks<'p> {
    package: &'p Checked,
    sequential: bool,
    known: &'p Known,
    made: BTreeMap<(usize, usize), Arc<Block>>,
    /// Whether one of the loops runs over what `known` says.
    asked: bool,
}

impl Block {
    /// The steps of the jobs of a phase, and whether `known` has had a say in them.
    pub(super) fn of_jobs(
        package: &Checked,
        jobs: Vec<Arc<Job>>,
        sequential: bool,
        known: &Known,
    ) -> Result<(Self, bool), PlanError> {
        let mut blocks = Blocks {
            package,
            sequential,
            known,
            made: BTreeMap::new(),
            asked: false,
        };
        let mut nodes = blocks.of_jobs(jobs)?;
        let edges = order::edges(&nodes, sequential);
        for edge in edges {
            connect(&mut nodes, edge);
        }
        Ok((Self::of(nodes)?, blocks.asked))
    }

    fn of(nodes: Vec<Node>) -> Result<Self, PlanError> {
        let waves = waves(&nodes)?;
        let keys = nodes
            .iter()
            .enumerate()
            .map(|(at, node)| (node.key.clone(), StepIndex(at)))
            .collect();
        let reserved = Arc::new(paths::reserved(&nodes));
        Ok(Self {
            nodes,
            keys,
            waves,
            reserved,
        })
    }
}

impl Blocks<'_> {
    /// One node a step, in document order over all jobs, with unique keys.
    fn of_jobs(&mut self, jobs: Vec<Arc<Job>>) -> Result<Vec<Node>, PlanError> {
        let part = |job: &Job| job.part.map(|at| self.package.part(at).name.as_str());
        let mut uses: BTreeMap<(Option<&str>, &str), usize> = BTreeMap::new();
        for job in &jobs {
            for step in &job.steps {
                *uses.entry((part(job), step.id.as_str())).or_default() += 1;
            }
        }
        let steps = jobs
            .iter()
            .flat_map(|job| job.steps.iter().map(move |step| (job, step)));
        let plain = steps.map(|(job, step)| {
            let (part, id) = (part(job), step.id.as_str());
            let clashes = uses.get(&(part, id)).is_some_and(|count| *count > 1);
            let job = clashes.then_some(job.name.as_str());
            let names: Vec<&str> = part.into_iter().chain(job).chain([id]).collect();
            names.join(".")
        });
        // The same job twice in one phase: count them.
        let mut taken: BTreeMap<String, usize> = BTreeMap::new();
        let keys: Vec<String> = plain
            .map(|plain| {
                let count = taken.entry(plain.clone()).or_default();
                *count += 1;
                match *count {
                    1 => plain,
                    more => format!("{plain}.{more}"),
                }
            })
            .collect();
        let mut keys = keys.into_iter();
        let mut nodes = Vec::new();
        for job in &jobs {
            let owner = Owner::Job(Arc::clone(job));
            for (at, key) in (0..job.steps.len()).zip(keys.by_ref()) {
                nodes.push(self.node(key, &owner, at)?);
            }
        }
        Ok(nodes)
    }

    fn node(&mut self, key: String, owner: &Owner, at: usize) -> Result<Node, PlanError> {
        let mut node = Node {
            key,
            owner: owner.clone(),
            at,
            body: None,
            elements: None,
            predecessors: Vec::new(),
            successors: Vec::new(),
        };
        let each = node.step().for_each.as_deref();
        self.asked |= each.is_some_and(known::decides);
        node.elements = each.and_then(|it| known::elements(node.job(), it, self.known));
        if let Uses::Composite(composite) = &node.step().uses {
            let composite = Arc::clone(composite);
            node.body = Some(self.body(node.job(), &composite)?);
        }
        Ok(node)
    }

    fn body(
        &mut self,
        job: &Arc<Job>,
        composite: &Arc<Composite>,
    ) -> Result<Arc<Block>, PlanError> {
        // Composites are told apart by their address: a part may have one of the same name.
        let id = (Arc::as_ptr(composite).addr(), Arc::as_ptr(job).addr());
        if let Some(made) = self.made.get(&id) {
            return Ok(Arc::clone(made));
        }
        let owner = Owner::Composite(Arc::clone(job), Arc::clone(composite));
        let mut nodes = Vec::new();
        for (at, step) in composite.steps.iter().enumerate() {
            nodes.push(self.node(step.id.to_string(), &owner, at)?);
        }
        let sequential = self.sequential || job.execution == Execution::Sequential;
        for edge in order::within(&nodes, sequential) {
            connect(&mut nodes, edge);
        }
        let block = Arc::new(Block::of(nodes)?);
        self.made.insert(id, Arc::clone(&block));
        Ok(block)
    }
}

/// Adds a reason for one step to wait for another.
fn connect(nodes: &mut [Node], (from, to, why): (StepIndex, StepIndex, Why)) {
    let Some(node) = nodes.get_mut(to.0) else {
        return;
    };
    let at = node.predecessors.partition_point(|edge| edge.from < from);
    match node.predecessors.get_mut(at) {
        Some(edge) if edge.from == from => {
            if !edge.why.contains(&why) {
                edge.why.push(why);
            }
            return;
        }
        _ => node.predecessors.insert(
            at,
            Edge {
                from,
                why: vec![why],
            },
        ),
    }
    if let Some(node) = nodes.get_mut(from.0) {
        let at = node.successors.partition_point(|it| *it < to);
        node.successors.insert(at, to);
    }
}

/// Levels by longest path.
fn waves(nodes: &[Node]) -> Result<Vec<Vec<StepIndex>>, PlanError> {
    let mut graph: DiGraph<usize, ()> = DiGraph::with_capacity(nodes.len(), nodes.len());
    let indices: Vec<_> = (0..nodes.len()).map(|at| graph.add_node(at)).collect();
    for (to, node) in nodes.iter().enumerate() {
        for edge in &node.predecessors {
            if let (Some(from), Some(to)) = (indices.get(edge.from.0), indices.get(to)) {
                graph.add_edge(*from, *to, ());
            }
        }
    }
    let order = toposort(&graph, None).map_err(|_| PlanError::Cycle {
        path: cycle(nodes, &graph),
    })?;
    let mut level = vec![0_usize; nodes.len()];
    let mut waves: Vec<Vec<StepIndex>> = Vec::new();
    for index in order {
        let at = index.index();
        let before = nodes.get(at).map(Node::predecessors).unwrap_or_default();
        let mine = before
            .iter()
            .filter_map(|edge| level.get(edge.from.0))
            .max()
            .map_or(0, |deepest| deepest + 1);
        if let Some(slot) = level.get_mut(at) {
            *slot = mine;
        }
        if waves.len() <= mine {
            waves.resize(mine + 1, Vec::new());
        }
        if let Some(wave) = waves.get_mut(mine) {
            wave.push(StepIndex(at));
        }
    }
    for wave in &mut waves {
        wave.sort_unstable();
    }
    Ok(waves)
}

/// The keys along one cycle, the first repeated at the end.
fn cycle(nodes: &[Node], graph: &DiGraph<usize, ()>) -> Vec<String> {
    let component = tarjan_scc(graph)
        .into_iter()
        .find(|it| it.len() > 1)
        .unwrap_or_default();
    let members: Vec<usize> = component.iter().map(|it| it.index()).collect();
    let key = |at: usize| {
        nodes
            .get(at)
            .map_or_else(String::new, |node| node.key.clone())
    };
    let Some(start) = members.iter().min().copied() else {
        return Vec::new();
    };
    let mut path = vec![start];
    let mut here = start;
    // Inside a strongly connected component every step has a predecessor in it, so this comes round.
    while let Some(before) = nodes.get(here).and_then(|node| {
        node.predecessors
            .iter()
            .map(|edge| edge.from.0)
            .find(|from| members.contains(from))
    }) {
        if let Some(seen) = path.iter().position(|it| *it == before) {
            let mut keys: Vec<String> = path.iter().skip(seen).rev().map(|at| key(*at)).collect();
            keys.extend(keys.first().cloned());
            return keys;
        }
        path.push(before);
        here = before;
    }
    path.into_iter().map(key).collect()
}
