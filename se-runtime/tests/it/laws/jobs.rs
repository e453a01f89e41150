//! Jobs of generated packages: how they are run, and what they leave behind.

use std::sync::Arc;

use proptest::prelude::{Just, Strategy, TestCaseError, any, prop_oneof};
use proptest::{prop_assert, prop_assert_eq};
use se_dsl::Checked;
use se_dsl::catalog::Effect;
use se_dsl::expr::Root;
use se_runtime::event::Accepted;
use se_runtime::{Event, JobStatus, Plan, State};
use serde_json::{Map, Value, json};

use super::pod::{Pod, World};
use super::reference::{Left, Reference};
use crate::generated::model::Package;
use crate::generated::resolve::{self, Resolved};
use crate::generated::{Sample, Wanted, a_plain_sample};
use crate::world::{Run, accepted};

/// A package, a phase of it, and a pod to run it on.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) sample: Sample,
    pub(super) phase: String,
    pub(super) pod: Pod,
    /// Spreads how long calls take.
    pub(super) salt: u64,
}

pub(super) fn a_case(wanted: Wanted) -> impl Strategy<Value = Case> {
    let fails = prop_oneof![2 => Just(None), 1 => Just(Some(9)), 1 => Just(Some(3))];
    let numbers = (any::<u64>(), any::<u64>(), any::<u8>());
    (a_plain_sample(wanted), fails, numbers).prop_map(|(sample, fails, (seed, salt, phase))| {
        let phases = &sample.package.phases;
        // Most often the one that runs what the package says itself.
        let phase = usize::from(phase.saturating_sub(180)) % phases.len();
        Case {
            phase: phases[phase].name.clone(),
            pod: Pod {
                seed,
                fails,
                tells_changes: is_ordered(&sample.package),
            },
            sample,
            salt,
        }
    })
}

/// Whether changes have an order that is the same in every schedule.
fn is_ordered(package: &Package) -> bool {
    let jobs = package.places().flat_map(|it| &it.jobs).map(|it| &it.steps);
    let composites = package.places().flat_map(|it| &it.composites);
    let mut steps = jobs.chain(composites.map(|it| &it.steps)).flatten();
    steps.all(|it| {
        let at_once = it.each.as_ref().is_some_and(|it| it.concurrent);
        let is_change = it.uses.effect() == Effect::Write || it.uses.effect() == Effect::Barrier;
        it.needs.is_none() && !(at_once && is_change)
    })
}

impl Case {
    /// The phase as a job that has not begun.
    pub(super) fn job(&self, checked: &Arc<Checked>, sequential: bool) -> Run {
        let mut first = accepted();
        let Event::JobAccepted(given) = &mut first.event else {
            panic!("a log begins so");
        };
        given.phase = Some(self.phase.clone());
        given.sequential = sequential;
        given.scopes.runtime_env = runtime_env();
        let given: Accepted = Accepted::clone(given);
        let plan = Plan::build(Arc::clone(checked), &given).unwrap();
        let world = World::new(self.pod, self.salt);
        let run = Run::new(plan, Box::new(move |call| world.call(call)));
        *run.log.records.lock().unwrap() = vec![first];
        run
    }

    /// What the phase runs, as the model has it.
    pub(super) fn jobs(&self) -> Vec<Resolved> {
        let mut phases = self.sample.package.phases.iter();
        let phase = phases.find(|it| it.name == self.phase);
        resolve::jobs(
            &self.sample.package,
            phase.expect("the phase was picked from it"),
        )
    }

    /// What the run in document order leaves behind.
    pub(super) fn left(&self, checked: &Checked, plan: &Plan) -> Left {
        let keys: Vec<String> = plan.steps().map(|(_, it)| it.key.clone()).collect();
        let world = World::new(self.pod, 0);
        let package = &self.sample.package;
        Reference::new(package, checked, world, runtime_env()).run(&self.jobs(), &keys)
    }
}

fn runtime_env() -> Value {
    let device = |port: u16| json!({"serial_port": port, "username": "u", "prompt": "sw"});
    json!({
        "worker_ip": "127.0.0.1",
        "devices": {"a": device(1), "b": device(2), "c-1": device(3)},
        "device_groups": {"all": ["a", "b", "c-1"]},
    })
}

/// How closely a job must be like the run in document order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Like {
    /// In everything: it had the same order.
    Exactly,
    /// In everything but what is part of a failure.
    Loosely,
}

