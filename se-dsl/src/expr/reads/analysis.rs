//! What a program reads, told from its syntax tree.
//!
//! Each term is given the [`Origins`] of its output: the paths that the output may be a part of.
//! Following a key extends them; whatever looks at a value (or lets it out) reads all of it. What
//! is not understood reads everything it could see, so the answer is never too small.

mod builtin;

use std::collections::BTreeSet;
use std::rc::Rc;

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Pattern};
use jaq_core::path::Part;

use super::super::compile::{Def, Term};
use super::super::scopes::Root;
use super::Reads;

/// After so many terms and paths (definitions are walked at each call) all roots are read.
const MAX_TERMS: usize = 20_000;
/// A value that may come from more paths than this may come from all of their roots.
const MAX_PATHS: usize = 64;
/// Keys below this depth are not told apart.
const MAX_KEYS: usize = 32;

/// The paths that a program's terms read.
pub(in super::super) fn of(term: &Term<'_>) -> Reads {
    let mut walk = Walk {
        reads: Reads::new(),
        passed: BTreeSet::new(),
        terms: 0,
        calls: Vec::new(),
    };
    let scope = Scope::default();
    let output = walk.term(term, &Origins::everything(), &scope);
    walk.read(&output);
    walk.finish()
}

/// Where a value may come from. Nothing: it was made by the program, and what it was made of is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Origins {
    /// Whether it may be the object of all roots.
    all: bool,
    paths: BTreeSet<(Root, Vec<String>)>,
}

impl Origins {
    fn none() -> Self {
        Self::default()
    }

    fn everything() -> Self {
        Self {
            all: true,
            paths: BTreeSet::new(),
        }
    }

    fn root(root: Root) -> Self {
        Self {
            all: false,
            paths: BTreeSet::from([(root, Vec::new())]),
        }
    }

    fn or(mut self, other: Self) -> Self {
        self.all |= other.all;
        self.paths.extend(other.paths);
        if self.paths.len() > MAX_PATHS {
            let roots = self.paths.iter().map(|(root, _)| (*root, Vec::new()));
            self.paths = roots.collect();
        }
        self
    }

    /// The values at a key.
    fn at(&self, key: &str) -> Self {
        let below = self.paths.iter().map(|(root, path)| {
            let path = path.iter().cloned().chain([key.to_owned()]);
            (*root, path.take(MAX_KEYS).collect())
        });
        let mut paths: BTreeSet<_> = below.collect();
        let root = Root::ALL.into_iter().find(|root| root.as_str() == key);
        if let (true, Some(root)) = (self.all, root) {
            paths.insert((root, Vec::new()));
        }
        Self { all: false, paths }
    }
}

