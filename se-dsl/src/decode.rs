//! From a [`Node`] to values: every mistake is reported where it stands, and reading goes on.

mod fields;
pub(crate) mod shape;
mod template;
mod value;

pub(crate) use fields::Fields;
pub(crate) use template::{Loop, template, template_in};
pub(crate) use value::{
    boolean, count, list, mapping, name, name_of, number, scalar_text, seconds, text, texts,
    to_json, unique, word,
};

use std::cell::RefCell;

use crate::Options;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, keep_quotes};
use crate::source::Sources;

/// Takes diagnostics while a package is read.
pub(crate) struct Sink<'s> {
    /// What is read.
    pub(crate) sources: &'s Sources,
    options: Options,
    found: RefCell<Diagnostics>,
}

impl<'s> Sink<'s> {
    pub(crate) fn new(sources: &'s Sources, options: Options) -> Self {
        Self {
            sources,
            options,
            found: RefCell::default(),
        }
    }

    pub(crate) fn push(&self, mut diagnostic: Diagnostic) {
        for edit in &mut diagnostic.edits {
            keep_quotes(edit, self.sources);
        }
        self.found.borrow_mut().push(diagnostic);
    }

    /// How bad a literal password or port is.
    pub(crate) fn severity_of_literals(&self) -> Severity {
        if self.options.strict {
            Severity::Error
        } else {
            Severity::Warning
        }
    }

    /// Where [`Sink::forget`] can come back to.
    pub(crate) fn mark(&self) -> usize {
        self.found.borrow().len()
    }

    /// Forgets what came after `mark`.
    pub(crate) fn forget(&self, mark: usize) {
        self.found.borrow_mut().truncate(mark);
    }

    pub(crate) fn into_diagnostics(self) -> Diagnostics {
        self.found.into_inner().finish(self.sources)
    }
}
