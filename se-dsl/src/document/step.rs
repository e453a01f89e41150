//! One step, as written.

mod each;

use std::time::Duration;

use crate::catalog::Stage;
use crate::checked::{OnError, StepId};
use crate::decode::shape::{Key, Shape, Value, optional, required, words};
use crate::decode::{
    Fields, Loop, Sink, count, list, mapping, name, scalar_text, seconds, template_in, text, word,
};
use crate::diagnostic::codes::{document, lints};
use crate::expr::Template;
use crate::source::{Span, Spanned};
use crate::syntax::Node;

pub(crate) use each::ForEachDoc;

/// A step; what could not be read is missing, and reported.
#[derive(Default)]
pub(crate) struct StepDoc {
    pub(crate) id: Option<(StepId, Span)>,
    pub(crate) uses: Option<Spanned<String>>,
    pub(crate) target: Option<Box<Input>>,
    pub(crate) with: Vec<Input>,
    pub(crate) capture: Vec<CaptureDoc>,
    pub(crate) when: Option<Box<Input>>,
    pub(crate) on_error: OnError,
    pub(crate) timeout: Option<Duration>,
    pub(crate) stage: Option<Stage>,
    pub(crate) needs: Option<Vec<Spanned<String>>>,
    pub(crate) for_each: Option<Box<ForEachDoc>>,
    /// The whole step.
    pub(crate) span: Option<Span>,
    /// Where to point at when something is missing; `None` if it is no mapping.
    pub(crate) head: Option<Span>,
    /// Whether every key, and the loop, could be read: if not, the step may capture and bind more
    /// than it seems to.
    pub(crate) all_known: bool,
}

impl StepDoc {
    /// Everything that is evaluated before it runs, but the list of its loop.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = &Input> {
        let rest = [&self.when, &self.target];
        let rest = rest.into_iter().filter_map(|it| it.as_deref());
        self.with.iter().chain(rest)
    }
}

/// A value with expressions in it.
pub(crate) struct Input {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) node: Node,
    /// `None` if an expression in it does not compile.
    pub(crate) template: Option<Template>,
}

/// `output: path`, as written: in a loop a name of the path may be `@var`.
pub(crate) struct CaptureDoc {
    pub(crate) key: Spanned<String>,
    pub(crate) value: Spanned<String>,
}

const STAGES: [(&str, Stage); 4] = [
    ("setup", Stage::Setup),
    ("collect", Stage::Collect),
    ("evaluate", Stage::Evaluate),
    ("report", Stage::Report),
];

/// What the names of steps and of loop variables look like.
const ID: &str = "^[a-z][a-z0-9_]*$";

pub(crate) static STEP: Shape = Shape::new(
    "a step",
    "One step: what it uses, on what, with what, and what becomes of the result.",
    KEYS,
);

const KEYS: &[Key] = &[
    required("id", Value::Name(ID), "The step's name, unique in the job."),
    required(
        "uses",
        Value::Uses,
        "What runs: a primitive as name@version, or a composite as composite:name@version.",
    ),
    optional(
        "target",
        Value::Input(&Value::Text),
        "The connector it works on; under for_each also @var.",
    ),
    optional(
        "with",
        Value::With,
        "The inputs; values may hold expressions: ${ … }.",
    ),
    optional(
        "capture",
        Value::Capture,
        "What is kept: each output with the variable it goes to, as `output: sw01.show_vlan`.",
    ),
    optional(
        "when",
        Value::Input(&Value::Any),
        "The step is skipped where this is false or null.",
    ),
    optional(
        "on_error",
        Value::Shape(&ON_ERROR),
        "What happens when it fails; default: the job fails.",
    ),
    optional(
        "timeout",
        Value::Seconds,
        "The longest an attempt may take, in seconds.",
    ),
    optional(
        "stage",
        Value::Words(&words(&STAGES)),
        "The part of the job that it belongs to; default: the primitive's.",
    ),
    optional(
        "needs",
        Value::List(&Value::Text),
        "Ids of the steps it waits for, besides those whose captures it reads.",
    ),
    optional(
        "for_each",
        Value::Shape(&each::FOR_EACH),
        "Runs the step once for each element of a list.",
    ),
    optional("description", Value::Written, "What the step does."),
];

static ON_ERROR: Shape = Shape::new(
    "`on_error`",
    "What happens when a step fails.",
    &[
        required(
            "action",
            Value::Words(&words(&ACTIONS)),
            "fail ends the job, continue goes on without the captures, retry tries again.",
        ),
        optional(
            "retries",
            Value::Count(0, MOST_RETRIES),
            "How often it is tried again; default: 1.",
        ),
        optional(
            "backoff",
            Value::Seconds,
            "Seconds before the first new try, doubled for each further one; default: 1.",
        ),
    ],
);

const MOST_RETRIES: u64 = 1_000;

