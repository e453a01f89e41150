//! Diagnostics as text for terminals, JSON, SARIF and GitHub annotations.

mod github;
mod json;
mod sarif;
mod text;

use super::Diagnostics;
use crate::source::Sources;

/// How to write diagnostics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people at a terminal: each with the lines it is about.
    #[default]
    Text,
    /// One JSON object.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// Workflow commands that GitHub shows beside the code.
    Github,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Text, Self::Json, Self::Sarif, Self::Github];

    /// The name as the command line takes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Sarif => "sarif",
            Self::Github => "github",
        }
    }
}

/// Writes diagnostics. `colour` concerns text alone.
#[must_use]
pub fn render(found: &Diagnostics, sources: &Sources, format: Format, colour: bool) -> String {
    match format {
        Format::Text => text::render(found, sources, colour),
        Format::Json => json::render(found, sources),
        Format::Sarif => sarif::render(found, sources),
        Format::Github => github::render(found, sources),
    }
}
