//! The engine's values: shared trees that know how large and how deep they are.
//!
//! Each container carries the [`Extent`] of its whole tree, counted as if nothing were shared.
//! A program cannot make a value over the limits of its evaluation, so whatever walks a value
//! later (comparing, writing, converting, dropping it) takes bounded work and stack, also for trees
//! whose parts are shared a million times.

mod json;
mod ops;
mod order;
mod paths;

use std::ops::Range;
use std::sync::Arc;

use indexmap::IndexMap;
use jaq_core::Error;

use super::meter;

pub(super) use json::{to_text, write_json};
pub(super) use order::sorted;
pub(super) use paths::{json_text, occurrences};

/// What programs compute with. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub(super) enum Val {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Arc<String>),
    Arr(Arc<Array>),
    Obj(Arc<Object>),
}

pub(super) type ValR = Result<Val, Error<Val>>;
pub(super) type Map = IndexMap<Arc<String>, Val>;

/// How large a value is when nothing in it is shared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) bytes: usize,
    pub(super) depth: usize,
}

impl Extent {
    const NODE: usize = 16;
    const TEXT: usize = 64;
    const ARRAY: usize = 64;
    const OBJECT: usize = 128;
    const ENTRY: usize = 80;

    fn around(self, child: Self, key: usize) -> Self {
        Self {
            bytes: self.bytes.saturating_add(child.bytes).saturating_add(key),
            depth: self.depth.max(child.depth + 1),
        }
    }

    fn without(self, child: Self, key: usize) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(child.bytes + key),
            depth: self.depth,
        }
    }
}

/// A sequence of values. Invariant: `extent` covers `items`.
#[derive(Clone, Debug)]
pub(super) struct Array {
    items: Vec<Val>,
    extent: Extent,
}

/// A mapping in insertion order. Invariant: `extent` covers `entries`.
#[derive(Clone, Debug)]
pub(super) struct Object {
    entries: Map,
    extent: Extent,
}

impl Array {
    pub(super) fn new(items: Vec<Val>) -> Self {
        let empty = Extent {
            bytes: Extent::ARRAY,
            depth: 1,
        };
        let extent = items
            .iter()
            .fold(empty, |sum, item| sum.around(item.extent(), 0));
        Self { items, extent }
    }

    pub(super) fn items(&self) -> &[Val] {
        &self.items
    }

    fn push(&mut self, item: Val) {
        self.extent = self.extent.around(item.extent(), 0);
        self.items.push(item);
    }

    /// Moves an item out, leaving null, so that it can be changed without being copied.
    fn take(&mut self, at: usize) -> Val {
        let item = std::mem::take(&mut self.items[at]);
        self.extent = self
            .extent
            .without(item.extent(), 0)
            .around(Extent::null(), 0);
        item
    }

    fn put(&mut self, at: usize, item: Val) {
        self.extent = self
            .extent
            .without(Extent::null(), 0)
            .around(item.extent(), 0);
        self.items[at] = item;
    }
}

impl Object {
    pub(super) fn new(entries: Map) -> Self {
        let empty = Extent {
            bytes: Extent::OBJECT,
            depth: 1,
        };
        let extent = entries.iter().fold(empty, |sum, (key, value)| {
            sum.around(value.extent(), Extent::ENTRY + key.len())
        });
        Self { entries, extent }
    }

    pub(super) fn entries(&self) -> &Map {
        &self.entries
    }

    pub(super) fn insert(&mut self, key: Arc<String>, value: Val) {
        let (length, added) = (key.len(), value.extent());
        let old = self.entries.insert(key, value);
        if let Some(old) = old {
            self.extent = self.extent.without(old.extent(), Extent::ENTRY + length);
        }
        self.extent = self.extent.around(added, Extent::ENTRY + length);
    }

    /// The same; a key that was not there comes between its neighbours by name, where the others are in
    /// that order.
    pub(super) fn insert_sorted(&mut self, key: Arc<String>, value: Val) {
        let (length, added) = (key.len(), value.extent());
        let (_, old) = self.entries.insert_sorted(key, value);
        if let Some(old) = old {
            self.extent = self.extent.without(old.extent(), Extent::ENTRY + length);
        }
        self.extent = self.extent.around(added, Extent::ENTRY + length);
    }

    /// Removes a key; the others keep their order.
    pub(super) fn remove(&mut self, key: &String) -> Option<Val> {
        let old = self.entries.shift_remove(key)?;
        self.extent = self.extent.without(old.extent(), Extent::ENTRY + key.len());
        Some(old)
    }

    /// Moves a value out, leaving null, so that it can be changed without being copied.
    pub(super) fn take(&mut self, key: &String) -> Option<Val> {
        let place = self.entries.get_mut(key)?;
        let value = std::mem::take(place);
        self.extent = self
            .extent
            .without(value.extent(), 0)
            .around(Extent::null(), 0);
        Some(value)
    }
}

