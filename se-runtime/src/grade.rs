//! Grading: evidence against regular expressions. A pure function: the same evidence, the same items.
//!
//! An item earns all its points or none. An item that cannot be judged is neither passed nor failed: its
//! points are undetermined.

mod hiding;
pub(crate) mod points;

use se_dsl::checked::{CheckMode, Points, Rubric, RubricCheck};
use se_dsl::pattern::{Flags, Pattern};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::event::Map;
use crate::fault::{Fault, FaultKind};
use crate::secret::Vault;

/// A matched text longer than this is cut when it is shown.
const SHOWN_CHARACTERS: usize = 500;

/// What was collected for one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The text; an empty one counts like any other.
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

/// A judged item. It travels as JSON: out of `evaluate.regex@v1`, into `report.score@v1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GradedItem {
    /// Integer or string, as the rubric has it.
    pub id: Value,
    /// What was asked.
    #[serde(default)]
    pub description: String,
    /// All its points, or none.
    #[serde(with = "points")]
    pub points_awarded: Points,
    /// What it is worth.
    #[serde(with = "points")]
    pub points_max: Points,
    /// Whether all its checks hold.
    pub passed: bool,
    /// The verdict.
    pub status: ItemStatus,
    /// What a candidate is told: each text once, in the order of the checks.
    #[serde(default)]
    pub issues: Vec<String>,
    /// How it was judged.
    #[serde(default)]
    pub checks: Vec<GradedCheck>,
}

impl GradedItem {
    /// Whether nobody can say if it was earned.
    #[must_use]
    pub fn is_undetermined(&self) -> bool {
        self.status == ItemStatus::NotCollected
    }
}

/// The verdict on an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemStatus {
    /// All its checks hold.
    Passed,
    /// A check does not hold.
    Failed,
    /// A check could not be judged: its collect step failed, or its pattern took too much work. Its
    /// points are undetermined, whatever its other checks say.
    NotCollected,
}

impl ItemStatus {
    /// As reports write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::NotCollected => "not_collected",
        }
    }
}

/// A judged check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GradedCheck {
    /// Dotted path below `vars`.
    pub source: String,
    /// The pattern as written.
    pub regex: String,
    /// Whether a match was wanted.
    pub mode: CheckMode,
    /// Long names of its flags.
    pub flags: Vec<String>,
    /// Whether it holds.
    pub passed: bool,
    /// Why it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue: Option<String>,
    /// Where the pattern matched, wanted or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<Matched>,
}

/// Where a pattern matched. Offsets count characters (Unicode scalar values) of the evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matched {
    /// First character.
    pub start: usize,
    /// One past the last character.
    pub end: usize,
    /// The text between them, cut at 500 characters.
    pub text: String,
}

/// Judges every item of a rubric, in its order.
#[must_use]
pub fn rubric(rubric: &Rubric, evidence: &dyn Fn(&[String]) -> Evidence) -> Vec<GradedItem> {
    let mut grading = Grading::default();
    let vault = Vault::default();
    while grading.goes_on(rubric, evidence, &vault) {}
    grading.items
}

/// A rubric that is judged check by check: many costly patterns over much evidence take long.
#[derive(Debug, Default)]
pub(crate) struct Grading {
    /// Those that are judged.
    pub(crate) items: Vec<GradedItem>,
    /// Of the checks of the next one, those that are.
    verdicts: Vec<Verdict>,
}

impl Grading {
    /// Judges the next check, or concludes its item; whether there was one. What is quoted of the evidence holds each
    /// secret as a whole or not at all.
    pub(crate) fn goes_on(
        &mut self,
        rubric: &Rubric,
        evidence: &dyn Fn(&[String]) -> Evidence,
        vault: &Vault,
    ) -> bool {
        let Some(item) = rubric.items.get(self.items.len()) else {
            return false;
        };
        match item.checks.get(self.verdicts.len()) {
            Some(check) => {
                let verdict = ask(check, &evidence(&check.source), vault);
                self.verdicts.push(verdict);
            }
            None => {
                let asked = Asked {
                    id: &item.id,
                    description: &item.description,
                    points: item.points,
                };
                let verdicts = std::mem::take(&mut self.verdicts);
                self.items.push(conclude(&asked, verdicts));
            }
        }
        true
    }
}

