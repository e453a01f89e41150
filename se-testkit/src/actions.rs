//! Actions that a test scripts.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use se_runtime::port::Progress;
use se_runtime::{Actions, Call, Clock, Done, Outcome};

/// Gives each call its next scripted answer, and remembers the calls.
///
/// Answers are looked up by step, then by primitive (`collect`); the last one of a list is given again
/// and again. A call that nothing is scripted for is done at once, without output.
pub struct ScriptedActions {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    answers: BTreeMap<String, VecDeque<(Duration, Outcome)>>,
    calls: Vec<Call>,
}

impl ScriptedActions {
    /// With nothing scripted; delays are slept on `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            state: Mutex::default(),
        }
    }

    /// Adds an answer of a step or primitive, after those it has.
    #[must_use]
    pub fn with(self, name: &str, delay: Duration, outcome: Outcome) -> Self {
        let answer = (delay, outcome);
        self.state()
            .answers
            .entry(name.to_owned())
            .or_default()
            .push_back(answer);
        self
    }

    /// Every call so far, in the order begun.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, call: Call) -> (Duration, Outcome) {
        let mut state = self.state();
        let names = [call.step.as_str(), call.primitive.name];
        let name = names.into_iter().find(|it| state.answers.contains_key(*it));
        let name = name.map(str::to_owned);
        state.calls.push(call);
        let answers = name.and_then(|it| state.answers.get_mut(&it));
        let next = answers.and_then(|it| match it.len() {
            0 | 1 => it.front().cloned(),
            _ => it.pop_front(),
        });
        next.unwrap_or_else(|| (Duration::ZERO, Ok(Done::default())))
    }
}

impl Actions for ScriptedActions {
    fn call<'a>(&'a self, call: Call, _: &'a dyn Progress) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let (delay, outcome) = self.next(call);
            self.clock.sleep_until(self.clock.now().after(delay)).await;
            outcome
        })
    }
}

impl fmt::Debug for ScriptedActions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<String> = self
            .state()
            .calls
            .iter()
            .map(|it| it.step.clone())
            .collect();
        f.debug_struct("ScriptedActions")
            .field("called", &steps)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use se_runtime::port::Progress;
    use se_runtime::{Actions as _, Call, Clock as _, Done, Fault, FaultKind};

    use super::ScriptedActions;
    use crate::clock::VirtualClock;

    struct Deaf;

    impl Progress for Deaf {
        fn report(&self, _: u8, _: &str) {}
    }

    fn call(step: &str) -> Call {
        Call {
            job: "job".to_owned(),
            step: step.to_owned(),
            attempt: 1,
            part: None,
            primitive: se_dsl::catalog::find("collect", "v1").unwrap(),
            inputs: serde_json::Map::new(),
            target: None,
            endpoints: Arc::default(),
            runtime_env: Arc::default(),
            timeout: Duration::from_secs(1),
        }
    }

    #[test]
    fn answers_come_in_order_and_the_last_one_stays() {
        let clock = VirtualClock::default();
        let fault = Fault::new(FaultKind::Timeout, "slow");
        let actions = ScriptedActions::new(Arc::new(clock.clone()))
            .with("look", Duration::from_secs(2), Err(fault.clone()))
            .with("look", Duration::from_secs(1), Ok(Done::default()))
            .with("collect", Duration::ZERO, Err(fault.clone()));
        let mut seen = Vec::new();
        for step in ["look", "look", "look", "other"] {
            seen.push(clock.run(actions.call(call(step), &Deaf)).unwrap());
        }
        let done = Ok(Done::default());
        assert_eq!(seen, [Err(fault.clone()), done.clone(), done, Err(fault)]);
        assert_eq!(clock.now().micros(), 4_000_000);
        assert_eq!(actions.calls().len(), 4);
    }
}
