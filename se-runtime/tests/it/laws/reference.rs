//! The run in document order: a second, simple reading of the language, which knows no plan, no events
//! and no time. What the engine leaves behind must be what this leaves behind.

mod evidence;
mod loops;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use se_dsl::Checked;
use se_dsl::checked::OnError;
use se_runtime::FaultKind;
use se_runtime::event::Map;
use serde_json::{Value, json};

use super::pod::{Ask, World};
use crate::generated::model::{Composite, Package, Step, Uses};
use crate::generated::resolve::Resolved;
use evidence::Past;
use loops::by_element;
use values::{Refused, Scopes, holds};

/// What a job leaves behind.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// How each run ended, by its key.
    pub(super) runs: BTreeMap<String, Run>,
    /// The variables of the package, then those of each part.
    pub(super) vars: Vec<Value>,
    /// What each step captured, by its key.
    pub(super) results: Map,
    /// The step that the job did not survive.
    pub(super) failed: Option<(String, Failure)>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) status: &'static str,
    /// Whether another schedule may have left it otherwise: it is part of something that failed.
    pub(super) loose: bool,
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) status: u16,
    /// Where, in the package.
    pub(super) instance: String,
    pub(super) attempt: u32,
}

/// How a step ended.
#[derive(Clone, Debug)]
enum Ended {
    Completed(Map),
    Skipped,
    Continued(Failure),
    Faulted(Failure),
}

/// Why a composite did not come to its end.
enum Stopped {
    /// It could not begin.
    Refused(Refused),
    /// A step of it failed.
    Failed(Failure),
}

/// What steps stand in: variables, parameters, and the connector of the call around them.
#[derive(Clone)]
struct Frame<'p> {
    scopes: Scopes,
    target: Option<String>,
    past: Past<'p>,
    /// What no element of a loop may be called.
    reserved: BTreeSet<String>,
}

/// Where a step stands.
#[derive(Clone, Copy)]
struct At<'p> {
    of: &'p Resolved,
    step: &'p Step,
}

pub(super) struct Reference<'p> {
    pub(super) package: &'p Package,
    pub(super) checked: &'p Checked,
    pub(super) world: World,
    pub(super) runtime_env: Value,
    runs: BTreeMap<String, Run>,
}

impl<'p> Reference<'p> {
    pub(super) fn new(
        package: &'p Package,
        checked: &'p Checked,
        world: World,
        runtime_env: Value,
    ) -> Self {
        Self {
            package,
            checked,
            world,
            runtime_env,
            runs: BTreeMap::new(),
        }
    }

    /// Runs jobs one after the other; their steps have these keys.
    pub(super) fn run(mut self, jobs: &'p [Resolved], keys: &[String]) -> Left {
        let frame = Frame {
            scopes: Scopes {
                vars: json!({}),
                parameters: json!({}),
                session: json!({}),
                runtime_env: self.runtime_env.clone(),
            },
            target: None,
            past: Past::default(),
            reserved: reserved(jobs.iter().flat_map(|it| &it.job.steps)),
        };
        let mut frames = vec![frame; self.package.parts.len() + 1];
        let mut left = Left::default();
        let mut keys = keys.iter();
        let steps = jobs.iter().flat_map(|of| {
            let steps = of.job.steps.iter().zip(&of.pointers);
            steps.map(move |(step, pointer)| (of, step, pointer))
        });
        for ((of, step, pointer), key) in steps.zip(keys.by_ref()) {
            let frame = &mut frames[of.part.map_or(0, |it| it + 1)];
            match self.step(At { of, step }, pointer, key, frame) {
                Ended::Faulted(failure) => {
                    left.failed = Some((key.clone(), failure));
                    break;
                }
                Ended::Completed(output) => {
                    let result = result(&of.job.steps, step, output);
                    left.results.extend(result.map(|it| (key.clone(), it)));
                }
                Ended::Skipped | Ended::Continued(_) => {}
            }
        }
        left.vars = frames.into_iter().map(|it| it.scopes.vars).collect();
        left.runs = self.runs;
        left
    }

