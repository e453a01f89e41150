//! One step, as written.

use std::time::Duration;

use crate::catalog::Stage;
use crate::checked::{OnError, StepId};
use crate::decode::{Fields, Sink, count, list, name, seconds, template, text, word};
use crate::diagnostic::Severity;
use crate::diagnostic::codes::document;
use crate::expr::Template;
use crate::source::{Span, Spanned};
use crate::syntax::{Kind, Node};

/// A step; what could not be read is missing, and reported.
#[derive(Default)]
pub(crate) struct StepDoc {
    pub(crate) id: Option<(StepId, Span)>,
    pub(crate) uses: Option<Spanned<String>>,
    pub(crate) target: Option<Input>,
    pub(crate) with: Vec<Input>,
    pub(crate) capture: Vec<CaptureDoc>,
    pub(crate) when: Option<Input>,
    pub(crate) on_error: OnError,
    pub(crate) timeout: Option<Duration>,
    pub(crate) stage: Option<Stage>,
    pub(crate) needs: Option<Vec<Spanned<String>>>,
    /// The whole step.
    pub(crate) span: Option<Span>,
    /// Where to point at when something is missing; `None` if it is no mapping.
    pub(crate) head: Option<Span>,
    /// Whether every key was known: if not, it may capture more than it seems to.
    pub(crate) all_known: bool,
}

/// A value with expressions in it.
pub(crate) struct Input {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) node: Node,
    /// `None` if an expression in it does not compile.
    pub(crate) template: Option<Template>,
}

/// `output: path`, as written.
pub(crate) struct CaptureDoc {
    pub(crate) key: Spanned<String>,
    pub(crate) value: Spanned<String>,
}

const STAGES: &[(&str, Stage)] = &[
    ("setup", Stage::Setup),
    ("collect", Stage::Collect),
    ("evaluate", Stage::Evaluate),
    ("report", Stage::Report),
];

pub(super) fn decode(sink: &Sink<'_>, node: &Node) -> StepDoc {
    let Some(fields) = Fields::open(sink, node, "a step") else {
        return StepDoc::default();
    };
    let input = |key: &'static str| {
        let node = fields.optional(key)?;
        Some(input(sink, key, fields.key_span(key), node))
    };
    let mut step = StepDoc {
        id: fields.required("id").and_then(|node| id(sink, node)),
        uses: fields
            .required("uses")
            .and_then(|node| name(sink, node, "uses")),
        target: input("target"),
        with: fields
            .optional("with")
            .map(|node| with(sink, node))
            .unwrap_or_default(),
        capture: fields
            .optional("capture")
            .map(|node| capture(sink, node))
            .unwrap_or_default(),
        when: input("when"),
        on_error: fields
            .optional("on_error")
            .and_then(|node| on_error(sink, node))
            .unwrap_or_default(),
        timeout: fields
            .optional("timeout")
            .and_then(|node| seconds(sink, node, "timeout")),
        stage: fields
            .optional("stage")
            .and_then(|node| word(sink, node, "stage", STAGES)),
        needs: fields.optional("needs").and_then(|node| needs(sink, node)),
        span: Some(node.span),
        head: Some(fields.head()),
        all_known: true,
    };
    if fields.optional("for_each").is_some() {
        let help = "write one step for each element";
        let at = fields.key_span("for_each");
        sink.push(document::not_supported(
            at,
            "`for_each`",
            Severity::Error,
            help,
        ));
    }
    fields.optional("description");
    step.all_known = fields.close();
    step
}

fn input(sink: &Sink<'_>, key: &str, key_span: Span, node: &Node) -> Input {
    Input {
        key: key.to_owned(),
        key_span,
        node: node.clone(),
        template: template(sink, node),
    }
}

fn id(sink: &Sink<'_>, node: &Node) -> Option<(StepId, Span)> {
    let text = text(sink, node, "a step's id")?;
    let id = StepId::parse(&text.value);
    if id.is_none() {
        let grammar = "a name of lower-case letters, digits and `_` that starts with a letter";
        sink.push(document::bad_name(
            node.span,
            "a step's id",
            &text.value,
            grammar,
        ));
    }
    Some((id?, node.span))
}

fn with(sink: &Sink<'_>, node: &Node) -> Vec<Input> {
    let Kind::Map(map) = &node.kind else {
        let found = node.kind.describe();
        sink.push(document::wrong_type(
            node.span,
            "`with`",
            "a mapping",
            found,
        ));
        return Vec::new();
    };
    map.iter()
        .map(|(key, entry)| input(sink, key, entry.key_span, &entry.value))
        .collect()
}

fn capture(sink: &Sink<'_>, node: &Node) -> Vec<CaptureDoc> {
    let Kind::Map(map) = &node.kind else {
        let found = node.kind.describe();
        sink.push(document::wrong_type(
            node.span,
            "`capture`",
            "a mapping",
            found,
        ));
        return Vec::new();
    };
    map.iter()
        .filter_map(|(key, entry)| {
            Some(CaptureDoc {
                key: Spanned::new(key.to_owned(), entry.key_span),
                value: name(sink, &entry.value, "a captured variable")?,
            })
        })
        .collect()
}

#[derive(Clone, Copy, PartialEq)]
enum Action {
    Fail,
    Continue,
    Retry,
}

fn on_error(sink: &Sink<'_>, node: &Node) -> Option<OnError> {
    let fields = Fields::open(sink, node, "`on_error`")?;
    let words = &[
        ("fail", Action::Fail),
        ("continue", Action::Continue),
        ("retry", Action::Retry),
    ];
    let action = fields
        .required("action")
        .and_then(|node| word(sink, node, "action", words));
    let retries = fields
        .optional("retries")
        .and_then(|node| retries(sink, node));
    let backoff = fields
        .optional("backoff")
        .and_then(|node| seconds(sink, node, "backoff"));
    fields.close();
    Some(match action? {
        Action::Fail => OnError::Fail,
        Action::Continue => OnError::Continue,
        Action::Retry => OnError::Retry {
            retries: retries.unwrap_or(1),
            backoff: backoff.unwrap_or(Duration::from_secs(1)),
        },
    })
}

fn retries(sink: &Sink<'_>, node: &Node) -> Option<u32> {
    const MOST: u32 = 1_000;
    let retries = u32::try_from(count(sink, node, "retries")?).unwrap_or(u32::MAX);
    if retries > MOST {
        sink.push(document::out_of_range(node.span, "retries", "at most 1000"));
        return None;
    }
    Some(retries)
}

fn needs(sink: &Sink<'_>, node: &Node) -> Option<Vec<Spanned<String>>> {
    let items = list(sink, node, "needs")?;
    Some(
        items
            .iter()
            .filter_map(|item| name(sink, item, "a step's id"))
            .collect(),
    )
}
