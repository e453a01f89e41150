//! A plan: the steps of a job in document order, and what each of them waits for.

mod build;
mod connectors;
mod known;
mod order;
mod paths;
mod shared;
mod show;
mod svg;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use se_dsl::Checked;
use se_dsl::checked::{Composite, Execution, Job, Step};
use serde_json::Value;

use known::Known;
pub use shared::Plans;

use crate::event::Accepted;

/// A step of a [`Plan`]: its place in document order, over all jobs of the phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepIndex(pub(crate) usize);

impl StepIndex {
    /// Of a run's key, the step of the plan that it belongs to: of `bounce[2]` and `prepare/copy` it is
    /// `bounce` and `prepare`.
    #[must_use]
    pub fn outermost(key: &str) -> &str {
        // Names of parts and jobs before the last dot may hold anything.
        let id = key.rfind('.').map_or(0, |at| at + 1);
        let end = key.get(id..).and_then(|it| it.find(['[', '/', '#']));
        end.and_then(|end| key.get(..id + end)).unwrap_or(key)
    }
}

/// The immutable DAG of one job.
///
/// Built from checked content only; building it again from the same content gives the same plan, which
/// is what lets a job go on after a crash.
#[derive(Clone, Debug)]
pub struct Plan {
    package: Arc<Checked>,
    block: Arc<Block>,
    sequential: bool,
    /// Whether it holds for this job alone: what it was taken in with decides what its loops run over.
    is_own: bool,
}

/// Steps that are ordered among each other: those of a phase, or those of a composite.
#[derive(Clone, Debug)]
pub struct Block {
    nodes: Vec<Node>,
    /// Step key → index.
    keys: BTreeMap<String, StepIndex>,
    waves: Vec<Vec<StepIndex>>,
    /// Names below `vars` that stand for something whatever a loop's elements are called: an element
    /// of such a name is refused.
    reserved: Arc<BTreeSet<String>>,
}

/// One step with its neighbours.
#[derive(Clone, Debug)]
pub struct Node {
    /// The step's id; `<part>.<id>` where the session has parts, `<job>.<id>` where a phase runs several jobs
    /// and ids clash.
    pub key: String,
    owner: Owner,
    at: usize,
    /// The steps of the composite that it calls.
    body: Option<Arc<Block>>,
    /// The elements of its loop, where they are known before it runs.
    elements: Option<Vec<Value>>,
    predecessors: Vec<Edge>,
    successors: Vec<StepIndex>,
}

/// Whose step a node is.
#[derive(Clone, Debug)]
enum Owner {
    /// A step of this job.
    Job(Arc<Job>),
    /// A step of this composite, called by this job.
    Composite(Arc<Job>, Arc<Composite>),
}

/// One predecessor and every reason for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The step that must have ended.
    pub from: StepIndex,
    /// Why; at least one.
    pub why: Vec<Why>,
}

