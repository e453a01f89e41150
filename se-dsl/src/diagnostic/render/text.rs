//! For people: each finding with the lines it is about.

use std::borrow::Cow;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Patch, Renderer, Snippet};

use super::super::{Diagnostic, Diagnostics, Severity};
use super::Look;
use crate::source::{FileId, Sources, Span};

pub(super) fn render(found: &Diagnostics, sources: &Sources, look: &Look<'_>) -> String {
    let renderer = if look.colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let renderer = match look.width {
        0 => renderer,
        // What stands left of the lines is not counted.
        width => renderer.term_width(width.saturating_sub(8).max(40)),
    };
    let mut text = String::new();
    for it in found.iter() {
        text.push_str(&one(it, sources, look, &renderer));
        text.push_str("\n\n");
    }
    text.push_str(&summary(found));
    text
}

fn one(it: &Diagnostic, sources: &Sources, look: &Look<'_>, renderer: &Renderer) -> String {
    let level = match it.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = level
        .primary_title(it.message.as_str())
        .id(it.code.as_str());
    let here = it.related.iter().filter(|it| !it.message.is_empty());
    let (here, elsewhere): (Vec<_>, Vec<_>) =
        here.partition(|other| other.span.file == it.span.file);
    let spans = here.iter().map(|other| other.span).chain([it.span]);
    let window = Window::around(sources, spans);
    let mut snippet = Snippet::source(window.text.clone())
        .path(look.path(sources, it.span.file))
        .line_start(window.line)
        .fold(true)
        .annotation(AnnotationKind::Primary.span(window.range(it.span)));
    for other in here {
        let annotation = AnnotationKind::Context.span(window.range(other.span));
        snippet = snippet.annotation(annotation.label(other.message.as_str()));
    }
    let mut group = title.element(snippet);
    for other in elsewhere {
        let window = Window::around(sources, [other.span]);
        let annotation = AnnotationKind::Context.span(window.range(other.span));
        let snippet = Snippet::source(window.text.clone())
            .path(look.path(sources, other.span.file))
            .line_start(window.line)
            .fold(true)
            .annotation(annotation.label(other.message.as_str()));
        group = group.element(snippet);
    }
    group = group.element(Level::HELP.message(it.help.as_str()));
    let patch = patch(it, sources);
    renderer.render(
        &[Some(group), patch]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>(),
    )
}

/// What the lines look like when they are mended, unless the help says all of it.
fn patch<'a>(it: &'a Diagnostic, sources: &'a Sources) -> Option<Group<'a>> {
    let file = it.edits.first()?.span.file;
    let said = it.edits.len() == 1 && it.help.contains(&it.edits[0].text);
    if said || it.edits.iter().any(|edit| edit.span.file != file) {
        return None;
    }
    let window = Window::around(sources, it.edits.iter().map(|edit| edit.span));
    let patches = it.edits.iter().map(|edit| {
        let start = edit.span.start as usize - window.start;
        let end = edit.span.end as usize - window.start;
        Patch::new(start..end, edit.text.as_str())
    });
    let snippet = Snippet::source(window.text)
        .line_start(window.line)
        .fold(true)
        .patches(patches.collect::<Vec<_>>());
    Some(
        Level::HELP
            .secondary_title("the lines would read")
            .element(snippet),
    )
}

/// Some lines of a file: drawing takes time by the length of the text.
struct Window<'a> {
    text: Cow<'a, str>,
    /// Its first byte in the file.
    start: usize,
    /// Number of its first line.
    line: usize,
}

impl<'a> Window<'a> {
    /// The lines that spans of one file lie on.
    fn around(sources: &'a Sources, spans: impl IntoIterator<Item = Span>) -> Self {
        let mut all: Option<(FileId, usize, usize)> = None;
        for span in spans {
            let (start, end) = (span.start as usize, span.end as usize);
            all = Some(match all {
                None => (span.file, start, end),
                Some((file, from, to)) => (file, from.min(start), to.max(end)),
            });
        }
        let Some((file, start, end)) = all else {
            return Self {
                text: Cow::Borrowed(""),
                start: 0,
                line: 1,
            };
        };
        let text = sources.text(file);
        let start = text[..text.floor_char_boundary(start)]
            .rfind('\n')
            .map_or(0, |at| at + 1);
        let end = text.ceil_char_boundary(end);
        let end = text[end..].find('\n').map_or(text.len(), |at| end + at);
        let shown = &text[start..end];
        Self {
            // As long in bytes, and nothing to see.
            text: match shown.contains('\r') {
                true => Cow::Owned(shown.replace('\r', " ")),
                false => Cow::Borrowed(shown),
            },
            start,
            line: sources.position(Span::new(file, start, start)).line as usize,
        }
    }

    /// A span in these lines, cut at its first line: a whole step underlined says less than its first line.
    fn range(&self, span: Span) -> Range<usize> {
        let start = (span.start as usize).saturating_sub(self.start);
        let end = (span.end as usize).saturating_sub(self.start);
        let start = self.text.floor_char_boundary(start);
        let end = self.text.ceil_char_boundary(end);
        let line_end = self.text.get(start..end).and_then(|it| it.find('\n'));
        let end = line_end.map_or(end, |n| start + n);
        let shown = self.text.get(start..end).unwrap_or_default();
        start..start + shown.trim_end().len()
    }
}

/// `2 errors, 1 warning, 1 note; 1 of them with a certain fix`.
fn summary(found: &Diagnostics) -> String {
    let count = |severity, one: &str| {
        let n = found.count(severity);
        format!("{n} {one}{}", if n == 1 { "" } else { "s" })
    };
    let mut text = count(Severity::Error, "error");
    text.push_str(&format!(", {}", count(Severity::Warning, "warning")));
    if found.count(Severity::Note) > 0 {
        text.push_str(&format!(", {}", count(Severity::Note, "note")));
    }
    let fixes = found.iter().filter(|it| !it.edits.is_empty()).count();
    if fixes > 0 {
        text.push_str(&format!("; {fixes} of them with a certain fix"));
    }
    text.push('\n');
    text
}
