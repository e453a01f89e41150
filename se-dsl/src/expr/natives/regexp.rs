//! Matching: `_test`, `_match` and `_parts`, from which the prelude builds `capture`, `sub`, ….

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use indexmap::IndexMap;
use jaq_core::Error;
use jaq_core::native::{Fun, bome, run, v};

use crate::pattern::{self, cost};

use super::super::meter::{self, Stop};
use super::super::value::{Val, fail, paid, unpaid};
use super::Engine;
use super::basic::record;

/// Compiled size over which a pattern is refused.
const LARGEST: usize = 256 << 10;
/// Positions of a pattern times bytes of text that one search may take, see [`cost::positions`].
const MOST_WORK: usize = 20_000_000;
/// The same that is paid with one unit of fuel.
const WORK_PER_FUEL: usize = 100;
/// The longest text for a pattern that needs backtracking: a look-ahead may read all of it from
/// each of its bytes.
const BACKTRACKED_TEXT: usize = 8 << 10;
/// Steps back that one search may take; to move on to the next byte is one.
const BACKTRACK_LIMIT: usize = 30_000;
/// What such a search pays; more than the fuel between two looks at the clock.
const BACKTRACKED_FUEL: u64 = 2_500;
/// Patterns kept compiled; with their caches a few hundred KiB each. One that needs backtracking
/// counts for each part that is compiled by itself.
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
            bome(is_match(&cv.1, &re, &flags).map(Val::Bool))
        })),
        run::<Engine>(("_match", v(2), |mut cv| {
            let (flags, re) = (cv.0.pop_var(), cv.0.pop_var());
            bome(matches(&cv.1, &re, &flags).map(|(text, found)| described(&text, &found)))
        })),
        run::<Engine>(("_parts", v(2), |mut cv| {
            let (flags, re) = (cv.0.pop_var(), cv.0.pop_var());
            bome(matches(&cv.1, &re, &flags).map(|(text, found)| parts(&text, &found)))
        })),
    ]
    .into_iter()
}

type Found = (Arc<String>, Vec<Vec<Group>>);

fn matches(input: &Val, re: &Val, flags: &Val) -> Result<Found, Error<Val>> {
    let (text, engines, flags) = prepared(input, re, flags)?;
    let found = engines.find(text, flags)?;
    Ok((Arc::clone(text), found))
}

/// Without groups, so that the engine may take its fastest way.
fn is_match(input: &Val, re: &Val, flags: &Val) -> Result<bool, Error<Val>> {
    let (text, engines, flags) = prepared(input, re, flags)?;
    match &*engines {
        Engines::Linear { regex, .. } if !flags.skip_empty => {
            engines.pay(text)?;
            Ok(regex.is_match(text))
        }
        Engines::Linear { .. } | Engines::Backtracking(_) => {
            Ok(!engines.find(text, flags.once())?.is_empty())
        }
    }
}

type Prepared<'a> = (&'a Arc<String>, Arc<Engines>, Flags);

/// The text, and what to match it with.
fn prepared<'a>(input: &'a Val, re: &Val, flags: &Val) -> Result<Prepared<'a>, Error<Val>> {
    let not_text = |it: &Val| {
        let name = it.type_name();
        fail(format!(
            "{name} ({it}) cannot be matched, as it is not a string"
        ))
    };
    let text = input.as_str().ok_or_else(|| not_text(input))?;
    let re = re.as_str().ok_or_else(|| not_text(re))?;
    let flags = Flags::parse(flags)?;
    paid(meter::charge_bytes(2 * text.len()))?;
    Ok((text, compiled(re, flags)?, flags))
}

impl Flags {
    /// For the first match alone.
    fn once(self) -> Self {
        Self {
            global: false,
            ..self
        }
    }

    fn of_pattern(self) -> pattern::Flags {
        pattern::Flags {
            dotall: self.dotall,
            ignorecase: self.ignorecase,
            ..pattern::Flags::none()
        }
    }

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
    let weight = |engine: &Engines| match engine {
        Engines::Linear { .. } => 1,
        Engines::Backtracking(_) => 1 + cost::MOST_PARTS,
    };
    let mut sum: usize = cache.values().map(|it| weight(it)).sum();
    sum += weight(&engine);
    while sum > CACHED
        && let Some((_, oldest)) = cache.shift_remove_index(0)
    {
        sum -= weight(&oldest);
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
            positions: cost::positions(re, flags.of_pattern(), flags.extended),
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

fn backtracking(
    re: &str,
    flags: Flags,
    linear: &regex::Error,
) -> Result<fancy_regex::Regex, Error<Val>> {
    if cost::parts(re) > cost::MOST_PARTS {
        return Err(fail(format!(
            "the regular expression `{}` has more than {} look-arounds and back-references",
            excerpt(re),
            cost::MOST_PARTS
        )));
    }
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
    /// Pays for one search through `text`, or ends the evaluation if that would be too costly.
    fn pay(&self, text: &str) -> Result<(), Error<Val>> {
        match self {
            Self::Linear { positions, .. } => {
                let work = positions.saturating_mul(text.len());
                within(work <= MOST_WORK)?;
                paid(meter::charge(1 + (work / WORK_PER_FUEL) as u64))
            }
            Self::Backtracking(_) => {
                within(text.len() <= BACKTRACKED_TEXT)?;
                paid(meter::charge(BACKTRACKED_FUEL))
            }
        }
    }

    fn find(&self, text: &str, flags: Flags) -> Result<Vec<Vec<Group>>, Error<Val>> {
        self.pay(text)?;
        match self {
            Self::Linear { regex, .. } => find_linear(regex, text, flags),
            Self::Backtracking(regex) => find_backtracking(regex, text, flags),
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
        // A search may look through all the rest before it settles on a short match.
        paid(meter::look())?;
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
        // What it tried is not known: each match pays for a part of all it may try, and looks at
        // the clock by that.
        paid(meter::charge(BACKTRACKED_FUEL))?;
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
