//! Indexing, iterating and updating: what the interpreter asks of a value.

use std::ops::Range;
use std::sync::Arc;

use jaq_core::box_iter::box_once;
use jaq_core::path::Opt;
use jaq_core::{Error, Exn, ValX};

use super::super::meter;
use super::{Array, Map, Object, Val, ValR, fail, ops, paid, to_text, unpaid};

type Values<T> = Box<dyn Iterator<Item = Result<T, Error<Val>>>>;

fn not_iterable(value: &Val) -> Error<Val> {
    match value {
        Val::Null => fail("Cannot iterate over null"),
        value => fail(format!(
            "Cannot iterate over {} ({value})",
            value.type_name()
        )),
    }
}

fn not_indexable(value: &Val, index: &Val) -> Error<Val> {
    let with = match index {
        Val::Str(_) => format!("\"{}\"", to_text(index, 200).unwrap_or_default()),
        Val::Null | Val::Bool(_) | Val::Int(_) | Val::Float(_) | Val::Arr(_) | Val::Obj(_) => {
            index.type_name().to_owned()
        }
    };
    fail(format!("Cannot index {} with {with}", value.type_name()))
}

/// Yields `get(0)`, `get(1)`, …, each paid for; ends after the first that is not.
fn paying<T: 'static>(get: impl Fn(usize) -> Option<T> + 'static) -> Values<T> {
    let mut next = 0;
    let mut over = false;
    Box::new(std::iter::from_fn(move || {
        if over {
            return None;
        }
        let item = get(next)?;
        next += 1;
        over = !meter::charge(1);
        Some(if over { Err(unpaid()) } else { Ok(item) })
    }))
}

/// The position in a sequence of `len` items that an index means; negative ones count from the end.
fn position(index: i64, len: usize) -> Option<usize> {
    match usize::try_from(index) {
        Ok(index) => Some(index),
        Err(_) => len.checked_sub(usize::try_from(index.unsigned_abs()).ok()?),
    }
}

/// The bounds of a slice within `0..len`.
fn bounds(range: &Range<Option<&Val>>, len: usize) -> Result<Range<usize>, Error<Val>> {
    let bound = |value: Option<&Val>, default, round_up: bool| match value {
        None | Some(Val::Null) => Ok(default),
        Some(value) => {
            let index = match value {
                Val::Float(float) if round_up => Val::Float(float.ceil()).as_index(),
                value => value.as_index(),
            };
            let index = index
                .ok_or_else(|| fail("Start and end indices of an array slice must be numbers"))?;
            Ok(position(index, len).unwrap_or(0).min(len))
        }
    };
    let start = bound(range.start, 0, false)?;
    let end = bound(range.end, len, true)?;
    Ok(start..end.max(start))
}

fn slice_text(text: &str, range: &Range<Option<&Val>>) -> ValR {
    paid(meter::charge_bytes(text.len()))?;
    let range = bounds(range, text.chars().count())?;
    let chars = text.chars().skip(range.start).take(range.len());
    Ok(Val::str(chars.collect::<String>()))
}

/// `{"start": …, "end": …}` as an index is a slice.
fn slice_of(object: &Map) -> (Option<Val>, Option<Val>) {
    let get = |name: &str| object.get(&name.to_owned()).cloned();
    (get("start"), get("end"))
}

/// The positions at which `part` occurs in `whole`.
pub(in super::super) fn occurrences(whole: &[Val], part: &[Val]) -> Val {
    if part.is_empty() {
        return Val::Null;
    }
    let found = whole.windows(part.len()).enumerate();
    found
        .take_while(|_| meter::charge(1))
        .filter(|(_, window)| *window == part)
        .map(|(at, _)| Val::from(at))
        .collect()
}

