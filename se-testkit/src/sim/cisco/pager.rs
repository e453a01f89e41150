//! ` --More-- `.

use std::collections::VecDeque;

/// What stands at the end of a page.
pub(super) const MORE: &str = " --More-- ";
/// How it is wiped away.
pub(super) const ERASE: &str =
    "\x08\x08\x08\x08\x08\x08\x08\x08\x08\x08          \x08\x08\x08\x08\x08\x08\x08\x08\x08\x08";

/// The lines not shown yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pager {
    rest: VecDeque<String>,
}

impl Pager {
    pub(super) fn new(lines: Vec<String>) -> Self {
        Self { rest: lines.into() }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// So many lines more, or all.
    pub(super) fn next(&mut self, count: Option<usize>) -> String {
        let count = count
            .map_or(self.rest.len(), |it| it.max(1))
            .min(self.rest.len());
        self.rest.drain(..count).map(|it| it + "\r\n").collect()
    }
}
