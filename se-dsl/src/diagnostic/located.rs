//! Findings with their places in lines and columns.

use serde::Serialize;

use super::{Diagnostic, Severity};
use crate::source::{Sources, Span};

/// A [`Diagnostic`] with its place in lines and columns: what JSON and HTTP show.
///
/// All keys are always there, in this order; `related` and `edits` are empty lists where there are none.
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
    /// Other places that matter.
    pub related: Vec<LocatedRelated>,
    /// Replacements that certainly mend it; all of them together, or none.
    pub edits: Vec<LocatedEdit>,
}

/// Another place that matters for a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LocatedRelated {
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
    /// What is there.
    pub message: String,
}

/// Text to replace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LocatedEdit {
    /// What to replace.
    #[serde(flatten)]
    pub place: Place,
    /// What to put there.
    pub text: String,
}

/// A range of a file, in lines and columns as in [`Located`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
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

impl Place {
    pub(super) fn of(span: Span, sources: &Sources) -> Self {
        let at = sources.position(span);
        Self {
            file: sources.path(span.file).to_owned(),
            line: at.line,
            column: at.column,
            end_line: at.end_line,
            end_column: at.end_column,
        }
    }
}

impl Diagnostic {
    /// With lines and columns.
    #[must_use]
    pub fn located(&self, sources: &Sources) -> Located {
        let place = Place::of(self.span, sources);
        let related = self.related.iter().map(|other| LocatedRelated {
            place: Place::of(other.span, sources),
            message: other.message.clone(),
        });
        let edits = self.edits.iter().map(|edit| LocatedEdit {
            place: Place::of(edit.span, sources),
            text: edit.text.clone(),
        });
        Located {
            code: self.code.as_str(),
            severity: self.severity,
            message: self.message.clone(),
            help: self.help.clone(),
            file: place.file,
            line: place.line,
            column: place.column,
            end_line: place.end_line,
            end_column: place.end_column,
            related: related.collect(),
            edits: edits.collect(),
        }
    }
}
