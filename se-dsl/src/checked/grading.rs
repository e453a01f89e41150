//! Rubrics and reports: how a candidate's work is judged, and what is shown of it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ProcessType;
use crate::source::Span;

/// How a candidate's work is judged.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rubric {
    /// `metadata.name`, or the file stem.
    pub name: String,
    /// What it is about.
    pub domain: Option<String>,
    /// The sum of the items' points.
    pub max_points: Points,
    /// The items, in document order.
    pub items: Vec<RubricItem>,
    /// Where it is declared.
    pub span: Span,
}

/// A number of points: not negative, finite, at most two decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Points(i64);

impl Points {
    /// From hundredths of a point.
    #[must_use]
    pub fn from_hundredths(hundredths: u32) -> Self {
        Self(i64::from(hundredths))
    }

    /// Hundredths of a point.
    #[must_use]
    pub fn hundredths(self) -> i64 {
        self.0
    }

    /// As a JSON number: an integer where it is one.
    #[must_use]
    pub fn to_json(self) -> Value {
        if self.0 % 100 == 0 {
            Value::from(self.0 / 100)
        } else {
            #[expect(clippy::cast_precision_loss, reason = "points are far below 2^52")]
            Value::from(self.0 as f64 / 100.0)
        }
    }
}

impl std::ops::Add for Points {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::iter::Sum for Points {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), std::ops::Add::add)
    }
}

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_json())
    }
}

/// One item of a rubric: all its checks hold, or it earns nothing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RubricItem {
    /// Integer or string, as the rubric has it.
    pub id: Value,
    /// What it is worth.
    pub points: Points,
    /// What is asked.
    pub description: String,
    /// At least one.
    pub checks: Vec<RubricCheck>,
    /// Where it is declared.
    pub span: Span,
}

/// One regular expression on one piece of evidence.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RubricCheck {
    /// Path below `vars`, split at the dots.
    pub source: Vec<String>,
    /// What must (or must not) match.
    pub matcher: Arc<crate::pattern::Pattern>,
    /// Whether a match is wanted.
    pub mode: CheckMode,
    /// What a candidate is told when it fails.
    pub on_fail: Option<String>,
    /// Where it is declared.
    pub span: Span,
}

/// Whether a match is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckMode {
    /// The pattern must match.
    #[default]
    Positive,
    /// The pattern must not match.
    Negative,
}

/// What a report shows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReportSpec {
    /// `metadata.name`, or the file stem.
    pub name: String,
    /// What it is for.
    pub process_type: ProcessType,
    /// Which report.
    pub report_class: ReportClass,
    /// The groups of fields shown in HTML and Markdown, in order: `per_item`, `totals`, … → fields.
    pub include: Vec<(String, Vec<String>)>,
    /// `by_part`.
    pub aggregate: Option<String>,
}

/// The reports there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ReportClass {
    /// Points of a candidate.
    ScoreReport,
    /// Whether a pod is ready.
    ReadinessReport,
    /// What was changed.
    ChangeReport,
    /// What was handed over.
    SubmissionReport,
    /// What was taken down.
    ArchiveReport,
}

impl ReportClass {
    /// The name as documents write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ScoreReport => "ScoreReport",
            Self::ReadinessReport => "ReadinessReport",
            Self::ChangeReport => "ChangeReport",
            Self::SubmissionReport => "SubmissionReport",
            Self::ArchiveReport => "ArchiveReport",
        }
    }

    /// The report that a process type implies.
    #[must_use]
    pub fn of(process: ProcessType) -> Self {
        match process {
            ProcessType::Initialization => Self::ReadinessReport,
            ProcessType::Grading => Self::ScoreReport,
            ProcessType::Change => Self::ChangeReport,
            ProcessType::Submission => Self::SubmissionReport,
            ProcessType::Archive => Self::ArchiveReport,
        }
    }
}
