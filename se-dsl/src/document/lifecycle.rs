//! `lifecycle.yaml`: phases and the jobs each runs.

use std::collections::BTreeMap;

use super::envelope;
use crate::checked::{PodType, ProcessType};
use crate::decode::{Fields, Sink, list, name, texts, word};
use crate::diagnostic::Severity;
use crate::diagnostic::codes::{document, names};
use crate::source::{Span, Spanned};
use crate::syntax::{self, Kind, Node};

pub(crate) struct LifecycleDoc {
    pub(crate) phases: Vec<PhaseDoc>,
}

pub(crate) struct PhaseDoc {
    pub(crate) name: Spanned<String>,
    pub(crate) native_steps: BTreeMap<String, Vec<String>>,
    pub(crate) jobs: Vec<JobRef>,
    pub(crate) span: Span,
}

/// `{definition: name@version, process_type?, rubric?, report?}`.
pub(crate) struct JobRef {
    pub(crate) definition: Spanned<String>,
    pub(crate) process_type: Option<ProcessType>,
    pub(crate) rubric: Option<Spanned<String>>,
    pub(crate) report: Option<Spanned<String>>,
    pub(crate) span: Span,
}

/// The words for process types.
pub(super) const PROCESS_TYPES: &[(&str, ProcessType)] = &[
    ("Initialization", ProcessType::Initialization),
    ("Grading", ProcessType::Grading),
    ("Change", ProcessType::Change),
    ("Submission", ProcessType::Submission),
    ("Archive", ProcessType::Archive),
];

pub(super) fn read(sink: &Sink<'_>) -> Option<LifecycleDoc> {
    let Some(file) = sink.sources.find("PAv1/lifecycle.yaml") else {
        if let Some(manifest) = sink.sources.find("PAv1/manifest.yaml") {
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
    let envelope = envelope::open(sink, node, &["Lifecycle"])?;
    let fields = Fields::open(sink, envelope.spec, "the lifecycle's spec")?;
    fields.optional("session_phases");
    let phases = if fields.has("part_workflow") {
        fields.optional("part_workflow")
    } else {
        fields.required("phases")
    };
    fields.close();
    let items = list(sink, phases?, "phases")?;
    if items.is_empty() {
        sink.push(document::nothing_in_it(
            phases?.span,
            "the lifecycle",
            "phase",
        ));
    }
    let phases: Vec<PhaseDoc> = items.iter().filter_map(|item| phase(sink, item)).collect();
    for (at, phase) in phases.iter().enumerate() {
        let first = phases[..at]
            .iter()
            .find(|it| it.name.value == phase.name.value);
        if let Some(first) = first {
            sink.push(names::duplicate("phase", &phase.name, first.name.span));
        }
    }
    Some(LifecycleDoc { phases })
}

/// Where a legacy lifecycle shows that it is one.
fn legacy(node: &Node) -> Option<Span> {
    let Kind::Map(map) = &node.kind else {
        return None;
    };
    let entry = map.get("document").or_else(|| map.get("do"))?;
    Some(entry.key_span)
}

fn phase(sink: &Sink<'_>, node: &Node) -> Option<PhaseDoc> {
    let fields = Fields::open(sink, node, "a phase")?;
    let name = fields
        .required("name")
        .and_then(|node| name(sink, node, "a phase's name"));
    let native_steps = fields.optional("native_steps_by_pod_type");
    let jobs = fields
        .optional("jobs")
        .and_then(|node| list(sink, node, "jobs"));
    fields.close();
    Some(PhaseDoc {
        native_steps: native_steps
            .map(|node| native(sink, node))
            .unwrap_or_default(),
        jobs: jobs
            .unwrap_or_default()
            .iter()
            .filter_map(|item| job_ref(sink, item))
            .collect(),
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
    let fields = Fields::open(sink, node, "a job of a phase")?;
    let definition = fields.required("definition");
    let definition = definition.and_then(|node| name(sink, node, "definition"));
    let process_type = fields.optional("process_type");
    let rubric = fields
        .optional("rubric")
        .and_then(|node| name(sink, node, "rubric"));
    let report = fields
        .optional("report")
        .and_then(|node| name(sink, node, "report"));
    if let Some(scenario) = fields.optional("scenario") {
        let help = "write the scenario's commands as collect@v1 steps of a JobDefinition";
        let what = "`scenario` of a job";
        sink.push(document::not_supported(
            scenario.span,
            what,
            Severity::Error,
            help,
        ));
    }
    fields.close();
    Some(JobRef {
        definition: definition?,
        process_type: process_type.and_then(|node| word(sink, node, "process_type", PROCESS_TYPES)),
        rubric,
        report,
        span: node.span,
    })
}
