//! Single values in words.

use serde_json::Value;

use crate::report::{Totals, shown};

/// A value in words, and whether it is good news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::report) struct Cell {
    pub(in crate::report) text: String,
    pub(in crate::report) tone: Tone,
}

/// Whether a value is good news. Never the only sign of it: the text says so too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) enum Tone {
    Plain,
    Good,
    Bad,
    Unknown,
}

impl Cell {
    pub(super) fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self {
            text: text.into(),
            tone,
        }
    }

    /// The value of a field of a report.
    pub(super) fn of(field: &str, value: &Value) -> Self {
        match (field, value) {
            (_, Value::Null) => Self::new("–", Tone::Plain),
            ("status", Value::String(status)) => {
                let tone = match status.as_str() {
                    "passed" | "completed" => Tone::Good,
                    "failed" | "faulted" | "cancelled" => Tone::Bad,
                    _ => Tone::Unknown,
                };
                Self::new(status.replace('_', " "), tone)
            }
            ("percentage", Value::Number(number)) => {
                let percent = number.as_f64().unwrap_or_default();
                Self::new(format!("{percent:.2} %"), Tone::Plain)
            }
            ("duration_seconds", Value::Number(number)) => {
                let seconds = number.as_f64().unwrap_or_default();
                Self::new(format!("{seconds:.1} s"), Tone::Plain)
            }
            ("started_at" | "completed_at" | "at", Value::String(at)) => Self::time(at),
            ("passed", Value::Bool(true)) => Self::new("passed", Tone::Good),
            ("passed", Value::Bool(false)) => Self::new("failed", Tone::Bad),
            (_, Value::Bool(true)) => Self::new("yes", Tone::Good),
            (_, Value::Bool(false)) => Self::new("no", Tone::Bad),
            (_, Value::String(text)) => Self::new(shown::line(text), Tone::Plain),
            (_, Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                Self::new(shown::line(&value.to_string()), Tone::Plain)
            }
        }
    }

    /// A moment, to the second.
    fn time(at: &str) -> Self {
        let text = match (at.get(..10), at.get(11..19)) {
            (Some(day), Some(time)) => format!("{day} {time} UTC"),
            _ => shown::line(at),
        };
        Self::new(text, Tone::Plain)
    }
}

/// The result of a score in one line, of the fields that are shown; none if the points are not.
pub(super) fn score(totals: &Totals, fields: &[&str]) -> Option<Cell> {
    if !fields.contains(&"points_awarded") || !fields.contains(&"points_max") {
        return None;
    }
    let mut text = format!("{} of {} points", totals.points_awarded, totals.points_max);
    if fields.contains(&"percentage") {
        text.push_str(&format!(" ({} %)", totals.percentage));
    }
    if totals.points_undetermined.hundredths() > 0 && fields.contains(&"points_undetermined") {
        text.push_str(&format!(", {} undetermined", totals.points_undetermined));
    }
    let tone = if totals.points_undetermined.hundredths() > 0 {
        Tone::Unknown
    } else if totals.points_awarded == totals.points_max {
        Tone::Good
    } else {
        Tone::Plain
    };
    Some(Cell::new(text, tone))
}

/// How much of something went well; `done` says what that means.
pub(super) fn count(noun: &str, done: &str, good: usize, all: usize) -> Cell {
    let plural = if all == 1 { "" } else { "s" };
    if good == all {
        return Cell::new(format!("{all} {noun}{plural} {done}"), Tone::Good);
    }
    let failed = all - good;
    Cell::new(
        format!("{good} of {all} {noun}{plural} {done}, {failed} failed"),
        Tone::Bad,
    )
}

/// What a field is called.
pub(super) fn label(field: &str) -> String {
    let name = match field {
        "id" => "Item",
        "ok" => "Succeeded",
        "at" => "Time",
        "passed" => "Outcome",
        "points_awarded" => "Points",
        "points_max" => "Points possible",
        "sha256" => "SHA-256",
        "session_id" => "Session",
        "job_id" => "Job",
        "report_id" => "Report",
        "definition_id" => "Content",
        "started_at" => "Started",
        "completed_at" => "Completed",
        "duration_seconds" => "Duration",
        other => return capitalised(other),
    };
    name.to_owned()
}

fn capitalised(field: &str) -> String {
    let mut chars = field.chars();
    let first = chars.next().map(|it| it.to_ascii_uppercase());
    let rest = chars.map(|it| if it == '_' { ' ' } else { it });
    first.into_iter().chain(rest).collect()
}

/// Whether the values of a field stand right-aligned.
pub(super) fn is_numeric(field: &str) -> bool {
    field.starts_with("points_") || matches!(field, "percentage" | "bytes" | "duration_seconds")
}
