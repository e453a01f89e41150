//! Diagnostics as text for terminals, JSON, SARIF and GitHub annotations.

mod github;
mod json;
mod sarif;
mod text;

use super::Diagnostics;
use crate::source::{FileId, Sources};

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

/// How findings look, in all formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look<'a> {
    /// The format.
    pub format: Format,
    /// Whether text has colours.
    pub colour: bool,
    /// Columns of the terminal; text lines of sources are cut there. 0 stands for 140.
    pub width: usize,
    /// The folder that the package lies in, put before paths by all formats but JSON: so editors,
    /// terminals and GitHub find the file. Empty leaves paths as they are in the package.
    pub folder: &'a str,
}

impl Look<'_> {
    /// A file's path as it is shown.
    fn path(&self, sources: &Sources, file: FileId) -> String {
        let path = sources.path(file);
        match self.folder.trim_end_matches('/') {
            "" if self.folder.is_empty() => path.to_owned(),
            "." => path.to_owned(),
            folder => format!("{folder}/{path}"),
        }
    }
}

/// Writes diagnostics. `colour` concerns text alone.
#[must_use]
pub fn render(found: &Diagnostics, sources: &Sources, format: Format, colour: bool) -> String {
    let look = Look {
        format,
        colour,
        ..Look::default()
    };
    render_as(found, sources, &look)
}

/// Writes diagnostics.
#[must_use]
pub fn render_as(found: &Diagnostics, sources: &Sources, look: &Look<'_>) -> String {
    match look.format {
        Format::Text => text::render(found, sources, look),
        Format::Json => json::render(found, sources),
        Format::Sarif => sarif::render(found, sources, look),
        Format::Github => github::render(found, sources, look),
    }
}
