//! Attempts of steps in the world: what each is given, and what came of it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either, select};
use se_dsl::expr::Root;
use serde_json::Value;

use super::news::{News, Voice};
use super::{Driver, PARTS};
use crate::event::{Event, Map};
use crate::fault::{Fault, FaultKind};
use crate::machine;
use crate::plan::StepIndex;
use crate::planted::{self, Bug};
use crate::port::{Call, Done, Outcome};

/// An attempt that does not end by itself is dropped this long after its timeout.
const GRACE: Duration = Duration::from_secs(1);

impl<'a> Driver<'a> {
    /// One attempt: bounded in time, and a panic in an adapter is its fault, not the job's end.
    pub(super) fn attempt(&mut self, index: StepIndex) -> BoxFuture<'a, Outcome> {
        let node = self.state.node(index);
        let step = self.state.step(index);
        let Some(primitive) = node.step().uses.primitive() else {
            let why = Fault::new(FaultKind::Validation, "only primitives are attempted");
            return async { Err(why) }.boxed();
        };
        let timeout = node.step().timeout.unwrap_or_else(|| primitive.timeout());
        let part = node.job().part;
        let endpoints = self.endpoints.get(part.map_or(0, |it| it + 1));
        let endpoints = endpoints.cloned().unwrap_or_default();
        let target = step.target.as_deref().map(|name| endpoints.get(name));
        let target = match target.transpose() {
            Ok(target) => target,
            Err(fault) => return async { Err(fault) }.boxed(),
        };
        let call = Call {
            job: self.state.accepted().job_id.clone(),
            step: self.state.key(index).to_owned(),
            attempt: step.attempt,
            part,
            primitive,
            inputs: step.inputs.clone(),
            target,
            endpoints,
            runtime_env: self.environment(part),
            timeout,
        };
        let ports = self.ports;
        let voice: &'a News = self.news;
        let limit = match ports.clock.now().after(timeout + GRACE) {
            _ if planted::is(Bug::TimeoutForgotten) => futures_util::future::pending().boxed(),
            limit => ports.clock.sleep_until(limit),
        };
        async move {
            let voice = Voice { news: voice, step: call.step.clone() };
            let work = AssertUnwindSafe(ports.actions.call(call, &voice)).catch_unwind();
            match select(work, limit).await {
                Either::Left((Ok(outcome), _)) => outcome,
                Either::Left((Err(_), _)) => Err(Fault::new(
                    FaultKind::Communication,
                    "the adapter broke down while it worked: a defect of the engine; its log says where",
                )),
                Either::Right(_) => Err(Fault::new(
                    FaultKind::Timeout,
                    format!("no answer within {} s", timeout.as_secs_f64()),
                )),
            }
        }
        .boxed()
    }

    fn environment(&mut self, part: Option<usize>) -> Arc<Value> {
        if let Some(known) = self.environments.get(&part) {
            return Arc::clone(known);
        }
        let made = Arc::new(self.runtime_env(part));
        self.environments.insert(part, Arc::clone(&made));
        made
    }

    /// `runtime_env` with what the job has learned.
    fn runtime_env(&self, part: Option<usize>) -> Value {
        let mut env = self.state.scopes_of_part(part).get(Root::RuntimeEnv);
        let learned = self.state.learned();
        let learned = match part {
            None => Some(learned),
            Some(at) => learned
                .get(PARTS)
                .and_then(|it| it.get(&self.plan.package().part(at).name))
                .and_then(Value::as_object),
        };
        if let (Value::Object(env), Some(learned)) = (&mut env, learned) {
            env.extend(learned.iter().map(|(key, it)| (key.clone(), it.clone())));
        }
        env
    }

    /// What an attempt learned about a pod; of a part's pod, under the name of the part.
    fn learned(&self, index: StepIndex, learned: Map) -> Map {
        let part = self.state.node(index).job().part;
        let Some(part) = part.filter(|_| !learned.is_empty()) else {
            return learned;
        };
        let name = self.plan.package().part(part).name.clone();
        let of_part = Map::from_iter([(name, Value::Object(learned))]);
        Map::from_iter([(PARTS.to_owned(), Value::Object(of_part))])
    }

    /// What came of one, as an event.
    pub(super) fn outcome(&mut self, index: StepIndex, outcome: Outcome) -> Event {
        match outcome {
            Ok(Done { output, learned }) => {
                if !learned.is_empty() {
                    self.environments.clear();
                }
                Event::StepCompleted {
                    step: self.state.key(index).to_owned(),
                    attempt: self.state.step(index).attempt,
                    output,
                    learned: self.learned(index, learned),
                }
            }
            Err(why) => {
                let at = self.ports.clock.now();
                machine::fault(&self.state, index, &why, at)
            }
        }
    }
}
