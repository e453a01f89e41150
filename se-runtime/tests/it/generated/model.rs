//! A package as plain data: what the generator makes, the printer writes, and the laws reckon with.

use std::time::Duration;

use se_dsl::catalog::{Effect, Kind, Stage};
use se_dsl::checked::{CheckMode, ConnectorClass, OnError, ProcessType, ReportClass, Transport};
use se_dsl::expr::Root;
use serde_json::Value;

/// A whole package.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    pub(crate) manifest: Manifest,
    /// What lies in the package itself.
    pub(crate) place: Place,
    /// In the order in which they are taken.
    pub(crate) parts: Vec<Part>,
    pub(crate) phases: Vec<Phase>,
}

#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) form: Form,
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) version: String,
    /// `none`, in whatever case.
    pub(crate) pod_type: &'static str,
}

/// The shapes of manifests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Seed,
    Flat,
    Lablet,
    /// The only one that has parts.
    Session,
}

/// Documents that lie beside each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    pub(crate) connectors: Vec<Connector>,
    pub(crate) composites: Vec<Composite>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) rubrics: Vec<Rubric>,
    pub(crate) reports: Vec<Report>,
    pub(crate) scenarios: Vec<Scenario>,
}

#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) folder: String,
    pub(crate) name: String,
    pub(crate) order: u64,
    pub(crate) from_submission: bool,
    pub(crate) place: Place,
}

#[derive(Clone, Debug)]
pub(crate) struct Phase {
    pub(crate) name: String,
    pub(crate) jobs: Vec<JobRef>,
}

/// A job of a phase, and what the phase gives to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct JobRef {
    /// `name@version`.
    pub(crate) definition: String,
    pub(crate) process_type: Option<ProcessType>,
    pub(crate) rubric: Option<String>,
    pub(crate) report: Option<String>,
    pub(crate) scenario: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Connector {
    pub(crate) name: String,
    pub(crate) class: ConnectorClass,
    pub(crate) transport: Transport,
    pub(crate) timeout: Option<f64>,
    /// Keys that ask the pod, each with the device's fact that it asks for.
    pub(crate) facts: Vec<(&'static str, &'static str)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) process_type: Option<ProcessType>,
    pub(crate) sequential: bool,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(crate) struct Composite {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) export: Vec<String>,
    pub(crate) steps: Vec<Step>,
    /// How deep calls are nested below a call of it, itself counted.
    pub(crate) depth: usize,
    pub(crate) effect: Effect,
    /// Whether a step of it works on the connector of the call.
    pub(crate) inherits: bool,
    /// Exports that say why something failed, in words that are no part of any law.
    pub(crate) opaque: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) required: bool,
    pub(crate) default: Option<Value>,
    pub(crate) choices: Vec<Value>,
}

#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) id: String,
    pub(crate) uses: Uses,
    pub(crate) target: Option<Input>,
    pub(crate) with: Vec<(String, Input)>,
    pub(crate) each: Option<Each>,
    pub(crate) capture: Vec<Capture>,
    pub(crate) when: Option<Expr>,
    pub(crate) on_error: OnError,
    pub(crate) timeout: Option<Duration>,
    pub(crate) stage: Option<Stage>,
    pub(crate) needs: Option<Vec<String>>,
}

/// What a step uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Uses {
    Pause,
    /// By this name, of which there are several.
    Exec(&'static str),
    Collect(&'static str),
    /// One pattern on one text.
    Regex,
    /// A rubric: the one of this name, or the one that the phase gives.
    Judge(Option<String>),
    Report(ReportClass),
    /// A composite.
    Call {
        name: String,
        version: String,
        effect: Effect,
        inherits: bool,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Each {
    pub(crate) var: String,
    pub(crate) list: Input,
    pub(crate) stop_on_fail: bool,
    pub(crate) concurrent: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Capture {
    pub(crate) output: String,
    /// The name `@` stands for the loop's element.
    pub(crate) path: Vec<String>,
    /// Written the wrong way round.
    pub(crate) reversed: bool,
}

/// The element of a loop, in a captured path.
pub(crate) const ELEMENT: &str = "@";

/// A value with expressions in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Input {
    Literal(Value),
    /// A text that is wholly one expression.
    Expr(Expr),
    /// A text with expressions in it.
    Text(Vec<Piece>),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece {
    Plain(String),
    Expr(Expr),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    /// `vars.a.b`
    Read(Root, Vec<String>),
    /// `vars.a.b | not`
    Not(Root, Vec<String>),
    /// `vars.a.b == "x"`
    Equals(Root, Vec<String>, Value),
    /// `vars | has("a")`: it reads all of `vars`.
    Has(String),
    /// The names in `vars` in their order, as one text: it reads all of `vars`.
    Names,
    /// `@dev.name`
    Element(String, Vec<String>),
    /// `[range(3)]`
    Range(u64),
}

#[derive(Clone, Debug)]
pub(crate) struct Rubric {
    /// The file's name, and `metadata.name` where that says something else.
    pub(crate) name: String,
    pub(crate) title: Option<String>,
    pub(crate) domain: Option<String>,
    pub(crate) items: Vec<Item>,
}

#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) id: Value,
    /// In hundredths.
    pub(crate) points: u32,
    pub(crate) description: String,
    pub(crate) checks: Vec<Check>,
}

#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) source: Vec<String>,
    pub(crate) pattern: &'static str,
    /// As written, long names or letters.
    pub(crate) flags: Option<Vec<&'static str>>,
    pub(crate) mode: Option<CheckMode>,
    pub(crate) on_fail: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) name: String,
    pub(crate) process_type: ProcessType,
    pub(crate) include: Vec<(&'static str, Vec<&'static str>)>,
    pub(crate) by_part: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) devices: Option<Vec<String>>,
    /// Device, command, path.
    pub(crate) collect: Vec<(String, String, Vec<String>)>,
}

