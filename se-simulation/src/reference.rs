//! The run in document order: a second, simple reading of a job, without plan, events, time or crashes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::device::{Fate, fate, says};
use crate::package::{DEVICES, Does, OnError, Step, outer};

/// What it cannot know by itself: what the world came to see.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) seed: u64,
    pub(crate) job: &'a str,
    /// Attempts that a crash cut off and that may not be repeated.
    pub(crate) interrupted: BTreeSet<(String, u32)>,
    /// Attempts of changes, as the devices saw them.
    pub(crate) changes: Vec<(String, u32)>,
}

/// What a job leaves behind.
#[derive(Debug, Default)]
pub(crate) struct Left {
    pub(crate) vars: BTreeMap<String, Value>,
    pub(crate) results: Map<String, Value>,
    /// The step that it does not survive.
    pub(crate) failed: Option<String>,
}

impl Left {
    fn read(&self, name: &str) -> &Value {
        self.vars.get(name).unwrap_or(&Value::Null)
    }
}

pub(crate) fn run(steps: &[Step], seen: &Seen<'_>) -> Left {
    let mut left = Left::default();
    for (at, step) in steps.iter().enumerate() {
        let when = step.when.as_ref().map(|it| left.read(it));
        if when.is_some_and(|it| matches!(it, Value::Null | Value::Bool(false))) {
            continue;
        }
        let before = steps.get(..at).unwrap_or_default();
        let Some(value) = value(step, before, seen, &left) else {
            if step.on_error == OnError::Continue {
                continue;
            }
            left.failed = Some(step.id.clone());
            return left;
        };
        if let Some(name) = &step.captures {
            left.vars.insert(name.clone(), value.clone());
            left.results
                .insert(step.id.clone(), json!({step.output(): value}));
        }
    }
    left
}

/// What a step gives; nothing if it fails for good.
fn value(step: &Step, before: &[Step], seen: &Seen<'_>, left: &Left) -> Option<Value> {
    let read = step.reads.as_ref().map(|it| match left.read(it) {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    let said = format!(
        "{} {}",
        step.says(),
        read.unwrap_or_else(|| step.id.clone())
    );
    match step.does {
        Does::Pause { .. } => Some(Value::Null),
        Does::Judge => Some(json!(said.ends_with(['0', '2', '4', '6', '8']))),
        Does::Look | Does::Change => attempts(step, &step.id, seen).map(|attempt| {
            let changed = changes_before(step, attempt, before, seen);
            json!(says(step.device, &said, changed))
        }),
        Does::Both => both(step, seen).map(|attempt| {
            let changed = changes_before(step, attempt, before, seen);
            let shown = says(step.device, &format!("show {said}"), changed);
            json!(says(step.device, &format!("set {shown}"), changed))
        }),
        Does::LookAtAll { .. } => {
            let element = |(at, device): (usize, &&str)| {
                let attempt = attempts(step, &format!("{}[{at}]", step.id), seen)?;
                let changed = changes_before(step, attempt, before, seen);
                Some(json!(says(device, &said, changed)))
            };
            DEVICES.iter().enumerate().map(element).collect()
        }
    }
}

/// The attempt that succeeds.
pub(crate) fn attempts(step: &Step, key: &str, seen: &Seen<'_>) -> Option<u32> {
    (1..=most(step)).find(|attempt| works(key, *attempt, seen))
}

/// The attempt at a composite in which all of it succeeds.
pub(crate) fn both(step: &Step, seen: &Seen<'_>) -> Option<u32> {
    (1..=most(step)).find(|attempt| {
        let again = match attempt {
            1 => String::new(),
            again => format!("#{again}"),
        };
        ["see", "set"]
            .iter()
            .all(|it| works(&format!("{}{again}/{it}", step.id), 1, seen))
    })
}

fn most(step: &Step) -> u32 {
    match step.on_error {
        OnError::Retry(retries) => retries + 1,
        OnError::Fail | OnError::Continue => 1,
    }
}

fn works(key: &str, attempt: u32, seen: &Seen<'_>) -> bool {
    let is_cut_off = seen.interrupted.contains(&(key.to_owned(), attempt));
    !is_cut_off && fate(seen.seed, seen.job, key, attempt) == Fate::Answers
}

/// How often anything was changed before an attempt, had all been done in order.
fn changes_before(step: &Step, attempt: u32, before: &[Step], seen: &Seen<'_>) -> usize {
    let is_before = |(key, other): &&(String, u32)| {
        let id = outer(key);
        let is_earlier = before.iter().any(|it| it.id == id);
        is_earlier || step.id == id && of_composite(key).unwrap_or(*other) < attempt
    };
    seen.changes.iter().filter(is_before).count()
}

/// Of which attempt at a composite a run is.
fn of_composite(key: &str) -> Option<u32> {
    let (call, _) = key.split_once('/')?;
    let again = call.split_once('#').map_or("1", |(_, attempt)| attempt);
    again.parse().ok()
}
