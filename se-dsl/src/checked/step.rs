//! One step: what it uses, on what, and what becomes of its output.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{Composite, Rubric};
use crate::catalog::{Action, Effect, Primitive, Stage, Target};
use crate::expr::{Reads, Template};
use crate::source::Span;

/// A step's name: `^[a-z][a-z0-9_]*$`, unique in its job.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(String);

impl StepId {
    /// Takes a name that fits the grammar.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut chars = text.chars();
        let first = chars.next()?;
        let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        (first.is_ascii_lowercase() && chars.all(rest)).then(|| Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a step uses.
#[derive(Clone, Debug)]
pub enum Uses {
    /// A primitive of the catalogue.
    Primitive(&'static Primitive),
    /// Steps of the package, under one name.
    Composite(Arc<Composite>),
}

impl Uses {
    /// `name@version`, or `composite:name@version`.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Primitive(it) => it.id(),
            Self::Composite(it) => it.id(),
        }
    }

    /// The primitive, if it is one.
    #[must_use]
    pub fn primitive(&self) -> Option<&'static Primitive> {
        match self {
            Self::Primitive(it) => Some(it),
            Self::Composite(_) => None,
        }
    }

    /// The composite, if it is one.
    #[must_use]
    pub fn composite(&self) -> Option<&Arc<Composite>> {
        match self {
            Self::Primitive(_) => None,
            Self::Composite(it) => Some(it),
        }
    }

    /// What `with` may give.
    #[must_use]
    pub fn input_names(&self) -> Vec<&str> {
        match self {
            Self::Primitive(it) => it.inputs.iter().map(|field| field.name).collect(),
            Self::Composite(it) => it.parameters.iter().map(|it| it.name.as_str()).collect(),
        }
    }

    /// What `capture` may take.
    #[must_use]
    pub fn output_names(&self) -> Vec<&str> {
        match self {
            Self::Primitive(it) => it.outputs.iter().map(|field| field.name).collect(),
            Self::Composite(it) => it.export.iter().map(String::as_str).collect(),
        }
    }

    /// Whether it gives an output of that name.
    #[must_use]
    pub fn has_output(&self, name: &str) -> bool {
        self.output_names().contains(&name)
    }

    /// What the engine does for it, if it is a primitive.
    #[must_use]
    pub fn action(&self) -> Option<Action> {
        self.primitive().map(|it| it.action)
    }

    /// What it does to the world.
    #[must_use]
    pub fn effect(&self) -> Effect {
        match self {
            Self::Primitive(it) => it.effect,
            Self::Composite(it) => it.effect,
        }
    }

    /// Whether an attempt that may have happened may be made again after a crash.
    #[must_use]
    pub fn repeatable(&self) -> bool {
        match self {
            Self::Primitive(it) => it.repeatable,
            Self::Composite(it) => it.steps.iter().all(|step| step.uses.repeatable()),
        }
    }

    /// Whether a step that uses it names a connector.
    #[must_use]
    pub fn target(&self) -> Target {
        match self {
            Self::Primitive(it) => it.target,
            Self::Composite(it) => it.target,
        }
    }

    /// The stage of a step that names none.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self {
            Self::Primitive(it) => it.stage,
            Self::Composite(it) => it.stage(),
        }
    }

    /// The longest an attempt may take where the step says nothing; a composite takes as long as its
    /// steps do.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.primitive().map(Primitive::timeout)
    }
}

/// One use of a primitive or composite.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Step {
    /// Its name.
    pub id: StepId,
    /// What it does.
    pub uses: Uses,
    /// Which connector it works on: a name, or an expression that gives one.
    pub target: Option<Template>,
    /// The inputs.
    pub with: IndexMap<String, Template>,
    /// Once for each element of a list.
    pub for_each: Option<Box<ForEach>>,
    /// What of its output becomes a variable.
    pub capture: Vec<Capture>,
    /// Run only if this is neither `false` nor `null`.
    pub when: Option<Template>,
    /// What a failure means.
    pub on_error: OnError,
    /// The longest one attempt may take.
    pub timeout: Option<Duration>,
    /// Which stage of the job it belongs to.
    pub stage: Stage,
    /// Explicit predecessors in place of the ordering by effect.
    pub needs: Option<Vec<StepId>>,
    /// The rubric of an `evaluate.regex@v1` with `ruleset`.
    pub rubric: Option<Arc<Rubric>>,
    /// What it reads: `with`, `when`, `target`, `for_each.in` and every rubric source; without what a loop
    /// binds for itself.
    pub reads: Reads,
    /// Where it is declared.
    pub span: Span,
    /// JSON Pointer of the step in the package: `/jobs/grade/steps/3`.
    pub pointer: String,
}