    /// A step with all that it comes to; its captures are written.
    fn step(&mut self, at: At<'p>, pointer: &str, key: &str, frame: &mut Frame<'p>) -> Ended {
        let ended = match &at.step.each {
            Some(each) => self.looped(at, each, (pointer, key), frame),
            None => self.attempts(at, (pointer, key), frame, true),
        };
        if let (None, Ended::Completed(output)) = (&at.step.each, &ended) {
            for capture in &at.step.capture {
                let value = output.get(&capture.output).unwrap_or(&Value::Null);
                write(frame, at.step, &capture.path, value);
            }
        }
        if let Ended::Continued(failure) = &ended {
            let error = json!({"type": "", "status": failure.status});
            frame
                .scopes
                .write(&[at.step.id.clone(), "error".to_owned()], error);
            frame.past.failed.push(at.step);
        }
        ended
    }

    fn note(&mut self, key: &str, status: &'static str) {
        let loose = false;
        self.runs.insert(key.to_owned(), Run { status, loose });
    }

    /// What stands below a key is part of something that failed.
    fn loosen(&mut self, below: &str) {
        let mut inside = self.runs.range_mut(below.to_owned()..);
        while let Some((key, run)) = inside.next()
            && key.starts_with(below)
        {
            run.loose = true;
        }
    }

    /// One attempt after the other, until one succeeds or there are no more.
    fn attempts(
        &mut self,
        at: At<'p>,
        (pointer, key): (&str, &str),
        frame: &Frame<'p>,
        is_all: bool,
    ) -> Ended {
        let retries = match at.step.on_error {
            OnError::Retry { retries, .. } => retries,
            OnError::Fail | OnError::Continue => 0,
        };
        let mut attempt = 1;
        loop {
            let tried = self.attempt(at, (pointer, key), frame, attempt);
            let (status, instance) = match tried {
                Ok(Some(output)) => {
                    self.note(key, "completed");
                    return Ended::Completed(output);
                }
                Ok(None) => {
                    self.note(key, "skipped");
                    return Ended::Skipped;
                }
                Err(why) => why,
            };
            if attempt <= retries {
                attempt += 1;
                continue;
            }
            self.note(key, "faulted");
            let failure = Failure {
                status,
                instance,
                attempt,
            };
            // Whether the job goes on without an element is for its loop to say.
            return if is_all && at.step.on_error == OnError::Continue {
                Ended::Continued(failure)
            } else {
                Ended::Faulted(failure)
            };
        }
    }

    /// One attempt; nothing if `when` does not hold.
    fn attempt(
        &mut self,
        at: At<'p>,
        (pointer, key): (&str, &str),
        frame: &Frame<'p>,
        attempt: u32,
    ) -> Result<Option<Map>, (u16, String)> {
        let here = |why: Refused| (why.status(), pointer.to_owned());
        let scopes = &frame.scopes;
        let asks = at
            .step
            .each
            .as_ref()
            .is_none_or(|it| by_element(at.step, it));
        if asks && !self.wanted(at.step, scopes).map_err(here)? {
            return Ok(None);
        }
        if let Uses::Call { name, .. } = &at.step.uses {
            let called = self.package.composite(at.of.part, name);
            let called = self.call(at, called, (key, attempt), frame);
            return called.map(Some).map_err(|why| match why {
                Stopped::Refused(why) => here(why),
                Stopped::Failed(failure) => (failure.status, failure.instance),
            });
        }
        let uses = at.step.uses.id();
        let inputs = scopes.inputs(&uses, &at.step.with).map_err(here)?;
        let target = self.target(at.step, frame).map_err(here)?;
        let output = match &at.step.uses {
            Uses::Pause => Ok(Map::new()),
            Uses::Exec(_) | Uses::Collect(_) => {
                let primitive = uses.split_once('@').expect("it names a primitive");
                let primitive = se_dsl::catalog::find(primitive.0, primitive.1);
                let primitive = primitive.expect("steps use what there is");
                let (takes, outcome) = self.world.answer(&Ask {
                    step: key,
                    attempt,
                    action: primitive.action,
                    effect: primitive.effect,
                    inputs: &inputs,
                    target: target.as_deref(),
                });
                if takes.as_secs() > 1_000 {
                    Err(FaultKind::Timeout)
                } else {
                    outcome.map(|it| it.output).map_err(|it| it.kind)
                }
            }
            Uses::Regex => se_runtime::grade::regex(&inputs).map_err(|it| it.kind),
            Uses::Judge(_) => Ok(self.judged(at, frame)),
            Uses::Report(_) => evidence::report(key, &inputs),
            Uses::Call { .. } => unreachable!("calls went another way"),
        };
        output.map(Some).map_err(here)
    }

    fn wanted(&self, step: &Step, scopes: &Scopes) -> Result<bool, Refused> {
        let when = step.when.as_ref();
        when.map_or(Ok(true), |it| Ok(holds(&scopes.eval(it)?)))
    }