/// Matches one text: `{source, regex, mode, flags, issue}` → `{passed, issue?}`.
///
/// A `source` that is null or missing proves nothing: it fails in either mode. What is neither text nor
/// null is matched as compact JSON.
///
/// # Errors
/// `validation` if an input is not acceptable, or if matching takes too much backtracking.
pub fn regex(inputs: &Map) -> Result<Map, Fault> {
    let pattern = pattern(inputs)?;
    let on_fail = text(inputs, "issue")?;
    let question = Question {
        source: "the text",
        pattern: &pattern,
        mode: mode(inputs)?,
        on_fail: on_fail.as_deref(),
    };
    let evidence = match inputs.get("source") {
        None | Some(Value::Null) => Evidence::Absent,
        Some(Value::String(text)) => Evidence::Text(text.clone()),
        Some(other) => Evidence::Text(other.to_string()),
    };
    let verdict = question.judge(&evidence);
    if verdict.undetermined {
        return Err(unacceptable(verdict.check.issue.unwrap_or_default()));
    }
    let mut output = Map::new();
    output.insert("passed".to_owned(), json!(verdict.check.passed));
    if let Some(issue) = verdict.told {
        output.insert("issue".to_owned(), json!(issue));
    }
    Ok(output)
}

fn ask(check: &RubricCheck, evidence: &Evidence, vault: &Vault) -> Verdict {
    let question = Question {
        source: &check.source.join("."),
        pattern: &check.matcher,
        mode: check.mode,
        on_fail: check.on_fail.as_deref(),
    };
    let mut verdict = question.judge(evidence);
    if let (Some(matched), Evidence::Text(text)) = (&mut verdict.check.matched, evidence) {
        hiding::quote_whole_secrets(matched, text, vault);
    }
    verdict
}

/// What an item asks.
struct Asked<'a> {
    id: &'a Value,
    description: &'a str,
    points: Points,
}

/// What one check asks.
struct Question<'a> {
    source: &'a str,
    pattern: &'a Pattern,
    mode: CheckMode,
    on_fail: Option<&'a str>,
}

/// The answer to a [`Question`].
#[derive(Debug)]
struct Verdict {
    check: GradedCheck,
    /// What a candidate is told, where it does not hold.
    told: Option<String>,
    /// Nobody can say whether it holds.
    undetermined: bool,
}

impl Question<'_> {
    fn judge(&self, evidence: &Evidence) -> Verdict {
        let text = match evidence {
            Evidence::Text(text) => text,
            Evidence::Absent => {
                let issue = format!("{} was not captured", self.source);
                return self.fails(issue, None);
            }
            Evidence::NotCollected { step, detail } => {
                let source = self.source;
                return self.unknown(format!(
                    "{source} was not collected: step `{step}` failed: {detail}"
                ));
            }
        };
        let found = match self.pattern.find(text) {
            Ok(found) => found,
            Err(error) => return self.unknown(format!("{}: {error}", self.source)),
        };
        let matched = found.map(|it| Matched::cut(text, it.start, it.end));
        match (self.mode, &matched) {
            (CheckMode::Positive, Some(_)) | (CheckMode::Negative, None) => Verdict {
                check: self.check(true, None, matched),
                told: None,
                undetermined: false,
            },
            (CheckMode::Positive, None) => self.contradicted("does not match", matched),
            (CheckMode::Negative, Some(_)) => self.contradicted("must not match", matched),
        }
    }

    /// Evidence is there and says no.
    fn contradicted(&self, how: &str, matched: Option<Matched>) -> Verdict {
        let sentence = || format!("{} {how} `{}`", self.source, self.pattern.source());
        let issue = self.on_fail.map_or_else(sentence, str::to_owned);
        self.fails(issue, matched)
    }

    /// A check that does not hold; a candidate is told its `on_fail`, where it has one.
    fn fails(&self, issue: String, matched: Option<Matched>) -> Verdict {
        let told = self.on_fail.map_or_else(|| issue.clone(), str::to_owned);
        Verdict {
            check: self.check(false, Some(issue), matched),
            told: Some(told),
            undetermined: false,
        }
    }

    fn unknown(&self, issue: String) -> Verdict {
        Verdict {
            check: self.check(false, Some(issue.clone()), None),
            told: Some(issue),
            undetermined: true,
        }
    }

    fn check(&self, passed: bool, issue: Option<String>, matched: Option<Matched>) -> GradedCheck {
        let flags = self.pattern.flags().names();
        GradedCheck {
            source: self.source.to_owned(),
            regex: self.pattern.source().to_owned(),
            mode: self.mode,
            flags: flags.into_iter().map(str::to_owned).collect(),
            passed,
            issue,
            matched,
        }
    }
}