impl Extent {
    fn null() -> Self {
        Self {
            bytes: Self::NODE,
            depth: 0,
        }
    }
}

impl Val {
    /// Pays for being made, which whoever makes many of them has to look at.
    pub(super) fn str(text: impl Into<String>) -> Self {
        const TEXT: u64 = 2;
        meter::charge(TEXT);
        Self::Str(Arc::new(text.into()))
    }

    /// An array, or null with the evaluation stopped if that would be too large.
    pub(super) fn array(items: Vec<Self>) -> Self {
        const ARRAY: u64 = 2;
        let array = Array::new(items);
        if meter::charge(ARRAY) && meter::admit(array.extent) {
            Self::Arr(Arc::new(array))
        } else {
            Self::Null
        }
    }

    /// An object, or null with the evaluation stopped if that would be too large.
    pub(super) fn object(entries: Map) -> Self {
        const OBJECT: u64 = 4;
        let object = Object::new(entries);
        if meter::charge(OBJECT) && meter::admit(object.extent) {
            Self::Obj(Arc::new(object))
        } else {
            Self::Null
        }
    }

    /// An empty object.
    pub(super) fn empty_object() -> Self {
        Self::Obj(Arc::new(Object::new(Map::new())))
    }

    pub(super) fn extent(&self) -> Extent {
        match self {
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Float(_) => Extent::null(),
            Self::Str(text) => Extent {
                bytes: Extent::TEXT + text.len(),
                depth: 0,
            },
            Self::Arr(array) => array.extent,
            Self::Obj(object) => object.extent,
        }
    }

    /// The name of its type, as `type` gives it.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Int(_) | Self::Float(_) => "number",
            Self::Str(_) => "string",
            Self::Arr(_) => "array",
            Self::Obj(_) => "object",
        }
    }

    /// The result of arithmetic: whole numbers that a float holds exactly are integers.
    pub(super) fn number(value: f64) -> Self {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if value.fract() == 0.0 && value.abs() < EXACT {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "whole and below 2^53, so the cast is exact"
            )]
            return Self::Int(value as i64);
        }
        Self::Float(value)
    }

    pub(super) fn as_float(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "jq's numbers are doubles")]
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            Self::Null | Self::Bool(_) | Self::Str(_) | Self::Arr(_) | Self::Obj(_) => None,
        }
    }

    /// A number as an index: rounded down, saturated.
    pub(super) fn as_index(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            #[expect(clippy::cast_possible_truncation, reason = "saturating is meant")]
            Self::Float(value) => Some(value.floor() as i64),
            Self::Null | Self::Bool(_) | Self::Str(_) | Self::Arr(_) | Self::Obj(_) => None,
        }
    }

    pub(super) fn as_str(&self) -> Option<&Arc<String>> {
        match self {
            Self::Str(text) => Some(text),
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Arr(_)
            | Self::Obj(_) => None,
        }
    }

    /// The value below a key, if this is an object that has it.
    pub(super) fn get(&self, key: &String) -> Option<&Self> {
        match self {
            Self::Obj(object) => object.entries.get(key),
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Str(_)
            | Self::Arr(_) => None,
        }
    }
}

/// An error with this text.
pub(super) fn fail(message: impl Into<String>) -> Error<Val> {
    Error::new(Val::str(message.into()))
}

/// The error of an operation that could not be paid for; the meter knows why.
pub(super) fn unpaid() -> Error<Val> {
    fail("stopped")
}

/// `Ok` if `paid`.
pub(super) fn paid(paid: bool) -> Result<(), Error<Val>> {
    if paid { Ok(()) } else { Err(unpaid()) }
}

impl From<bool> for Val {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<isize> for Val {
    fn from(value: isize) -> Self {
        Self::Int(value as i64)
    }
}

impl From<usize> for Val {
    fn from(value: usize) -> Self {
        i64::try_from(value).map_or(Self::Float(f64::MAX), Self::Int)
    }
}

impl From<f64> for Val {
    fn from(value: f64) -> Self {
        Self::number(value)
    }
}

impl From<String> for Val {
    fn from(value: String) -> Self {
        Self::str(value)
    }
}

impl From<Range<Option<Self>>> for Val {
    fn from(range: Range<Option<Self>>) -> Self {
        let mut entries = Map::new();
        for (name, bound) in [("start", range.start), ("end", range.end)] {
            entries.insert(Arc::new(name.to_owned()), bound.unwrap_or_default());
        }
        Self::object(entries)
    }
}

impl FromIterator<Self> for Val {
    fn from_iter<I: IntoIterator<Item = Self>>(values: I) -> Self {
        let mut items = Vec::new();
        let (mut bytes, max) = (0_usize, meter::max_bytes());
        for value in values {
            bytes = bytes.saturating_add(value.extent().bytes);
            items.push(value);
            // Unlike the check of the whole, this one comes before the memory is used.
            if !meter::charge(1) || (bytes > max && !meter::admit_bytes(bytes)) {
                return Self::Null;
            }
        }
        Self::array(items)
    }
}
