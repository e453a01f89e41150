//! Grading: evidence against regular expressions.

use se_dsl::checked::Rubric;
use serde::Serialize;

use crate::event::Map;
use crate::fault::{Fault, FaultKind};

/// What was collected for one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The text.
    Text(String),
    /// Nobody captured it, or its step was skipped.
    Absent,
    /// Its step failed: not the candidate's mistake.
    NotCollected {
        /// Key of the step.
        step: String,
        /// Its error.
        detail: String,
    },
}

/// A judged item.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GradedItem {
    /// Whether all its checks hold.
    pub passed: bool,
    /// What failed.
    pub issues: Vec<String>,
}

/// Judges every item of a rubric.
#[must_use]
pub fn rubric(rubric: &Rubric, evidence: &dyn Fn(&[String]) -> Evidence) -> Vec<GradedItem> {
    let judge = |source: &Vec<String>| matches!(evidence(source), Evidence::Text(_));
    rubric
        .items
        .iter()
        .map(|item| GradedItem {
            passed: item.checks.iter().all(|check| judge(&check.source)),
            issues: Vec::new(),
        })
        .collect()
}

/// Matches one text.
///
/// # Errors
/// `validation`.
pub fn regex(inputs: &Map) -> Result<Map, Fault> {
    Err(Fault::new(
        FaultKind::Validation,
        format!("{} inputs", inputs.len()),
    ))
}
