//! What is wrong with a package, for people: many at once, each with a code, a place and a way out.

use serde::Serialize;

use crate::source::{Sources, Span};

pub(crate) mod codes;
mod render;

pub use codes::{Code, explain};
pub use render::{Format, render};

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
    /// Replacements that certainly mend it.
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

/// Replaces the text of a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What to replace.
    pub span: Span,
    /// What to put there.
    pub text: String,
}

/// A [`Diagnostic`] with its place in lines and columns: what JSON, HTTP and SARIF show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Located {
    /// Which mistake it is.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// One sentence.
    pub message: String,
    /// The next action.
    pub help: String,
    /// Path in the package.
    pub file: String,
    /// Line of the first character, from 1.
    pub line: u32,
    /// Column of the first character, from 1, in characters.
    pub column: u32,
    /// Line after the last character.
    pub end_line: u32,
    /// Column after the last character.
    pub end_column: u32,
}

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
    pub(crate) fn finish(mut self) -> Self {
        let key = |it: &Diagnostic| (it.span, it.severity, it.code);
        self.all
            .sort_by(|a, b| key(a).cmp(&key(b)).then_with(|| a.message.cmp(&b.message)));
        self.all.dedup();
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

    /// With lines and columns.
    #[must_use]
    pub fn located(&self, sources: &Sources) -> Located {
        let at = sources.position(self.span);
        Located {
            code: self.code.as_str(),
            severity: self.severity,
            message: self.message.clone(),
            help: self.help.clone(),
            file: sources.path(self.span.file).to_owned(),
            line: at.line,
            column: at.column,
            end_line: at.end_line,
            end_column: at.end_column,
        }
    }
}

/// The name among `known` that `name` is probably a slip of.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    known
        .map(|it| (strsim::damerau_levenshtein(&lower, &it.to_lowercase()), it))
        .filter(|(distance, it)| *distance <= 1 + name.chars().count().min(it.chars().count()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, it)| it)
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
