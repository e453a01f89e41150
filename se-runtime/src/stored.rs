//! Events as they are stored: lines of JSON, which an engine of any version may have written.

use serde::Deserialize;

use crate::event::{Event, FORMAT, Record};

/// Why a stored event cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// This engine does not know the like of it: it is fine, and nothing may be done with it here.
    #[error("{0}")]
    Newer(String),
    /// It is damaged.
    #[error("{0}")]
    Damaged(String),
}

/// What tells which engines can read a record. Any record may say its format; where none is said it
/// is the first.
#[derive(Deserialize)]
struct Stamp {
    #[serde(default)]
    format: Option<u32>,
    event: String,
}

impl Record {
    /// Reads a stored record.
    ///
    /// # Errors
    /// [`Unreadable`] if a newer engine wrote it, or it is damaged.
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        // What says no format is spared the second reading.
        if text.contains("\"format\"") {
            known(text)?;
        }
        serde_json::from_str(text).map_err(|error| match known(text) {
            Err(newer) => newer,
            Ok(()) => Unreadable::Damaged(error.to_string()),
        })
    }
}

/// Whether this engine knows records of that kind and format, as far as that can be told.
fn known(text: &str) -> Result<(), Unreadable> {
    let Ok(Stamp { format, event }) = serde_json::from_str(text) else {
        return Ok(());
    };
    if let Some(format) = format.filter(|it| *it > FORMAT) {
        let text = format!("its format is {format}, and this engine reads formats up to {FORMAT}");
        return Err(Unreadable::Newer(text));
    }
    if !Event::KINDS.contains(&event.as_str()) {
        let text = format!("this engine knows no event `{event}`");
        return Err(Unreadable::Newer(text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Unreadable;
    use crate::event::Record;

    #[test]
    fn what_a_newer_engine_wrote_is_told_from_damage() {
        for (text, expected) in [
            (
                r#"{"seq":1,"at":"2026-01-01T00:00:00Z","event":"job_started"}"#,
                "",
            ),
            (
                r#"{"seq":1,"at":"2026-01-01T00:00:00Z","event":"job_started","format":1}"#,
                "",
            ),
            // A field that is new and may be ignored.
            (
                r#"{"seq":1,"at":"2026-01-01T00:00:00Z","event":"job_started","more":1}"#,
                "",
            ),
            (
                r#"{"seq":1,"at":"2026-01-01T00:00:00Z","event":"job_moved"}"#,
                "newer: `job_moved`",
            ),
            (
                r#"{"seq":1,"at":"2026-01-01T00:00:00Z","event":"job_started","format":2}"#,
                "newer: format is 2",
            ),
            (
                r#"{"seq":1,"at":"2026-01-01T00:00:00Z","event":"step_skipped"}"#,
                "damaged: step",
            ),
            (r#"{"seq":1,"at":"2026-01-01T00:00:00Z"}"#, "damaged: event"),
            (
                r#"{"seq":1,"at":"2026-01-01T00:00:00Z","event":"job_st"#,
                "damaged: EOF",
            ),
            ("", "damaged: EOF"),
        ] {
            let (kind, said) = match Record::parse(text) {
                Ok(_) => ("", String::new()),
                Err(it @ Unreadable::Newer(_)) => ("newer: ", it.to_string()),
                Err(it @ Unreadable::Damaged(_)) => ("damaged: ", it.to_string()),
            };
            let part = expected.strip_prefix(kind);
            assert!(
                part.is_some_and(|it| said.contains(it)),
                "{text}: {kind}{said}"
            );
            assert_eq!(kind.is_empty(), expected.is_empty(), "{text}: {said}");
        }
    }
}