impl jaq_core::ValT for Val {
    fn from_num(text: &str) -> ValR {
        let float = || text.parse().map_or(Self::Null, Self::number);
        Ok(text.parse().map_or_else(|_| float(), Self::Int))
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(entries: I) -> ValR {
        ops::from_entries(entries)
    }

    fn key_values(self) -> Values<(Self, Self)> {
        match self {
            Self::Arr(array) => paying(move |at| {
                let item = array.items().get(at)?.clone();
                Some((Self::from(at), item))
            }),
            Self::Obj(object) => paying(move |at| {
                let (key, value) = object.entries().get_index(at)?;
                Some((Self::Str(Arc::clone(key)), value.clone()))
            }),
            other => box_once(Err(not_iterable(&other))),
        }
    }

    fn values(self) -> Values<Self> {
        match self {
            Self::Arr(array) => paying(move |at| array.items().get(at).cloned()),
            Self::Obj(object) => {
                paying(move |at| object.entries().get_index(at).map(|(_, it)| it.clone()))
            }
            other => box_once(Err(not_iterable(&other))),
        }
    }

    fn index(self, index: &Self) -> ValR {
        paid(meter::charge(1))?;
        match (&self, index) {
            (Self::Obj(object), Self::Str(key)) => {
                Ok(object.entries().get(&**key).cloned().unwrap_or_default())
            }
            (Self::Null, Self::Str(_) | Self::Int(_) | Self::Float(_) | Self::Null) => {
                Ok(Self::Null)
            }
            (Self::Arr(array), Self::Int(_) | Self::Float(_)) => {
                let at = index
                    .as_index()
                    .and_then(|it| position(it, array.items().len()));
                Ok(at
                    .and_then(|at| array.items().get(at))
                    .cloned()
                    .unwrap_or_default())
            }
            (Self::Arr(whole), Self::Arr(part)) => Ok(occurrences(whole.items(), part.items())),
            (Self::Null | Self::Arr(_) | Self::Str(_), Self::Obj(object)) => {
                let (start, end) = slice_of(object.entries());
                self.range(start.as_ref()..end.as_ref())
            }
            _ => Err(not_indexable(&self, index)),
        }
    }

    fn range(self, range: Range<Option<&Self>>) -> ValR {
        paid(meter::charge(1))?;
        match &self {
            Self::Null => Ok(Self::Null),
            Self::Str(text) => slice_text(text, &range),
            Self::Arr(array) => {
                let range = bounds(&range, array.items().len())?;
                Ok(array.items()[range].iter().cloned().collect())
            }
            other => Err(fail(format!(
                "Cannot index {} with object",
                other.type_name()
            ))),
        }
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        match self {
            // What has no first output is removed.
            Self::Arr(array) => {
                let items = owned(array).items;
                items
                    .into_iter()
                    .filter_map(|item| f(item).next())
                    .collect()
            }
            Self::Obj(object) => map_entries(object, f),
            other => opt.fail(other, |it| Exn::from(not_iterable(&it))),
        }
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        index: &Self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        paid(meter::charge(1))?;
        match (self, index) {
            // null stands for an object or array that is not there yet.
            (Self::Null, Self::Str(_)) => Self::empty_object().map_index(index, opt, f),
            (Self::Null, Self::Int(_) | Self::Float(_)) => {
                Self::array(Vec::new()).map_index(index, opt, f)
            }
            (Self::Obj(object), Self::Str(key)) => map_key(object, key, f),
            (Self::Arr(array), Self::Int(_) | Self::Float(_)) => {
                map_item(array, index.as_index().unwrap_or(0), opt, f)
            }
            (value @ (Self::Null | Self::Arr(_)), Self::Obj(object)) => {
                let (start, end) = slice_of(object.entries());
                value.map_range(start.as_ref()..end.as_ref(), opt, f)
            }
            (value, index) => opt.fail(value, |it| Exn::from(not_indexable(&it, index))),
        }
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        range: Range<Option<&Self>>,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        let array = match self {
            Self::Null => Arc::new(Array::new(Vec::new())),
            Self::Arr(array) => array,
            other => {
                let why = "Cannot update field at object index of ";
                return opt.fail(other, |it| {
                    Exn::from(fail(format!("{why}{}", it.type_name())))
                });
            }
        };
        let items = array.items();
        let range = bounds(&range, items.len())?;
        paid(meter::charge(items.len() as u64))?;
        let part = items[range.clone()].iter().cloned().collect();
        let part = match f(part).next().transpose()? {
            Some(Self::Arr(part)) => part,
            Some(_) => {
                let why = "A slice of an array can only be assigned another array";
                return Err(Exn::from(fail(why)));
            }
            None => Arc::new(Array::new(Vec::new())),
        };
        let around = (&items[..range.start], &items[range.end..]);
        Ok(around
            .0
            .iter()
            .chain(part.items())
            .chain(around.1)
            .cloned()
            .collect())
    }

    fn as_bool(&self) -> bool {
        !matches!(self, Self::Null | Self::Bool(false))
    }

    fn into_string(self) -> Self {
        match self {
            Self::Str(_) => self,
            other => json_text(&other),
        }
    }
}

fn map_entries<'a, I: Iterator<Item = ValX<'a, Val>>>(
    object: Arc<Object>,
    f: impl Fn(Val) -> I,
) -> ValX<'a, Val> {
    let mut entries = Map::new();
    for (key, value) in owned(object).entries {
        paid(meter::charge(4))?;
        if let Some(value) = f(value).next().transpose()? {
            entries.insert(key, value);
        }
    }
    Ok(Val::object(entries))
}

