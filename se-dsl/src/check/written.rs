//! What steps write below `vars`.

use std::collections::BTreeMap;

use super::job::DraftedStep;
use crate::checked::{CapturePath, OnError, Segment};
use crate::source::Span;

/// A path that some step writes.
pub(super) struct Written {
    pub(super) path: CapturePath,
    pub(super) step: usize,
    pub(super) span: Span,
    /// Whether the step has a `when`.
    pub(super) maybe: bool,
}

/// Everything that steps write, in document order, by the first name of its path; `None` is the name of
/// an element.
pub(super) struct Writes {
    by_name: BTreeMap<Option<String>, Vec<Written>>,
}

impl Writes {
    pub(super) fn of(steps: &[DraftedStep<'_>]) -> Self {
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
        let known = step.captures.iter();
        let known = known.map(|(it, span)| (it.path.clone(), *span));
        for (path, span) in known.chain(step.perhaps_captured()) {
            let entry = |path| Written {
                path,
                step: at,
                span,
                maybe,
            };
            if let Some((id, _)) = id {
                self.add(entry(path.below(id.as_str())));
            }
            self.add(entry(path));
        }
        if let (Some((id, span)), OnError::Continue) = (id, &step.doc.on_error)
            && let Some(path) = CapturePath::parse(&format!("{id}.error"), None)
        {
            // There is an error only if it failed: reading null is what its reader expects.
            self.add(Written {
                path,
                step: at,
                span: *span,
                maybe: false,
            });
        }
    }

    fn add(&mut self, written: Written) {
        let name = match &written.path.segments()[0] {
            Segment::Name(name) => Some((**name).to_owned()),
            Segment::Element => None,
        };
        self.by_name.entry(name).or_default().push(written);
    }

    /// What changes the value at a path: whatever lies above or below it.
    pub(super) fn touching(&self, path: &[String]) -> Vec<&Written> {
        let first = path.first().cloned();
        let named = self.by_name.get(&first).into_iter().flatten();
        let by_element = self.by_name.get(&None).into_iter().flatten();
        let mut all: Vec<&Written> = named
            .chain(by_element)
            .filter(|it| it.path.may_touch(path))
            .collect();
        all.sort_by_key(|it| it.step);
        all
    }

    /// Names that a step may read.
    pub(super) fn names(&self, step: usize) -> Vec<String> {
        let all = self.by_name.values().flatten();
        let earlier = all.filter(|it| it.step < step);
        earlier.map(|it| it.path.to_string()).collect()
    }

    /// Where a step before this one captures what is called so.
    pub(super) fn captured_as(&self, step: usize, name: &str) -> Option<Span> {
        let mut earlier = self.by_name.values().flatten();
        let found = earlier.find(|it| it.step < step && it.path.to_string() == name);
        found.map(|it| it.span)
    }
}
