//! When another attempt is made.

use std::time::Duration;

use se_dsl::checked::OnError;

use crate::event::AfterFault;
use crate::planted::{self, Bug};
use crate::time::Timestamp;

/// No wait is longer.
const LONGEST: Duration = Duration::from_secs(300);

/// What a failed attempt means. The jitter depends on the job, step and attempt alone, so that a log
/// can be replayed to the same decision.
pub(crate) fn after_fault(
    on_error: &OnError,
    seed: (&str, &str),
    attempt: u32,
    at: Timestamp,
) -> AfterFault {
    let counted = match attempt {
        _ if planted::is(Bug::RetryEndless) => 0,
        attempt => attempt + u32::from(planted::is(Bug::RetryTooFew)),
    };
    match on_error {
        OnError::Continue if planted::is(Bug::ContinueFails) => AfterFault::Fail,
        OnError::Fail => AfterFault::Fail,
        OnError::Continue => AfterFault::Continue,
        OnError::Retry { retries, backoff } if counted <= *retries => AfterFault::Retry {
            at: at.after(delay(*backoff, seed, attempt)),
        },
        OnError::Retry { .. } => AfterFault::Fail,
    }
}

/// `backoff` doubled for each attempt, capped, then between 80 % and 100 % of that.
fn delay(backoff: Duration, seed: (&str, &str), attempt: u32) -> Duration {
    let attempt = if planted::is(Bug::BackoffFlat) {
        1
    } else {
        attempt
    };
    let doubled = backoff.saturating_mul(1_u32.checked_shl(attempt - 1).unwrap_or(u32::MAX));
    let permille = 800 + u32::try_from(hash(seed, attempt) % 201).unwrap_or_default();
    doubled.min(LONGEST) / 1000 * permille
}

/// FNV-1a: small, stable over releases, good enough to spread waits.
fn hash((job, step): (&str, &str), attempt: u32) -> u64 {
    let bytes = job
        .bytes()
        .chain([0])
        .chain(step.bytes())
        .chain(attempt.to_be_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use se_dsl::checked::OnError;

    use super::after_fault;
    use crate::event::AfterFault;
    use crate::time::Timestamp;

    #[test]
    fn waits_double_up_to_five_minutes_then_end() {
        let policy = OnError::Retry {
            retries: 12,
            backoff: Duration::from_secs(30),
        };
        let start = Timestamp::default();
        let wait = |attempt| match after_fault(&policy, ("job", "step"), attempt, start) {
            AfterFault::Retry { at } => Some(at.since(start).as_secs_f64()),
            AfterFault::Fail | AfterFault::Continue => None,
        };
        for (attempt, longest) in [(1, 30.0), (2, 60.0), (3, 120.0), (5, 300.0), (12, 300.0)] {
            let waited = wait(attempt).unwrap();
            assert!(
                waited <= longest && waited >= longest * 0.8,
                "{attempt}: {waited}"
            );
        }
        assert_eq!(wait(13), None);
    }
}
