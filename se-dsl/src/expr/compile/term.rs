//! Walking and rewriting the syntax tree.

use std::collections::BTreeSet;

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{self, BinaryOp, Pattern};
use jaq_core::path::{Part, Path};

use super::super::natives::{DEEP_TICK, TICK};

pub(in super::super) type Term<'s> = parse::Term<&'s str>;
pub(in super::super) type Def<'s> = parse::Def<&'s str>;

/// A filter's name and number of arguments.
pub(super) type Signature<'s> = (&'s str, usize);

/// Calls `visit` with every term directly inside `term`.
pub(super) fn for_each_child<'t, 's>(term: &'t Term<'s>, visit: &mut dyn FnMut(&'t Term<'s>)) {
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Var(_) | Term::Break(_) => {}
        Term::Str(_, parts) => {
            for part in parts {
                if let StrPart::Term(term) = part {
                    visit(term);
                }
            }
        }
        Term::Arr(inner) => inner.iter().for_each(|it| visit(it)),
        Term::Obj(entries) => {
            for (key, value) in entries {
                visit(key);
                value.iter().for_each(&mut *visit);
            }
        }
        Term::Neg(inner) | Term::Label(_, inner) => visit(inner),
        Term::BinOp(left, op, right) => {
            visit(left);
            if let BinaryOp::Pipe(Some(pattern)) = op {
                in_pattern(pattern, visit);
            }
            visit(right);
        }
        Term::Fold(_, source, pattern, args) => {
            visit(source);
            in_pattern(pattern, visit);
            args.iter().for_each(visit);
        }
        Term::TryCatch(inner, catch) => {
            visit(inner);
            catch.iter().for_each(|it| visit(it));
        }
        Term::IfThenElse(branches, otherwise) => {
            for (condition, then) in branches {
                visit(condition);
                visit(then);
            }
            otherwise.iter().for_each(|it| visit(it));
        }
        Term::Def(defs, inner) => {
            defs.iter().for_each(|def| visit(&def.body));
            visit(inner);
        }
        Term::Call(_, args) => args.iter().for_each(visit),
        Term::Path(head, path) => {
            visit(head);
            path.0.iter().for_each(|(part, _)| in_part(part, visit));
        }
    }
}

fn in_part<'t, 's>(part: &'t Part<Term<'s>>, visit: &mut dyn FnMut(&'t Term<'s>)) {
    match part {
        Part::Index(index) => visit(index),
        Part::Range(from, to) => from.iter().chain(to).for_each(visit),
    }
}

fn in_pattern<'t, 's>(pattern: &'t Pattern<&'s str>, visit: &mut dyn FnMut(&'t Term<'s>)) {
    match pattern {
        Pattern::Var(_) => {}
        Pattern::Arr(patterns) => patterns.iter().for_each(|it| in_pattern(it, visit)),
        Pattern::Obj(entries) => {
            for (key, pattern) in entries {
                visit(key);
                in_pattern(pattern, visit);
            }
        }
    }
}

/// Levels of nesting as the interpreter will recurse. It makes chains of objects' entries and of
/// strings' parts.
pub(super) fn depth(term: &Term<'_>) -> usize {
    let own = match term {
        Term::Obj(entries) => 1 + entries.len(),
        Term::Str(_, parts) => 1 + parts.len(),
        Term::Path(_, path) => 1 + path.0.len() / 4,
        _ => 1,
    };
    let mut deepest = 0;
    for_each_child(term, &mut |child| deepest = deepest.max(depth(child)));
    own + deepest
}

/// Adds every filter that `term` calls.
pub(super) fn calls<'s>(term: &Term<'s>, found: &mut BTreeSet<Signature<'s>>) {
    match term {
        Term::Call(name, args) => drop(found.insert((name, args.len()))),
        Term::Str(Some(format), _) => drop(found.insert((format, 0))),
        _ => {}
    }
    for_each_child(term, &mut |child| calls(child, found));
}

/// Whether a definition takes filters and calls itself: each call then keeps its caller's filters.
fn keeps_filters(def: &Def<'_>) -> bool {
    let mut called = BTreeSet::new();
    calls(&def.body, &mut called);
    def.args.iter().any(|arg| !arg.starts_with('$')) && called.contains(&(def.name, def.args.len()))
}

/// Whether such a definition is in `term`.
pub(super) fn recurses_with_filters(term: &Term<'_>) -> bool {
    if let Term::Def(defs, _) = term
        && defs.iter().any(keeps_filters)
    {
        return true;
    }
    let mut found = false;
    for_each_child(term, &mut |child| found |= recurses_with_filters(child));
    found
}

