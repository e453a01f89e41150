//! Loops: once for each element, in the order of the list.

use se_dsl::checked::OnError;
use se_dsl::expr::Root;
use se_runtime::FaultKind;
use se_runtime::event::Map;
use serde_json::{Value, json};

use super::values::Refused;
use super::{At, Ended, Failure, Frame, Reference, write};
use crate::generated::model::{Capture, ELEMENT, Each, Step, name_of};

/// What became of the elements of a list.
struct Turns {
    list: Vec<Value>,
    /// What each gave that had its turn; nothing, if it was skipped or failed.
    outputs: Vec<Option<Map>>,
    failed: Option<Failure>,
}

impl<'p> Reference<'p> {
    /// Captures are written when all elements have ended.
    pub(super) fn looped(
        &mut self,
        at: At<'p>,
        each: &'p Each,
        (pointer, key): (&str, &str),
        frame: &mut Frame<'p>,
    ) -> Ended {
        let list = match self.list(at.step, each, frame) {
            Ok(Some(list)) => list,
            Ok(None) => {
                self.note(key, "skipped");
                return Ended::Skipped;
            }
            Err(why) => return self.failed(at.step, key, why.status(), pointer),
        };
        let turns = self.turns(at, list, (pointer, key), frame);
        let stopped = turns.failed.is_some() && each.stop_on_fail;
        let mut all = Map::new();
        for capture in &at.step.capture {
            let values = turns.values(capture);
            match (is_by_element(capture), turns.failed.is_none()) {
                (false, true) => write(frame, at.step, &capture.path, &values),
                (true, _) if !stopped => turns.write(frame, at.step, capture),
                _ => {}
            }
            all.insert(capture.output.clone(), values);
        }
        match turns.failed {
            Some(failure) => self.failed(at.step, key, failure.status, &failure.instance),
            None => {
                self.note(key, "completed");
                Ended::Completed(all)
            }
        }
    }

    fn failed(&mut self, step: &Step, key: &str, status: u16, instance: &str) -> Ended {
        self.note(key, "faulted");
        let failure = Failure {
            status,
            instance: instance.to_owned(),
            attempt: 1,
        };
        match step.on_error {
            OnError::Continue => Ended::Continued(failure),
            // It is the elements that are tried again.
            OnError::Fail | OnError::Retry { .. } => Ended::Faulted(failure),
        }
    }

    /// The list of a loop; nothing if it is not to run.
    fn list(
        &self,
        step: &Step,
        each: &Each,
        frame: &Frame<'p>,
    ) -> Result<Option<Vec<Value>>, Refused> {
        if !by_element(step, each) && !self.wanted(step, &frame.scopes)? {
            return Ok(None);
        }
        let Value::Array(list) = frame.scopes.value(&each.list)? else {
            return Err(FaultKind::Validation);
        };
        let by_name = step.capture.iter().any(|it| it.path[0] == ELEMENT);
        let is_taken = |it: &Value| frame.reserved.contains(&name_of(it));
        if by_name && list.iter().any(is_taken) {
            return Err(FaultKind::Validation);
        }
        Ok((!list.is_empty()).then_some(list))
    }

    fn turns(
        &mut self,
        at: At<'p>,
        list: Vec<Value>,
        (pointer, key): (&str, &str),
        frame: &mut Frame<'p>,
    ) -> Turns {
        let each = at.step.each.as_ref().expect("it is a loop");
        let mut outputs: Vec<Option<Map>> = Vec::new();
        let mut failed: Option<Failure> = None;
        for (index, element) in list.iter().enumerate() {
            let mut bound = frame.clone();
            let var = [each.var.clone()];
            bound.scopes.write(&var, element.clone());
            let index_var = [format!("{}_index", each.var)];
            bound.scopes.write(&index_var, json!(index));
            let own = format!("{key}[{index}]");
            match self.attempts(at, (pointer, &own), &bound, false) {
                Ended::Completed(output) => outputs.push(Some(output)),
                Ended::Skipped => outputs.push(None),
                Ended::Continued(failure) | Ended::Faulted(failure) => {
                    outputs.push(None);
                    frame.past.elements.push((at.step, element.clone()));
                    failed.get_or_insert(failure);
                }
            }
            if failed.is_some() && each.stop_on_fail {
                self.loosen(&format!("{key}["));
                break;
            }
        }
        Turns {
            list,
            outputs,
            failed,
        }
    }
}

impl Turns {
    /// A list with a value for each element.
    fn values(&self, capture: &Capture) -> Value {
        let value = |it: &Option<Map>| {
            let value = it.as_ref().and_then(|it| it.get(&capture.output));
            value.cloned().unwrap_or(Value::Null)
        };
        self.outputs.iter().map(value).collect()
    }

    /// What single elements gave, each under its own name.
    fn write(&self, frame: &mut Frame<'_>, step: &Step, capture: &Capture) {
        for (element, output) in self.list.iter().zip(&self.outputs) {
            let Some(output) = output else { continue };
            let name = name_of(element);
            let names = capture.path.iter();
            let names = names.map(|it| if it == ELEMENT { &name } else { it });
            let path: Vec<String> = names.cloned().collect();
            let value = output.get(&capture.output).unwrap_or(&Value::Null);
            write(frame, step, &path, value);
        }
    }
}

fn is_by_element(capture: &Capture) -> bool {
    capture.path.iter().any(|it| it == ELEMENT)
}

/// Whether `when` is asked by each element: it reads what the loop binds.
pub(super) fn by_element(step: &Step, each: &Each) -> bool {
    let reads = step.when.as_ref().and_then(|it| it.reads());
    let index = format!("{}_index", each.var);
    reads.is_some_and(|(root, path)| {
        let first = path.first();
        root == Root::Vars && first.is_none_or(|it| *it == each.var || *it == index)
    })
}
