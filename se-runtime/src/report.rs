//! Reports: what a job's log says, for a candidate, an examiner, an operator.
//!
//! A report is a fold of the log. It has no clock and no randomness of its own: the same log gives the
//! same bytes.

mod fold;
mod html;
mod markdown;
mod sheet;
mod shown;
mod text;
mod totals;

use se_dsl::checked::{ProcessType, ReportClass, ReportSpec};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::JobStatus;
use crate::grade::GradedItem;
use crate::time::Timestamp;

pub(crate) use fold::accept;
pub use fold::{of, spec};
pub use totals::{Percentage, Totals};

/// One report.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Report {
    /// Points of a candidate.
    Score(ScoreReport),
    /// Whether a pod is ready.
    Readiness(ReadinessReport),
    /// What was changed.
    Change(ChangeReport),
    /// What was handed over.
    Submission(SubmissionReport),
    /// What was taken down.
    Archive(ArchiveReport),
}

/// What every report begins with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Head {
    /// `<job id>:<key of the report step>`.
    pub report_id: String,
    /// Which report it is.
    pub report_class: ReportClass,
    /// What the job was for.
    pub process_type: ProcessType,
    /// The job.
    pub job_id: String,
    /// The caller's session.
    pub session_id: Option<String>,
    /// The phase that was run; none for a single scenario.
    pub phase: Option<String>,
    /// Which content.
    pub definition_id: String,
    /// Which version of it.
    pub version: String,
    /// Hash of exactly that content.
    pub content_hash: String,
    /// Version of the engine that took the job in.
    pub engine_version: String,
    /// When the job was first run.
    pub started_at: Option<Timestamp>,
    /// When it ended; none while it runs.
    pub completed_at: Option<Timestamp>,
    /// Seconds between the two.
    pub duration_seconds: Option<f64>,
    /// Whether the report can be relied on as it is.
    pub status: Status,
}

/// Whether a report can be relied on as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The job ended well and everything asked for is there.
    Completed,
    /// Something was not collected: the report says what.
    Incomplete,
    /// The job has not ended.
    Running,
    /// The job was ended by a failed step.
    Faulted,
    /// The job was ended by request.
    Cancelled,
}

impl From<JobStatus> for Status {
    fn from(status: JobStatus) -> Self {
        match status {
            JobStatus::Accepted | JobStatus::Running | JobStatus::Cancelling => Self::Running,
            JobStatus::Completed => Self::Completed,
            JobStatus::Faulted => Self::Faulted,
            JobStatus::Cancelled => Self::Cancelled,
        }
    }
}

/// Points of a candidate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScoreReport {
    /// The common head.
    #[serde(flatten)]
    pub head: Head,
    /// What the rubric is about.
    pub domain: Option<String>,
    /// The items, in the order of the rubric.
    pub items: Vec<GradedItem>,
    /// Their sum.
    pub totals: Totals,
    /// The same by part, where the report is aggregated so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
}

/// One part of a score: one rubric.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// Name of the rubric.
    pub part: String,
    /// Its items.
    pub items: Vec<GradedItem>,
    /// Their sum.
    pub totals: Totals,
}

impl Part {
    /// A part with its sum.
    #[must_use]
    pub fn new(part: String, items: Vec<GradedItem>) -> Self {
        let totals = Totals::of(&items);
        Self {
            part,
            items,
            totals,
        }
    }
}

impl ScoreReport {
    /// A score over items. It is incomplete where one of them could not be judged.
    #[must_use]
    pub fn new(mut head: Head, domain: Option<String>, items: Vec<GradedItem>) -> Self {
        let totals = Totals::of(&items);
        if items.iter().any(GradedItem::is_undetermined) {
            head.status = Status::Incomplete;
        }
        Self {
            head,
            domain,
            items,
            totals,
            parts: Vec::new(),
        }
    }

    /// A score over parts; its items are those of all parts, in order.
    #[must_use]
    pub fn by_part(head: Head, domain: Option<String>, parts: Vec<Part>) -> Self {
        let items = parts.iter().flat_map(|it| it.items.clone()).collect();
        Self {
            parts,
            ..Self::new(head, domain, items)
        }
    }
}

/// Whether a pod is ready.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReadinessReport {
    /// The common head.
    #[serde(flatten)]
    pub head: Head,
    /// Every check passed, and the job was not ended before its time.
    pub ready: bool,
    /// What the job evaluated, then what the engine looked at itself.
    pub checks: Vec<Check>,
}