impl Step {
    /// A step that nobody wrote: it uses a primitive, and all else is as where nothing is said.
    pub(crate) fn of_primitive(
        uses: &'static Primitive,
        id: StepId,
        target: Option<Template>,
        with: IndexMap<String, Template>,
        span: Span,
    ) -> Self {
        let mut reads = Reads::new();
        for template in with.values().chain(&target) {
            reads.extend(&template.reads());
        }
        Self {
            id,
            uses: Uses::Primitive(uses),
            target,
            with,
            for_each: None,
            capture: Vec::new(),
            when: None,
            on_error: OnError::Fail,
            timeout: None,
            stage: uses.stage,
            needs: None,
            rubric: None,
            reads,
            span,
            pointer: String::new(),
        }
    }
}

/// `for_each`: the step runs once for each element of a list.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ForEach {
    /// `vars.<var>` is the element, `vars.<var>_index` its place from 0.
    pub var: String,
    /// The list, or an expression that gives one.
    pub list: Template,
    /// Whether nothing more begins once an element has failed.
    pub stop_on_fail: bool,
    /// Whether elements are taken together, not one after the other.
    pub concurrent: bool,
}

impl ForEach {
    /// The name of the variable that holds the element's place.
    #[must_use]
    pub fn index_var(&self) -> String {
        format!("{}_index", self.var)
    }
}

/// `capture: {<output>: <path>}`: writes `vars.<step>.<path>` and `vars.<path>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// A declared output of what the step uses.
    pub output: String,
    /// Where it goes.
    pub path: CapturePath,
}

/// A dotted path below `vars`; in a loop, parts of it may be the element's name. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CapturePath(Arc<[Segment]>);

/// One name of a [`CapturePath`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// This name.
    Name(Arc<str>),
    /// The name of the loop's element.
    Element,
}

impl CapturePath {
    /// Splits at the dots; `@<var>` is the element of the loop that binds `var`. `None` if a name is empty.
    #[must_use]
    pub fn parse(text: &str, var: Option<&str>) -> Option<Self> {
        let segment = |name: &str| match name.strip_prefix('@') {
            Some(name) if var == Some(name) => Segment::Element,
            _ => Segment::Name(name.into()),
        };
        let parts: Vec<&str> = text.split('.').collect();
        let is_whole = parts.iter().all(|it| !it.is_empty());
        is_whole.then(|| Self(parts.into_iter().map(segment).collect()))
    }

    /// The names, in order; never empty.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Whether each element has a path of its own.
    #[must_use]
    pub fn is_by_element(&self) -> bool {
        self.0.contains(&Segment::Element)
    }

    /// The names, where none depends on an element.
    #[must_use]
    pub fn fixed(&self) -> Option<Vec<String>> {
        (!self.is_by_element()).then(|| self.of("@"))
    }

    /// The names for one element.
    #[must_use]
    pub fn of(&self, element: &str) -> Vec<String> {
        let name = |it: &Segment| match it {
            Segment::Name(name) => (**name).to_owned(),
            Segment::Element => element.to_owned(),
        };
        self.0.iter().map(name).collect()
    }

    /// The path for one element.
    #[must_use]
    pub fn with_element(&self, element: &str) -> Self {
        let name = |it: &Segment| match it {
            Segment::Name(name) => Segment::Name(Arc::clone(name)),
            Segment::Element => Segment::Name(element.into()),
        };
        Self(self.0.iter().map(name).collect())
    }

    /// The same path below a name.
    #[must_use]
    pub fn below(&self, name: &str) -> Self {
        let name = std::iter::once(Segment::Name(name.into()));
        Self(name.chain(self.0.iter().cloned()).collect())
    }

    /// Whether it may be, hold, or lie in what is at `path`.
    #[must_use]
    pub fn may_touch(&self, path: &[String]) -> bool {
        let mut pairs = self.0.iter().zip(path);
        pairs.all(|(own, name)| match own {
            Segment::Name(own) => **own == **name,
            Segment::Element => true,
        })
    }

    /// Whether two captures may meet.
    #[must_use]
    pub fn may_meet(&self, other: &Self) -> bool {
        let mut pairs = self.0.iter().zip(&*other.0);
        pairs.all(|pair| match pair {
            (Segment::Name(a), Segment::Name(b)) => a == b,
            _ => true,
        })
    }
}

impl fmt::Display for CapturePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.0.iter().enumerate() {
            let dot = if at == 0 { "" } else { "." };
            match segment {
                Segment::Name(name) => write!(f, "{dot}{name}")?,
                Segment::Element => write!(f, "{dot}<element>")?,
            }
        }
        Ok(())
    }
}

/// What a failed attempt means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// The job fails.
    #[default]
    Fail,
    /// The step keeps its error, its captures stay null, the job goes on.
    Continue,
    /// Tried again, `retries` times, then the job fails.
    Retry {
        /// Attempts after the first.
        retries: u32,
        /// Wait before the first of them; doubles each time, with jitter, up to 5 minutes.
        backoff: Duration,
    },
}
