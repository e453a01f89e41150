//! Which steps use which paths below `vars`, and where two uses may meet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use se_dsl::checked::{CapturePath, OnError, Segment};

use super::Node;
use crate::state::name_of;

/// Paths and the steps that use them.
#[derive(Default)]
pub(super) struct Uses {
    /// Names that no element has.
    reserved: Arc<BTreeSet<String>>,
    fixed: BTreeMap<Vec<String>, Vec<usize>>,
    /// Captures of loops, whose paths depend on the element.
    by_element: Vec<(CapturePath, usize)>,
}

/// The names that elements may not have: ids of steps, and variables that are captured as a whole.
pub(super) fn reserved(nodes: &[Node]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for step in nodes.iter().map(Node::step) {
        names.insert(step.id.as_str().to_owned());
        for capture in &step.capture {
            if let [Segment::Name(name)] = capture.path.segments() {
                names.insert((**name).to_owned());
            }
        }
    }
    names
}

impl Uses {
    pub(super) fn new(reserved: Arc<BTreeSet<String>>) -> Self {
        Self {
            reserved,
            ..Self::default()
        }
    }

    /// Whether a loop's capture may be, hold, or lie in what is at a path.
    fn touches(&self, own: &CapturePath, path: &[String]) -> bool {
        let by_element = own.segments().first() == Some(&Segment::Element);
        let taken = by_element && path.first().is_some_and(|it| self.reserved.contains(it));
        !taken && own.may_touch(path)
    }

    /// Whether the captures of two loops may meet.
    fn meets(&self, one: &CapturePath, other: &CapturePath) -> bool {
        let is_taken = match (one.segments().first(), other.segments().first()) {
            (Some(Segment::Element), Some(Segment::Name(name)))
            | (Some(Segment::Name(name)), Some(Segment::Element)) => {
                self.reserved.contains(&**name)
            }
            _ => false,
        };
        !is_taken && one.may_meet(other)
    }

    pub(super) fn add(&mut self, path: &CapturePath, step: usize) {
        match path.fixed() {
            Some(path) => self.add_path(path, step),
            None => self.by_element.push((path.clone(), step)),
        }
    }

    pub(super) fn add_path(&mut self, path: Vec<String>, step: usize) {
        self.fixed.entry(path).or_default().push(step);
    }

    /// The uses of a path, of a part of it, or of something it is a part of.
    pub(super) fn meeting(&self, path: &[String]) -> Vec<(usize, String)> {
        let above = (0..path.len()).filter_map(|length| {
            let above = path.get(..length)?;
            self.fixed.get_key_value(above)
        });
        let below = self
            .fixed
            .range(path.to_vec()..)
            .take_while(|(it, _)| it.starts_with(path));
        let fixed = above
            .chain(below)
            .flat_map(|(path, steps)| steps.iter().map(|step| (*step, path.join("."))));
        let by_element = self.by_element.iter();
        let by_element = by_element.filter(|(own, _)| self.touches(own, path));
        fixed
            .chain(by_element.map(|(own, step)| (*step, own.to_string())))
            .collect()
    }

    /// The same for what a step captures.
    pub(super) fn meeting_capture(&self, path: &CapturePath) -> Vec<(usize, String)> {
        if let Some(path) = path.fixed() {
            return self.meeting(&path);
        }
        let fixed = self.fixed.iter().filter(|(own, _)| self.touches(path, own));
        let fixed = fixed.flat_map(|(own, steps)| steps.iter().map(|step| (*step, own.join("."))));
        let by_element = self.by_element.iter();
        let by_element = by_element.filter(|(own, _)| self.meets(own, path));
        fixed
            .chain(by_element.map(|(own, step)| (*step, own.to_string())))
            .collect()
    }

    /// The uses of what a capture may change: its path, and what is used above it by these writers.
    pub(super) fn changed_by(&self, path: &CapturePath, writers: &Self) -> Vec<(usize, String)> {
        if let Some(path) = path.fixed() {
            return self.meeting(writers.whole(&path));
        }
        let mut changed = self.meeting_capture(path);
        let length = path.segments().len();
        let is_above = |it: &&Vec<String>| it.len() < length && self.touches(path, it);
        for whole in writers.fixed.keys().filter(is_above) {
            changed.extend(self.meeting(whole));
        }
        changed
    }

    /// What a write below `path` may change: `path`, or the whole that is used above it.
    ///
    /// `vars.a` may hold a number until `vars.a.c` is captured and makes it an object: `vars.a.b` fails
    /// before and is null after that.
    pub(super) fn whole<'a>(&self, path: &'a [String]) -> &'a [String] {
        let is_used = |above: &&[String]| {
            let mut by_element = self.by_element.iter();
            self.fixed.contains_key(*above)
                || by_element
                    .any(|(own, _)| own.segments().len() == above.len() && self.touches(own, above))
        };
        (1..path.len())
            .filter_map(|length| path.get(..length))
            .find(is_used)
            .unwrap_or(path)
    }
}

/// The paths below `vars` that a step may write: its captures, under its id too, and the error that the
/// job goes on from.
pub(super) fn written(node: &Node) -> Vec<CapturePath> {
    let id = node.step().id.as_str();
    let mut paths: Vec<CapturePath> = Vec::new();
    if node.step().on_error == OnError::Continue {
        paths.extend(CapturePath::parse(&format!("{id}.error"), None));
    }
    for path in captured(node) {
        paths.push(path.below(id));
        paths.push(path);
    }
    paths
}

/// Where a step's captures go; one path an element, where the elements are known.
fn captured(node: &Node) -> Vec<CapturePath> {
    let all = node.step().capture.iter().map(|it| &it.path);
    all.flat_map(|path| match (&node.elements, path.is_by_element()) {
        (Some(elements), true) => elements
            .iter()
            .map(|it| path.with_element(&name_of(it)))
            .collect(),
        _ => vec![path.clone()],
    })
    .collect()
}