impl ReadinessReport {
    /// The verdict over checks.
    #[must_use]
    pub fn new(head: Head, checks: Vec<Check>) -> Self {
        let stopped = matches!(head.status, Status::Faulted | Status::Cancelled);
        Self {
            ready: !stopped && checks.iter().all(|it| it.passed),
            head,
            checks,
        }
    }
}

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What.
    pub name: String,
    /// Whether it is as it should be.
    pub passed: bool,
    /// What was seen.
    #[serde(default)]
    pub detail: String,
}

/// What was changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChangeReport {
    /// The common head.
    #[serde(flatten)]
    pub head: Head,
    /// Every step that changes a device or lab and was begun.
    pub changes: Vec<Change>,
    /// What the job evaluated.
    pub checks: Vec<Check>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Key of the step.
    pub step: String,
    /// The connector or device it worked on.
    pub target: Option<String>,
    /// The primitive: `exec@v1`.
    pub action: String,
    /// Whether it succeeded.
    pub ok: bool,
    /// When it ended.
    pub at: Option<Timestamp>,
}

/// What was handed over.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SubmissionReport {
    /// The common head.
    #[serde(flatten)]
    pub head: Head,
    /// Every piece of evidence asked for.
    pub evidence: Vec<Exhibit>,
}

impl SubmissionReport {
    /// A list of evidence. It is incomplete where a piece is missing.
    #[must_use]
    pub fn new(mut head: Head, evidence: Vec<Exhibit>) -> Self {
        if evidence.iter().any(|it| it.content.is_none()) {
            head.status = Status::Incomplete;
        }
        Self { head, evidence }
    }
}

/// A piece of evidence; the last three fields are null where it is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exhibit {
    /// Dotted path below `vars`.
    pub source: String,
    /// Key of the step that was to capture it.
    pub step: Option<String>,
    /// The connector it was taken from.
    pub target: Option<String>,
    /// What was captured.
    pub content: Option<Content>,
}

/// What identifies a piece of evidence. Size and hash are of the text as the log shows it: UTF-8, secrets
/// as `***`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Its size.
    pub bytes: usize,
    /// Its hash, in lower-case hex.
    pub sha256: String,
    /// When it was captured.
    pub at: Option<Timestamp>,
}

impl Serialize for Exhibit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat<'a> {
            source: &'a str,
            step: Option<&'a str>,
            target: Option<&'a str>,
            bytes: Option<usize>,
            sha256: Option<&'a str>,
            at: Option<Timestamp>,
        }
        let content = self.content.as_ref();
        Flat {
            source: &self.source,
            step: self.step.as_deref(),
            target: self.target.as_deref(),
            bytes: content.map(|it| it.bytes),
            sha256: content.map(|it| it.sha256.as_str()),
            at: content.and_then(|it| it.at),
        }
        .serialize(serializer)
    }
}

/// What was taken down.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArchiveReport {
    /// The common head.
    #[serde(flatten)]
    pub head: Head,
    /// Every step that was begun.
    pub actions: Vec<Done>,
}

/// One thing that was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Done {
    /// Key of the step.
    pub step: String,
    /// The primitive: `cml.wipe@v1`.
    pub action: String,
    /// Whether it succeeded.
    pub ok: bool,
    /// When it ended.
    pub at: Option<Timestamp>,
}

impl Report {
    /// What it begins with.
    #[must_use]
    pub fn head(&self) -> &Head {
        match self {
            Self::Score(it) => &it.head,
            Self::Readiness(it) => &it.head,
            Self::Change(it) => &it.head,
            Self::Submission(it) => &it.head,
            Self::Archive(it) => &it.head,
        }
    }

    /// All of it; the order of the keys is fixed.
    ///
    /// # Panics
    /// Never: a report holds text, numbers and lists.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("a report holds text, numbers and lists")
    }

    /// For a terminal.
    #[must_use]
    pub fn to_text(&self) -> String {
        text::render(&sheet::Sheet::of(self, None, sheet::Depth::Summary))
    }

    /// As GitHub-flavoured Markdown, with the fields that `spec` chooses.
    #[must_use]
    pub fn to_markdown(&self, spec: Option<&ReportSpec>) -> String {
        markdown::render(&sheet::Sheet::of(self, spec, sheet::Depth::Summary))
    }

    /// As one HTML page that needs nothing else, with the fields that `spec` chooses.
    #[must_use]
    pub fn to_html(&self, spec: Option<&ReportSpec>) -> String {
        html::render(&sheet::Sheet::of(self, spec, sheet::Depth::Proof))
    }
}

/// The reports of a job as one value: a single report as it is, several as `{"reports": […]}`.
#[must_use]
pub fn as_json(reports: &[Report]) -> Value {
    match reports {
        [only] => only.to_json(),
        all => {
            let all: Vec<Value> = all.iter().map(Report::to_json).collect();
            serde_json::json!({ "reports": all })
        }
    }
}
