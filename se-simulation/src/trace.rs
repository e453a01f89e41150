//! What happened, for a person to read and as one number.

use std::sync::Mutex;

use se_runtime::Timestamp;

use crate::chance::hash;
use crate::executor::lock;

/// Lines with their virtual time; the hash covers all of them, whether kept or not.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    told: Mutex<Told>,
    keeps: bool,
}

#[derive(Debug, Default)]
struct Told {
    hash: u64,
    lines: Vec<String>,
    /// The first promise that was broken.
    broken: Option<String>,
}

impl Trace {
    pub(crate) fn new(keeps: bool) -> Self {
        Self {
            keeps,
            ..Self::default()
        }
    }

    pub(crate) fn tell(&self, at: Timestamp, line: &str) {
        let mut told = lock(&self.told);
        told.hash = hash(told.hash ^ at.micros().cast_unsigned(), [line]);
        if self.keeps {
            let seconds = Timestamp::default().after(crate::START).micros();
            let micros = at.micros() - seconds;
            told.lines.push(format!(
                "{:>6}.{:06} {line}",
                micros / 1_000_000,
                micros % 1_000_000
            ));
        }
    }

    pub(crate) fn breaks(&self, at: Timestamp, what: &str) {
        self.tell(at, &format!("BROKEN: {what}"));
        lock(&self.told)
            .broken
            .get_or_insert_with(|| what.to_owned());
    }

    pub(crate) fn broken(&self) -> Option<String> {
        lock(&self.told).broken.clone()
    }

    pub(crate) fn hash(&self) -> u64 {
        lock(&self.told).hash
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        lock(&self.told).lines.clone()
    }
}
