//! What steps read was captured before; `needs` names steps and goes in no circle.

use std::collections::BTreeMap;

use super::Package;
use super::job::DraftedStep;
use super::step::place;
use crate::catalog::Effect;
use crate::checked::OnError;
use crate::diagnostic::codes::flow;
use crate::document::Input;
use crate::expr::{Reads, Template};
use crate::source::Span;

/// What to do where a variable may be null.
#[derive(Clone, Copy, PartialEq)]
enum WhenNull {
    Tell,
    /// Null is false in a `when`, so a skipped capture is no surprise.
    Fine,
}

/// A path that some step writes.
struct Written {
    path: Vec<String>,
    step: usize,
    span: Span,
    /// Whether the step has a `when`.
    maybe: bool,
}

impl Package<'_, '_> {
    pub(super) fn flow(&self, steps: &[DraftedStep<'_>]) {
        let written = Writes::of(steps);
        self.shadowed(steps);
        self.needs(steps);
        if !steps.iter().all(|step| step.doc.all_known) {
            // A step that could not be read may capture anything.
            return;
        }
        for (at, step) in steps.iter().enumerate() {
            let inputs = step.doc.with.iter().chain(&step.doc.target);
            let inputs = inputs.map(|input| (input, WhenNull::Tell));
            let when = step.doc.when.iter().map(|when| (when, WhenNull::Fine));
            for (input, when_null) in inputs.chain(when) {
                self.reads(input, at, &written, when_null);
            }
        }
    }

    fn reads(&self, input: &Input, step: usize, written: &Writes, when_null: WhenNull) {
        let reads = input.template.as_ref().map(Template::reads);
        for path in reads
            .iter()
            .flat_map(Reads::vars)
            .filter(|path| !path.is_empty())
        {
            let name = path.join(".");
            let at = place(&input.node, &format!("vars.{name}"));
            let writers = written.touching(path);
            let earlier = writers.partition_point(|it| it.step < step);
            let all_maybe = writers[..earlier].iter().all(|it| it.maybe);
            let found = match (writers.first(), earlier) {
                (None, _) => flow::unknown_variable(at, &name, &written.names(step)),
                (Some(later), 0) => flow::later_variable(at, &name, later.span),
                (Some(maybe), _) if all_maybe && when_null == WhenNull::Tell => {
                    flow::maybe_variable(at, &name, maybe.span)
                }
                (Some(_), _) => continue,
            };
            self.sink.push(found);
        }
    }

    /// The same variable captured twice, or named like a step that captures.
    fn shadowed(&self, steps: &[DraftedStep<'_>]) {
        let capturing = steps.iter().filter(|step| !step.captures.is_empty());
        let ids: BTreeMap<&str, Span> = capturing
            .filter_map(|step| step.doc.id.as_ref())
            .map(|(id, span)| (id.as_str(), *span))
            .collect();
        let mut first: BTreeMap<&[String], Span> = BTreeMap::new();
        for (capture, span) in steps.iter().flat_map(|step| &step.captures) {
            let path = capture.path.as_slice();
            let other = first.get(path).or_else(|| ids.get(path[0].as_str()));
            if let Some(other) = other {
                let name = path.join(".");
                self.sink
                    .push(flow::shadowed_variable(*span, &name, *other));
            }
            first.entry(path).or_insert(*span);
        }
    }

    fn needs(&self, steps: &[DraftedStep<'_>]) {
        let ids: Vec<&str> = steps
            .iter()
            .map(|step| step.doc.id.as_ref().map_or("", |(id, _)| id.as_str()))
            .collect();
        let needs = || {
            steps
                .iter()
                .flat_map(|step| step.doc.needs.iter().flatten())
        };
        let mut all_known = true;
        for need in needs().filter(|need| !ids.contains(&need.value.as_str())) {
            all_known = false;
            self.sink.push(flow::unknown_need(need, &ids));
        }
        // Without `needs` every edge points back in the document.
        if all_known && needs().next().is_some() {
            self.cycle(steps, &ids);
        }
    }

    fn cycle(&self, steps: &[DraftedStep<'_>], ids: &[&str]) {
        let edges: Vec<Vec<usize>> = (0..steps.len())
            .map(|at| predecessors(steps, ids, at))
            .collect();
        let Some(cycle) = find_cycle(&edges) else {
            return;
        };
        let names: Vec<&str> = cycle.iter().map(|at| ids[*at]).collect();
        let needs = cycle.iter().filter_map(|at| steps[*at].doc.needs.as_ref());
        if let Some(need) = needs
            .flatten()
            .find(|need| names.contains(&need.value.as_str()))
        {
            self.sink.push(flow::needs_cycle(need.span, &names));
        }
    }
}

/// Everything that steps write, in document order, by the first name of its path.
struct Writes {
    by_name: BTreeMap<String, Vec<Written>>,
}

impl Writes {
    fn of(steps: &[DraftedStep<'_>]) -> Self {
        let mut writes = Self {
            by_name: BTreeMap::new(),
        };
        for (at, step) in steps.iter().enumerate() {
            writes.add_step(at, step);
        }
        writes
    }

    fn add_step(&mut self, at: usize, step: &DraftedStep<'_>) {
        let maybe = step.doc.when.is_some();
        let id = step.doc.id.as_ref();
        for (capture, span) in &step.captures {
            let entry = |path| Written {
                path,
                step: at,
                span: *span,
                maybe,
            };
            self.add(entry(capture.path.clone()));
            if let Some((id, _)) = id {
                let mut path = vec![id.to_string()];
                path.extend(capture.path.iter().cloned());
                self.add(entry(path));
            }
        }
        if let (Some((id, span)), OnError::Continue) = (id, &step.doc.on_error) {
            // There is an error only if it failed: reading null is what its reader expects.
            self.add(Written {
                path: vec![id.to_string(), "error".to_owned()],
                step: at,
                span: *span,
                maybe: false,
            });
        }
    }

    fn add(&mut self, written: Written) {
        let name = written.path[0].clone();
        self.by_name.entry(name).or_default().push(written);
    }

    /// What changes the value at a path: whatever lies above or below it.
    fn touching(&self, path: &[String]) -> Vec<&Written> {
        let touches = |it: &&Written| it.path.iter().zip(path).all(|(a, b)| a == b);
        let all = self.by_name.get(&path[0]).into_iter().flatten();
        all.filter(touches).collect()
    }

    /// Names that a step may read.
    fn names(&self, step: usize) -> Vec<String> {
        let all = self.by_name.values().flatten();
        let earlier = all.filter(|it| it.step < step);
        earlier.map(|it| it.path.join(".")).collect()
    }
}

/// The steps that a step surely waits for: its `needs`, or by effect.
fn predecessors(steps: &[DraftedStep<'_>], ids: &[&str], at: usize) -> Vec<usize> {
    let effect = |at: usize| steps[at].primitive.map_or(Effect::Pure, |it| it.effect);
    if let Some(needs) = &steps[at].doc.needs {
        let index = |name: &str| ids.iter().position(|id| *id == name);
        return needs.iter().filter_map(|need| index(&need.value)).collect();
    }
    let changes = |at: usize| matches!(effect(at), Effect::Write | Effect::Barrier);
    (0..at)
        .filter(|earlier| {
            let neither_pure = effect(*earlier) != Effect::Pure && effect(at) != Effect::Pure;
            neither_pure && (changes(*earlier) || changes(at))
        })
        .collect()
}

/// A circle in a graph, its first node at both ends.
fn find_cycle(edges: &[Vec<usize>]) -> Option<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        OnPath,
        Done,
    }
    let mut marks = vec![Mark::New; edges.len()];
    for start in 0..edges.len() {
        // Each entry: a node on the path, and how many of its edges were followed.
        let mut path = vec![(start, 0)];
        while let Some((node, followed)) = path.last_mut() {
            if *followed == 0 && marks[*node] != Mark::New {
                path.pop();
                continue;
            }
            marks[*node] = Mark::OnPath;
            let next = edges[*node].get(*followed).copied();
            *followed += 1;
            match next {
                None => {
                    marks[*node] = Mark::Done;
                    path.pop();
                }
                Some(next) if marks[next] == Mark::OnPath => {
                    let from = path.iter().position(|(node, _)| *node == next)?;
                    let mut cycle: Vec<usize> =
                        path[from..].iter().map(|(node, _)| *node).collect();
                    cycle.push(next);
                    return Some(cycle);
                }
                Some(next) if marks[next] == Mark::New => path.push((next, 0)),
                Some(_) => {}
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::find_cycle;

    #[test]
    fn a_circle_is_found_and_a_diamond_is_none() {
        assert_eq!(find_cycle(&[vec![], vec![0], vec![0], vec![1, 2]]), None);
        assert_eq!(
            find_cycle(&[vec![1], vec![2], vec![0]]),
            Some(vec![0, 1, 2, 0])
        );
        assert_eq!(find_cycle(&[vec![], vec![1]]), Some(vec![1, 1]));
        assert_eq!(
            find_cycle(&[vec![], vec![0, 2], vec![1]]),
            Some(vec![1, 2, 1])
        );
    }
}
