//! `lifecycle.yaml`: phases and the jobs each runs.

use std::collections::BTreeMap;

use super::envelope::{self, DocumentKind, NAMED};
use super::pod_type::POD_TYPES;
use crate::checked::{PodType, ProcessType};
use crate::decode::shape::{Shape, Value, optional, required, words};
use crate::decode::{Fields, Sink, list, name, texts, unique, word};
use crate::diagnostic::Severity;
use crate::diagnostic::codes::document;
use crate::source::{FileId, Span, Spanned};
use crate::syntax::{self, Kind, Node};

pub(crate) struct LifecycleDoc {
    pub(crate) phases: Vec<PhaseDoc>,
    /// Whether every phase and every job of one could be read.
    pub(crate) is_whole: bool,
}

pub(crate) struct PhaseDoc {
    pub(crate) name: Spanned<String>,
    pub(crate) native_steps: BTreeMap<String, Vec<String>>,
    pub(crate) jobs: Vec<JobRef>,
    /// Whether every one of them could be read.
    pub(crate) is_whole: bool,
    pub(crate) span: Span,
}

/// `{definition: name@version, process_type?, rubric?, report?, scenario?}`.
pub(crate) struct JobRef {
    pub(crate) definition: Spanned<String>,
    pub(crate) process_type: Option<ProcessType>,
    pub(crate) rubric: Option<Spanned<String>>,
    pub(crate) report: Option<Spanned<String>>,
    pub(crate) scenario: Option<Spanned<String>>,
    pub(crate) span: Span,
}

/// The words for process types.
pub(super) const PROCESS_TYPES: [(&str, ProcessType); 5] = [
    ("Initialization", ProcessType::Initialization),
    ("Grading", ProcessType::Grading),
    ("Change", ProcessType::Change),
    ("Submission", ProcessType::Submission),
    ("Archive", ProcessType::Archive),
];

pub(super) static KIND: DocumentKind = DocumentKind {
    kind: "Lifecycle",
    doc: "The phases of a session and the jobs that each runs. PAv1/lifecycle.yaml.",
    metadata: &NAMED,
    spec: &SPEC,
};

static SPEC: Shape = Shape::new(
    "the lifecycle's spec",
    "The phases, of the session or of each of its parts.",
    &[
        optional(
            "session_phases",
            Value::List(&Value::Text),
            "Phases of the session around its parts; the caller's.",
        ),
        optional(
            "phases",
            Value::Items(&Value::Shape(&PHASE)),
            "The phases of a session, in order.",
        ),
        optional(
            "part_workflow",
            Value::Items(&Value::Shape(&PHASE)),
            "The phases that each part of a session goes through, in order.",
        ),
    ],
)
.one_of(&["phases", "part_workflow"]);

static PHASE: Shape = Shape::new(
    "a phase",
    "A phase and the jobs it runs.",
    &[
        required("name", Value::Text, "The phase's name, unique."),
        optional(
            "native_steps_by_pod_type",
            Value::ByWord(&POD_TYPES, &Value::List(&Value::Text)),
            "Steps that the caller runs itself, by pod type; shown in the plan, never run here.",
        ),
        optional(
            "jobs",
            Value::List(&Value::Shape(&JOB_REF)),
            "The jobs, in order.",
        ),
    ],
);

static JOB_REF: Shape = Shape::new(
    "a job of a phase",
    "A job that a phase runs, and what the phase gives to it.",
    &[
        required(
            "definition",
            Value::Name("^[^@]+@[^@]+$"),
            "The job as name@version: of PAv1/jobs, built in, or a primitive.",
        ),
        optional(
            "process_type",
            Value::Words(&words(&PROCESS_TYPES)),
            "What the job is for; default: what its definition says.",
        ),
        optional(
            "rubric",
            Value::Text,
            "The rubric to judge by: a file's name below grading, without its ending.",
        ),
        optional(
            "report",
            Value::Text,
            "What the report shows: a file's name below reports, without its ending.",
        ),
        optional(
            "scenario",
            Value::Text,
            "What to collect: a file's name below scenarios, without its ending.",
        ),
    ],
);

pub(super) fn read(
    sink: &Sink<'_>,
    file: Option<FileId>,
    manifest: Option<FileId>,
) -> Option<LifecycleDoc> {
    let Some(file) = file else {
        if let Some(manifest) = manifest {
            sink.push(document::no_lifecycle(Span::file(manifest)));
        }
        return None;
    };
    decode(sink, &syntax::read(sink, file)?)
}

