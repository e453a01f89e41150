//! `grading/<name>.yaml`: what is asked, what it is worth, and how it is judged.

use std::sync::Arc;

use super::envelope::{self, DocumentKind, NAMED};
use crate::checked::{CheckMode, Points, Rubric, RubricCheck, RubricItem};
use crate::decode::shape::{Shape, Value, optional, required, words};
use crate::decode::{Fields, Sink, list, name, number, scalar_text, text, to_json, unique, word};
use crate::diagnostic::codes::{document, grading, lints};
use crate::pattern::{Flags, Pattern};
use crate::source::{Span, Spanned};
use crate::syntax::{Kind, Node};

/// A rubric, and where each source it reads is written.
pub(crate) struct RubricDoc {
    pub(crate) rubric: Arc<Rubric>,
    pub(crate) sources: Vec<Spanned<Vec<String>>>,
}

const MODES: [(&str, CheckMode); 2] = [
    ("positive", CheckMode::Positive),
    ("negative", CheckMode::Negative),
];

pub(super) static KIND: DocumentKind = DocumentKind {
    kind: "EvaluationRuleset",
    doc: "A rubric: what is asked, what it is worth, and how it is judged. PAv1/grading/<name>.yaml.",
    metadata: &NAMED,
    spec: &SPEC,
};

static SPEC: Shape = Shape::new(
    "the rubric's spec",
    "What is asked, what it is worth, and how it is judged.",
    &[
        optional("domain", Value::Written, "What the rubric is about."),
        required(
            "max_points",
            Value::Points,
            "What all items together are worth.",
        ),
        required(
            "items",
            Value::Items(&Value::Shape(&ITEM)),
            "The items, in order.",
        ),
    ],
);

static ITEM: Shape = Shape::new(
    "an item",
    "Something asked: it earns its points when all its checks hold.",
    &[
        required(
            "id",
            Value::Either(&[Value::Whole, Value::Text]),
            "The item's number or name, unique in the rubric.",
        ),
        required("points", Value::Points, "What it is worth."),
        required("description", Value::Written, "What is asked."),
        required(
            "checks",
            Value::Items(&Value::Shape(&CHECK)),
            "What must hold.",
        ),
    ],
);

static CHECK: Shape = Shape::new(
    "a check",
    "A regular expression over a captured text.",
    &[
        required(
            "source",
            Value::Name(PATH),
            "The captured variable, as sw01.show_vlan.",
        ),
        required("regex", Value::Text, "The regular expression."),
        optional(
            "flags",
            Value::List(&Value::Words(FLAGS)),
            "Flags of the expression; default: [multiline]; [] is none.",
        ),
        optional(
            "mode",
            Value::Words(&words(&MODES)),
            "Whether a match is wanted (positive, the default) or must not be there.",
        ),
        optional(
            "on_fail",
            Value::Written,
            "What the report says when it does not hold.",
        ),
    ],
);

/// Names with dots between them.
pub(super) const PATH: &str = "^[^.]+(\\.[^.]+)*$";

const FLAGS: &[&str] = &[
    "multiline",
    "dotall",
    "ignorecase",
    "global",
    "m",
    "s",
    "i",
    "g",
];

pub(super) fn decode(sink: &Sink<'_>, stem: &str, node: &Node) -> Option<RubricDoc> {
    let envelope = envelope::open(sink, node, &[&KIND])?;
    let fields = Fields::open(sink, envelope.spec, &SPEC)?;
    let domain = fields
        .get("domain")
        .and_then(|node| scalar_text(sink, node, "domain"));
    let max_points = fields.get("max_points");
    let stated = max_points.and_then(|node| points(sink, node, "max_points"));
    let items = fields.get("items");
    fields.close();
    let nodes = list(sink, items?, "items")?;
    if nodes.is_empty() {
        sink.push(document::nothing_in_it(items?.span, "the rubric", "item"));
    }
    let mut sources = Vec::new();
    let items: Vec<Option<RubricItem>> = nodes
        .iter()
        .map(|node| item(sink, node, &mut sources))
        .collect();
    let items: Vec<RubricItem> = items.into_iter().collect::<Option<_>>()?;
    let ids: Vec<Spanned<String>> = items
        .iter()
        .map(|item| Spanned::new(item.id.to_string(), item.span))
        .collect();
    unique(sink, "item", ids.iter());
    let total: Points = items.iter().map(|item| item.points).sum();
    if stated? != total {
        sink.push(grading::points(max_points?.span, stated?, total));
    }
    let rubric = Rubric {
        name: envelope.meta("name").unwrap_or_else(|| stem.to_owned()),
        domain,
        max_points: total,
        items,
        span: node.span,
    };
    Some(RubricDoc {
        rubric: Arc::new(rubric),
        sources,
    })
}