impl Uses {
    /// As a step writes it.
    pub(crate) fn id(&self) -> String {
        match self {
            Self::Pause => "pause@v1".to_owned(),
            Self::Exec(name) | Self::Collect(name) => format!("{name}@v1"),
            Self::Regex | Self::Judge(_) => "evaluate.regex@v1".to_owned(),
            Self::Report(class) => format!("report.{}@v1", word(*class)),
            Self::Call { name, version, .. } => format!("composite:{name}@{version}"),
        }
    }

    /// What it does to the world, as section 4 of the language has it.
    pub(crate) fn effect(&self) -> Effect {
        match self {
            Self::Pause => Effect::Barrier,
            Self::Exec(_) => Effect::Write,
            Self::Collect(_) => Effect::Read,
            Self::Regex | Self::Judge(_) | Self::Report(_) => Effect::Pure,
            Self::Call { effect, .. } => *effect,
        }
    }

    /// Whether a step that uses it works on a connector.
    pub(crate) fn wants_target(&self) -> bool {
        match self {
            Self::Exec(_) | Self::Collect(_) => true,
            Self::Call { inherits, .. } => *inherits,
            Self::Pause | Self::Regex | Self::Judge(_) | Self::Report(_) => false,
        }
    }
}

fn word(class: ReportClass) -> &'static str {
    match class {
        ReportClass::ScoreReport => "score",
        ReportClass::ReadinessReport => "readiness",
        ReportClass::ChangeReport => "change",
        ReportClass::SubmissionReport => "submission",
        ReportClass::ArchiveReport => "archive",
    }
}

impl Package {
    /// The package's own documents, then those of each part.
    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        std::iter::once(&self.place).chain(self.parts.iter().map(|it| &it.place))
    }

    /// What a part sees of its own, or the package.
    pub(crate) fn place_of(&self, part: Option<usize>) -> &Place {
        part.map_or(&self.place, |at| &self.parts[at].place)
    }

    /// The composite of that name as a part sees it.
    pub(crate) fn composite(&self, part: Option<usize>, name: &str) -> &Composite {
        let own = self.place_of(part).composites.iter();
        let mut all = own.chain(&self.place.composites);
        all.find(|it| it.name == name)
            .expect("steps call composites that there are")
    }
}

impl Expr {
    /// What it reads: a root, and a path below it.
    pub(crate) fn reads(&self) -> Option<(Root, Vec<String>)> {
        match self {
            Self::Read(root, path) | Self::Not(root, path) | Self::Equals(root, path, _) => {
                Some((*root, path.clone()))
            }
            Self::Has(_) | Self::Names => Some((Root::Vars, Vec::new())),
            Self::Element(var, path) => {
                let path = std::iter::once(var).chain(path);
                Some((Root::Vars, path.cloned().collect()))
            }
            Self::Range(_) => None,
        }
    }
}

impl Input {
    /// Every expression in it.
    pub(crate) fn exprs(&self) -> Vec<&Expr> {
        match self {
            Self::Literal(_) => Vec::new(),
            Self::Expr(expr) => vec![expr],
            Self::Text(pieces) => {
                let exprs = pieces.iter().map(|it| match it {
                    Piece::Plain(_) => None,
                    Piece::Expr(expr) => Some(expr),
                });
                exprs.flatten().collect()
            }
            Self::List(items) => items.iter().flat_map(Self::exprs).collect(),
            Self::Map(entries) => entries.iter().flat_map(|(_, it)| it.exprs()).collect(),
        }
    }
}

impl Step {
    /// What its expressions read, without what its loop binds.
    pub(crate) fn reads(&self) -> Vec<(Root, Vec<String>)> {
        let inputs = self.with.iter().map(|(_, it)| it).chain(&self.target);
        let own = inputs.flat_map(Input::exprs).chain(&self.when);
        let own = own.filter_map(Expr::reads).filter(|it| !self.binds(it));
        let list = self.each.iter().flat_map(|it| it.list.exprs());
        own.chain(list.filter_map(Expr::reads)).collect()
    }

    /// Whether its loop binds a path.
    pub(crate) fn binds(&self, (root, path): &(Root, Vec<String>)) -> bool {
        let var = self.each.as_ref().map(|it| it.var.as_str());
        let (Root::Vars, Some(first), Some(var)) = (root, path.first(), var) else {
            return false;
        };
        first == var || first.strip_suffix("_index") == Some(var)
    }
}

/// What captures call an element: its text, or its `name` or `id`.
pub(crate) fn name_of(element: &Value) -> String {
    let is_name = |it: &&Value| it.is_string() || it.is_number();
    let mut fields = ["name", "id"].iter().filter_map(|key| element.get(key));
    match fields.find(is_name).unwrap_or(element) {
        Value::String(name) => name.clone(),
        other => other.to_string(),
    }
}
