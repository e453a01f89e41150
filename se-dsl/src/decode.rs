//! From a [`Node`] to values: every mistake is reported where it stands, and reading goes on.

mod fields;
mod template;
mod value;

pub(crate) use fields::Fields;
pub(crate) use template::template;
pub(crate) use value::{
    count, list, name, number, scalar_text, seconds, text, texts, to_json, word,
};

use std::cell::RefCell;

use crate::Options;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
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

    pub(crate) fn push(&self, diagnostic: Diagnostic) {
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
        self.found.into_inner().finish()
    }
}
