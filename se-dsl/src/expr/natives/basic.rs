//! Filters over the engine's values, the scopes, and the tick that bounds loops.

use std::sync::Arc;

use jaq_core::box_iter::box_once;
use jaq_core::native::{Fun, bome, run, unary, v};
use jaq_core::{Cv, Error, Exn, Native, RunPtr, ValXs};

use super::super::meter::{self, Stop};
use super::super::scopes::Root;
use super::super::value::{Map, Val, ValR, fail, json_text, occurrences, paid, unpaid};
use super::Engine;

/// The name of the tick: no program can write or shadow it.
pub(in super::super) const TICK: &str = "!tick";
/// The tick of recursions that keep every caller's filters alive.
pub(in super::super) const DEEP_TICK: &str = "!deep";

/// Fuel for one level of [`DEEP_TICK`]: bounds how long the chain of kept filters gets, because
/// freeing it takes stack.
const DEEP: u64 = 100;
/// No path is longer than values are deep, unless it leads through nulls forever.
const MAX_PATH: usize = 256;

type Filter = (&'static str, usize, RunPtr<Engine>);

pub(super) fn filters() -> impl Iterator<Item = Fun<Engine>> {
    let simple: [Filter; 24] = [
        ("session", 0, |cv| root(&cv, Root::Session)),
        ("content", 0, |cv| root(&cv, Root::Content)),
        ("runtime_env", 0, |cv| root(&cv, Root::RuntimeEnv)),
        ("vars", 0, |cv| root(&cv, Root::Vars)),
        ("parameters", 0, |cv| root(&cv, Root::Parameters)),
        ("range", 3, range),
        ("type", 0, |cv| one(Val::str(cv.1.type_name()))),
        ("length", 0, |cv| bome(length(&cv.1))),
        ("keys", 0, |cv| bome(keys(&cv.1, true))),
        ("keys_unsorted", 0, |cv| bome(keys(&cv.1, false))),
        ("has", 1, |cv| unary(cv, |value, key| has(&value, &key))),
        ("contains", 1, |cv| {
            unary(cv, |a, b| contains(&a, &b).map(Val::Bool))
        }),
        ("indices", 1, |cv| {
            unary(cv, |whole, part| indices(&whole, &part))
        }),
        ("bsearch", 1, |cv| {
            unary(cv, |array, item| bsearch(&array, &item))
        }),
        ("ltrimstr", 1, |cv| {
            unary(cv, |text, fix| {
                Ok(trimmed(text, &fix, |text, fix| text.strip_prefix(fix)))
            })
        }),
        ("rtrimstr", 1, |cv| {
            unary(cv, |text, fix| {
                Ok(trimmed(text, &fix, |text, fix| text.strip_suffix(fix)))
            })
        }),
        ("delpaths", 1, |cv| unary(cv, delpaths)),
        ("tojson", 0, |cv| one(json_text(&cv.1))),
        ("fromjson", 0, |cv| bome(fromjson(&cv.1))),
        ("tonumber", 0, |cv| bome(tonumber(cv.1))),
        ("toboolean", 0, |cv| bome(toboolean(cv.1))),
        ("nan", 0, |_| one(Val::Float(f64::NAN))),
        ("infinite", 0, |_| one(Val::Float(f64::INFINITY))),
        ("isnan", 0, |cv| {
            bome(number(&cv.1).map(|it| Val::Bool(it.is_nan())))
        }),
    ];
    simple
        .into_iter()
        .map(|(name, arity, pointer)| run::<Engine>((name, v(arity), pointer)))
        .chain([tick(TICK), deep_tick()])
}

fn one<'a>(value: Val) -> ValXs<'a, Val> {
    box_once(Ok(value))
}

fn halt<'a>() -> Exn<'a, Val> {
    // `try` catches errors, but not this.
    Exn::halt(0)
}

fn tick(name: &'static str) -> Fun<Engine> {
    let native = Native::<Engine>::new(|cv| box_once(turned(cv.1)))
        .with_paths(|cv| {
            let (value, path) = cv.1;
            if path.iter().take(MAX_PATH).count() == MAX_PATH {
                meter::stop(Stop::Depth);
            }
            box_once(turned((value, path)))
        })
        .with_update(|cv, update| match turned(cv.1) {
            Ok(value) => update(value),
            Err(halt) => box_once(Err(halt)),
        });
    (name, v(0), native)
}

fn deep_tick() -> Fun<Engine> {
    fn deep<'a, T>(value: T) -> Result<T, Exn<'a, Val>> {
        if meter::charge(DEEP) {
            turned(value)
        } else {
            Err(halt())
        }
    }
    let native = Native::<Engine>::new(|cv| box_once(deep(cv.1)))
        .with_paths(|cv| box_once(deep(cv.1)))
        .with_update(|cv, update| match deep(cv.1) {
            Ok(value) => update(value),
            Err(halt) => box_once(Err(halt)),
        });
    (DEEP_TICK, v(0), native)
}

fn turned<'a, T>(value: T) -> Result<T, Exn<'a, Val>> {
    if meter::turn() {
        Ok(value)
    } else {
        Err(halt())
    }
}

fn root<'a>(cv: &Cv<'a, Engine>, root: Root) -> ValXs<'a, Val> {
    one(cv.0.data().scopes.value(root).clone())
}

