//! `reports/<name>.yaml`: what a report shows.

use std::sync::Arc;

use super::envelope;
use super::lifecycle::PROCESS_TYPES;
use crate::checked::{ReportClass, ReportSpec};
use crate::decode::{Fields, Sink, list, texts, word};
use crate::diagnostic::codes::{document, grading};
use crate::syntax::{Kind, Node};

const CLASSES: &[(&str, ReportClass)] = &[
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

pub(super) fn decode(sink: &Sink<'_>, stem: &str, node: &Node) -> Option<Arc<ReportSpec>> {
    let envelope = envelope::open(sink, node, &["ProcessReportSpec"])?;
    let fields = Fields::open(sink, envelope.spec, "the report's spec")?;
    let process_type = fields.required("process_type");
    let process_type =
        process_type.and_then(|node| word(sink, node, "process_type", PROCESS_TYPES));
    let class_node = fields.required("report_class");
    let class = class_node.and_then(|node| word(sink, node, "report_class", CLASSES));
    let groups = fields
        .optional("include")
        .and_then(|node| include(sink, node));
    let aggregate = fields.optional("aggregate");
    let aggregate =
        aggregate.and_then(|node| word(sink, node, "aggregate", &[("by_part", "by_part")]));
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
        name: envelope
            .meta(sink, "name")
            .unwrap_or_else(|| stem.to_owned()),
        process_type: process_type?,
        report_class: class?,
        include: groups.unwrap_or_default(),
        aggregate: aggregate.map(str::to_owned),
    }))
}

/// A list of mappings of one group each.
fn include(sink: &Sink<'_>, node: &Node) -> Option<Vec<(String, Vec<String>)>> {
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
