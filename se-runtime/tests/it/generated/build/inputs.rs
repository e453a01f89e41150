//! What steps read and are given.

use se_dsl::catalog::Kind;
use se_dsl::expr::Root;
use serde_json::{Value, json};

use super::super::model::{
    Capture, Composite, ELEMENT, Each, Expr, Input, Parameter, Piece, Step, Uses, name_of,
};
use super::super::raw::{RawEach, RawStep};
use super::rubrics::{FLAGS, PATTERNS};
use super::steps::{Writer, literal_list};

/// Texts that are hard to write down, and easy ones.
const TEXTS: [&str; 8] = [
    "show clock",
    "a",
    "show it: now # then",
    "it's \"so\"",
    "true",
    "12",
    "line one\nline two\n",
    "costs ${5}",
];

/// The choice that a number stands for.
pub(super) fn pick<T>(all: &[T], choice: u8) -> &T {
    &all[usize::from(choice) % all.len()]
}

pub(super) fn word(all: &[&'static str], choice: u8) -> &'static str {
    all[usize::from(choice) % all.len()]
}

/// A path that an earlier step has written.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) id: String,
    pub(super) path: Vec<String>,
    pub(super) is_list: bool,
    /// Whether it says why something failed, in words that are no part of any law.
    pub(super) is_opaque: bool,
}

impl Seen {
    /// What a capture gives: one path for each element where elements have paths of their own.
    pub(super) fn of(step: &Step, capture: &Capture, is_opaque: bool) -> Vec<Self> {
        let seen = |path: Vec<String>, is_list| Self {
            id: step.id.clone(),
            path,
            is_list,
            is_opaque,
        };
        let Some(at) = capture.path.iter().position(|it| it == ELEMENT) else {
            let is_list = capture.output == "items" || step.each.is_some();
            return vec![seen(capture.path.clone(), is_list)];
        };
        let Some(list) = step.each.as_ref().and_then(literal_list) else {
            // Who knows what the elements are called.
            let known = capture.path[..at].to_vec();
            let known = (!known.is_empty()).then(|| seen(known, false));
            return known.into_iter().collect();
        };
        let of = |element: &Value| {
            let mut path = capture.path.clone();
            path[at] = name_of(element);
            seen(path, false)
        };
        list.iter().map(of).collect()
    }
}

/// What the loop of a step binds.
#[derive(Clone, Debug)]
pub(super) struct Binds {
    var: String,
    /// Below an element, where its name is.
    field: Option<&'static str>,
    /// Whether elements name connectors.
    is_named: bool,
    /// Whether elements are known word by word.
    is_clear: bool,
}

impl Binds {
    pub(super) fn of(each: &Each) -> Self {
        let first = literal_list(each).and_then(|it| it.first());
        Self {
            var: each.var.clone(),
            field: first.and_then(|it| it.get("name")).map(|_| "name"),
            is_named: first.is_some_and(|it| it.is_string() || it["name"].is_string()),
            is_clear: each.list.exprs().iter().all(|it| it.reads().is_none()),
        }
    }

    fn element(&self) -> Expr {
        let field = self.field.into_iter().map(str::to_owned);
        Expr::Element(self.var.clone(), field.collect())
    }
}

impl Writer<'_> {
    pub(super) fn each(&self, raw: RawEach, at: usize) -> Each {
        let connectors = self.around.connectors;
        let count = usize::from(raw.list / 8 % 3) + 1;
        let names = connectors.iter().cycle().skip(usize::from(raw.list / 64));
        let names: Vec<&String> = names.take(count).collect();
        let lists: Vec<&Seen> = self.seen.iter().filter(|it| it.is_list).collect();
        let list = match raw.list % 8 {
            0..=2 => Input::Literal(json!(names)),
            3 => Input::Literal(names.iter().map(|it| json!({"name": it, "n": 1})).collect()),
            4 => Input::Expr(Expr::Range(*pick(&[3, 2, 0, 34], raw.list / 8))),
            5 if !lists.is_empty() => {
                let list = pick(&lists, raw.list / 8);
                Input::Expr(Expr::Read(Root::Vars, list.path.clone()))
            }
            5 | 6 if !self.seen.is_empty() => {
                let seen = pick(&self.seen, raw.list / 8);
                let read = Input::Expr(Expr::Read(Root::Vars, seen.path.clone()));
                Input::List(vec![Input::Literal(json!("x")), read])
            }
            _ => {
                let path = ["device_groups", "all"].map(str::to_owned);
                Input::Expr(Expr::Read(Root::RuntimeEnv, path.to_vec()))
            }
        };
        Each {
            var: (*pick(&["dev", "it"], u8::from(at % 2 == 1))).to_owned(),
            list,
            stop_on_fail: raw.stop_on_fail,
            concurrent: raw.concurrent,
        }
    }

    pub(super) fn target(&self, uses: &Uses, choice: u8, binds: Option<&Binds>) -> Option<Input> {
        if !uses.wants_target() {
            return None;
        }
        let texts = self.parameters().filter(|it| it.kind == Kind::String);
        let texts: Vec<&Parameter> = texts.collect();
        let in_composite = self.around.parameters.is_some();
        match (choice % 4, binds) {
            (0, Some(binds)) if binds.is_named => Some(Input::Expr(binds.element())),
            (1, _) if in_composite => None,
            (2, _) if !texts.is_empty() => {
                let name = pick(&texts, choice / 4).name.clone();
                Some(Input::Expr(Expr::Read(Root::Parameters, vec![name])))
            }
            _ => Some(Input::Literal(json!(pick(
                self.around.connectors,
                choice / 4
            )))),
        }
    }

    pub(super) fn with(
        &self,
        uses: &Uses,
        raw: &RawStep,
        binds: Option<&Binds>,
    ) -> Vec<(String, Input)> {
        let literal = |value: Value| Input::Literal(value);
        let mut with = Vec::new();
        let mut give = |key: &str, input: Input| with.push((key.to_owned(), input));
        match uses {
            Uses::Pause => give(
                "seconds",
                literal(pick(&[json!(1), json!(0), json!(2.5)], raw.what).clone()),
            ),
            Uses::Exec(_) => {
                let key = if raw.what % 4 == 3 {
                    "script"
                } else {
                    "command"
                };
                give(key, self.text(raw, binds));
                if raw.what % 8 == 2 {
                    give("suppress_error", literal(json!(true)));
                    let reply = self.text(raw, binds);
                    let answer = [("prompt", literal(json!("sure?"))), ("reply", reply)];
                    let answer = answer.map(|(key, it)| (key.to_owned(), it));
                    give("answers", Input::List(vec![Input::Map(answer.to_vec())]));
                }
            }
            Uses::Collect(_) => {
                give("command", self.text(raw, binds));
                if raw.what % 8 == 2 {
                    give("match", literal(json!(PATTERNS[0])));
                }
            }
            Uses::Regex => {
                let source = raw.reads.first().map(|it| self.read(*it, binds));
                let source = source.map_or_else(|| self.text(raw, binds), Input::Expr);
                give("source", source);
                give("regex", literal(json!(pick(&PATTERNS, raw.what))));
                if raw.what % 4 == 1 {
                    give("mode", literal(json!("negative")));
                    give("flags", literal(json!(pick(&FLAGS, raw.what / 4))));
                }
            }
            Uses::Judge(Some(name)) => give("ruleset", literal(json!(name))),
            Uses::Judge(None) | Uses::Report(_) => {}
            Uses::Call { name, .. } => {
                let mut all = self.around.composites.iter();
                let called = all.find(|it| it.name == *name);
                return called.map_or_else(Vec::new, |it| self.arguments(it, raw, binds));
            }
        }
        with
    }

    fn arguments(
        &self,
        called: &Composite,
        raw: &RawStep,
        binds: Option<&Binds>,
    ) -> Vec<(String, Input)> {
        let mut with = Vec::new();
        for (at, parameter) in called.parameters.iter().enumerate() {
            let choice = raw
                .what
                .rotate_right(u32::try_from(at).unwrap_or_default() * 3);
            if !parameter.required && choice % 4 == 3 {
                continue;
            }
            let read = raw.reads.get(at).filter(|_| parameter.choices.is_empty());
            let value = match (read, parameter.choices.is_empty()) {
                (Some(read), _) if choice % 2 == 1 => self.whole(*read, binds),
                (_, false) => Input::Literal(pick(&parameter.choices, choice).clone()),
                (_, true) => Input::Literal(sample(parameter.kind, choice, self.around.connectors)),
            };
            with.push((parameter.name.clone(), value));
        }
        with
    }

    /// A text, with what the step reads in it.
    fn text(&self, raw: &RawStep, binds: Option<&Binds>) -> Input {
        match raw.reads.as_slice() {
            [] => Input::Literal(json!(pick(&TEXTS, raw.what / 16))),
            [one] if raw.what.is_multiple_of(4) => self.whole(*one, binds),
            all => {
                let mut pieces = vec![Piece::Plain("show ".to_owned())];
                for read in all {
                    pieces.push(Piece::Expr(self.read(*read, binds)));
                    pieces.push(Piece::Plain(", ".to_owned()));
                }
                pieces.pop();
                Input::Text(pieces)
            }
        }
    }

    /// A text that is wholly an expression; `@` is short for the element there.
    fn whole(&self, choice: u8, binds: Option<&Binds>) -> Input {
        match (self.read(choice, binds), binds) {
            (Expr::Read(Root::Vars, path), Some(binds)) if path[0] == binds.var => {
                Input::Expr(Expr::Element(binds.var.clone(), path[1..].to_vec()))
            }
            (other, _) => Input::Expr(other),
        }
    }

    /// Something to read: of the loop, of earlier steps, of parameters, or of the scopes.
    fn read(&self, choice: u8, binds: Option<&Binds>) -> Expr {
        let mut all: Vec<Expr> = Vec::new();
        let vars = |path: Vec<String>| Expr::Read(Root::Vars, path);
        if let Some(binds) = binds {
            if binds.is_clear {
                all.push(vars(vec![binds.var.clone()]));
            }
            all.push(vars(vec![format!("{}_index", binds.var)]));
            let field = binds
                .field
                .map(|it| vars(vec![binds.var.clone(), it.to_owned()]));
            all.extend(field);
        }
        let seen = self.seen.iter().filter(|it| !self.says_why(it));
        for (at, seen) in seen.enumerate() {
            // Below the name of a step its error stands, too.
            let is_own = seen.path[0].starts_with('s');
            let below = std::iter::once(&seen.id)
                .chain(&seen.path)
                .cloned()
                .collect();
            all.push(vars(match (choice / 64, at % 2) {
                (0 | 1, _) => seen.path.clone(),
                (2, 0) if !is_own => vec![seen.path[0].clone()],
                _ => below,
            }));
        }
        let parameters = self.parameters();
        all.extend(parameters.map(|it| Expr::Read(Root::Parameters, vec![it.name.clone()])));
        if all.is_empty() {
            all.push(Expr::Read(Root::RuntimeEnv, vec!["worker_ip".to_owned()]));
            all.push(Expr::Read(Root::Session, vec!["track".to_owned()]));
        } else if choice % 64 == 63 {
            return Expr::Names;
        }
        pick(&all, choice % 64).clone()
    }

    /// Whether what stands at a path, or a part of it, says why something failed.
    fn says_why(&self, seen: &Seen) -> bool {
        let meets = |one: &[String], other: &[String]| one.iter().zip(other).all(|(a, b)| a == b);
        let mut opaque = self.seen.iter().filter(|it| it.is_opaque);
        opaque.any(|it| {
            let below: Vec<String> = std::iter::once(&it.id).chain(&it.path).cloned().collect();
            meets(&it.path, &seen.path) || meets(&below, &seen.path) || it.id == seen.id
        })
    }

    pub(super) fn when(&self, choice: u8, binds: Option<&Binds>) -> Expr {
        let failed = self.may_fail.last().filter(|_| choice % 8 == 7);
        if let Some(id) = failed {
            let path = vec![id.clone(), "error".to_owned()];
            return match choice / 128 {
                0 => Expr::Not(Root::Vars, path),
                _ => Expr::Read(Root::Vars, path),
            };
        }
        if let Some(binds) = binds.filter(|_| choice % 8 == 6) {
            let index = vec![format!("{}_index", binds.var)];
            return Expr::Equals(Root::Vars, index, json!(choice / 128));
        }
        match (self.read(choice / 4, binds), choice % 4) {
            (Expr::Read(root, path), 1) => Expr::Not(root, path),
            (Expr::Read(root, path), 2) => Expr::Equals(root, path, json!(true)),
            (Expr::Read(Root::Vars, path), 3) => Expr::Has(path[0].clone()),
            (other, _) => other,
        }
    }

    fn parameters(&self) -> impl Iterator<Item = &Parameter> {
        self.around.parameters.unwrap_or_default().iter()
    }
}

/// A value of a type.
pub(super) fn sample(kind: Kind, choice: u8, connectors: &[String]) -> Value {
    match kind {
        Kind::String if choice.is_multiple_of(2) => json!(pick(connectors, choice / 2)),
        Kind::String => json!(pick(&TEXTS, choice / 2)),
        Kind::Integer | Kind::Count => json!(choice / 4),
        Kind::Number | Kind::Amount => json!(f64::from(choice) + 0.5),
        Kind::Boolean => json!(choice.is_multiple_of(2)),
        Kind::Array | Kind::Strings => json!(["a", "b"]),
        Kind::Object => json!({"name": "a", "n": 0}),
        Kind::Any | Kind::OneOf(_) => json!([1, "x", null]),
    }
}
