//! Expressions that are nothing but a path.

use jaq_core::load::parse::BinaryOp;
use jaq_core::path::Part;

use super::super::compile::Term;
use super::super::scopes::{Root, Scopes};
use super::super::value::Val;
use super::analysis::literal;

/// What is known about a path without running anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// A value is there.
    Yes,
    /// Nothing can be there.
    No,
    /// It depends on the run.
    Unknown,
}

/// A path that gives null if nothing is at one of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Plain {
    /// `None`: a name that is no root, as in `.nothing`.
    root: Option<Root>,
    /// The keys up to the first that is no literal text.
    keys: Vec<String>,
    /// Whether all keys so far are in `keys`.
    whole: bool,
}

/// The path that a program is, if it is nothing else.
pub(in super::super) fn of(term: &Term<'_>) -> Option<Plain> {
    match after(term, &Dot::All)? {
        Dot::All => None,
        Dot::Path(path) => Some(path),
    }
}

/// What a term is applied to.
#[derive(Clone)]
enum Dot {
    /// The object of all roots.
    All,
    Path(Plain),
}

fn after(term: &Term<'_>, dot: &Dot) -> Option<Dot> {
    match term {
        Term::Id => Some(dot.clone()),
        Term::Call(name, args) if args.is_empty() => root(name).map(|root| {
            Dot::Path(Plain {
                root: Some(root),
                keys: Vec::new(),
                whole: true,
            })
        }),
        Term::BinOp(left, BinaryOp::Pipe(None), right) => after(right, &after(left, dot)?),
        Term::Path(head, path) => path
            .0
            .iter()
            .try_fold(after(head, dot)?, |dot, (part, _)| below(dot, part)),
        _ => None,
    }
}

fn root(name: &str) -> Option<Root> {
    Root::ALL.into_iter().find(|root| root.as_str() == name)
}

fn below(dot: Dot, part: &Part<Term<'_>>) -> Option<Dot> {
    let key = match part {
        Part::Index(index) => literal(index),
        Part::Range(..) => None,
    };
    match (dot, key) {
        (Dot::All, Some(name)) => Some(Dot::Path(Plain {
            root: root(&name),
            keys: Vec::new(),
            whole: true,
        })),
        (Dot::All, None) => None,
        (Dot::Path(mut path), Some(key)) => {
            if path.whole {
                path.keys.push(key);
            }
            Some(Dot::Path(path))
        }
        // A position or a slice of null is null as well.
        (Dot::Path(mut path), None) if is_position(part) => {
            path.whole = false;
            Some(Dot::Path(path))
        }
        (Dot::Path(_), None) => None,
    }
}

fn is_position(part: &Part<Term<'_>>) -> bool {
    let number = |term: &Term<'_>| match term {
        Term::Num(_) => true,
        Term::Neg(term) => matches!(**term, Term::Num(_)),
        _ => false,
    };
    match part {
        Part::Index(index) => number(index),
        // `[]`: iterating over null fails.
        Part::Range(None, None) => false,
        Part::Range(from, to) => from.iter().chain(to).all(number),
    }
}

impl Plain {
    /// The value at the path, if nothing but objects lead there: then the interpreter, which would
    /// give the same, need not be asked.
    pub(in super::super) fn value<'v>(&self, scopes: &'v Scopes) -> Option<&'v Val> {
        if !self.whole {
            return None;
        }
        let root = scopes.value(self.root?);
        self.keys.iter().try_fold(root, |value, key| value.get(key))
    }

    /// Whether every key is a literal text.
    pub(in super::super) fn is_whole(&self) -> bool {
        self.whole
    }

    pub(in super::super) fn always_null(&self, exists: impl Fn(Root, &[String]) -> Known) -> bool {
        let Some(root) = self.root else {
            return true;
        };
        (0..=self.keys.len()).any(|length| exists(root, &self.keys[..length]) == Known::No)
    }
}
