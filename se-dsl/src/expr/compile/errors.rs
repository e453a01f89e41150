//! What is wrong with an expression, where, and what to write instead.

use std::collections::BTreeSet;
use std::ops::Range;

use jaq_core::compile::Undefined;
use jaq_core::load::lex::{self, Token};
use jaq_core::load::parse::{self, Expect};

use super::super::eval::ExprError;
use super::super::scopes::Root;
use super::term::{self, Term};

/// What jq has and this language does not: it would read the world or write to it.
const OUTSIDE: &[&str] = &[
    "env",
    "input",
    "inputs",
    "debug",
    "stderr",
    "halt",
    "halt_error",
    "now",
    "localtime",
    "strflocaltime",
    "input_filename",
    "input_line_number",
    "get_search_list",
    "modulemeta",
    "builtins",
    "import",
    "include",
    "$ENV",
    "$__loc__",
    "$__prog_args",
];

/// Errors about one expression: who made more has other worries.
const MOST_ERRORS: usize = 10;

const SANDBOX: &str =
    "expressions have no environment, clock, files, input, modules or debug output";

/// Makes errors about one source text.
pub(super) struct Diagnoses<'s> {
    source: &'s str,
}

impl<'s> Diagnoses<'s> {
    pub(super) fn new(source: &'s str) -> Self {
        Self { source }
    }

    fn error(at: Range<usize>, message: String, suggestion: Option<String>) -> ExprError {
        ExprError::Invalid {
            at,
            message,
            suggestion,
        }
    }

    pub(super) fn whole(&self, what: &str) -> Vec<ExprError> {
        vec![Self::error(
            0..self.source.len(),
            format!("the expression {what}"),
            None,
        )]
    }

    /// The bytes of the source that `part` is a slice of; the end if it is none.
    fn span(&self, part: &str) -> Range<usize> {
        let (source, part) = (
            self.source.as_bytes().as_ptr_range(),
            part.as_bytes().as_ptr_range(),
        );
        if part.start < source.start || part.end > source.end {
            return self.source.len()..self.source.len();
        }
        let offset = |pointer: *const u8| pointer as usize - source.start as usize;
        offset(part.start)..offset(part.end)
    }

    /// The first character of `rest`, as a place and to be shown.
    fn next(&self, rest: &'s str) -> (Range<usize>, String) {
        let start = self.span(rest).start;
        match rest.chars().next() {
            Some(c) => (start..start + c.len_utf8(), format!("`{c}`")),
            None => (start..start, "the end of the expression".into()),
        }
    }

    pub(super) fn lexical(&self, errors: Vec<lex::Error<&'s str>>) -> Vec<ExprError> {
        let errors = errors.into_iter().map(|(expected, rest)| {
            let (at, found) = self.next(rest);
            let message = match expected {
                lex::Expect::Token => format!("{found} has no meaning here"),
                expected => format!("expected a {}, found {found}", expected.as_str()),
            };
            Self::error(at, message, None)
        });
        // Each enclosing bracket of one that is not closed says the same again.
        errors.take(3).collect()
    }

