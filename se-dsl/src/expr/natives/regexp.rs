//! Matching: `_test`, `_match` and `_parts`, from which the prelude builds `capture`, `sub`, ….

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use indexmap::IndexMap;
use jaq_core::Error;
use jaq_core::native::{Fun, bome, run, v};

use super::super::meter::{self, Stop};
use super::super::value::{Val, fail, paid, unpaid};
use super::Engine;
use super::basic::record;

/// Compiled size over which a pattern is refused.
const LARGEST: usize = 512 << 10;
/// Positions of a pattern times bytes of text that one match may take: a linear engine that finds
/// no shortcut keeps up to every position of the pattern alive at every byte.
const MOST_WORK: usize = 40_000_000;
/// The same that is paid with one unit of fuel.
const WORK_PER_FUEL: usize = 200;
/// The longest text for a pattern that needs backtracking.
const BACKTRACKED_TEXT: usize = 32 << 10;
const BACKTRACK_LIMIT: usize = 50_000;
/// Patterns kept compiled; with their caches a few hundred KiB each.
const CACHED: usize = 32;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Flags {
    global: bool,
    skip_empty: bool,
    ignorecase: bool,
    dotall: bool,
    extended: bool,
}

enum Engines {
    Linear {
        regex: regex::Regex,
        positions: usize,
    },
    Backtracking(fancy_regex::Regex),
}

/// A group of a match: byte range and name. `None` if it took no part.
struct Group {
    range: Option<std::ops::Range<usize>>,
    name: Option<String>,
}

pub(super) fn filters() -> impl Iterator<Item = Fun<Engine>> {
    [
        run::<Engine>(("_test", v(2), |mut cv| {
            let (flags, re) = (cv.0.pop_var(), cv.0.pop_var());
            bome(matches(&cv.1, &re, &flags, true).map(|(_, found)| Val::Bool(!found.is_empty())))
        })),
        run::<Engine>(("_match", v(2), |mut cv| {
            let (flags, re) = (cv.0.pop_var(), cv.0.pop_var());
            bome(matches(&cv.1, &re, &flags, false).map(|(text, found)| described(&text, &found)))
        })),
        run::<Engine>(("_parts", v(2), |mut cv| {
            let (flags, re) = (cv.0.pop_var(), cv.0.pop_var());
            bome(matches(&cv.1, &re, &flags, false).map(|(text, found)| parts(&text, &found)))
        })),
    ]
    .into_iter()
}

type Found = (Arc<String>, Vec<Vec<Group>>);

fn matches(input: &Val, re: &Val, flags: &Val, first: bool) -> Result<Found, Error<Val>> {
    let not_text = |it: &Val| {
        let name = it.type_name();
        fail(format!(
            "{name} ({it}) cannot be matched, as it is not a string"
        ))
    };
    let text = input.as_str().ok_or_else(|| not_text(input))?;
    let re = re.as_str().ok_or_else(|| not_text(re))?;
    let mut flags = Flags::parse(flags)?;
    flags.global &= !first;
    paid(meter::charge_bytes(2 * text.len()))?;
    let found = compiled(re, flags)?.find(text, flags)?;
    Ok((Arc::clone(text), found))
}

impl Flags {
    fn parse(value: &Val) -> Result<Self, Error<Val>> {
        let mut flags = Self::default();
        let letters = match value {
            Val::Null => "",
            Val::Str(letters) => letters.as_str(),
            other => {
                let name = other.type_name();
                return Err(fail(format!("{name} ({other}) is not a string")));
            }
        };
        for letter in letters.chars() {
            match letter {
                'g' => flags.global = true,
                'n' => flags.skip_empty = true,
                'i' => flags.ignorecase = true,
                'x' => flags.extended = true,
                'p' => flags.dotall = true,
                // `s` makes `^` and `$` match at the ends of the text only, which they do anyway.
                's' | 'l' => {}
                _ => return Err(fail(format!("{letters} is not a valid modifier string"))),
            }
        }
        Ok(flags)
    }
}

type Cache = IndexMap<(String, Flags), Arc<Engines>>;
static CACHE: LazyLock<Mutex<Cache>> = LazyLock::new(Mutex::default);

/// The compiled pattern, from the cache if it was used lately.
fn compiled(re: &str, flags: Flags) -> Result<Arc<Engines>, Error<Val>> {
    let key = (
        re.to_owned(),
        Flags {
            global: false,
            skip_empty: false,
            ..flags
        },
    );
    let lock = || CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(engine) = lock().get(&key) {
        return Ok(Arc::clone(engine));
    }
    paid(meter::charge(2_000 + 20 * re.len() as u64))?;
    let engine = Arc::new(compile(re, flags)?);
    let mut cache = lock();
    if cache.len() >= CACHED {
        cache.shift_remove_index(0);
    }
    cache.insert(key, Arc::clone(&engine));
    Ok(engine)
}

