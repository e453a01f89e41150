//! jq's order of values: null, false, true, numbers, strings, arrays, objects.

use std::cmp::Ordering;
use std::sync::Arc;

use super::super::meter;
use super::{Map, Val};

impl PartialEq for Val {
    fn eq(&self, other: &Self) -> bool {
        // Once the evaluation has ended no answer matters, but the walk has to end too.
        if !meter::charge(1) {
            return false;
        }
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Str(a), Self::Str(b)) => Arc::ptr_eq(a, b) || same_text(a, b),
            (Self::Arr(a), Self::Arr(b)) => a.items() == b.items(),
            (Self::Obj(a), Self::Obj(b)) => a.entries() == b.entries(),
            _ => match (self.as_float(), other.as_float()) {
                (Some(a), Some(b)) => a == b,
                _ => false,
            },
        }
    }
}

impl Eq for Val {}

fn same_text(a: &str, b: &str) -> bool {
    a.len() == b.len() && {
        meter::charge_bytes(a.len());
        a == b
    }
}

impl PartialOrd for Val {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Val {
    fn cmp(&self, other: &Self) -> Ordering {
        if !meter::charge(1) {
            return Ordering::Equal;
        }
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Str(a), Self::Str(b)) => {
                meter::charge_bytes(a.len().min(b.len()));
                a.cmp(b)
            }
            (Self::Arr(a), Self::Arr(b)) if Arc::ptr_eq(a, b) => Ordering::Equal,
            (Self::Arr(a), Self::Arr(b)) => arrays(a.items(), b.items()),
            (Self::Obj(a), Self::Obj(b)) => objects(a.entries(), b.entries()),
            _ => match (self.as_float(), other.as_float()) {
                (Some(a), Some(b)) => numbers(a, b),
                _ => rank(self).cmp(&rank(other)),
            },
        }
    }
}

fn rank(value: &Val) -> u8 {
    match value {
        Val::Null => 0,
        Val::Bool(false) => 1,
        Val::Bool(true) => 2,
        Val::Int(_) | Val::Float(_) => 3,
        Val::Str(_) => 4,
        Val::Arr(_) => 5,
        Val::Obj(_) => 6,
    }
}

/// A total order, which sorting needs: nan is below every number and equal to itself.
fn numbers(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b)
        .unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

fn arrays(a: &[Val], b: &[Val]) -> Ordering {
    for (a, b) in a.iter().zip(b) {
        let order = a.cmp(b);
        if order.is_ne() || meter::stopped() {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

fn objects(a: &Map, b: &Map) -> Ordering {
    let sorted = |map: &Map| {
        let mut keys: Vec<Arc<String>> = map.keys().cloned().collect();
        keys.sort_unstable();
        keys
    };
    if !meter::charge(4 * (a.len() + b.len()) as u64) {
        return Ordering::Equal;
    }
    let (keys, others) = (sorted(a), sorted(b));
    keys.cmp(&others).then_with(|| {
        keys.iter()
            .map(|key| a[key].cmp(&b[key]))
            .find(|order| order.is_ne() || meter::stopped())
            .unwrap_or(Ordering::Equal)
    })
}

/// Sorts, keeping the order of equal items; `None` as soon as the evaluation has to end.
///
/// The standard library's sort cannot be left half way, and comparing large values a million times
/// is more work than an evaluation may do.
pub(in super::super) fn sorted<T: Default>(
    mut items: Vec<T>,
    compare: impl Fn(&T, &T) -> Ordering,
) -> Option<Vec<T>> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    let mut next = Vec::with_capacity(items.len());
    let mut width = 1;
    while width < items.len() {
        next.clear();
        for pair in order.chunks(2 * width) {
            let (left, right) = pair.split_at(width.min(pair.len()));
            merge(left, right, &mut next, |a, b| compare(&items[a], &items[b]));
            if meter::stopped() {
                return None;
            }
        }
        std::mem::swap(&mut order, &mut next);
        width *= 2;
    }
    let sorted = order.into_iter().map(|at| std::mem::take(&mut items[at]));
    Some(sorted.collect())
}

/// Appends two sorted runs as one.
fn merge(
    mut left: &[usize],
    mut right: &[usize],
    merged: &mut Vec<usize>,
    compare: impl Fn(usize, usize) -> Ordering,
) {
    let apart = |left: &[usize], right: &[usize]| match (left.last(), right.first()) {
        (Some(last), Some(first)) => compare(*last, *first).is_le(),
        _ => true,
    };
    if !apart(left, right) {
        while let ([a, rest_left @ ..], [b, rest_right @ ..]) = (left, right) {
            if compare(*a, *b).is_le() {
                merged.push(*a);
                left = rest_left;
            } else {
                merged.push(*b);
                right = rest_right;
            }
        }
    }
    merged.extend(left);
    merged.extend(right);
}
