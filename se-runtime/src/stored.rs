//! Events as they are stored: lines of JSON, which an engine of any version may have written.

use std::borrow::Cow;

use serde::Deserialize;

use crate::event::{AfterFault, End, Event, FORMAT, Map, Record};
use crate::fault::StepError;
use crate::time::Timestamp;

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
        if let Some(record) = Flat::read(text) {
            return Ok(record);
        }
        serde_json::from_str(text).map_err(|error| match known(text) {
            Err(newer) => newer,
            Ok(()) => Unreadable::Damaged(error.to_string()),
        })
    }
}

/// The fields of every event but the first, side by side: read in one go, where the derived way of an event inside a
/// record puts all of it aside twice. What does not fit is left to that way, which says why.
#[derive(Deserialize)]
struct Flat<'a> {
    seq: u64,
    at: Timestamp,
    #[serde(borrow)]
    event: Cow<'a, str>,
    step: Option<String>,
    attempt: Option<u32>,
    inputs: Option<Map>,
    target: Option<String>,
    output: Option<Map>,
    #[serde(default)]
    learned: Map,
    error: Option<StepError>,
    then: Option<AfterFault>,
    percentage: Option<u8>,
    message: Option<String>,
    reason: Option<String>,
    end: Option<End>,
}

impl Flat<'_> {
    fn read(text: &str) -> Option<Record> {
        let flat: Flat<'_> = serde_json::from_str(text).ok()?;
        Some(Record {
            seq: flat.seq,
            at: flat.at,
            event: flat.event()?,
        })
    }

    fn event(self) -> Option<Event> {
        Some(match &*self.event {
            "job_started" => Event::JobStarted,
            "step_started" => Event::StepStarted {
                step: self.step?,
                attempt: self.attempt?,
                inputs: self.inputs?,
                target: self.target,
            },
            "step_completed" => Event::StepCompleted {
                step: self.step?,
                attempt: self.attempt?,
                output: self.output?,
                learned: self.learned,
            },
            "step_faulted" => Event::StepFaulted {
                step: self.step?,
                error: self.error?,
                then: self.then?,
            },
            "step_skipped" => Event::StepSkipped { step: self.step? },
            "step_cancelled" => Event::StepCancelled { step: self.step? },
            "job_progress" => Event::JobProgress {
                percentage: self.percentage?,
                message: self.message?,
            },
            "cancel_requested" => Event::CancelRequested {
                reason: self.reason?,
            },
            "job_completed" => Event::JobCompleted { end: self.end? },
            "job_faulted" => Event::JobFaulted {
                error: self.error?,
                end: self.end?,
            },
            "job_cancelled" => Event::JobCancelled {
                reason: self.reason?,
                end: self.end?,
            },
            _ => return None,
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
    use serde_json::json;

    use super::{Flat, Unreadable};
    use crate::event::{Event, Record};

    #[test]
    fn both_ways_read_the_same() {
        let error = json!({"type": "t", "status": 408, "title": "t", "detail": "d", "instance": "/i", "attempt": 2});
        let end = json!({"started_at": "2026-01-01T00:00:00Z", "results": {"a": {"output": "\u{e4}\u{0}"}}});
        let fields = json!({
            "step": "look[2]", "attempt": 2, "inputs": {"command": "show \"clock\"", "n": [1, 2.5, null]},
            "target": "r1", "output": {"output": "12:00"}, "learned": {"lab_id": "x"}, "error": error,
            "then": {"action": "retry", "at": "2026-01-01T00:00:09Z"}, "percentage": 3, "message": "m",
            "reason": "why", "end": end, "more": {"unknown": true},
        });
        let without_options = |mut it: serde_json::Value| {
            let fields = it.as_object_mut().unwrap();
            fields.retain(|key, _| key != "target" && key != "learned");
            it
        };
        let kinds = Event::KINDS.iter().filter(|it| **it != "job_accepted");
        let mut read = 0;
        for kind in kinds {
            for mut all in [fields.clone(), without_options(fields.clone())] {
                all["seq"] = json!(7);
                all["at"] = json!("2026-01-01T00:00:00.000001Z");
                all["event"] = json!(kind);
                let text = all.to_string();
                let slow: Record = serde_json::from_str(&text).unwrap();
                assert_eq!(Flat::read(&text), Some(slow), "{text}");
                read += 1;
            }
        }
        assert_eq!(read, 22);
    }

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