fn compile(re: &str, flags: Flags) -> Result<Engines, Error<Val>> {
    let linear = regex::RegexBuilder::new(re)
        .case_insensitive(flags.ignorecase)
        .dot_matches_new_line(flags.dotall)
        .ignore_whitespace(flags.extended)
        .size_limit(LARGEST)
        .dfa_size_limit(LARGEST)
        .build();
    match linear {
        Ok(regex) => Ok(Engines::Linear {
            regex,
            positions: positions(re),
        }),
        Err(regex::Error::CompiledTooBig(_)) => {
            let why = "is too large; use smaller repetitions";
            Err(fail(format!(
                "the regular expression `{}` {why}",
                excerpt(re)
            )))
        }
        Err(error) => backtracking(re, flags, &error).map(Engines::Backtracking),
    }
}

/// How long the pattern is with its counted repetitions written out.
fn positions(re: &str) -> usize {
    let mut open = Vec::new();
    let (mut sum, mut last) = (0_usize, 0_usize);
    let mut rest = re;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '(' => {
                open.push(sum);
                (sum, last) = (0, 0);
            }
            ')' => {
                last = sum;
                sum = sum.saturating_add(open.pop().unwrap_or(0));
            }
            '{' => {
                let (count, after) = rest.split_once('}').unwrap_or((rest, ""));
                let most = count
                    .split(',')
                    .filter_map(|it| it.trim().parse().ok())
                    .max();
                let times: usize = most.unwrap_or(1).max(1);
                let repeated = last.saturating_mul(times);
                sum = sum.saturating_sub(last).saturating_add(repeated);
                (last, rest) = (repeated, after);
            }
            '*' | '+' | '?' | '|' | '^' | '$' => {}
            '[' => {
                // A `]` that comes first, also after `^`, is a member.
                let first = if rest.starts_with('^') { 2 } else { 1 };
                let end = rest.get(first..).and_then(|it| it.find(']'));
                let end = end.map_or(rest.len(), |it| it + first + 1);
                (last, rest) = (1, &rest[end..]);
                sum = sum.saturating_add(1);
            }
            '\\' => {
                let mut chars = rest.chars();
                let class = matches!(chars.next(), Some('p' | 'P' | 'x' | 'u' | 'U'));
                rest = chars.as_str();
                if class && rest.starts_with('{') {
                    rest = rest.split_once('}').map_or("", |(_, after)| after);
                }
                (last, sum) = (1, sum.saturating_add(1));
            }
            _ => (last, sum) = (1, sum.saturating_add(1)),
        }
    }
    open.iter()
        .fold(sum, |sum, it| sum.saturating_add(*it))
        .max(1)
}

fn backtracking(
    re: &str,
    flags: Flags,
    linear: &regex::Error,
) -> Result<fancy_regex::Regex, Error<Val>> {
    fancy_regex::RegexBuilder::new(re)
        .case_insensitive(flags.ignorecase)
        .dot_matches_new_line(flags.dotall)
        .ignore_whitespace(flags.extended)
        .backtrack_limit(BACKTRACK_LIMIT)
        .delegate_size_limit(LARGEST)
        .delegate_dfa_size_limit(LARGEST)
        .build()
        .map_err(|_| {
            let why = linear.to_string();
            let why = why.lines().last().unwrap_or_default();
            let why = why.trim_start_matches("error: ");
            fail(format!(
                "{} (at offset 0) is not a valid regex: {why}",
                excerpt(re)
            ))
        })
}

fn excerpt(re: &str) -> &str {
    &re[..re.floor_char_boundary(200.min(re.len()))]
}

impl Engines {
    fn find(&self, text: &str, flags: Flags) -> Result<Vec<Vec<Group>>, Error<Val>> {
        match self {
            Self::Linear { regex, positions } => {
                let work = positions.saturating_mul(text.len());
                paid(meter::charge(1 + (work / WORK_PER_FUEL) as u64))?;
                within(work <= MOST_WORK)?;
                find_linear(regex, text, flags)
            }
            Self::Backtracking(regex) => {
                within(text.len() <= BACKTRACKED_TEXT)?;
                find_backtracking(regex, text, flags)
            }
        }
    }
}

/// Ends the evaluation unless matching stays within what it may take.
fn within(bound: bool) -> Result<(), Error<Val>> {
    if !bound {
        meter::stop(Stop::Pattern);
    }
    paid(bound)
}

fn find_linear(
    regex: &regex::Regex,
    text: &str,
    flags: Flags,
) -> Result<Vec<Vec<Group>>, Error<Val>> {
    let names: Vec<Option<&str>> = regex.capture_names().collect();
    let mut found = Vec::new();
    for captures in regex.captures_iter(text) {
        let ranges = captures.iter().map(|it| it.map(|it| it.range()));
        if !keep(groups(ranges, &names), flags, &mut found)? {
            break;
        }
    }
    Ok(found)
}