    pub(super) fn syntactic<'t>(&self, errors: Vec<parse::TError<'t, &'s str>>) -> Vec<ExprError> {
        let first = self.source.trim_start().split(char::is_whitespace).next();
        if let Some(word @ ("import" | "include")) = first {
            let start = self.source.len() - self.source.trim_start().len();
            return vec![self.outside(start..start + word.len(), word)];
        }
        let errors = errors.into_iter();
        errors
            .map(|(expected, found)| self.unexpected(&expected, found))
            .take(MOST_ERRORS)
            .collect()
    }

    fn unexpected(&self, expected: &Expect<&'s str>, found: Option<&Token<&'s str>>) -> ExprError {
        let end = self.source.len();
        let at = found.map_or(end..end, |token| self.span(token.as_str()));
        let shown = match found {
            Some(token) => {
                let text = token.as_str();
                format!(
                    "`{}`",
                    &text[..text.floor_char_boundary(40.min(text.len()))]
                )
            }
            None if self.source.trim().is_empty() => {
                return Self::error(at, "the expression is empty".into(), None);
            }
            None => "the end".into(),
        };
        let message = match expected {
            Expect::Nothing => {
                format!("{shown} does not belong here; is an operator missing before it?")
            }
            Expect::Just(text) => format!("expected `{text}`, found {shown}"),
            expected => format!("expected {}, found {shown}", expected.as_str()),
        };
        Self::error(at, message, None)
    }

    fn outside(&self, at: Range<usize>, name: &str) -> ExprError {
        Self::error(at, format!("there is no `{name}`: {SANDBOX}"), None)
    }

    /// Refuses calls of filters that only the prelude may call, unless the text defines them.
    pub(super) fn private_names(&self, term: &Term<'s>) -> Result<(), Vec<ExprError>> {
        let (mut called, mut defined) = (BTreeSet::new(), BTreeSet::new());
        term::calls(term, &mut called);
        defined_in(term, &mut defined);
        let errors: Vec<_> = called
            .into_iter()
            .filter(|(name, _)| super::is_private(name) && !defined.contains(name))
            .map(|(name, arity)| self.no_filter(name, arity))
            .take(MOST_ERRORS)
            .collect();
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors)
        }
    }

    pub(super) fn undefined(
        &self,
        errors: impl IntoIterator<Item = (&'s str, Undefined)>,
    ) -> Vec<ExprError> {
        let mut errors: Vec<_> = errors
            .into_iter()
            .map(|(name, what)| match what {
                Undefined::Filter(arity) => self.no_filter(name, arity),
                Undefined::Var => self.no_variable(name),
                what => {
                    let what = what.as_str();
                    Self::error(
                        self.span(name),
                        format!("there is no {what} `{name}`"),
                        None,
                    )
                }
            })
            .collect();
        errors.sort_by_key(|error| match error {
            ExprError::Invalid { at, .. } => at.start,
            ExprError::Failed(_) | ExprError::Exceeded(_) => 0,
        });
        errors.truncate(MOST_ERRORS);
        errors
    }

    fn no_variable(&self, name: &str) -> ExprError {
        let at = self.span(name);
        if OUTSIDE.contains(&name) {
            return self.outside(at, name);
        }
        let bare = name.trim_start_matches('$');
        let root = Root::ALL.into_iter().find(|root| root.as_str() == bare);
        let message = match root {
            Some(_) => format!("there is no variable `{name}`; scopes are written without `$`"),
            None => format!("there is no variable `{name}`; bind it with `… as {name} | …`"),
        };
        Self::error(at, message, root.map(|root| root.as_str().to_owned()))
    }

    fn no_filter(&self, name: &str, arity: usize) -> ExprError {
        let at = self.span(name);
        if OUTSIDE.contains(&name) {
            return self.outside(at, name);
        }
        if let Some((key, place)) = self.hyphenated(&at) {
            let message = format!("`{key}` reads as a subtraction; write .[\"{key}\"]");
            return Self::error(place, message, Some(format!("[\"{key}\"]")));
        }
        let known = super::callable();
        let arities: Vec<String> = known
            .iter()
            .filter(|(known, _)| *known == name)
            .map(|(_, arity)| arity.to_string())
            .collect();
        if !arities.is_empty() {
            let takes = arities.join(" or ");
            let arguments = if takes == "1" {
                "argument"
            } else {
                "arguments"
            };
            let message = format!("`{name}` takes {takes} {arguments}, not {arity}");
            return Self::error(at, message, None);
        }
        let message = format!("there is no filter `{name}`");
        Self::error(at, message, nearest(name, known.iter().map(|(it, _)| *it)))
    }

    /// The key with hyphens around an unknown name, as in `.a.b-c`, where `b-c` was meant.
    fn hyphenated(&self, at: &Range<usize>) -> Option<(&'s str, Range<usize>)> {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let before = &self.source[..at.start];
        let start = before.trim_end_matches(word).len();
        let after = &self.source[at.end..];
        let end = self.source.len() - after.trim_start_matches(word).len();
        let key = &self.source[start..end];
        let follows_a_dot = self.source[..start].ends_with('.');
        (before.ends_with('-') && follows_a_dot && !key.starts_with('-'))
            .then_some((key, start..end))
    }
}

fn defined_in<'s>(term: &Term<'s>, names: &mut BTreeSet<&'s str>) {
    if let Term::Def(defs, _) = term {
        for def in defs {
            names.insert(def.name);
            names.extend(def.args.iter().copied());
        }
    }
    term::for_each_child(term, &mut |child| defined_in(child, names));
}

/// The name most like `name`, if one is.
fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let most = 1 + name.len() / 4;
    names
        .map(|it| (strsim::damerau_levenshtein(name, it), it))
        .filter(|(edits, _)| *edits <= most)
        .min()
        .map(|(_, it)| it.to_owned())
}