fn pipe<'s>(first: Term<'s>, second: Term<'s>) -> Term<'s> {
    Term::BinOp(Box::new(first), BinaryOp::Pipe(None), Box::new(second))
}

fn ticked<'s>(tick: &'s str, term: Term<'s>) -> Term<'s> {
    pipe(Term::Call(tick, Vec::new()), term)
}

/// The definition with a tick at its start: each turn of a recursion is paid for.
pub(super) fn metered_def(def: Def<'_>) -> Def<'_> {
    let tick = if keeps_filters(&def) { DEEP_TICK } else { TICK };
    Def {
        body: ticked(tick, metered(def.body)),
        ..def
    }
}

fn boxed(mut term: Box<Term<'_>>) -> Box<Term<'_>> {
    *term = metered(std::mem::take(&mut *term));
    term
}

/// The term with ticks where work multiplies without any value being made: in definitions, after
/// each comma, and in the steps of folds. The rest is paid for by the values.
pub(super) fn metered(term: Term<'_>) -> Term<'_> {
    match term {
        Term::Id
        | Term::Recurse
        | Term::Num(_)
        | Term::Var(_)
        | Term::Break(_)
        | Term::Arr(None) => term,
        Term::Str(format, parts) => {
            Term::Str(format, parts.into_iter().map(metered_text).collect())
        }
        Term::Arr(Some(inner)) => Term::Arr(Some(boxed(inner))),
        Term::Obj(entries) => Term::Obj(entries.into_iter().map(metered_entry).collect()),
        Term::Neg(inner) => Term::Neg(boxed(inner)),
        Term::Label(name, inner) => Term::Label(name, boxed(inner)),
        Term::BinOp(left, op, right) => metered_op(metered(*left), op, metered(*right)),
        Term::Fold(name, source, pattern, args) => {
            let args = args.into_iter().map(|it| ticked(TICK, metered(it)));
            let pattern = metered_pattern(pattern);
            Term::Fold(name, boxed(source), pattern, args.collect())
        }
        Term::TryCatch(inner, catch) => Term::TryCatch(boxed(inner), catch.map(boxed)),
        Term::IfThenElse(branches, otherwise) => {
            let branches = branches.into_iter();
            let branches = branches.map(|(condition, then)| (metered(condition), metered(then)));
            Term::IfThenElse(branches.collect(), otherwise.map(boxed))
        }
        Term::Def(defs, inner) => {
            let defs = defs.into_iter().map(metered_def);
            Term::Def(defs.collect(), boxed(inner))
        }
        Term::Call(name, args) => Term::Call(name, args.into_iter().map(metered).collect()),
        Term::Path(head, path) => {
            let parts = path.0.into_iter();
            let parts = parts.map(|(part, opt)| (metered_part(part), opt));
            Term::Path(boxed(head), Path(parts.collect()))
        }
    }
}

fn metered_op<'s>(left: Term<'s>, op: BinaryOp<&'s str>, right: Term<'s>) -> Term<'s> {
    let (left, op, right) = match op {
        BinaryOp::Comma => (left, op, ticked(TICK, right)),
        BinaryOp::Pipe(pattern) => (left, BinaryOp::Pipe(pattern.map(metered_pattern)), right),
        op => (left, op, right),
    };
    Term::BinOp(Box::new(left), op, Box::new(right))
}

type Text<'s> = StrPart<&'s str, Term<'s>>;

fn metered_text(part: Text<'_>) -> Text<'_> {
    match part {
        StrPart::Term(term) => StrPart::Term(metered(term)),
        StrPart::Str(_) | StrPart::Char(_) => part,
    }
}

type Entry<'s> = (Term<'s>, Option<Term<'s>>);

/// A key without a value (`{a}`, `{$x}`) has a meaning of its own and stays as it is.
fn metered_entry((key, value): Entry<'_>) -> Entry<'_> {
    match value {
        Some(value) => (metered(key), Some(metered(value))),
        None => (key, None),
    }
}

fn metered_part(part: Part<Term<'_>>) -> Part<Term<'_>> {
    match part {
        Part::Index(index) => Part::Index(metered(index)),
        Part::Range(from, to) => Part::Range(from.map(metered), to.map(metered)),
    }
}

fn metered_pattern(pattern: Pattern<&str>) -> Pattern<&str> {
    match pattern {
        Pattern::Var(name) => Pattern::Var(name),
        Pattern::Arr(patterns) => Pattern::Arr(patterns.into_iter().map(metered_pattern).collect()),
        Pattern::Obj(entries) => {
            let entries = entries.into_iter();
            let entries = entries.map(|(key, pattern)| (metered(key), metered_pattern(pattern)));
            Pattern::Obj(entries.collect())
        }
    }
}
