//! jq's order of values: null, false, true, numbers, strings, arrays, objects.

use std::cmp::Ordering;
use std::sync::Arc;

use super::super::meter;
use super::{Map, Val};

impl PartialEq for Val {
    fn eq(&self, other: &Self) -> bool {
        meter::charge(1);
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
        meter::charge(1);
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Str(a), Self::Str(b)) => {
                meter::charge_bytes(a.len().min(b.len()));
                a.cmp(b)
            }
            (Self::Arr(a), Self::Arr(b)) => a.items().cmp(b.items()),
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

fn objects(a: &Map, b: &Map) -> Ordering {
    let sorted = |map: &Map| {
        let mut keys: Vec<Arc<String>> = map.keys().cloned().collect();
        meter::charge(keys.len() as u64);
        keys.sort_unstable();
        keys
    };
    let (keys, others) = (sorted(a), sorted(b));
    keys.cmp(&others).then_with(|| {
        keys.iter()
            .map(|key| a[key].cmp(&b[key]))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    })
}
