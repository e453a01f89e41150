//! `grading/<name>.yaml`: what is asked, what it is worth, and how it is judged.

use std::sync::Arc;

use super::envelope;
use crate::checked::{CheckMode, Points, Rubric, RubricCheck, RubricItem};
use crate::decode::{Fields, Sink, list, name, number, scalar_text, text, to_json, word};
use crate::diagnostic::codes::{document, grading, names};
use crate::pattern::{Flags, Pattern};
use crate::source::{Span, Spanned};
use crate::syntax::{Kind, Node};

/// A rubric, and where each source it reads is written.
pub(crate) struct RubricDoc {
    pub(crate) rubric: Arc<Rubric>,
    pub(crate) sources: Vec<Spanned<Vec<String>>>,
}

const MODES: &[(&str, CheckMode)] = &[
    ("positive", CheckMode::Positive),
    ("negative", CheckMode::Negative),
];

pub(super) fn decode(sink: &Sink<'_>, stem: &str, node: &Node) -> Option<RubricDoc> {
    let envelope = envelope::open(sink, node, &["EvaluationRuleset"])?;
    let fields = Fields::open(sink, envelope.spec, "the rubric's spec")?;
    let domain = fields
        .optional("domain")
        .and_then(|node| scalar_text(sink, node, "domain"));
    let max_points = fields.required("max_points");
    let stated = max_points.and_then(|node| points(sink, node, "max_points"));
    let items = fields.required("items");
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
    for (at, item) in items.iter().enumerate() {
        if let Some(first) = items[..at].iter().find(|it| it.id == item.id) {
            let name = Spanned::new(item.id.to_string(), item.span);
            sink.push(names::duplicate("item", &name, first.span));
        }
    }
    let total: Points = items.iter().map(|item| item.points).sum();
    if stated? != total {
        sink.push(grading::points(max_points?.span, stated?, total));
    }
    let rubric = Rubric {
        name: envelope
            .meta(sink, "name")
            .unwrap_or_else(|| stem.to_owned()),
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
    let fields = Fields::open(sink, node, "an item")?;
    let id = fields.required("id").filter(|node| {
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
    let points = fields
        .required("points")
        .and_then(|node| points(sink, node, "points"));
    let description = fields.required("description");
    let description = description.and_then(|node| scalar_text(sink, node, "description"));
    let checks = fields.required("checks");
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
    Some(RubricItem {
        id: to_json(id?),
        points: points?,
        description: description?,
        checks: checks.into_iter().collect::<Option<_>>()?,
        span: node.span,
    })
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
    let fields = Fields::open(sink, node, "a check")?;
    let source = fields
        .required("source")
        .and_then(|node| name(sink, node, "source"));
    let pattern = fields.required("regex");
    let flags = fields.optional("flags");
    let mode = fields
        .optional("mode")
        .and_then(|node| word(sink, node, "mode", MODES));
    let on_fail = fields
        .optional("on_fail")
        .and_then(|node| scalar_text(sink, node, "on_fail"));
    fields.close();
    let flags = flags.map_or(Some(Flags::default()), |node| self::flags(sink, node));
    let matcher = pattern.and_then(|node| regex(sink, node, flags?));
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