fn range<'a>(mut cv: Cv<'a, Engine>) -> ValXs<'a, Val> {
    let (by, to, from) = (cv.0.pop_var(), cv.0.pop_var(), cv.0.pop_var());
    let zero = Val::Int(0);
    let (up, down) = (by > zero, by < zero);
    if [&from, &to, &by].iter().any(|it| it.as_float().is_none()) {
        return bome(Err(fail("Range bounds must be numeric")));
    }
    let mut next = Some(from);
    Box::new(std::iter::from_fn(move || {
        let value = next.take()?;
        if !((up && value < to) || (down && value > to)) {
            return None;
        }
        if !meter::turn() {
            return Some(Err(halt()));
        }
        // Numbers can always be added.
        next = (value.clone() + by.clone()).ok();
        Some(Ok(value))
    }))
}

fn number(value: &Val) -> Result<f64, Error<Val>> {
    let wrong = || fail(format!("{} ({value}) number required", value.type_name()));
    value.as_float().ok_or_else(wrong)
}

fn length(value: &Val) -> ValR {
    match value {
        Val::Null => Ok(Val::Int(0)),
        Val::Bool(_) => Err(fail(format!("boolean ({value}) has no length"))),
        Val::Int(number) => Ok(number.checked_abs().map_or(Val::Float(f64::MAX), Val::Int)),
        Val::Float(number) => Ok(Val::Float(number.abs())),
        Val::Str(text) => {
            paid(meter::charge_bytes(text.len()))?;
            Ok(Val::from(text.chars().count()))
        }
        Val::Arr(array) => Ok(Val::from(array.items().len())),
        Val::Obj(object) => Ok(Val::from(object.entries().len())),
    }
}

fn keys(value: &Val, sorted: bool) -> ValR {
    match value {
        Val::Arr(array) => Ok((0..array.items().len()).map(Val::from).collect()),
        Val::Obj(object) => {
            let mut keys: Vec<_> = object.entries().keys().cloned().collect();
            if sorted {
                paid(meter::charge(keys.len() as u64))?;
                keys.sort_unstable();
            }
            Ok(keys.into_iter().map(Val::Str).collect())
        }
        Val::Null | Val::Bool(_) | Val::Int(_) | Val::Float(_) | Val::Str(_) => {
            Err(fail(format!("{} ({value}) has no keys", value.type_name())))
        }
    }
}

fn has(value: &Val, key: &Val) -> ValR {
    match (value, key) {
        (Val::Obj(object), Val::Str(key)) => Ok(Val::Bool(object.entries().contains_key(&**key))),
        (Val::Arr(array), Val::Int(_) | Val::Float(_)) => {
            let at = key.as_index().and_then(|it| usize::try_from(it).ok());
            Ok(Val::Bool(at.is_some_and(|at| at < array.items().len())))
        }
        _ => Err(fail(format!(
            "Cannot check whether {} has a {} key",
            value.type_name(),
            key.type_name()
        ))),
    }
}

fn contains(a: &Val, b: &Val) -> Result<bool, Error<Val>> {
    paid(meter::charge(1))?;
    match (a, b) {
        (Val::Str(a), Val::Str(b)) => {
            paid(meter::charge_bytes(a.len()))?;
            Ok(a.contains(b.as_str()))
        }
        (Val::Arr(a), Val::Arr(b)) => all(b.items(), |wanted| {
            any(a.items(), |item| {
                Ok(item.type_name() == wanted.type_name() && contains(item, wanted)?)
            })
        }),
        (Val::Obj(a), Val::Obj(b)) => {
            all(b.entries(), |(key, wanted)| match a.entries().get(&**key) {
                Some(value) if value.type_name() == wanted.type_name() => contains(value, wanted),
                Some(_) | None => Ok(false),
            })
        }
        (a, b) if a.type_name() == b.type_name() => Ok(a == b),
        (a, b) => Err(fail(format!(
            "{} ({a}) and {} ({b}) cannot have their containment checked",
            a.type_name(),
            b.type_name()
        ))),
    }
}

fn all<T>(
    items: impl IntoIterator<Item = T>,
    test: impl Fn(T) -> Result<bool, Error<Val>>,
) -> Result<bool, Error<Val>> {
    Ok(!any(items, |item| test(item).map(|it| !it))?)
}

