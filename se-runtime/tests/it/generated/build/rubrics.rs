//! Rubrics and reports.

use se_dsl::checked::{CheckMode, ProcessType, ReportClass};
use serde_json::json;

use super::super::model::{Check, Item, Report, Rubric};
use super::super::raw::RawStep;
use super::inputs::{Seen, pick, word};

/// None of them matches nothing.
pub(super) const PATTERNS: [&str; 7] = [
    "says",
    "[ac] says",
    "^show",
    "CLOCK$",
    r"\d+ for ",
    r"(?!x)s\w+s",
    "\"quoted\": {1,2}#",
];

pub(super) const FLAGS: [&[&str]; 5] = [
    &[],
    &["ignorecase"],
    &["multiline"],
    &["i", "dotall"],
    &["m", "s", "global"],
];

/// A rubric over what earlier steps captured.
pub(super) fn of(name: &str, seen: &[Seen], raw: &RawStep) -> Rubric {
    let mut choices = raw.reads.clone();
    choices.push(raw.target);
    let item = |(at, choice): (usize, &u8)| {
        let id = if at % 2 == 0 {
            json!(at + 1)
        } else {
            json!(format!("item {at}"))
        };
        let again = choice.rotate_left(3);
        let mut checks = vec![check(seen, *choice)];
        let more = (choice % 3 == 1).then(|| check(seen, again));
        checks.extend(more.filter(|it| it.pattern != checks[0].pattern));
        Item {
            id,
            points: 25 * (1 + u32::from(choice % 9)),
            description: "What is asked: \"this\"".to_owned(),
            checks,
        }
    };
    Rubric {
        name: name.to_owned(),
        title: (raw.what % 3 == 1).then(|| format!("{name}: all of it")),
        domain: (raw.what % 5 == 1).then(|| "routing".to_owned()),
        items: choices.iter().enumerate().map(item).collect(),
    }
}

fn check(seen: &[Seen], choice: u8) -> Check {
    let source = pick(seen, choice);
    let below = std::iter::once(&source.id).chain(&source.path);
    Check {
        source: if choice / 64 == 3 {
            below.cloned().collect()
        } else {
            source.path.clone()
        },
        pattern: word(&PATTERNS, choice / 3),
        flags: (choice % 4 == 1).then(|| pick(&FLAGS, choice / 4).to_vec()),
        mode: match choice % 5 {
            1 => Some(CheckMode::Negative),
            2 => Some(CheckMode::Positive),
            _ => None,
        },
        on_fail: (choice % 7 == 3).then(|| "look again".to_owned()),
    }
}

pub(super) const PROCESS_TYPES: [ProcessType; 5] = [
    ProcessType::Grading,
    ProcessType::Initialization,
    ProcessType::Change,
    ProcessType::Submission,
    ProcessType::Archive,
];

pub(super) fn class(choice: u8) -> ReportClass {
    ReportClass::of(*pick(&PROCESS_TYPES, choice))
}

/// Each shows groups that reports of its class have.
pub(super) fn report(name: &str, choice: u8) -> Report {
    let process_type = *pick(&PROCESS_TYPES, choice / 4);
    let mut groups = vec![("head", vec!["report_id", "status"])];
    if process_type == ProcessType::Grading {
        groups.push(("per_item", vec!["id", "passed"]));
        groups.push(("totals", vec!["percentage"]));
    }
    let shown = usize::from(choice % 4);
    Report {
        name: name.to_owned(),
        process_type,
        include: groups.into_iter().take(shown).collect(),
        by_part: choice % 8 == 5,
    }
}
