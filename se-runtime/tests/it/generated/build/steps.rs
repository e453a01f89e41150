//! Lists of steps: of a job, or of a composite.

use std::time::Duration;

use se_dsl::catalog::{Effect, Stage};
use se_dsl::checked::OnError;
use serde_json::Value;

use super::super::model::{
    Capture, Composite, ELEMENT, Each, Input, Parameter, Rubric, Step, Uses,
};
use super::super::raw::{RawKind, RawList, RawStep};
use super::Wanted;
use super::inputs::{Binds, Seen, pick, word};
use super::rubrics;

/// What the steps of a list may name.
#[derive(Clone, Debug)]
pub(super) struct Around<'a> {
    pub(super) wanted: Wanted,
    pub(super) connectors: &'a [String],
    pub(super) composites: Vec<&'a Composite>,
    /// Those of the composite whose steps they are; none in a job.
    pub(super) parameters: Option<&'a [Parameter]>,
    /// What the rubrics that they bring about are called.
    pub(super) name: &'a str,
}

/// A list of steps, and what it brings about.
#[derive(Debug, Default)]
pub(super) struct Built {
    pub(super) steps: Vec<Step>,
    pub(super) rubrics: Vec<Rubric>,
    /// The rubric that a phase must give.
    pub(super) open: Option<String>,
    /// First names of what says why something failed.
    pub(super) opaque: Vec<String>,
}

/// A list of steps being written.
pub(super) struct Writer<'a> {
    pub(super) around: &'a Around<'a>,
    pub(super) seen: Vec<Seen>,
    pub(super) built: Built,
    /// Steps that may leave an error.
    pub(super) may_fail: Vec<String>,
}

pub(super) fn list(around: &Around<'_>, raw: &RawList) -> Built {
    let mut writer = Writer {
        around,
        seen: Vec::new(),
        built: Built::default(),
        may_fail: Vec::new(),
    };
    let last = raw.steps.len() - 1;
    for (at, raw) in raw.steps.iter().enumerate() {
        let step = writer.step(raw, at, at == last);
        writer.remember(&step);
        writer.built.steps.push(step);
    }
    let opaque = writer.seen.iter().filter(|it| it.is_opaque);
    writer.built.opaque = opaque.map(|it| it.path[0].clone()).collect();
    writer.built
}