/// Whether a job that has ended has left what the run in document order leaves.
pub(super) fn compare(run: &Run, left: &Left, like: Like) -> Result<(), TestCaseError> {
    let state = run.state();
    match (&left.failed, state.status()) {
        (None, JobStatus::Completed) => {
            runs(&state, left, like)?;
            for (at, vars) in left.vars.iter().enumerate() {
                let part = at.checked_sub(1);
                let own = state.scopes_of_part(part).get(Root::Vars);
                prop_assert_eq!(without_reasons(&own), without_reasons(vars));
            }
            let results = Value::Object(state.results(&run.plan));
            let expected = Value::Object(left.results.clone());
            prop_assert_eq!(without_reasons(&results), without_reasons(&expected));
        }
        (Some((failed, failure)), JobStatus::Faulted) => {
            let error = state.error().expect("a job that failed says why");
            let first = state.failed().map(|it| state.key(it).to_owned());
            if like == Like::Exactly {
                runs(&state, left, like)?;
                prop_assert_eq!(first.as_ref(), Some(failed));
                prop_assert_eq!(error.status, failure.status);
                prop_assert_eq!(&error.instance, &failure.instance);
                prop_assert_eq!(error.attempt, failure.attempt);
            } else {
                before_failure(run, &state, left, failed)?;
            }
        }
        (failed, status) => {
            return Err(TestCaseError::fail(format!(
                "the job is {}, and in document order {failed:?}",
                status.as_str()
            )));
        }
    }
    Ok(())
}

/// Whether every run ended alike, and no other took place.
fn runs(state: &State, left: &Left, like: Like) -> Result<(), TestCaseError> {
    for (key, run) in &left.runs {
        if run.loose && like == Like::Loosely {
            continue;
        }
        let found = state.find(key);
        prop_assert!(found.is_some(), "{key} did not take place");
        let status = found.map(|it| state.step(it).status.as_str());
        prop_assert_eq!(status, Some(run.status), "{}", key);
    }
    for run in state.all() {
        let key = state.key(run);
        let status = state.step(run).status.as_str();
        let is_loose = like == Like::Loosely && is_loose(key, left);
        let is_known = left.runs.contains_key(key) || status == "pending" || is_loose;
        prop_assert!(is_known, "{key} is {status}");
    }
    Ok(())
}

/// Whether a run may have taken place in one schedule only: with those beside it, or around it.
fn is_loose(key: &str, left: &Left) -> bool {
    let Some(at) = key.rfind(['[', '/']) else {
        return false;
    };
    let beside = &key[..=at];
    let all = left.runs.range(beside.to_owned()..);
    let mut all = all.take_while(|(it, _)| it.starts_with(beside)).peekable();
    match all.peek() {
        Some(_) => all.any(|(_, run)| run.loose),
        None => is_loose(&key[..at], left),
    }
}

/// What comes before the first failure ended alike, as far as it began.
fn before_failure(
    run: &Run,
    state: &State,
    left: &Left,
    failed: &str,
) -> Result<(), TestCaseError> {
    for (index, node) in run.plan.steps() {
        let status = state.step(index).status.as_str();
        let expected = left.runs.get(&node.key).map(|it| it.status);
        if node.key == failed {
            let stopped = ["faulted", "pending", "cancelled"].contains(&status);
            prop_assert!(stopped, "{failed} is {status}");
            break;
        }
        let stopped = ["pending", "cancelled"].contains(&status);
        prop_assert!(
            stopped || Some(status) == expected,
            "{} is {status}",
            node.key
        );
    }
    let own = state.failed().map(|it| run.plan.find(state.key(it)));
    prop_assert!(own >= Some(run.plan.find(failed)));
    Ok(())
}

/// A value without the words in which it says why something failed.
fn without_reasons(value: &Value) -> Value {
    match value {
        Value::Object(map) if map.contains_key("type") && map.contains_key("status") => {
            json!("an error")
        }
        Value::Object(map) => {
            let told = map
                .iter()
                .filter(|(key, _)| *key != "issues" && *key != "issue");
            let told = told.map(|(key, it)| (name_without_reasons(key), without_reasons(it)));
            Value::Object(told.collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(without_reasons).collect(),
        other => other.clone(),
    }
}

/// An element that is no text is called as it is written in JSON; so an error may be a name.
fn name_without_reasons(name: &str) -> String {
    match serde_json::from_str::<Value>(name) {
        Ok(element) if element.is_object() || element.is_array() => {
            without_reasons(&element).to_string()
        }
        _ => name.to_owned(),
    }
}