/// A name in scope. The newest is found first.
enum Bound<'t, 's> {
    Variable(&'s str, Origins),
    Def(&'t Def<'s>),
    /// A parameter that is a filter, with the scope of the call.
    Filter(&'s str, &'t Term<'s>, Scope<'t, 's>),
}

struct Node<'t, 's> {
    bound: Bound<'t, 's>,
    outer: Scope<'t, 's>,
}

/// The names in scope: a list that is shared, as scopes only ever grow inwards.
#[derive(Clone, Default)]
struct Scope<'t, 's>(Option<Rc<Node<'t, 's>>>);

impl<'t, 's> Scope<'t, 's> {
    fn with(&self, bound: Bound<'t, 's>) -> Self {
        let outer = self.clone();
        Self(Some(Rc::new(Node { bound, outer })))
    }

    fn nodes(&self) -> impl Iterator<Item = (&Rc<Node<'t, 's>>, &Self)> {
        let mut scope = self;
        std::iter::from_fn(move || {
            let node = scope.0.as_ref()?;
            let here = scope;
            scope = &node.outer;
            Some((node, here))
        })
    }

    fn variable(&self, name: &str) -> Origins {
        let mut nodes = self.nodes();
        let found = nodes.find_map(|(node, _)| match &node.bound {
            Bound::Variable(bound, origins) if *bound == name => Some(origins.clone()),
            Bound::Variable(..) | Bound::Def(..) | Bound::Filter(..) => None,
        });
        found.unwrap_or_default()
    }

    /// The definition or parameter of this name, and the scope in which it is the newest.
    fn filter(&self, name: &str, arity: usize) -> Option<(Rc<Node<'t, 's>>, Self)> {
        let mut nodes = self.nodes();
        nodes.find_map(|(node, here)| {
            let found = match &node.bound {
                Bound::Def(def) => def.name == name && def.args.len() == arity,
                Bound::Filter(bound, ..) => arity == 0 && *bound == name,
                Bound::Variable(..) => false,
            };
            found.then(|| (Rc::clone(node), here.clone()))
        })
    }
}

struct Walk<'t, 's> {
    reads: Reads,
    /// Paths that were followed. One that nothing below is read of counts as read itself: whether
    /// it can be followed decides whether the program fails.
    passed: BTreeSet<(Root, Vec<String>)>,
    terms: usize,
    /// The definitions that are being walked.
    calls: Vec<&'t Def<'s>>,
}

impl<'t, 's> Walk<'t, 's> {
    fn finish(mut self) -> Reads {
        if self.terms > MAX_TERMS {
            self.read(&Origins::everything());
        }
        for passed in std::mem::take(&mut self.passed) {
            // In order, what is below a path comes right after it.
            let next = self.reads.paths.range(&passed..).next();
            let covered = next.is_some_and(|read| is_within(read, &passed));
            if !covered {
                self.reads.paths.insert(passed);
            }
        }
        // What is below a path that is read says nothing more.
        let mut least = Reads::new();
        for read in self.reads.paths {
            let above = least.paths.last();
            if !above.is_some_and(|above| is_within(&read, above)) {
                least.paths.insert(read);
            }
        }
        least
    }

    /// All of these values are looked at.
    fn read(&mut self, origins: &Origins) {
        if origins.all {
            for root in Root::ALL {
                self.reads.add(root, Vec::new());
            }
        }
        for (root, path) in &origins.paths {
            self.reads.add(*root, path.clone());
        }
    }

    /// Walks a term whose output is looked at.
    fn used(&mut self, term: &'t Term<'s>, dot: &Origins, scope: &Scope<'t, 's>) {
        let output = self.term(term, dot, scope);
        self.read(&output);
    }

    /// Walks a term; the origins of its outputs.
    fn term(&mut self, term: &'t Term<'s>, dot: &Origins, scope: &Scope<'t, 's>) -> Origins {
        self.terms += 1 + dot.paths.len();
        if self.terms > MAX_TERMS {
            return Origins::none();
        }
        match term {
            Term::Id => dot.clone(),
            Term::Recurse => self.looked_through(dot),
            Term::Num(_) | Term::Break(_) | Term::Arr(None) => Origins::none(),
            Term::Var(name) => scope.variable(name),
            Term::Str(_, parts) => self.text(parts, dot, scope),
            Term::Arr(Some(inner)) | Term::Neg(inner) => {
                self.used(inner, dot, scope);
                Origins::none()
            }
            Term::Obj(entries) => {
                entries
                    .iter()
                    .for_each(|(key, value)| self.entry(key, value.as_ref(), dot, scope));
                Origins::none()
            }
            Term::Label(_, inner) => self.term(inner, dot, scope),
            Term::BinOp(left, op, right) => self.binary(left, op, right, (dot, scope)),
            Term::Fold(_, source, pattern, args) => {
                self.used(source, dot, scope);
                let inner = self.bind(pattern, &Origins::none(), dot, scope);
                for (index, arg) in args.iter().enumerate() {
                    match index {
                        0 => self.used(arg, dot, scope),
                        _ => self.used(arg, &Origins::none(), &inner),
                    }
                }
                Origins::none()
            }
            Term::TryCatch(inner, catch) => {
                let output = self.term(inner, dot, scope);
                match catch {
                    Some(catch) => output.or(self.term(catch, &Origins::none(), scope)),
                    None => output,
                }
            }
            Term::IfThenElse(branches, otherwise) => {
                let mut output = Origins::none();
                for (condition, then) in branches {
                    self.used(condition, dot, scope);
                    output = output.or(self.term(then, dot, scope));
                }
                match otherwise {
                    Some(otherwise) => output.or(self.term(otherwise, dot, scope)),
                    None => output.or(dot.clone()),
                }
            }
            Term::Def(defs, inner) => {
                let scope = defs
                    .iter()
                    .fold(scope.clone(), |it, def| it.with(Bound::Def(def)));
                self.term(inner, dot, &scope)
            }
            Term::Call(name, args) => self.call(name, args, dot, scope),
            Term::Path(head, path) => {
                let mut output = self.term(head, dot, scope);
                for (part, _) in &path.0 {
                    output = self.part(part, &output, dot, scope);
                }
                output
            }
        }
    }

    /// The values inside: reading those is reading a part of what is read here.
    fn looked_through(&mut self, origins: &Origins) -> Origins {
        self.read(origins);
        Origins::none()
    }

    fn text(
        &mut self,
        parts: &'t [StrPart<&'s str, Term<'s>>],
        dot: &Origins,
        scope: &Scope<'t, 's>,
    ) -> Origins {
        for part in parts {
            if let StrPart::Term(term) = part {
                self.used(term, dot, scope);
            }
        }
        Origins::none()
    }

    fn entry(
        &mut self,
        key: &'t Term<'s>,
        value: Option<&'t Term<'s>>,
        dot: &Origins,
        scope: &Scope<'t, 's>,
    ) {
        self.used(key, dot, scope);
        match (value, literal(key)) {
            (Some(value), _) => self.used(value, dot, scope),
            (None, Some(key)) => {
                let output = self.follow(dot, &key);
                self.read(&output);
            }
            // `{$x}` is read above; any other key without a value is looked up in the input.
            (None, None) if matches!(key, Term::Var(_)) => {}
            (None, None) => self.read(dot),
        }
    }

    fn follow(&mut self, origins: &Origins, key: &str) -> Origins {
        let output = origins.at(key);
        self.passed.extend(output.paths.iter().cloned());
        output
    }

    fn part(
        &mut self,
        part: &'t Part<Term<'s>>,
        value: &Origins,
        dot: &Origins,
        scope: &Scope<'t, 's>,
    ) -> Origins {
        match part {
            Part::Index(index) => {
                if let Some(key) = literal(index) {
                    return self.follow(value, &key);
                }
                self.used(index, dot, scope);
            }
            Part::Range(from, to) => {
                from.iter()
                    .chain(to)
                    .for_each(|it| self.used(it, dot, scope));
            }
        }
        self.looked_through(value)
    }

    fn binary(
        &mut self,
        left: &'t Term<'s>,
        op: &'t BinaryOp<&'s str>,
        right: &'t Term<'s>,
        (dot, scope): (&Origins, &Scope<'t, 's>),
    ) -> Origins {
        match op {
            BinaryOp::Pipe(None) => {
                let value = self.term(left, dot, scope);
                self.term(right, &value, scope)
            }
            BinaryOp::Pipe(Some(pattern)) => {
                let value = self.term(left, dot, scope);
                let inner = self.bind(pattern, &value, dot, scope);
                self.term(right, dot, &inner)
            }
            BinaryOp::Comma => {
                let first = self.term(left, dot, scope);
                first.or(self.term(right, dot, scope))
            }
            BinaryOp::Alt => {
                // Whether the left one is anything decides; so all of it is looked at.
                self.used(left, dot, scope);
                self.term(right, dot, scope)
            }
            BinaryOp::Or | BinaryOp::And | BinaryOp::Math(_) | BinaryOp::Cmp(_) => {
                self.used(left, dot, scope);
                self.used(right, dot, scope);
                Origins::none()
            }
            BinaryOp::Assign | BinaryOp::Update | BinaryOp::UpdateMath(_) | BinaryOp::UpdateAlt => {
                self.read(dot);
                let place = self.term(left, dot, scope);
                self.read(&place);
                self.used(right, &place, scope);
                self.used(right, dot, scope);
                Origins::none()
            }
        }
    }

    fn bind(
        &mut self,
        pattern: &'t Pattern<&'s str>,
        value: &Origins,
        dot: &Origins,
        scope: &Scope<'t, 's>,
    ) -> Scope<'t, 's> {
        match pattern {
            Pattern::Var(name) => scope.with(Bound::Variable(name, value.clone())),
            Pattern::Arr(patterns) => {
                let item = self.looked_through(value);
                let patterns = patterns.iter();
                patterns.fold(scope.clone(), |scope, it| self.bind(it, &item, dot, &scope))
            }
            Pattern::Obj(entries) => {
                let mut inner = scope.clone();
                for (key, pattern) in entries {
                    let below = self.below(key, value, dot, &inner);
                    inner = self.bind(pattern, &below, dot, &inner);
                }
                inner
            }
        }
    }

    /// The values at the key of a pattern's entry.
    fn below(
        &mut self,
        key: &'t Term<'s>,
        value: &Origins,
        dot: &Origins,
        scope: &Scope<'t, 's>,
    ) -> Origins {
        if let Some(key) = literal(key) {
            return self.follow(value, &key);
        }
        self.used(key, dot, scope);
        self.looked_through(value)
    }

    fn call(
        &mut self,
        name: &str,
        args: &'t [Term<'s>],
        dot: &Origins,
        scope: &Scope<'t, 's>,
    ) -> Origins {
        let Some((node, here)) = scope.filter(name, args.len()) else {
            let root = Root::ALL.into_iter().find(|root| root.as_str() == name);
            return match root {
                Some(root) if args.is_empty() => Origins::root(root),
                Some(_) | None => self.builtin(name, args, dot, scope),
            };
        };
        match &node.bound {
            Bound::Def(def) if self.calls.iter().any(|it| std::ptr::eq(*it, *def)) => {
                self.recursion(args, dot, scope)
            }
            Bound::Def(def) => {
                let params = def.args.iter().zip(args);
                let inner = params.fold(here, |inner, (param, arg)| {
                    inner.with(self.argument(param, arg, dot, scope))
                });
                self.calls.push(*def);
                let output = self.term(&def.body, dot, &inner);
                self.calls.pop();
                output
            }
            Bound::Filter(_, term, outer) => self.term(term, dot, outer),
            Bound::Variable(..) => Origins::none(),
        }
    }

    fn argument(
        &mut self,
        param: &'s str,
        arg: &'t Term<'s>,
        dot: &Origins,
        scope: &Scope<'t, 's>,
    ) -> Bound<'t, 's> {
        if param.starts_with('$') {
            Bound::Variable(param, self.term(arg, dot, scope))
        } else {
            Bound::Filter(param, arg, scope.clone())
        }
    }

    /// A call of a definition from inside itself: its body was walked with the input of the first
    /// call, so all of this input is taken to be read, and its filters to see anything.
    fn recursion(&mut self, args: &'t [Term<'s>], dot: &Origins, scope: &Scope<'t, 's>) -> Origins {
        self.read(dot);
        for arg in args {
            self.used(arg, dot, scope);
            self.used(arg, &Origins::everything(), scope);
        }
        Origins::none()
    }
}

fn is_within((root, path): &(Root, Vec<String>), (of, above): &(Root, Vec<String>)) -> bool {
    root == of && path.starts_with(above)
}

/// The text of a string without expressions.
pub(super) fn literal(term: &Term<'_>) -> Option<String> {
    let Term::Str(None, parts) = term else {
        return None;
    };
    let mut text = String::new();
    for part in parts {
        match part {
            StrPart::Str(part) => text.push_str(part),
            StrPart::Char(c) => text.push(*c),
            StrPart::Term(_) => return None,
        }
    }
    Some(text)
}
