//! What is wrong with a package, for people: many at once, each with a code, a place and a way out.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::source::{Sources, Span};

pub(crate) mod codes;
mod edit;
mod located;
mod render;

pub use codes::{Code, explain};
pub use edit::{Edit, apply};
pub(crate) use edit::{keep_quotes, rename, rename_in_paths};
pub use located::{Located, LocatedEdit, LocatedRelated, Place};
pub use render::{Format, Look, render, render_as};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The package cannot be used.
    Error,
    /// It can be used, and probably does not do what its author wants.
    Warning,
    /// Worth knowing.
    Note,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Which mistake it is.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// One sentence; source text stands in backticks.
    pub message: String,
    /// The text at fault.
    pub span: Span,
    /// The next action.
    pub help: String,
    /// Other places that matter: the first of two definitions, say.
    pub related: Vec<Related>,
    /// Replacements that certainly mend it; all of them together, or none.
    pub edits: Vec<Edit>,
}

/// Another place that matters for a [`Diagnostic`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Related {
    /// The place.
    pub span: Span,
    /// What is there.
    pub message: String,
}

/// So many findings of one code and severity are shown of one document.
const MAX_ALIKE: usize = 100;

/// Findings in a stable order: by file, place, then code; each once.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    all: Vec<Diagnostic>,
}

impl Diagnostics {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.all.push(diagnostic);
    }

    /// How many there are, of whatever severity.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Forgets all but the first `len`.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.all.truncate(len);
    }

    /// Puts them in order and drops repetitions. Called once, by [`crate::check`].
    pub(crate) fn finish(mut self, sources: &Sources) -> Self {
        let key = |it: &Diagnostic| (it.span.start, it.span.end, it.severity, it.code);
        self.all.sort_by(|a, b| {
            let path = |it: &Diagnostic| sources.path(it.span.file);
            let by_path = path(a).cmp(path(b));
            by_path
                .then_with(|| key(a).cmp(&key(b)))
                .then_with(|| a.message.cmp(&b.message))
        });
        self.all
            .dedup_by(|b, a| a.span == b.span && a.code == b.code && a.message == b.message);
        self.all = shortened(self.all);
        self
    }

    /// Every finding.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.all.iter()
    }

    /// How many have that severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.iter().filter(|it| it.severity == severity).count()
    }

    /// Whether the package cannot be used.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// Every finding with its place.
    #[must_use]
    pub fn located(&self, sources: &Sources) -> Vec<Located> {
        self.iter().map(|it| it.located(sources)).collect()
    }
}

impl Diagnostic {
    pub(crate) fn new(
        code: Code,
        severity: Severity,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            code,
            severity,
            message: cut(message.into()),
            span,
            help: cut(help.into()),
            related: Vec::new(),
            edits: Vec::new(),
        }
    }

    pub(crate) fn error(
        code: Code,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self::new(code, Severity::Error, span, message, help)
    }

    #[must_use]
    pub(crate) fn related(mut self, span: Span, message: impl Into<String>) -> Self {
        let message = message.into();
        self.related.push(Related { span, message });
        self
    }
}

/// All but what is alike in one document more than [`MAX_ALIKE`] times: the last one kept says so.
fn shortened(all: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut kept: Vec<Diagnostic> = Vec::with_capacity(all.len());
    // Of each kind: how many there are, and where the last one lies that is kept.
    let mut kinds: BTreeMap<_, (usize, usize)> = BTreeMap::new();
    for it in all {
        let kind = (it.span.file, it.code, it.severity);
        let (count, last) = kinds.entry(kind).or_default();
        *count += 1;
        match count.checked_sub(MAX_ALIKE) {
            None | Some(0) => {
                *last = kept.len();
                kept.push(it);
            }
            Some(more) => {
                let related = &mut kept[*last].related;
                if more > 1 {
                    related.pop();
                }
                let message = format!("and {more} more like it, the last one here");
                let span = it.span;
                related.push(Related { span, message });
            }
        }
    }
    kept
}

/// The name among `known` that `name` is probably a slip of: few letters differ, or it is how only one
/// of them begins.
pub(crate) fn nearest<'a>(
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    const SHORTEST: usize = 4;
    let lower = name.to_lowercase();
    let length = name.chars().count();
    let distance = |it: &str| {
        let other = it.chars().count();
        let most = 1 + length.min(other) / 4;
        // Counting takes time and memory by the product of both lengths: not for what cannot be near.
        let found = (length.abs_diff(other) <= most)
            .then(|| strsim::damerau_levenshtein(&lower, &it.to_lowercase()))?;
        (found <= most).then_some(found)
    };
    let near = known
        .clone()
        .filter_map(|it| Some((distance(it)?, it)))
        .min_by_key(|(distance, _)| *distance);
    if let Some((_, near)) = near {
        return Some(near);
    }
    let mut longer = known.filter(|it| length >= SHORTEST && it.to_lowercase().starts_with(&lower));
    match (longer.next(), longer.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

/// Names for a help line: the first dozen.
pub(crate) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const MOST: usize = 12;
    let all: Vec<&str> = names.collect();
    let shown = all[..all.len().min(MOST)].join(", ");
    match all.len().checked_sub(MOST) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

/// Text for a message, cut where it gets long.
fn cut(text: String) -> String {
    const LONGEST: usize = 600;
    if text.len() <= LONGEST {
        return text;
    }
    format!("{}…", &text[..text.floor_char_boundary(LONGEST)])
}