pub(super) fn decode(sink: &Sink<'_>, node: &Node) -> StepDoc {
    let Some(fields) = Fields::open(sink, node, &STEP) else {
        return StepDoc::default();
    };
    let for_each = fields
        .get("for_each")
        .map(|node| each::decode(sink, fields.key_span("for_each"), node));
    let each = match &for_each {
        None => Loop::None,
        Some(Some(each)) => Loop::Over(&each.var.value),
        Some(None) => Loop::Unknown,
    };
    let input = |key: &'static str, each| {
        let node = fields.get(key)?;
        let input = input(sink, key, fields.key_span(key), node, each);
        Some(Box::new(input))
    };
    let is_loop_known = !matches!(each, Loop::Unknown);
    let mut step = StepDoc {
        id: fields.get("id").and_then(|node| id(sink, node)),
        uses: fields.get("uses").and_then(|node| name(sink, node, "uses")),
        target: input("target", each),
        with: fields
            .get("with")
            .map(|node| with(sink, node, each))
            .unwrap_or_default(),
        capture: fields
            .get("capture")
            .map(|node| capture(sink, node, each))
            .unwrap_or_default(),
        when: input("when", Loop::None),
        on_error: fields
            .get("on_error")
            .and_then(|node| on_error(sink, node))
            .unwrap_or_default(),
        timeout: fields
            .get("timeout")
            .and_then(|node| seconds(sink, node, "timeout")),
        stage: fields
            .get("stage")
            .and_then(|node| word(sink, node, "stage", &STAGES)),
        needs: fields.get("needs").and_then(|node| needs(sink, node)),
        for_each: None,
        span: Some(node.span),
        head: Some(fields.head()),
        all_known: true,
    };
    if let Some(description) = fields.get("description") {
        scalar_text(sink, description, "description");
    }
    step.all_known = fields.close() && is_loop_known;
    step.for_each = for_each.flatten().map(Box::new);
    step
}

fn input(sink: &Sink<'_>, key: &str, key_span: Span, node: &Node, each: Loop<'_>) -> Input {
    Input {
        key: key.to_owned(),
        key_span,
        node: node.clone(),
        template: template_in(sink, node, each),
    }
}

/// An input of a document that has no loops.
pub(super) fn plain_input(sink: &Sink<'_>, key: &str, key_span: Span, node: &Node) -> Input {
    input(sink, key, key_span, node, Loop::None)
}

fn id(sink: &Sink<'_>, node: &Node) -> Option<(StepId, Span)> {
    let text = text(sink, node, "a step's id")?;
    let id = StepId::parse(&text.value);
    if id.is_none() {
        let found = document::bad_name(node.span, "a step's id", &text.value, GRAMMAR);
        sink.push(found);
    }
    Some((id?, node.span))
}

/// [`ID`] in words.
const GRAMMAR: &str = "a name of lower-case letters, digits and `_` that starts with a letter";

fn with(sink: &Sink<'_>, node: &Node, each: Loop<'_>) -> Vec<Input> {
    let Some(map) = mapping(sink, node, "`with`") else {
        return Vec::new();
    };
    let mut inputs = Vec::with_capacity(map.iter().len());
    inputs.extend(
        map.iter()
            .map(|(key, entry)| input(sink, key, entry.key_span, &entry.value, each)),
    );
    inputs
}

fn capture(sink: &Sink<'_>, node: &Node, each: Loop<'_>) -> Vec<CaptureDoc> {
    let Some(map) = mapping(sink, node, "`capture`") else {
        return Vec::new();
    };
    let mut captures = Vec::with_capacity(map.iter().len());
    captures.extend(map.iter().filter_map(|(key, entry)| {
        let pair = CaptureDoc {
            key: Spanned::new(key.to_owned(), entry.key_span),
            value: name(sink, &entry.value, "a captured variable")?,
        };
        // Either of the two may be the path, and both are looked at.
        let is_key_bound = each::is_bound(sink, &pair.key, each);
        let is_value_bound = each::is_bound(sink, &pair.value, each);
        (is_key_bound && is_value_bound).then_some(pair)
    }));
    captures
}

#[derive(Clone, Copy, PartialEq)]
enum Action {
    Fail,
    Continue,
    Retry,
}

const ACTIONS: [(&str, Action); 3] = [
    ("fail", Action::Fail),
    ("continue", Action::Continue),
    ("retry", Action::Retry),
];

fn on_error(sink: &Sink<'_>, node: &Node) -> Option<OnError> {
    let fields = Fields::open(sink, node, &ON_ERROR)?;
    let action = fields
        .get("action")
        .and_then(|node| word(sink, node, "action", &ACTIONS));
    let retries = fields.get("retries").and_then(|node| retries(sink, node));
    let backoff = fields
        .get("backoff")
        .and_then(|node| seconds(sink, node, "backoff"));
    let idle = [
        ("retries", retries.is_some()),
        ("backoff", backoff.is_some()),
    ];
    for (key, _) in idle.iter().filter(|(_, given)| *given) {
        if matches!(action, Some(Action::Fail | Action::Continue)) {
            sink.push(lints::no_effect(fields.key_span(key), key));
        }
    }
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
    let retries = count(sink, node, "retries")?;
    if retries > MOST_RETRIES {
        sink.push(document::out_of_range(node.span, "retries", "at most 1000"));
        return None;
    }
    u32::try_from(retries).ok()
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
