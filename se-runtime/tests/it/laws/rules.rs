//! Section 5 of the language, read off a model pair by pair: which steps must wait for which, and why
//! they may. No cleverness: what a plan finds in one walk is asked here of every two steps.

use std::collections::BTreeSet;

use se_dsl::catalog::Effect;
use se_dsl::checked::OnError;
use se_dsl::expr::Root;
use se_runtime::Why;

use super::expected::{meet, written};
use super::said::judged_by;
use crate::generated::model::{ELEMENT, Expr, Input, Package, Step, Uses, name_of};
use crate::generated::resolve::Resolved;

/// Steps that are ordered among each other.
pub(super) struct Rules<'p> {
    pub(super) package: &'p Package,
    /// The job that they belong to, itself or by a composite.
    pub(super) of: &'p Resolved,
    pub(super) steps: &'p [Step],
}

/// The connectors that a step looks at; `None` is any.
type Looks = Option<BTreeSet<String>>;

const INHERITED: &str = "(the call's)";

impl Rules<'_> {
    /// Whether the later step must wait for the earlier one.
    pub(super) fn must(&self, from: usize, to: usize) -> bool {
        self.of.job.sequential
            || self.reads_it(from, to)
            || self.writes_too(from, to)
            || self.read_before(from, to)
            || self.reports(to)
            || self.needs(from, to)
            || self.changes(from, to)
            || self.same_connector(from, to, exactly)
    }

    /// Whether that is a reason for a step to wait for an earlier one.
    pub(super) fn may(&self, from: usize, to: usize, why: &Why) -> bool {
        match why {
            Why::Reads(_) => self.reads_it(from, to),
            Why::SameAlias(_) => self.writes_too(from, to),
            Why::ReadBefore(_) => self.read_before(from, to),
            Why::Effect => self.changes(from, to),
            Why::SameConnector(_) => self.same_connector(from, to, roughly),
            Why::Needs => self.needs(from, to),
            Why::Reports => self.reports(to),
            Why::Sequential => self.of.job.sequential,
            Why::JobOrder => false,
        }
    }

    fn reads(&self, at: usize) -> Vec<Vec<String>> {
        let step = &self.steps[at];
        let own = step.reads().into_iter();
        let own = own
            .filter(|(root, _)| *root == Root::Vars)
            .map(|(_, path)| path);
        let rubric = judged_by(self.package, self.of, step);
        let checks = rubric
            .iter()
            .flat_map(|it| &it.items)
            .flat_map(|it| &it.checks);
        own.chain(checks.map(|it| it.source.clone())).collect()
    }

    /// What a step writes; of a list that is written out, one path an element.
    fn writes(&self, at: usize) -> Vec<Vec<String>> {
        let step = &self.steps[at];
        let mut all = Vec::new();
        for path in written(step) {
            let place = path.iter().position(|it| it == ELEMENT);
            match (place, elements(step)) {
                (Some(place), Some(elements)) => all.extend(elements.iter().map(|it| {
                    let mut path = path.clone();
                    path[place] = name_of(it);
                    path
                })),
                _ => all.push(path),
            }
        }
        if step.on_error == OnError::Continue {
            all.push(vec![step.id.clone(), "error".to_owned()]);
        }
        all
    }

    /// Whether one path is, holds or lies in the other. No element is called like a step, or like a
    /// variable that is captured as a whole.
    fn meet(&self, one: &[String], other: &[String]) -> bool {
        let is_taken = |name: &String| {
            let mut captures = self.steps.iter().flat_map(|it| &it.capture);
            let is_id = self.steps.iter().any(|it| it.id == *name);
            is_id || captures.any(|it| it.path.len() == 1 && it.path[0] == *name)
        };
        let clash = match (one.first(), other.first()) {
            (Some(a), Some(b)) if a == ELEMENT => b != ELEMENT && is_taken(b),
            (Some(a), Some(b)) if b == ELEMENT => is_taken(a),
            _ => false,
        };
        !clash && meet(one, other)
    }

    /// The path itself, and what is above it where a step before `end` writes exactly that: as long as
    /// that is a text, what is below it cannot be read, and no longer once a part of it is written.
    fn with_wholes(&self, path: &[String], end: usize) -> Vec<Vec<String>> {
        let writes: Vec<_> = (0..end).flat_map(|at| self.writes(at)).collect();
        let mut all = vec![path.to_vec()];
        for above in (1..path.len()).map(|length| &path[..length]) {
            let same = writes.iter().filter(|it| it.len() == above.len());
            let both = same.filter(|it| self.meet(it, above)).map(|it| {
                // Where one of the two says any name, the other says which.
                let names = it.iter().zip(above);
                names.map(|(a, b)| said(a, b).clone()).collect()
            });
            all.extend(both);
        }
        all
    }

    /// Rule 1: it reads what the other captures.
    fn reads_it(&self, from: usize, to: usize) -> bool {
        let writes = self.writes(from);
        let reads = self.reads(to);
        let mut reads = reads.iter().flat_map(|it| self.with_wholes(it, to));
        reads.any(|read| writes.iter().any(|it| self.meet(it, &read)))
    }

    /// Rule 3: both capture one name.
    fn writes_too(&self, from: usize, to: usize) -> bool {
        let earlier = self.writes(from);
        let later = self.writes(to);
        later
            .iter()
            .any(|it| earlier.iter().any(|other| self.meet(it, other)))
    }

    /// The values are those of the run in document order: who reads first must have read.
    fn read_before(&self, from: usize, to: usize) -> bool {
        let reads = self.reads(from);
        let writes = self.writes(to);
        let mut writes = writes.iter().flat_map(|it| self.with_wholes(it, to));
        writes.any(|write| reads.iter().any(|it| self.meet(it, &write)))
    }

    /// A report that names nothing to show shows what went before.
    fn reports(&self, to: usize) -> bool {
        let step = &self.steps[to];
        matches!(step.uses, Uses::Report(_)) && step.with.is_empty()
    }

    fn needs(&self, from: usize, to: usize) -> bool {
        let needs = self.steps[to].needs.as_ref();
        needs.is_some_and(|it| it.contains(&self.steps[from].id))
    }

    /// Rule 2: changes come after all before them, and before all after them.
    fn changes(&self, from: usize, to: usize) -> bool {
        let effect = |at: usize| self.steps[at].uses.effect();
        let is_change = |at: usize| matches!(effect(at), Effect::Write | Effect::Barrier);
        let is_pure = |at: usize| effect(at) == Effect::Pure;
        let applies = self.steps[to].needs.is_none() && !is_pure(from) && !is_pure(to);
        applies && (is_change(from) || is_change(to))
    }

    /// Rule 2: reads on the same connector.
    fn same_connector(&self, from: usize, to: usize, known: fn(&Step, &Input) -> Looks) -> bool {
        let is_read = |at: usize| self.steps[at].uses.effect() == Effect::Read;
        let applies = self.steps[to].needs.is_none() && is_read(from) && is_read(to);
        let looks = |at: usize| self.looks(&self.steps[at], known);
        applies
            && match (looks(from), looks(to)) {
                (Some(one), Some(other)) => !one.is_disjoint(&other),
                _ => true,
            }
    }

    fn looks(&self, step: &Step, known: fn(&Step, &Input) -> Looks) -> Looks {
        let Uses::Call { name, .. } = &step.uses else {
            return match &step.target {
                Some(target) => known(step, target),
                None if step.uses.wants_target() => Some(BTreeSet::from([INHERITED.to_owned()])),
                None => Some(BTreeSet::new()),
            };
        };
        let called = self.package.composite(self.of.part, name);
        let mut all = BTreeSet::new();
        for inner in &called.steps {
            all.extend(self.looks(inner, known)?);
        }
        if let Some(target) = &step.target
            && all.remove(INHERITED)
        {
            all.extend(known(step, target)?);
        }
        Some(all)
    }
}

