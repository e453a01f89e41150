//! A pod that answers by what it is asked, and by how often anything was changed before; never by when.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use se_dsl::catalog::{Action, Effect};
use se_runtime::event::Map;
use se_runtime::{Call, Done, Fault, FaultKind, Outcome};
use serde_json::{Value, json};

/// What the pod is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pod {
    pub(super) seed: u64,
    /// One attempt in so many fails, or does not end; none, if this is none.
    pub(super) fails: Option<u64>,
    /// Whether answers tell how often anything was changed before.
    pub(super) tells_changes: bool,
}

/// A pod at work.
pub(super) struct World {
    pod: Pod,
    /// Spreads how long answers take, and nothing else.
    salt: u64,
    changes: AtomicU32,
}

/// An attempt, as the pod sees it.
pub(super) struct Ask<'a> {
    pub(super) step: &'a str,
    pub(super) attempt: u32,
    pub(super) action: Action,
    pub(super) effect: Effect,
    pub(super) inputs: &'a Map,
    pub(super) target: Option<&'a str>,
}

/// Longer than any timeout.
const FOR_EVER: Duration = Duration::from_secs(1_000_000);

impl World {
    pub(super) fn new(pod: Pod, salt: u64) -> Self {
        let changes = AtomicU32::new(0);
        Self { pod, salt, changes }
    }

    pub(super) fn call(&self, call: &Call) -> (Duration, Outcome) {
        self.answer(&Ask {
            step: &call.step,
            attempt: call.attempt,
            action: call.primitive.action,
            effect: call.primitive.effect,
            inputs: &call.inputs,
            target: call.target.as_ref().map(|it| it.name.as_str()),
        })
    }

    /// How long an attempt takes, and how it ends.
    pub(super) fn answer(&self, ask: &Ask<'_>) -> (Duration, Outcome) {
        let before = if ask.effect == Effect::Write {
            self.changes.fetch_add(1, Ordering::Relaxed)
        } else {
            self.changes.load(Ordering::Relaxed)
        };
        let before = if self.pod.tells_changes { before } else { 0 };
        let luck = hash(self.pod.seed, ask.step, ask.attempt);
        // Never so long that a timeout has a say: the shortest is 1 s, with 1 s of grace.
        let takes = hash(self.salt, ask.step, ask.attempt) % 20;
        let takes = Duration::from_millis(7 + 95 * takes);
        match self.pod.fails.map(|one_in| luck % one_in) {
            Some(0) => {
                let fault = Fault::new(FaultKind::Communication, "nobody answers");
                (takes, Err(fault))
            }
            Some(1) if luck.is_multiple_of(3) => {
                (FOR_EVER, Err(Fault::new(FaultKind::Conflict, "late")))
            }
            _ => (takes, Ok(self.done(ask, before))),
        }
    }

    fn done(&self, ask: &Ask<'_>, before: u32) -> Done {
        let command = ask
            .inputs
            .get("command")
            .or_else(|| ask.inputs.get("script"));
        let command = command.and_then(Value::as_str).unwrap_or_default();
        // What is said of something long is cut, or answers to answers would grow without end.
        let command: String = without_reasons(command).chars().take(60).collect();
        let text = format!("{} says {before} for {command}", ask.target.unwrap_or("?"));
        let output = match ask.action {
            Action::Exec => json!({"stdout": text, "ok": true, "exit_code": 0, "error": null}),
            _ => json!({"output": text}),
        };
        Done {
            output: output.as_object().cloned().unwrap_or_default(),
            learned: Map::new(),
        }
    }
}

/// A text without the words in which errors in it say why something failed: no answer hangs on those.
fn without_reasons(text: &str) -> String {
    let mut told = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(r#"{"type":"#) {
        told.push_str(&rest[..at]);
        rest = &rest[at..];
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        let is_error = matches!(values.next(), Some(Ok(it)) if it.get("status").is_some());
        let end = if is_error { values.byte_offset() } else { 1 };
        told.push_str(if is_error { "an error" } else { "{" });
        rest = &rest[end..];
    }
    told + rest
}

/// FNV-1a, mixed once more: neighbours must not be alike.
fn hash(seed: u64, step: &str, attempt: u32) -> u64 {
    let bytes = seed.to_be_bytes().into_iter().chain(step.bytes());
    let bytes = bytes.chain(attempt.to_be_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 7
}
