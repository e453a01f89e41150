//! `jobs/<name>.yaml`: a list of steps.

use super::envelope;
use super::lifecycle::PROCESS_TYPES;
use super::step::{self, StepDoc};
use crate::checked::{Execution, ProcessType};
use crate::decode::{Fields, Sink, list, word};
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

pub(super) fn decode(sink: &Sink<'_>, stem: &str, node: &Node) -> Option<JobDoc> {
    let envelope = envelope::open(sink, node, &["JobDefinition"])?;
    let version = envelope
        .meta(sink, "version")
        .unwrap_or_else(|| "v1".to_owned());
    let fields = Fields::open(sink, envelope.spec, "the job's spec")?;
    fields.optional("description");
    let process_type = fields.optional("process_type");
    let process_type =
        process_type.and_then(|node| word(sink, node, "process_type", PROCESS_TYPES));
    let execution = fields.optional("execution").and_then(|node| {
        let words = &[
            ("dag", Execution::Dag),
            ("sequential", Execution::Sequential),
        ];
        word(sink, node, "execution", words)
    });
    let steps = fields.required("steps");
    fields.close();
    let steps = list(sink, steps?, "steps")?;
    if steps.is_empty() {
        sink.push(document::nothing_in_it(
            envelope.spec.span,
            "the job",
            "step",
        ));
        return None;
    }
    Some(JobDoc {
        name: stem.to_owned(),
        version: if version.starts_with('v') {
            version
        } else {
            format!("v{version}")
        },
        process_type,
        execution: execution.unwrap_or_default(),
        steps: steps.iter().map(|node| step::decode(sink, node)).collect(),
        span: node.span,
    })
}