/// The connectors that a target names for certain.
fn exactly(step: &Step, target: &Input) -> Looks {
    roughly(step, target).or_else(|| {
        let Input::Expr(Expr::Element(_, path)) = target else {
            // Any, and then it is for certain that it may be the same.
            return None;
        };
        let elements = elements(step)?;
        let name = |it: &serde_json::Value| {
            let found = path.iter().try_fold(it, |it, key| it.get(key));
            found.and_then(|it| it.as_str()).map(str::to_owned)
        };
        elements.iter().map(name).collect()
    })
}

/// The same, as far as a plan looks: at names, and at lists of names.
fn roughly(step: &Step, target: &Input) -> Looks {
    let text = |it: &serde_json::Value| it.as_str().map(str::to_owned);
    match target {
        Input::Literal(name) => Some(text(name).into_iter().collect()),
        Input::Expr(Expr::Element(_, path)) if path.is_empty() => {
            elements(step)?.iter().map(text).collect()
        }
        Input::Expr(_) | Input::Text(_) | Input::List(_) | Input::Map(_) => None,
    }
}

fn elements(step: &Step) -> Option<&Vec<serde_json::Value>> {
    match &step.each.as_ref()?.list {
        Input::Literal(list) => list.as_array(),
        Input::Expr(_) | Input::Text(_) | Input::List(_) | Input::Map(_) => None,
    }
}

/// Of two names of which one may be any, the one that is said.
fn said<'n>(a: &'n String, b: &'n String) -> &'n String {
    if a == ELEMENT { b } else { a }
}
