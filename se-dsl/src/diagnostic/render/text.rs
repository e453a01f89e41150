//! For people: each finding with the lines it is about.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::super::{Diagnostic, Diagnostics, Severity};
use crate::source::{Sources, Span};

pub(super) fn render(found: &Diagnostics, sources: &Sources, colour: bool) -> String {
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut text = String::new();
    for it in found.iter() {
        text.push_str(&one(it, sources, &renderer));
        text.push_str("\n\n");
    }
    text.push_str(&summary(found));
    text
}

fn one(it: &Diagnostic, sources: &Sources, renderer: &Renderer) -> String {
    let level = match it.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = level
        .primary_title(it.message.as_str())
        .id(it.code.as_str());
    let mut snippet =
        snippet(sources, it.span).annotation(AnnotationKind::Primary.span(range(sources, it.span)));
    let mut others = Vec::new();
    for other in &it.related {
        let annotation = AnnotationKind::Context
            .span(range(sources, other.span))
            .label(other.message.as_str());
        if other.span.file == it.span.file {
            snippet = snippet.annotation(annotation);
        } else {
            others.push(self::snippet(sources, other.span).annotation(annotation));
        }
    }
    let mut group = title.element(snippet);
    for other in others {
        group = group.element(other);
    }
    group = group.element(Level::HELP.message(it.help.as_str()));
    renderer.render(&[group])
}

fn snippet<'a>(sources: &'a Sources, span: Span) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    Snippet::source(sources.text(span.file))
        .path(sources.path(span.file))
        .fold(true)
}

/// The span, cut at its first line: a whole step underlined says less than its first line.
fn range(sources: &Sources, span: Span) -> std::ops::Range<usize> {
    let (start, end) = (span.start as usize, span.end as usize);
    let text = sources.text(span.file);
    let (start, end) = (
        text.floor_char_boundary(start),
        text.ceil_char_boundary(end),
    );
    let line_end = text.get(start..end).and_then(|it| it.find('\n'));
    start..line_end.map_or(end, |n| start + n)
}

/// `2 errors, 1 warning`.
fn summary(found: &Diagnostics) -> String {
    let count = |severity, one: &str| {
        let n = found.count(severity);
        format!("{n} {one}{}", if n == 1 { "" } else { "s" })
    };
    let errors = count(Severity::Error, "error");
    let warnings = count(Severity::Warning, "warning");
    format!("{errors}, {warnings}\n")
}