impl Writer<'_> {
    fn step(&mut self, raw: &RawStep, at: usize, is_last: bool) -> Step {
        let id = format!("s{at}");
        let mut uses = self.uses(raw, is_last);
        let is_report = matches!(uses, Uses::Report(_));
        let each = raw.each.filter(|_| !is_report);
        let each = each.map(|each| self.each(each, at));
        let binds = each.as_ref().map(Binds::of);
        if let Uses::Judge(None) = uses {
            uses = self.judged(raw, at, binds.is_none());
        }
        let when = raw.when.map(|it| self.when(it, binds.as_ref()));
        let timeout = raw.timeout.and_then(|it| self.timeout(&uses, it));
        Step {
            target: self.target(&uses, raw.target, binds.as_ref()),
            with: self.with(&uses, raw, binds.as_ref()),
            capture: self.captures(&uses, raw, binds.as_ref()),
            when,
            on_error: on_error(raw.on_error),
            timeout,
            stage: raw.stage.map(stage),
            needs: raw.needs.as_ref().and_then(|it| self.needs(it, at)),
            id,
            uses,
            each,
        }
    }

    fn uses(&self, raw: &RawStep, is_last: bool) -> Uses {
        let in_job = self.around.parameters.is_none();
        match raw.kind {
            RawKind::Pause => Uses::Pause,
            RawKind::Exec if self.around.wanted.writes => {
                Uses::Exec(word(&["exec", "execute_command"], raw.what / 128))
            }
            RawKind::Exec | RawKind::Collect => {
                Uses::Collect(word(&["collect", "collect_evidence"], raw.what / 128))
            }
            RawKind::Judge if !self.seen.is_empty() => Uses::Judge(None),
            RawKind::Report if in_job && is_last => Uses::Report(rubrics::class(raw.what)),
            RawKind::Call if !self.around.composites.is_empty() => {
                let called = pick(&self.around.composites, raw.what);
                Uses::Call {
                    name: called.name.clone(),
                    version: called.version.clone(),
                    effect: called.effect,
                    inherits: called.inherits,
                }
            }
            RawKind::Regex | RawKind::Judge | RawKind::Report | RawKind::Call => Uses::Regex,
        }
    }

    /// A rubric of its own; once in a job it is the phase that gives it.
    fn judged(&mut self, raw: &RawStep, at: usize, may_be_open: bool) -> Uses {
        let name = format!("{}_r{at}", self.around.name);
        let rubric = rubrics::of(&name, &self.seen, raw);
        self.built.rubrics.push(rubric);
        let in_job = self.around.parameters.is_none();
        if may_be_open && in_job && self.built.open.is_none() && raw.what % 4 == 1 {
            self.built.open = Some(name);
            return Uses::Judge(None);
        }
        Uses::Judge(Some(name))
    }

    fn timeout(&self, uses: &Uses, choice: u8) -> Option<Duration> {
        match uses {
            Uses::Pause if !self.around.wanted.timeouts => None,
            Uses::Pause => Some(*pick(&[1_000, 60_000], choice)),
            Uses::Call { .. } if !self.around.wanted.timeouts => None,
            Uses::Call { .. } => Some(*pick(&[20_000, 1_500, 4_000], choice)),
            Uses::Exec(_) | Uses::Collect(_) | Uses::Regex | Uses::Judge(_) | Uses::Report(_) => {
                Some(*pick(&[60_000, 1_000, 2_500], choice))
            }
        }
        .map(Duration::from_millis)
    }

    /// Earlier steps.
    fn needs(&self, choices: &[u8], at: usize) -> Option<Vec<String>> {
        if !self.around.wanted.needs {
            return None;
        }
        let mut needs: Vec<String> = Vec::new();
        for choice in choices.iter().filter(|_| at > 0) {
            let id = format!("s{}", usize::from(*choice) % at);
            if !needs.contains(&id) {
                needs.push(id);
            }
        }
        Some(needs)
    }

    fn captures(&self, uses: &Uses, raw: &RawStep, binds: Option<&Binds>) -> Vec<Capture> {
        let outputs = self.outputs(uses);
        let mut captures: Vec<Capture> = Vec::new();
        for (output, path) in raw.captures.iter().filter(|_| !outputs.is_empty()) {
            let output = pick(&outputs, *output);
            let path = self.path(*path, binds.is_some());
            let is_element = path.iter().any(|it| it == ELEMENT);
            if captures
                .iter()
                .all(|it| it.output != *output && it.path != path)
            {
                captures.push(Capture {
                    output: output.clone(),
                    reversed: raw.what % 16 == 5
                        && !is_element
                        && !outputs.contains(&path.join(".")),
                    path,
                });
            }
        }
        // Two that are written the wrong way round must not have the same key.
        captures
    }

    /// Few names, so that captures meet.
    fn path(&self, choice: u8, in_loop: bool) -> Vec<String> {
        let name = format!("n{}", choice / 8 % 4);
        let path: Vec<&str> = match (choice % 8, in_loop) {
            (0..=3, _) => vec![&name],
            (4, _) => vec![&name, "x"],
            (5, _) => vec![pick(self.around.connectors, choice / 8).as_str(), &name],
            (6, true) => vec![ELEMENT, &name],
            (_, true) => vec![&name, ELEMENT],
            (6, false) => vec![&name, "x", "y"],
            // What some step captures stands under its name, too.
            (_, false) => vec!["s1", &name],
        };
        path.into_iter().map(str::to_owned).collect()
    }

    fn outputs(&self, uses: &Uses) -> Vec<String> {
        let names: &[&str] = match uses {
            Uses::Pause => &[],
            Uses::Exec(_) => &["stdout", "ok", "exit_code", "error"],
            Uses::Collect(_) => &["output"],
            Uses::Regex => &["passed", "issue"],
            Uses::Judge(_) => &["items", "passed"],
            Uses::Report(_) => &["report_ref"],
            Uses::Call { name, .. } => {
                let all = self.around.composites.iter();
                let called = all.clone().find(|it| it.name == *name);
                return called.map(|it| it.export.clone()).unwrap_or_default();
            }
        };
        names.iter().map(|it| (*it).to_owned()).collect()
    }

    /// Whether an output says why something failed.
    fn is_opaque(&self, uses: &Uses, output: &String) -> bool {
        let mut all = self.around.composites.iter();
        match uses {
            Uses::Judge(_) => output == "items",
            Uses::Call { name, .. } => {
                let called = all.find(|it| it.name == *name);
                called.is_some_and(|it| it.opaque.contains(output))
            }
            _ => false,
        }
    }

    /// What later steps may read of a step.
    fn remember(&mut self, step: &Step) {
        for capture in &step.capture {
            let is_opaque = self.is_opaque(&step.uses, &capture.output);
            self.seen.extend(Seen::of(step, capture, is_opaque));
        }
        if step.on_error == OnError::Continue {
            self.may_fail.push(step.id.clone());
        }
    }
}

fn on_error(choice: u8) -> OnError {
    let count = u32::from(choice % 2) + 1;
    match choice {
        0..=99 => OnError::Fail,
        100..=199 => OnError::Continue,
        _ => OnError::Retry {
            retries: count,
            backoff: Duration::from_millis(u64::from(count) * 1_500),
        },
    }
}

fn stage(choice: u8) -> Stage {
    let all = [Stage::Setup, Stage::Collect, Stage::Evaluate, Stage::Report];
    *pick(&all, choice)
}

/// The effects of steps, taken together.
pub(super) fn effect(steps: &[Step]) -> Effect {
    let strength = |effect: Effect| match effect {
        Effect::Pure => 0,
        Effect::Read => 1,
        Effect::Write => 2,
        Effect::Barrier => 3,
    };
    let all = steps.iter().map(|it| it.uses.effect());
    all.max_by_key(|it| strength(*it)).unwrap_or(Effect::Pure)
}

/// Whether one of the steps works on the connector of the call.
pub(super) fn inherits(steps: &[Step]) -> bool {
    let mut steps = steps.iter();
    steps.any(|it| it.target.is_none() && it.uses.wants_target())
}

/// The list of a loop that is written out.
pub(super) fn literal_list(each: &Each) -> Option<&Vec<Value>> {
    match &each.list {
        Input::Literal(Value::Array(list)) => Some(list),
        Input::Literal(_) | Input::Expr(_) | Input::Text(_) | Input::List(_) | Input::Map(_) => {
            None
        }
    }
}