/// Why a step waits for another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// It reads what the other captures.
    Reads(String),
    /// Both capture the same name.
    SameAlias(String),
    /// The other reads what this captures later.
    ReadBefore(String),
    /// One of the two changes the pod.
    Effect,
    /// Both look at the same connector.
    SameConnector(String),
    /// It says so (`needs`).
    Needs,
    /// A report shows what went before.
    Reports,
    /// Its job comes later in the phase.
    JobOrder,
    /// The job is sequential.
    Sequential,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reads(path) => write!(f, "reads vars.{path}"),
            Self::SameAlias(path) => write!(f, "captures vars.{path} too"),
            Self::ReadBefore(path) => write!(f, "vars.{path} is read before it is written here"),
            Self::Effect => f.write_str("keeps the order of changes"),
            Self::SameConnector(name) => write!(f, "same connector {name}"),
            Self::Needs => f.write_str("needs it"),
            Self::Reports => f.write_str("reports on it"),
            Self::JobOrder => f.write_str("its job comes later"),
            Self::Sequential => f.write_str("the job is sequential"),
        }
    }
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The content has no phase of that name.
    #[error("no phase `{wanted}`; this content has: {}", known.join(", "))]
    UnknownPhase {
        /// The name asked for.
        wanted: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The content has no job of that name.
    #[error("no job `{wanted}`; this content has: {}", known.join(", "))]
    UnknownJob {
        /// The name asked for.
        wanted: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The catalogue has no such scenario.
    #[error("no scenario `{0}`; GET /api/v1/scenarios lists them")]
    UnknownScenario(String),
    /// The inputs of a single scenario do not fit.
    #[error("scenario `{scenario}`: input `{input}`: {reason}")]
    BadInput {
        /// `name@version`.
        scenario: String,
        /// The input at fault.
        input: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The phase has no jobs: it is the caller's alone.
    #[error("phase `{0}` has no jobs: there is nothing to run here")]
    NothingToRun(String),
    /// `needs` contradicts the order that the data asks for.
    #[error("the steps wait for each other: {}", path.join(" → "))]
    Cycle {
        /// Keys of the steps along the cycle; the first is repeated at the end.
        path: Vec<String>,
    },
}

impl Plan {
    /// The plan of a job that was taken in.
    ///
    /// # Errors
    /// [`PlanError`] if the content has no such phase or scenario, or its steps wait for each other.
    pub fn build(package: Arc<Checked>, accepted: &Accepted) -> Result<Self, PlanError> {
        let jobs = match (&accepted.phase, &accepted.scenario) {
            (_, Some(scenario)) => vec![Arc::new(build::scenario_job(&package, scenario)?)],
            (Some(phase), None) => build::phase_jobs(&package, phase)?,
            (None, None) => return Err(PlanError::NothingToRun(String::new())),
        };
        let known = Known::new(&package, &accepted.scopes);
        Self::of_jobs(package, jobs, accepted.sequential, &known)
    }

    /// The plan of a phase.
    ///
    /// # Errors
    /// As [`Self::build`].
    pub fn of_phase(package: Arc<Checked>, phase: &str) -> Result<Self, PlanError> {
        let jobs = build::phase_jobs(&package, phase)?;
        Self::of_jobs(package, jobs, false, &Known::default())
    }

    /// The plan of one of the package's own jobs.
    ///
    /// # Errors
    /// As [`Self::build`].
    pub fn of_job(package: Arc<Checked>, job: &str) -> Result<Self, PlanError> {
        let name = job.split('@').next().unwrap_or(job);
        let Some(found) = package.content.jobs.get(name) else {
            let known = package.content.jobs.keys().cloned().collect();
            return Err(PlanError::UnknownJob {
                wanted: job.to_owned(),
                known,
            });
        };
        let jobs = vec![Arc::clone(found)];
        Self::of_jobs(package, jobs, false, &Known::default())
    }

    fn of_jobs(
        package: Arc<Checked>,
        jobs: Vec<Arc<Job>>,
        sequential: bool,
        known: &Known,
    ) -> Result<Self, PlanError> {
        let (block, is_own) = Block::of_jobs(&package, jobs, sequential, known)?;
        Ok(Self {
            package,
            block: Arc::new(block),
            sequential,
            is_own,
        })
    }

    /// The content it was built from.
    #[must_use]
    pub fn package(&self) -> &Arc<Checked> {
        &self.package
    }

    /// How many steps it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.block.nodes.len()
    }

    /// Whether it has no steps; a plan that was built has at least one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.block.nodes.is_empty()
    }

    /// Every step in document order; those inside composites are in [`Node::body`].
    pub fn steps(&self) -> impl Iterator<Item = (StepIndex, &Node)> {
        self.block.steps()
    }

    /// One step.
    ///
    /// # Panics
    /// If the index is of another plan.
    #[must_use]
    pub fn node(&self, step: StepIndex) -> &Node {
        self.block.node(step)
    }

    /// The step of that key.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<StepIndex> {
        self.block.keys.get(key).copied()
    }

    /// Steps that could run together if every step took the same time, wave by wave.
    #[must_use]
    pub fn waves(&self) -> &[Vec<StepIndex>] {
        self.block.waves()
    }

    /// The steps of the phase.
    #[must_use]
    pub fn block(&self) -> &Arc<Block> {
        &self.block
    }

    /// Whether the elements of this step's loop are taken together.
    #[must_use]
    pub fn takes_together(&self, node: &Node) -> bool {
        let sequential = self.sequential || node.job().execution == Execution::Sequential;
        let loops = node.step().for_each.as_ref();
        !sequential && loops.is_some_and(|it| it.concurrent)
    }
}

impl Block {
    /// Every step in document order.
    pub fn steps(&self) -> impl Iterator<Item = (StepIndex, &Node)> {
        self.nodes
            .iter()
            .enumerate()
            .map(|(at, node)| (StepIndex(at), node))
    }

    /// One step.
    ///
    /// # Panics
    /// If the index is of another block.
    #[must_use]
    pub fn node(&self, step: StepIndex) -> &Node {
        self.nodes
            .get(step.0)
            .expect("an index is used with the plan it came from")
    }

    /// How many steps it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether it has no steps; one that was built has at least one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Steps that could run together, wave by wave.
    #[must_use]
    pub fn waves(&self) -> &[Vec<StepIndex>] {
        &self.waves
    }

    /// Whether no element of a loop may be called so, for it would stand for something else.
    pub(crate) fn is_reserved(&self, name: &str) -> bool {
        self.reserved.contains(name)
    }
}

impl Node {
    /// The step as the content has it.
    ///
    /// # Panics
    /// Never: nodes are made from the steps of their owner.
    #[must_use]
    pub fn step(&self) -> &Step {
        let steps = match &self.owner {
            Owner::Job(job) => &job.steps,
            Owner::Composite(_, composite) => &composite.steps,
        };
        steps
            .get(self.at)
            .expect("a node is made from a step of its owner")
    }

    /// The job it belongs to.
    #[must_use]
    pub fn job(&self) -> &Arc<Job> {
        match &self.owner {
            Owner::Job(job) | Owner::Composite(job, _) => job,
        }
    }

    /// The steps of the composite that it calls.
    #[must_use]
    pub fn body(&self) -> Option<&Arc<Block>> {
        self.body.as_ref()
    }

    /// What it waits for, in document order.
    #[must_use]
    pub fn predecessors(&self) -> &[Edge] {
        &self.predecessors
    }

    /// What waits for it, in document order.
    #[must_use]
    pub fn successors(&self) -> &[StepIndex] {
        &self.successors
    }
}