    /// The connector that a step works on.
    fn target(&self, step: &Step, frame: &Frame<'p>) -> Result<Option<String>, Refused> {
        let Some(target) = &step.target else {
            let inherited = frame.target.clone();
            return Ok(inherited.filter(|_| step.uses.wants_target()));
        };
        let value = frame.scopes.value(target)?;
        let name = value.as_str().ok_or(FaultKind::Validation)?;
        let mut known = ["a", "b", "c-1"].into_iter();
        let found = known.find(|it| *it == name).ok_or(FaultKind::NotFound)?;
        Ok(Some(found.to_owned()))
    }

    /// The steps of a composite, with variables of their own.
    fn call(
        &mut self,
        at: At<'p>,
        called: &'p Composite,
        (key, attempt): (&str, u32),
        frame: &Frame<'p>,
    ) -> Result<Map, Stopped> {
        let parameters = parameters(called, at.step, &frame.scopes).map_err(Stopped::Refused)?;
        let target = self.target(at.step, frame).map_err(Stopped::Refused)?;
        let mut inside = Frame {
            scopes: Scopes {
                vars: json!({}),
                parameters: Value::Object(parameters),
                ..frame.scopes.clone()
            },
            target: target.or_else(|| frame.target.clone()),
            past: Past::default(),
            reserved: reserved(&called.steps),
        };
        let again = if attempt > 1 {
            format!("#{attempt}")
        } else {
            String::new()
        };
        let own = self.pointer_of(at.of, called);
        for (place, step) in called.steps.iter().enumerate() {
            let inner = format!("{key}{again}/{}", step.id);
            let pointer = format!("{own}/steps/{place}");
            let of = at.of;
            let ended = self.step(At { of, step }, &pointer, &inner, &mut inside);
            if let Ended::Faulted(failure) = ended {
                self.loosen(&format!("{key}{again}/"));
                return Err(Stopped::Failed(failure));
            }
        }
        let export = |name: &String| (name.clone(), inside.scopes.vars[name].clone());
        Ok(called.export.iter().map(export).collect())
    }

    /// Where a composite is in the package.
    fn pointer_of(&self, of: &Resolved, called: &Composite) -> String {
        let part = of.part.map(|at| &self.package.parts[at]);
        let own = part.filter(|part| {
            let mut all = part.place.composites.iter();
            all.any(|it| it.name == called.name)
        });
        let root = own.map_or_else(String::new, |it| format!("/parts/{}", it.name));
        format!("{root}/composites/{}", called.name)
    }
}

/// Ids of steps, and variables that are captured as a whole.
fn reserved<'s>(steps: impl IntoIterator<Item = &'s Step>) -> BTreeSet<String> {
    let names = steps.into_iter().flat_map(|step| {
        let whole = step.capture.iter().filter(|it| it.path.len() == 1);
        std::iter::once(&step.id).chain(whole.map(|it| &it.path[0]))
    });
    names.cloned().collect()
}

/// Under the name of the step, and under the alias.
fn write(frame: &mut Frame<'_>, step: &Step, path: &[String], value: &Value) {
    let own: Vec<String> = std::iter::once(&step.id).chain(path).cloned().collect();
    frame.scopes.write(&own, value.clone());
    frame.scopes.write(path, value.clone());
}

fn parameters(called: &Composite, step: &Step, scopes: &Scopes) -> Result<Map, Refused> {
    let mut all = Map::new();
    for parameter in &called.parameters {
        let given = step.with.iter().find(|(key, _)| *key == parameter.name);
        let given = given.map_or(Ok(Value::Null), |(_, it)| scopes.value(it))?;
        let default = parameter.default.clone().filter(|_| given.is_null());
        let value = default.unwrap_or(given);
        let is_left_out = value.is_null() && !parameter.required;
        if !is_left_out && !parameter.kind.accepts(&value) {
            return Err(FaultKind::Validation);
        }
        all.insert(parameter.name.clone(), value);
    }
    Ok(all)
}

/// What a step captured; everything it gave, if it is the only one of its job and captures nothing.
fn result(steps: &[Step], step: &Step, mut output: Map) -> Option<Value> {
    if steps.len() > 1 || !step.capture.is_empty() {
        output.retain(|key, _| step.capture.iter().any(|it| it.output == *key));
    }
    (!output.is_empty()).then_some(Value::Object(output))
}
