//! The ScenarioEngine language: the text of a package in, a checked package and diagnostics out.
//!
//! Pure: no I/O, no clock, no randomness. The way through is one function, [`check`].
//!
//! ```
//! use se_dsl::{Options, Sources, check};
//!
//! let mut sources = Sources::new();
//! sources.add("PAv1/manifest.yaml", "format_version: PAv1\nname: x\nversion: 1\npod_type: nonne\n");
//! let outcome = check(&sources, Options::default());
//! assert!(outcome.checked.is_none());
//! let first = &outcome.diagnostics.located(&sources)[1];
//! assert_eq!(first.message, "pod_type cannot be `nonne`");
//! assert_eq!((first.line, first.column), (4, 11));
//! ```

pub mod catalog;
mod check;
pub mod checked;
mod decode;
pub mod diagnostic;
mod document;
pub mod expr;
pub mod pattern;
pub mod ports;
pub mod schema;
mod source;
mod syntax;

pub use checked::Checked;
pub use diagnostic::{Diagnostic, Diagnostics, Located, Severity};
pub use source::{FileId, Position, Sources, Span, Spanned};

/// What [`check`] found.
#[derive(Debug)]
pub struct Outcome {
    /// The package, if no finding is an error.
    pub checked: Option<Checked>,
    /// Every finding, in a stable order.
    pub diagnostics: Diagnostics,
}

/// How strictly to look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Literal passwords and ports in content are errors.
    pub strict: bool,
}

/// Reads and checks a whole package: every problem at once.
#[must_use]
pub fn check(sources: &Sources, options: Options) -> Outcome {
    let sink = decode::Sink::new(sources, options);
    let documents = document::read(&sink);
    let checked = check::package(&sink, documents);
    let diagnostics = sink.into_diagnostics();
    Outcome {
        checked: checked.filter(|_| !diagnostics.has_errors()),
        diagnostics,
    }
}

/// Reads documents that are no package, each by itself: what one file can tell.
#[must_use]
pub fn check_documents(sources: &Sources, options: Options) -> Diagnostics {
    let sink = decode::Sink::new(sources, options);
    document::read_alone(&sink);
    sink.into_diagnostics()
}
