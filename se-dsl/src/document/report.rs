//! `reports/<name>.yaml`: what a report shows.

use std::sync::Arc;

use super::envelope::{self, DocumentKind, NAMED};
use super::lifecycle::PROCESS_TYPES;
use crate::checked::{ReportClass, ReportSpec};
use crate::decode::shape::{Shape, Value, optional, required, words};
use crate::decode::{Fields, Sink, list, texts, word};
use crate::diagnostic::codes::{document, grading, lints};
use crate::syntax::{Kind, Node};

const CLASSES: [(&str, ReportClass); 5] = [
    ("ScoreReport", ReportClass::ScoreReport),
    ("ReadinessReport", ReportClass::ReadinessReport),
    ("ChangeReport", ReportClass::ChangeReport),
    ("SubmissionReport", ReportClass::SubmissionReport),
    ("ArchiveReport", ReportClass::ArchiveReport),
];

/// What each group of fields may hold.
const GROUPS: &[(&str, &[&str])] = &[
    (
        "head",
        &[
            "report_id",
            "report_class",
            "process_type",
            "job_id",
            "session_id",
            "phase",
            "definition_id",
            "version",
            "content_hash",
            "engine_version",
            "started_at",
            "completed_at",
            "duration_seconds",
            "status",
        ],
    ),
    (
        "per_item",
        &[
            "id",
            "description",
            "points_awarded",
            "points_max",
            "passed",
            "status",
            "issues",
            "checks",
        ],
    ),
    (
        "per_part",
        &[
            "part",
            "points_awarded",
            "points_max",
            "percentage",
            "points_undetermined",
        ],
    ),
    (
        "totals",
        &[
            "points_awarded",
            "points_max",
            "percentage",
            "points_undetermined",
        ],
    ),
    ("per_check", &["name", "passed", "detail"]),
    ("per_change", &["step", "target", "action", "ok", "at"]),
    (
        "per_evidence",
        &["source", "step", "target", "bytes", "sha256", "at"],
    ),
    ("per_action", &["step", "action", "ok", "at"]),
];

/// Whether a report of a session of several parts puts them together.
const AGGREGATES: [(&str, &str); 1] = [("by_part", "by_part")];

pub(super) static KIND: DocumentKind = DocumentKind {
    kind: "ProcessReportSpec",
    doc: "What a report shows. PAv1/reports/<name>.yaml.",
    metadata: &NAMED,
    spec: &SPEC,
};

static SPEC: Shape = Shape::new(
    "the report's spec",
    "What a report shows.",
    &[
        required(
            "process_type",
            Value::Words(&words(&PROCESS_TYPES)),
            "What the jobs that it reports on are for.",
        ),
        required(
            "report_class",
            Value::Words(&words(&CLASSES)),
            "The class of report, the one that its process type implies.",
        ),
        optional(
            "include",
            Value::List(&Value::Groups(GROUPS)),
            "What it shows: groups of fields, in order; default: everything.",
        ),
        optional(
            "aggregate",
            Value::Words(&words(&AGGREGATES)),
            "by_part puts the parts of a session together.",
        ),
    ],
);

pub(super) fn decode(sink: &Sink<'_>, stem: &str, node: &Node) -> Option<Arc<ReportSpec>> {
    let envelope = envelope::open(sink, node, &[&KIND])?;
    let fields = Fields::open(sink, envelope.spec, &SPEC)?;
    let process_type = fields.get("process_type");
    let process_type =
        process_type.and_then(|node| word(sink, node, "process_type", &PROCESS_TYPES));
    let class_node = fields.get("report_class");
    let class = class_node.and_then(|node| word(sink, node, "report_class", &CLASSES));
    let groups = fields
        .get("include")
        .and_then(|node| include(sink, node, class));
    let aggregate = fields.get("aggregate");
    let aggregate = aggregate.and_then(|node| word(sink, node, "aggregate", &AGGREGATES));
    fields.close();
    if let (Some(node), Some(class), Some(process_type)) = (class_node, class, process_type) {
        let implied = ReportClass::of(process_type);
        if class != implied {
            sink.push(grading::report_class(
                node.span,
                process_type,
                class,
                implied,
            ));
        }
    }
    Some(Arc::new(ReportSpec {
        name: envelope.meta("name").unwrap_or_else(|| stem.to_owned()),
        process_type: process_type?,
        report_class: class?,
        include: groups.unwrap_or_default(),
        aggregate: aggregate.map(str::to_owned),
    }))
}

/// Whether reports of a class ever have a group.
fn has_group(class: ReportClass, group: &str) -> bool {
    let groups: &[&str] = match class {
        ReportClass::ScoreReport => &["per_item", "per_part", "totals"],
        ReportClass::ReadinessReport => &["per_check"],
        ReportClass::ChangeReport => &["per_change", "per_check"],
        ReportClass::SubmissionReport => &["per_evidence"],
        ReportClass::ArchiveReport => &["per_action"],
    };
    group == "head" || groups.contains(&group)
}

/// A list of mappings of one group each.
fn include(
    sink: &Sink<'_>,
    node: &Node,
    class: Option<ReportClass>,
) -> Option<Vec<(String, Vec<String>)>> {
    let mut groups = Vec::new();
    for item in list(sink, node, "include")? {
        let Kind::Map(map) = &item.kind else {
            let found = item.kind.describe();
            let what = "an item of `include`";
            sink.push(document::wrong_type(item.span, what, "a mapping", found));
            continue;
        };
        for (group, entry) in map.iter() {
            let Some((_, known)) = GROUPS.iter().find(|(name, _)| *name == group) else {
                let known: Vec<&str> = GROUPS.iter().map(|(name, _)| *name).collect();
                sink.push(grading::unknown_report_field(
                    entry.key_span,
                    "group",
                    group,
                    &known,
                ));
                continue;
            };
            if let Some(class) = class.filter(|class| !has_group(*class, group)) {
                sink.push(lints::empty_group(entry.key_span, group, class));
            }
            let fields = texts(sink, &entry.value, "fields of a report").unwrap_or_default();
            for field in fields
                .iter()
                .filter(|field| !known.contains(&field.value.as_str()))
            {
                sink.push(grading::unknown_report_field(
                    field.span,
                    "field",
                    &field.value,
                    known,
                ));
            }
            let fields = fields.into_iter().map(|field| field.value).collect();
            groups.push((group.to_owned(), fields));
        }
    }
    Some(groups)
}