fn any<T>(
    items: impl IntoIterator<Item = T>,
    test: impl Fn(T) -> Result<bool, Error<Val>>,
) -> Result<bool, Error<Val>> {
    for item in items {
        if test(item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn indices(whole: &Val, part: &Val) -> ValR {
    match (whole, part) {
        (Val::Null, _) => Ok(Val::Null),
        (Val::Str(text), Val::Str(part)) => {
            paid(meter::charge_bytes(text.len()))?;
            if part.is_empty() {
                return Ok(Val::Null);
            }
            let positions = text.char_indices().enumerate();
            let found = positions.filter(|(_, (at, _))| text[*at..].starts_with(part.as_str()));
            Ok(found.map(|(count, _)| Val::from(count)).collect())
        }
        (Val::Arr(whole), Val::Arr(part)) => Ok(occurrences(whole.items(), part.items())),
        (Val::Arr(whole), item) => Ok(occurrences(whole.items(), std::slice::from_ref(item))),
        (whole, part) => Err(fail(format!(
            "Cannot determine the indices of {} in {}",
            part.type_name(),
            whole.type_name()
        ))),
    }
}

fn bsearch(array: &Val, item: &Val) -> ValR {
    let Val::Arr(array) = array else {
        let (name, value) = (array.type_name(), array);
        return Err(fail(format!("{name} ({value}) cannot be searched from")));
    };
    Ok(match array.items().binary_search(item) {
        Ok(at) => Val::from(at),
        Err(at) => Val::Int(-1 - i64::try_from(at).unwrap_or(i64::MAX - 1)),
    })
}

/// What is no string, or does not have the fix, stays as it is.
fn trimmed(text: Val, fix: &Val, strip: for<'a> fn(&'a str, &str) -> Option<&'a str>) -> Val {
    let (Val::Str(whole), Val::Str(fix)) = (&text, fix) else {
        return text;
    };
    match strip(whole, fix) {
        Some(rest) if meter::charge_bytes(rest.len()) => Val::str(rest),
        Some(_) | None => text,
    }
}

/// Later and deeper paths go first, so that removing one does not move another.
fn delpaths(value: Val, paths: Val) -> ValR {
    let Val::Arr(paths) = &paths else {
        return Err(fail("Paths must be specified as an array"));
    };
    let mut paths: Vec<Val> = paths.items().to_vec();
    paths.sort();
    let mut value = value;
    for path in paths.iter().rev() {
        let Val::Arr(path) = path else {
            return Err(fail("Path must be specified as an array"));
        };
        value = delpath(value, path.items())?;
    }
    Ok(value)
}

fn delpath(value: Val, path: &[Val]) -> ValR {
    paid(meter::charge(1))?;
    let Some((key, rest)) = path.split_first() else {
        return Ok(Val::Null);
    };
    let missing = match (&value, key) {
        (Val::Null, _) => true,
        (Val::Obj(object), Val::Str(key)) => !object.entries().contains_key(&**key),
        (Val::Arr(array), Val::Int(_) | Val::Float(_)) => {
            let len = i64::try_from(array.items().len()).unwrap_or(i64::MAX);
            let at = key.as_index().unwrap_or(0);
            at >= len || at < -len
        }
        _ => false,
    };
    if missing {
        return Ok(value);
    }
    let step = |child: Val| -> Option<Result<Val, Exn<'static, Val>>> {
        (!rest.is_empty()).then(|| delpath(child, rest).map_err(Exn::from))
    };
    jaq_core::ValT::map_index(value, key, jaq_core::path::Opt::Essential, |it| {
        step(it).into_iter()
    })
    .map_err(|it| it.get_err().unwrap_or_else(|_| unpaid()))
}

fn fromjson(value: &Val) -> ValR {
    let Val::Str(text) = value else {
        let name = value.type_name();
        return Err(fail(format!("{name} ({value}) only strings can be parsed")));
    };
    paid(meter::charge_bytes(text.len()))?;
    if text.trim() == "nan" {
        return Ok(Val::Float(f64::NAN));
    }
    serde_json::from_str(text).map_err(|error| fail(format!("{error} (while parsing {value})")))
}

fn tonumber(value: Val) -> ValR {
    match &value {
        Val::Int(_) | Val::Float(_) => Ok(value),
        Val::Str(text) => {
            let number = text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.')
                && text.ends_with(|c: char| c.is_ascii_digit() || c == '.');
            let parsed = jaq_core::ValT::from_num(text);
            match parsed {
                Ok(parsed @ (Val::Int(_) | Val::Float(_))) if number => Ok(parsed),
                Ok(_) | Err(_) => Err(fail(format!("Cannot parse {value} as a number"))),
            }
        }
        Val::Null | Val::Bool(_) | Val::Arr(_) | Val::Obj(_) => Err(fail(format!(
            "{} ({value}) cannot be parsed as a number",
            value.type_name()
        ))),
    }
}

fn toboolean(value: Val) -> ValR {
    match &value {
        Val::Bool(_) => Ok(value),
        Val::Str(text) if text.as_str() == "true" => Ok(Val::Bool(true)),
        Val::Str(text) if text.as_str() == "false" => Ok(Val::Bool(false)),
        _ => Err(fail(format!(
            "{} ({value}) cannot be parsed as a boolean",
            value.type_name()
        ))),
    }
}

/// An object of these entries.
pub(super) fn record(entries: impl IntoIterator<Item = (&'static str, Val)>) -> Val {
    let entries = entries.into_iter();
    let map: Map = entries
        .map(|(key, value)| (Arc::new(key.to_owned()), value))
        .collect();
    if meter::charge(4 * map.len() as u64) {
        Val::object(map)
    } else {
        Val::Null
    }
}