fn find_backtracking(
    regex: &fancy_regex::Regex,
    text: &str,
    flags: Flags,
) -> Result<Vec<Vec<Group>>, Error<Val>> {
    let names: Vec<Option<&str>> = regex.capture_names().collect();
    let mut found = Vec::new();
    for captures in regex.captures_iter(text) {
        // What it tried so far is not known: pay for a part of all it may try.
        paid(meter::charge(BACKTRACK_LIMIT as u64 / 20))?;
        within(captures.is_ok())?;
        let captures = captures.map_err(|_| unpaid())?;
        let ranges = captures.iter().map(|it| it.map(|it| it.range()));
        if !keep(groups(ranges, &names), flags, &mut found)? {
            break;
        }
    }
    Ok(found)
}

fn groups(
    ranges: impl Iterator<Item = Option<std::ops::Range<usize>>>,
    names: &[Option<&str>],
) -> Vec<Group> {
    ranges
        .zip(names)
        .map(|(range, name)| Group {
            range,
            name: name.map(str::to_owned),
        })
        .collect()
}

/// Adds a match; whether to look for more.
fn keep(groups: Vec<Group>, flags: Flags, found: &mut Vec<Vec<Group>>) -> Result<bool, Error<Val>> {
    paid(meter::charge(8 + 4 * groups.len() as u64))?;
    let empty = groups[0]
        .range
        .as_ref()
        .is_none_or(std::ops::Range::is_empty);
    if !(flags.skip_empty && empty) {
        found.push(groups);
    }
    Ok(flags.global)
}

/// Character positions of rising byte positions.
struct Characters<'a> {
    text: &'a str,
    byte: usize,
    count: usize,
}

impl Characters<'_> {
    fn at(&mut self, byte: usize) -> usize {
        if byte < self.byte {
            (self.byte, self.count) = (0, 0);
        }
        self.count += self.text[self.byte..byte].chars().count();
        self.byte = byte;
        self.count
    }
}

fn described(text: &str, found: &[Vec<Group>]) -> Val {
    let mut at = Characters {
        text,
        byte: 0,
        count: 0,
    };
    found
        .iter()
        .map(|groups| description(&mut at, groups))
        .collect()
}

fn description(at: &mut Characters<'_>, groups: &[Group]) -> Val {
    let Some((whole, rest)) = groups.split_first() else {
        return Val::Null;
    };
    let [offset, length, string] = place(at, whole);
    let start = whole.range.as_ref().map_or(0, |it| it.start);
    let captures = rest
        .iter()
        .map(|group| {
            // Groups may come in any order; start again from the match.
            if group.range.as_ref().is_some_and(|it| it.start < at.byte) {
                at.at(start);
            }
            let [offset, length, string] = place(at, group);
            let name = group.name.as_deref().map_or(Val::Null, Val::str);
            record([
                ("offset", offset),
                ("length", length),
                ("string", string),
                ("name", name),
            ])
        })
        .collect();
    record([
        ("offset", offset),
        ("length", length),
        ("string", string),
        ("captures", captures),
    ])
}

fn place(at: &mut Characters<'_>, group: &Group) -> [Val; 3] {
    let Some(range) = &group.range else {
        return [Val::Int(-1), Val::Int(0), Val::Null];
    };
    let string = &at.text[range.clone()];
    meter::charge_bytes(string.len());
    let offset = at.at(range.start);
    [
        Val::from(offset),
        Val::from(string.chars().count()),
        Val::str(string),
    ]
}

/// The text between matches as strings, and between those the matches.
fn parts(text: &str, found: &[Vec<Group>]) -> Val {
    let mut at = Characters {
        text,
        byte: 0,
        count: 0,
    };
    let mut last = 0;
    let mut items = Vec::new();
    for groups in found {
        let Some(range) = groups.first().and_then(|it| it.range.clone()) else {
            continue;
        };
        items.push(Val::str(&text[last..range.start]));
        items.push(description(&mut at, groups));
        last = range.end;
    }
    items.push(Val::str(&text[last..]));
    items.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::positions;

    #[test]
    fn counted_repetitions_are_written_out() {
        let cases = [
            ("abc", 3),
            ("a+b*", 2),
            ("a{3}", 3),
            ("(ab){2,5}c", 11),
            ("(a{1,100}){1,100}b", 10_001),
            ("[^]a]{4}", 4),
            ("\\p{Greek}{3}", 3),
            ("\\{2", 2),
            ("((a{9}){9}", 81),
            ("", 1),
        ];
        for (re, expected) in cases {
            assert_eq!(positions(re), expected, "{re}");
        }
    }
}
