//! What steps read was captured before; `needs` names steps and goes in no circle.

use std::collections::BTreeMap;

use super::job::DraftedStep;
use super::lower::free_vars;
use super::place::Place;
use super::spelled::places;
use super::written::Writes;
use crate::catalog::Effect;
use crate::checked::{CapturePath, Segment, Uses};
use crate::diagnostic::codes::flow;
use crate::diagnostic::{Diagnostic, nearest};
use crate::document::Input;
use crate::source::Span;

/// What to do where a variable may be null.
#[derive(Clone, Copy, PartialEq)]
enum WhenNull {
    Tell,
    /// Null is false in a `when`, so a skipped capture is no surprise.
    Fine,
}

/// An input of a step that reads variables.
struct Reader<'d> {
    input: &'d Input,
    step: usize,
    when_null: WhenNull,
}

impl Reader<'_> {
    /// What is wrong with reading a path here.
    fn finding(&self, path: &[String], written: &Writes) -> Option<Diagnostic> {
        let name = path.join(".");
        let all = places(&self.input.node, &format!("vars.{name}"));
        let at = all[0];
        let writers = written.touching(path);
        let earlier = writers.partition_point(|it| it.step < self.step);
        let all_maybe = writers[..earlier].iter().all(|it| it.maybe);
        match (writers.first(), earlier) {
            (None, _) => {
                let known = written.names(self.step);
                let found = flow::unknown_variable(&all, &name, &known);
                let near = nearest(&name, known.iter().map(String::as_str));
                let near = near.and_then(|near| written.captured_as(self.step, near));
                Some(match near {
                    Some(near) => found.related(near, "captured here"),
                    None => found,
                })
            }
            (Some(own), 0) if own.step == self.step => {
                Some(flow::own_variable(at, &name, own.span))
            }
            (Some(later), 0) => Some(flow::later_variable(at, &name, later.span)),
            (Some(maybe), _) if all_maybe && self.when_null == WhenNull::Tell => {
                Some(flow::maybe_variable(at, &name, maybe.span))
            }
            (Some(_), _) => None,
        }
    }
}

impl Place<'_, '_> {
    pub(super) fn flow(&self, steps: &[DraftedStep<'_>], written: &Writes) {
        self.shadowed(steps);
        self.needs(steps);
        if !steps.iter().all(|step| step.doc.all_known) {
            // A step that could not be read may capture anything.
            return;
        }
        for (at, step) in steps.iter().enumerate() {
            let inputs = step.doc.with.iter().chain(step.doc.target.as_deref());
            let inputs = inputs.map(|input| (input, WhenNull::Tell));
            let when = step
                .doc
                .when
                .as_deref()
                .into_iter()
                .map(|when| (when, WhenNull::Fine));
            let list = step.doc.for_each.iter();
            let list = list.map(|each| (&each.list, WhenNull::Tell));
            for (input, when_null) in inputs.chain(when).chain(list) {
                let reader = Reader {
                    input,
                    step: at,
                    when_null,
                };
                let reads = input.template.as_ref();
                let reads = reads.map(|it| free_vars(step.doc, it)).unwrap_or_default();
                let found = reads.iter().filter(|path| !path.is_empty());
                found
                    .filter_map(|path| reader.finding(path, written))
                    .for_each(|it| self.sink.push(it));
            }
        }
    }

    /// The same variable captured twice, or named like a step that captures.
    fn shadowed(&self, steps: &[DraftedStep<'_>]) {
        let capturing = steps.iter().filter(|step| !step.captures.is_empty());
        let ids: BTreeMap<&str, Span> = capturing
            .filter_map(|step| step.doc.id.as_ref())
            .map(|(id, span)| (id.as_str(), *span))
            .collect();
        let mut first: BTreeMap<&CapturePath, Span> = BTreeMap::new();
        // Which side of a capture is the variable is known where the outputs are.
        let known = steps.iter().filter(|step| step.uses.is_some());
        for (capture, span) in known.flat_map(|step| &step.captures) {
            let path = &capture.path;
            let head = match &path.segments()[0] {
                Segment::Name(name) => ids.get(&**name),
                Segment::Element => None,
            };
            if let Some(other) = first.get(path).or(head) {
                let name = path.to_string();
                self.sink
                    .push(flow::shadowed_variable(*span, &name, *other));
            }
            first.entry(path).or_insert(*span);
        }
        for each in steps.iter().filter_map(|step| step.doc.for_each.as_ref()) {
            let name = &each.var.value;
            let is_head = |path: &CapturePath| {
                let head = &path.segments()[0];
                matches!(head, Segment::Name(head) if **head == **name)
            };
            let captured = first.iter().find(|(path, _)| is_head(path));
            let other = captured.map(|(_, span)| span).or_else(|| ids.get(&**name));
            if let Some(other) = other {
                self.sink
                    .push(flow::shadowed_variable(each.var.span, name, *other));
            }
        }
    }

    fn needs(&self, steps: &[DraftedStep<'_>]) {
        let ids: Vec<&str> = steps
            .iter()
            .map(|step| step.doc.id.as_ref().map_or("", |(id, _)| id.as_str()))
            .collect();
        let mut all_known = true;
        for (at, step) in steps.iter().enumerate() {
            let needs = step.doc.needs.iter().flatten();
            for need in needs.filter(|need| !ids.contains(&need.value.as_str())) {
                all_known = false;
                let mut others = ids.clone();
                others.remove(at);
                self.sink.push(flow::unknown_need(need, &others));
            }
        }
        // Without `needs` every edge points back in the document.
        if all_known && steps.iter().any(|step| step.doc.needs.is_some()) {
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

/// The steps that a step surely waits for: its `needs`, or by effect.
fn predecessors(steps: &[DraftedStep<'_>], ids: &[&str], at: usize) -> Vec<usize> {
    let effect = |at: usize| steps[at].uses.as_ref().map_or(Effect::Pure, Uses::effect);
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