pub(super) fn decode(sink: &Sink<'_>, node: &Node) -> Option<LifecycleDoc> {
    if let Some(span) = legacy(node) {
        let what = "the legacy dialect (`document`, `do`)";
        let help =
            "write the phases as `spec.phases` of a Lifecycle, and their steps as JobDefinitions";
        sink.push(document::not_supported(span, what, Severity::Error, help));
        return None;
    }
    let envelope = envelope::open(sink, node, &[&KIND])?;
    let fields = Fields::open(sink, envelope.spec, &SPEC)?;
    if let Some(phases) = fields.get("session_phases") {
        texts(sink, phases, "session_phases");
    }
    let of_session = fields.get("phases");
    let of_parts = fields.get("part_workflow");
    fields.close();
    let node = of_session.or(of_parts)?;
    let items = list(sink, node, "phases")?;
    if items.is_empty() {
        let found = document::nothing_in_it(node.span, "the lifecycle", "phase");
        sink.push(found);
    }
    let phases: Vec<PhaseDoc> = items.iter().filter_map(|item| phase(sink, item)).collect();
    unique(sink, "phase", phases.iter().map(|phase| &phase.name));
    let is_whole = phases.len() == items.len() && phases.iter().all(|phase| phase.is_whole);
    Some(LifecycleDoc { phases, is_whole })
}

/// Where a document of the legacy dialect shows that it is one.
pub(super) fn legacy(node: &Node) -> Option<Span> {
    let Kind::Map(map) = &node.kind else {
        return None;
    };
    let entry = map.get("document").or_else(|| map.get("do"))?;
    Some(entry.key_span)
}

fn phase(sink: &Sink<'_>, node: &Node) -> Option<PhaseDoc> {
    let fields = Fields::open(sink, node, &PHASE)?;
    let name = fields
        .get("name")
        .and_then(|node| name(sink, node, "a phase's name"));
    let native_steps = fields.get("native_steps_by_pod_type");
    let node_of_jobs = fields.get("jobs");
    let items = node_of_jobs.map_or(Some(&[][..]), |node| list(sink, node, "jobs"));
    fields.close();
    let jobs = items.unwrap_or_default().iter();
    let jobs: Vec<JobRef> = jobs.filter_map(|item| job_ref(sink, item)).collect();
    Some(PhaseDoc {
        native_steps: native_steps
            .map(|node| native(sink, node))
            .unwrap_or_default(),
        is_whole: items.is_some_and(|items| items.len() == jobs.len()),
        jobs,
        name: name?,
        span: node.span,
    })
}

fn native(sink: &Sink<'_>, node: &Node) -> BTreeMap<String, Vec<String>> {
    let mut steps = BTreeMap::new();
    let Kind::Map(map) = &node.kind else {
        let found = node.kind.describe();
        let what = "native_steps_by_pod_type";
        sink.push(document::wrong_type(node.span, what, "a mapping", found));
        return steps;
    };
    for (key, entry) in map.iter() {
        let Some(pod_type) = PodType::parse(key) else {
            let words = PodType::ALL.map(PodType::as_str);
            sink.push(document::not_one_of(
                entry.key_span,
                "a pod type",
                key,
                &words,
            ));
            continue;
        };
        let names = texts(sink, &entry.value, "native steps").unwrap_or_default();
        let names = names.into_iter().map(|name| name.value).collect();
        steps.insert(pod_type.as_str().to_owned(), names);
    }
    steps
}

fn job_ref(sink: &Sink<'_>, node: &Node) -> Option<JobRef> {
    let fields = Fields::open(sink, node, &JOB_REF)?;
    let definition = fields.get("definition");
    let definition = definition.and_then(|node| name(sink, node, "definition"));
    let process_type = fields.get("process_type");
    let rubric = fields
        .get("rubric")
        .and_then(|node| name(sink, node, "rubric"));
    let report = fields
        .get("report")
        .and_then(|node| name(sink, node, "report"));
    let scenario = fields
        .get("scenario")
        .and_then(|node| name(sink, node, "scenario"));
    fields.close();
    Some(JobRef {
        definition: definition?,
        process_type: process_type
            .and_then(|node| word(sink, node, "process_type", &PROCESS_TYPES)),
        rubric,
        report,
        scenario,
        span: node.span,
    })
}
