//! `for_each`: a step that runs once for each element of a list.

use super::{GRAMMAR, ID, Input, plain_input};
use crate::checked::StepId;
use crate::decode::shape::{Shape, Value, optional, required, words};
use crate::decode::{Fields, Loop, Sink, boolean, name_of, word};
use crate::diagnostic::codes::{document, names};
use crate::expr::Template;
use crate::source::{Span, Spanned};
use crate::syntax::Node;

/// `{ var, in, stop_on_fail?, mode? }`.
pub(crate) struct ForEachDoc {
    /// The variable that holds the element.
    pub(crate) var: Spanned<String>,
    /// `in`: a list, or an expression that gives one.
    pub(crate) list: Input,
    pub(crate) stop_on_fail: bool,
    pub(crate) concurrent: bool,
    /// The key `for_each`.
    pub(crate) span: Span,
}

/// Whether iterations run at once.
const MODES: [(&str, bool); 2] = [("sequential", false), ("concurrent", true)];

pub(super) static FOR_EACH: Shape = Shape::new(
    "`for_each`",
    "Runs a step once for each element of a list.",
    &[
        required(
            "var",
            Value::Name(ID),
            "The variable that holds the element: vars.<var>, short @<var>; vars.<var>_index counts.",
        ),
        required(
            "in",
            Value::Input(&Value::List(&Value::Any)),
            "The list, or an expression that gives one.",
        ),
        optional(
            "stop_on_fail",
            Value::Boolean,
            "Whether a failed iteration ends the loop; default: true.",
        ),
        optional(
            "mode",
            Value::Words(&words(&MODES)),
            "Whether iterations run one after the other (sequential, the default) or at once.",
        ),
    ],
);

/// `None` if the variable or the list cannot be read.
pub(super) fn decode(sink: &Sink<'_>, span: Span, node: &Node) -> Option<ForEachDoc> {
    let fields = Fields::open(sink, node, &FOR_EACH)?;
    let is_id = |name: &str| StepId::parse(name).is_some();
    let var = fields
        .get("var")
        .and_then(|node| name_of(sink, node, "the variable of a loop", is_id, GRAMMAR));
    let list = fields.get("in");
    let list = list.and_then(|node| elements(sink, fields.key_span("in"), node));
    let stop_on_fail = fields
        .get("stop_on_fail")
        .and_then(|node| boolean(sink, node, "stop_on_fail"));
    let mode = fields
        .get("mode")
        .and_then(|node| word(sink, node, "mode", &MODES));
    fields.close();
    Some(ForEachDoc {
        var: var?,
        list: list?,
        stop_on_fail: stop_on_fail.unwrap_or(true),
        concurrent: mode.unwrap_or(false),
        span,
    })
}

/// A list, or one expression: anything else can never be a list.
fn elements(sink: &Sink<'_>, key_span: Span, node: &Node) -> Option<Input> {
    let input = plain_input(sink, "in", key_span, node);
    let is_list = match input.template.as_ref()? {
        Template::Literal(value) => value.is_array(),
        Template::Expr(_) | Template::Array(_) => true,
        Template::Text(_) | Template::Object(_) => false,
    };
    if !is_list {
        let found = node.kind.describe();
        let expected = "a list, or an expression that gives one";
        sink.push(document::wrong_type(node.span, "`in`", expected, found));
        return None;
    }
    Some(input)
}

/// Whether every `@` name of a captured path is the loop's variable; what is not is reported.
pub(super) fn is_bound(sink: &Sink<'_>, path: &Spanned<String>, each: Loop<'_>) -> bool {
    let mut all_bound = true;
    for name in path.value.split('.').filter_map(|it| it.strip_prefix('@')) {
        let shown = Spanned::new(format!("@{name}"), path.span);
        match each {
            Loop::Over(var) if name == var => continue,
            Loop::Over(var) => sink.push(names::unbound_element(&shown, var)),
            Loop::None => sink.push(names::element_without_loop(&shown)),
            Loop::Unknown => {}
        }
        all_bound = false;
    }
    all_bound
}