impl Matched {
    fn cut(text: &str, start: usize, end: usize) -> Self {
        let count = |text: Option<&str>| text.map_or(0, |it| it.chars().count());
        let found = text.get(start..end);
        let first = count(text.get(..start));
        Self {
            start: first,
            end: first + count(found),
            text: found
                .unwrap_or_default()
                .chars()
                .take(SHOWN_CHARACTERS)
                .collect(),
        }
    }
}

/// All or nothing.
fn conclude(item: &Asked<'_>, verdicts: Vec<Verdict>) -> GradedItem {
    let status = if verdicts.iter().any(|it| it.undetermined) {
        ItemStatus::NotCollected
    } else if verdicts.iter().all(|it| it.check.passed) {
        ItemStatus::Passed
    } else {
        ItemStatus::Failed
    };
    let passed = status == ItemStatus::Passed;
    let mut issues: Vec<String> = Vec::new();
    for told in verdicts.iter().filter_map(|it| it.told.as_ref()) {
        if !issues.contains(told) {
            issues.push(told.clone());
        }
    }
    GradedItem {
        id: item.id.clone(),
        description: item.description.to_owned(),
        points_awarded: if passed {
            item.points
        } else {
            Points::default()
        },
        points_max: item.points,
        passed,
        status,
        issues,
        checks: verdicts.into_iter().map(|it| it.check).collect(),
    }
}

fn pattern(inputs: &Map) -> Result<Pattern, Fault> {
    let Some(source) = text(inputs, "regex")? else {
        return Err(unacceptable(
            "`regex` is missing: give the pattern to look for".to_owned(),
        ));
    };
    let flags = flags(inputs.get("flags"))?;
    Pattern::compile(&source, flags)
        .map_err(|error| unacceptable(format!("`regex`: `{source}` does not compile: {error}")))
}

fn flags(given: Option<&Value>) -> Result<Flags, Fault> {
    let names = match given {
        None | Some(Value::Null) => return Ok(Flags::default()),
        Some(Value::Array(names)) => names,
        Some(other) => {
            return Err(unacceptable(format!(
                "`flags` must be a list of texts, not {other}"
            )));
        }
    };
    let mut flags = Flags::none();
    for name in names {
        if !name.as_str().is_some_and(|name| flags.set(name)) {
            return Err(unacceptable(format!(
                "`flags`: no flag {name}; there are multiline, dotall, ignorecase and global (m, s, i, g)"
            )));
        }
    }
    Ok(flags)
}

fn mode(inputs: &Map) -> Result<CheckMode, Fault> {
    match text(inputs, "mode")?.as_deref() {
        None | Some("positive") => Ok(CheckMode::Positive),
        Some("negative") => Ok(CheckMode::Negative),
        Some(other) => Err(unacceptable(format!(
            "`mode` must be positive or negative, not `{other}`"
        ))),
    }
}

fn text(inputs: &Map, name: &str) -> Result<Option<String>, Fault> {
    match inputs.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(unacceptable(format!("`{name}` must be text, not {other}"))),
    }
}

fn unacceptable(detail: String) -> Fault {
    Fault::new(FaultKind::Validation, detail)
}
