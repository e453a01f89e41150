//! The definitions of the language, and which of them a term needs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use jaq_core::load;

use super::term::{self, Def, Signature, Term};

/// The definitions of `prelude.jq`, metered, in order.
pub(super) struct Prelude {
    defs: Vec<Def<'static>>,
    by_signature: BTreeMap<Signature<'static>, usize>,
    calls: Vec<BTreeSet<Signature<'static>>>,
}

static PRELUDE: LazyLock<Prelude> = LazyLock::new(Prelude::parse);

impl Prelude {
    pub(super) fn get() -> &'static Self {
        &PRELUDE
    }

    fn parse() -> Self {
        let defs = load::parse(include_str!("../prelude.jq"), |parser| parser.defs())
            .expect("the prelude is a part of this program and parses");
        let calls = defs.iter().map(|def| {
            let mut called = BTreeSet::new();
            term::calls(&def.body, &mut called);
            called
        });
        let calls = calls.collect();
        let defs: Vec<_> = defs.into_iter().map(term::metered_def).collect();
        let signatures = defs.iter().map(|def| (def.name, def.args.len()));
        let by_signature = signatures.zip(0..).collect();
        Self {
            defs,
            by_signature,
            calls,
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = Signature<'static>> {
        self.by_signature.keys().copied()
    }

    /// The definitions that `term` needs, in order, and everything that it and they call.
    pub(super) fn reached<'s>(&self, term: &Term<'s>) -> (Vec<Def<'s>>, BTreeSet<Signature<'s>>) {
        let mut called = BTreeSet::new();
        term::calls(term, &mut called);
        let mut open: Vec<Signature<'s>> = called.iter().copied().collect();
        let mut kept = BTreeSet::new();
        while let Some(signature) = open.pop() {
            let Some(&index) = self.by_signature.get(&signature) else {
                continue;
            };
            if kept.insert(index) {
                open.extend(&self.calls[index]);
                called.extend(&self.calls[index]);
            }
        }
        let defs = kept.into_iter().map(|index| self.defs[index].clone());
        (defs.collect(), called)
    }
}
