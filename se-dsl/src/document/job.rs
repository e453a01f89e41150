//! `jobs/<name>.yaml`: a list of steps.

use super::envelope::{self, DocumentKind, VERSIONED};
use super::lifecycle::PROCESS_TYPES;
use super::step::{self, STEP, StepDoc};
use crate::checked::{Execution, ProcessType};
use crate::decode::shape::{Shape, Value, optional, required, words};
use crate::decode::{Fields, Sink, list, scalar_text, word};
use crate::diagnostic::codes::document;
use crate::source::Span;
use crate::syntax::Node;

pub(crate) struct JobDoc {
    /// The file stem: references go by it.
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) process_type: Option<ProcessType>,
    pub(crate) execution: Execution,
    pub(crate) steps: Vec<StepDoc>,
    pub(crate) span: Span,
}

const EXECUTIONS: [(&str, Execution); 2] = [
    ("dag", Execution::Dag),
    ("sequential", Execution::Sequential),
];

pub(super) static KIND: DocumentKind = DocumentKind {
    kind: "JobDefinition",
    doc: "A job: a list of steps. PAv1/jobs/<name>.yaml; phases refer to it as <name>@<version>.",
    metadata: &VERSIONED,
    spec: &SPEC,
};

static SPEC: Shape = Shape::new(
    "the job's spec",
    "What the job is for, and its steps.",
    &[
        optional("description", Value::Written, "What the job does."),
        optional(
            "process_type",
            Value::Words(&words(&PROCESS_TYPES)),
            "What the job is for. It implies a report at the job's end, unless a step reports.",
        ),
        optional(
            "execution",
            Value::Words(&words(&EXECUTIONS)),
            "Whether steps run as early as they can (dag, the default) or one after the other.",
        ),
        required(
            "steps",
            Value::Items(&Value::Shape(&STEP)),
            "The steps, in the order in which their results hold.",
        ),
    ],
);

/// Takes the document apart: there may be thousands of steps, and none is held twice.
pub(super) fn decode(sink: &Sink<'_>, stem: &str, node: Node) -> Option<JobDoc> {
    let span = node.span;
    let envelope = envelope::open(sink, &node, &[&KIND])?;
    let version = envelope.version();
    let fields = Fields::open(sink, envelope.spec, &SPEC)?;
    if let Some(description) = fields.get("description") {
        scalar_text(sink, description, "description");
    }
    let process_type = fields.get("process_type");
    let process_type =
        process_type.and_then(|node| word(sink, node, "process_type", &PROCESS_TYPES));
    let execution = fields.get("execution");
    let execution = execution.and_then(|node| word(sink, node, "execution", &EXECUTIONS));
    let steps = fields.get("steps");
    fields.close();
    let steps = list(sink, steps?, "steps")?;
    if steps.is_empty() {
        let found = document::nothing_in_it(envelope.spec.span, "the job", "step");
        sink.push(found);
        return None;
    }
    let steps = node.into_value("spec")?.into_value("steps")?.into_items();
    Some(JobDoc {
        name: stem.to_owned(),
        version,
        process_type,
        execution: execution.unwrap_or_default(),
        steps: steps
            .into_iter()
            .map(|node| step::decode(sink, &node))
            .collect(),
        span,
    })
}