fn map_key<'a, I: Iterator<Item = ValX<'a, Val>>>(
    mut object: Arc<Object>,
    key: &Arc<String>,
    f: impl Fn(Val) -> I,
) -> ValX<'a, Val> {
    if Arc::strong_count(&object) > 1 {
        paid(meter::charge(4 * object.entries().len() as u64))?;
    }
    let place = Arc::make_mut(&mut object);
    let old = place.take(key).unwrap_or_default();
    match f(old).next().transpose()? {
        Some(value) => place.insert(Arc::clone(key), value),
        None => drop(place.remove(key)),
    }
    paid(meter::admit(object.extent))?;
    Ok(Val::Obj(object))
}

fn map_item<'a, I: Iterator<Item = ValX<'a, Val>>>(
    mut array: Arc<Array>,
    index: i64,
    opt: Opt,
    f: impl Fn(Val) -> I,
) -> ValX<'a, Val> {
    let len = array.items().len();
    let Some(at) = position(index, len) else {
        let why = "Out of bounds negative array index";
        return opt.fail(Val::Arr(array), |_| Exn::from(fail(why)));
    };
    if Arc::strong_count(&array) > 1 {
        paid(meter::charge(1 + len as u64))?;
    }
    if at >= len {
        let Some(value) = f(Val::Null).next().transpose()? else {
            return Ok(Val::Arr(array));
        };
        let missing = at - len;
        paid(meter::admit_bytes(at.saturating_mul(16)) && meter::charge(1 + missing as u64))?;
        let place = Arc::make_mut(&mut array);
        (0..missing).for_each(|_| place.push(Val::Null));
        place.push(value);
    } else {
        let place = Arc::make_mut(&mut array);
        let old = place.take(at);
        match f(old).next().transpose()? {
            Some(value) => place.put(at, value),
            None => {
                place.items.remove(at);
            }
        }
    }
    paid(meter::admit(array.extent))?;
    Ok(Val::Arr(array))
}

/// The value behind a shared pointer, copied (and paid for) only if it is shared.
fn owned<T: Clone>(shared: Arc<T>) -> T {
    Arc::try_unwrap(shared).unwrap_or_else(|shared| (*shared).clone())
}

/// Compact JSON as a string value, or null with the evaluation stopped if that is too long.
pub(in super::super) fn json_text(value: &Val) -> Val {
    let max = meter::max_bytes();
    let mut text = String::new();
    let whole = super::write_json(value, &mut text, max);
    if !whole {
        meter::stop(meter::Stop::Bytes);
    }
    if whole && meter::charge_bytes(text.len()) {
        Val::str(text)
    } else {
        Val::Null
    }
}

impl jaq_std::ValT for Val {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        match self {
            Self::Arr(array) => {
                meter::charge(array.items().len() as u64);
                Ok(owned(array).items.into_iter().collect())
            }
            other => Err(other),
        }
    }

    fn is_int(&self) -> bool {
        matches!(self, Self::Int(_))
    }

    fn as_isize(&self) -> Option<isize> {
        match self {
            Self::Int(value) => isize::try_from(*value).ok(),
            #[expect(clippy::cast_possible_truncation, reason = "whole and small, so exact")]
            Self::Float(value) if value.fract() == 0.0 && value.abs() < 1e15 => {
                Some(*value as isize)
            }
            _ => None,
        }
    }

    fn as_f64(&self) -> Option<f64> {
        self.as_float()
    }

    fn is_utf8_str(&self) -> bool {
        matches!(self, Self::Str(_))
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        self.as_str().map(|text| text.as_bytes())
    }

    fn as_sub_str(&self, part: &[u8]) -> Self {
        Self::from_utf8_bytes(part.to_vec())
    }

    fn from_utf8_bytes(bytes: impl AsRef<[u8]> + Send + 'static) -> Self {
        let bytes = bytes.as_ref();
        if meter::charge_bytes(bytes.len()) && meter::admit_bytes(bytes.len()) {
            Self::str(String::from_utf8_lossy(bytes))
        } else {
            Self::Null
        }
    }
}