fn item(
    sink: &Sink<'_>,
    node: &Node,
    sources: &mut Vec<Spanned<Vec<String>>>,
) -> Option<RubricItem> {
    let fields = Fields::open(sink, node, &ITEM)?;
    let id = fields.get("id").filter(|node| {
        let fits = matches!(node.kind, Kind::Int(_) | Kind::Str(_));
        if !fits {
            let found = node.kind.describe();
            sink.push(document::wrong_type(
                node.span,
                "an item's id",
                "a whole number or text",
                found,
            ));
        }
        fits
    });
    let points = fields.get("points").and_then(|node| {
        let points = points(sink, node, "points")?;
        if points == Points::default() {
            sink.push(lints::no_points(node.span));
        }
        Some(points)
    });
    let description = fields.get("description");
    let description = description.and_then(|node| scalar_text(sink, node, "description"));
    let checks = fields.get("checks");
    let head = fields.head();
    fields.close();
    let nodes = list(sink, checks?, "checks")?;
    if nodes.is_empty() {
        sink.push(document::nothing_in_it(head, "the item", "check"));
        return None;
    }
    let checks: Vec<_> = nodes
        .iter()
        .map(|node| check(sink, node, sources))
        .collect();
    let checks: Vec<RubricCheck> = checks.into_iter().collect::<Option<_>>()?;
    for (at, check) in checks.iter().enumerate() {
        if let Some(first) = checks[..at].iter().find(|it| is_same(it, check)) {
            sink.push(lints::duplicate_check(check.span, first.span));
        }
    }
    Some(RubricItem {
        id: to_json(id?),
        points: points?,
        description: description?,
        checks,
        span: node.span,
    })
}

/// Whether two checks ask for the same, whatever they say when it does not hold.
fn is_same(a: &RubricCheck, b: &RubricCheck) -> bool {
    let (a_matcher, b_matcher) = (&a.matcher, &b.matcher);
    let same_matcher =
        a_matcher.source() == b_matcher.source() && a_matcher.flags() == b_matcher.flags();
    same_matcher && a.source == b.source && a.mode == b.mode
}

/// A number of points: not negative, at most two decimals.
fn points(sink: &Sink<'_>, node: &Node, what: &str) -> Option<Points> {
    let value = number(sink, node, what)?;
    let hundredths = (value * 100.0).round();
    let fits = (0.0..=f64::from(u32::MAX)).contains(&hundredths)
        && (value * 100.0 - hundredths).abs() < 1e-6;
    if !fits {
        let must = "zero or more, with at most two decimals";
        sink.push(document::out_of_range(node.span, what, must));
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it was just found to lie in the range of u32"
    )]
    let hundredths = hundredths as u32;
    Some(Points::from_hundredths(hundredths))
}

fn check(
    sink: &Sink<'_>,
    node: &Node,
    sources: &mut Vec<Spanned<Vec<String>>>,
) -> Option<RubricCheck> {
    let fields = Fields::open(sink, node, &CHECK)?;
    let source = fields
        .get("source")
        .and_then(|node| name(sink, node, "source"));
    let pattern = fields.get("regex");
    let flags = fields.get("flags");
    let mode = fields
        .get("mode")
        .and_then(|node| word(sink, node, "mode", &MODES));
    let on_fail = fields
        .get("on_fail")
        .and_then(|node| scalar_text(sink, node, "on_fail"));
    fields.close();
    let flags = flags.map_or(Some(Flags::default()), |node| self::flags(sink, node));
    let matcher = pattern.and_then(|node| {
        let matcher = regex(sink, node, flags?)?;
        if matcher.matches_anything() {
            let found = lints::matches_anything(node.span, Some(mode.unwrap_or_default()));
            sink.push(found);
        }
        Some(matcher)
    });
    let source = source.and_then(|source| path(sink, &source))?;
    sources.push(source.clone());
    Some(RubricCheck {
        source: source.value,
        matcher: Arc::new(matcher?),
        mode: mode.unwrap_or_default(),
        on_fail,
        span: node.span,
    })
}

/// A path below `vars`, split at its dots.
fn path(sink: &Sink<'_>, source: &Spanned<String>) -> Option<Spanned<Vec<String>>> {
    let path: Vec<String> = source.value.split('.').map(str::to_owned).collect();
    if path.iter().any(String::is_empty) {
        let grammar = "the name of a captured variable, as `rtr01.show_version`";
        sink.push(document::bad_name(
            source.span,
            "a source",
            &source.value,
            grammar,
        ));
        return None;
    }
    Some(Spanned::new(path, source.span))
}

/// Flags by name or letter.
pub(crate) fn flags(sink: &Sink<'_>, node: &Node) -> Option<Flags> {
    let mut flags = Flags::none();
    let mut fits = true;
    for item in list(sink, node, "flags")? {
        let flag = text(sink, item, "a flag")?;
        if !flags.set(&flag.value) {
            sink.push(grading::flag(item.span, &flag.value));
            fits = false;
        }
    }
    fits.then_some(flags)
}

/// A regular expression; what is wrong with it is shown in it.
pub(crate) fn regex(sink: &Sink<'_>, node: &Node, flags: Flags) -> Option<Pattern> {
    let source = text(sink, node, "a regular expression")?;
    match Pattern::compile(&source.value, flags) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let error = error.to_string();
            let span: Span = match grading::place_in_regex(&source.value, &error) {
                Some(at) => source.span_of(&at, node.span),
                None => node.span,
            };
            sink.push(grading::regex(span, &source.value, &error));
            None
        }
    }
}
