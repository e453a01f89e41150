//! Arithmetic on values, with jq's rules and messages.

use std::ops::{Add, Div, Mul, Neg, Rem, Sub};
use std::sync::Arc;

use jaq_core::Error;

use super::super::meter;
use super::{Map, Object, Val, ValR, fail, order, paid, unpaid};

fn refused(left: &Val, right: &Val, verb: &str) -> Error<Val> {
    fail(format!(
        "{} ({left}) and {} ({right}) cannot be {verb}",
        left.type_name(),
        right.type_name(),
    ))
}

/// Pays for the copy that changing a shared value makes.
fn pay_for_copy<T>(shared: &Arc<T>, len: usize) -> Result<(), Error<Val>> {
    paid(Arc::strong_count(shared) == 1 || meter::charge(1 + len as u64))
}

/// `None` if over the limits of the evaluation, which is then stopped.
fn admitted(value: Val) -> ValR {
    paid(meter::admit(value.extent()))?;
    Ok(value)
}

impl Add for Val {
    type Output = ValR;

    fn add(self, other: Self) -> ValR {
        paid(meter::charge(1))?;
        match (self, other) {
            (Self::Null, value) | (value, Self::Null) => Ok(value),
            (Self::Int(a), Self::Int(b)) => Ok(whole(a.checked_add(b), a, b, |a, b| a + b)),
            (Self::Str(a), Self::Str(b)) => concatenated(a, &b),
            (Self::Arr(mut a), Self::Arr(b)) => {
                pay_for_copy(&a, a.items().len())?;
                let bytes = a.extent.bytes.saturating_add(b.extent.bytes);
                paid(meter::admit_bytes(bytes) && meter::charge(b.items().len() as u64))?;
                let array = Arc::make_mut(&mut a);
                b.items().iter().for_each(|item| array.push(item.clone()));
                admitted(Self::Arr(a))
            }
            (Self::Obj(mut a), Self::Obj(b)) => {
                pay_for_copy(&a, 4 * a.entries().len())?;
                paid(meter::charge(4 * b.entries().len() as u64))?;
                let object = Arc::make_mut(&mut a);
                for (key, value) in b.entries() {
                    object.insert(Arc::clone(key), value.clone());
                }
                admitted(Self::Obj(a))
            }
            (a, b) => floats(&a, &b, "added", |a, b| a + b),
        }
    }
}

fn concatenated(mut a: Arc<String>, b: &str) -> ValR {
    let copied = if Arc::strong_count(&a) == 1 {
        0
    } else {
        a.len()
    };
    paid(meter::admit_bytes(a.len() + b.len()) && meter::charge_bytes(copied + b.len()))?;
    Arc::make_mut(&mut a).push_str(b);
    Ok(Val::Str(a))
}

fn whole(exact: Option<i64>, a: i64, b: i64, float: fn(f64, f64) -> f64) -> Val {
    #[expect(clippy::cast_precision_loss, reason = "jq's numbers are doubles")]
    exact.map_or_else(|| Val::number(float(a as f64, b as f64)), Val::Int)
}

fn floats(a: &Val, b: &Val, verb: &str, op: fn(f64, f64) -> f64) -> ValR {
    match (a.as_float(), b.as_float()) {
        (Some(x), Some(y)) => Ok(Val::number(op(x, y))),
        _ => Err(refused(a, b, verb)),
    }
}

impl Sub for Val {
    type Output = ValR;

    fn sub(self, other: Self) -> ValR {
        paid(meter::charge(1))?;
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Ok(whole(a.checked_sub(b), a, b, |a, b| a - b)),
            (Self::Arr(a), Self::Arr(b)) => {
                let gone = order::sorted(b.items().to_vec(), Self::cmp);
                let gone = gone.ok_or_else(unpaid)?;
                let kept = a
                    .items()
                    .iter()
                    .filter(|item| gone.binary_search(item).is_err());
                Ok(kept.cloned().collect())
            }
            (a, b) => floats(&a, &b, "subtracted", |a, b| a - b),
        }
    }
}

impl Mul for Val {
    type Output = ValR;

    fn mul(self, other: Self) -> ValR {
        paid(meter::charge(1))?;
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Ok(whole(a.checked_mul(b), a, b, |a, b| a * b)),
            (Self::Str(text), times @ (Self::Int(_) | Self::Float(_)))
            | (times @ (Self::Int(_) | Self::Float(_)), Self::Str(text)) => {
                repeated(&text, times.as_float().unwrap_or(f64::NAN))
            }
            (Self::Obj(a), Self::Obj(b)) => merged(a, &b).map(Self::Obj).and_then(admitted),
            (a, b) => floats(&a, &b, "multiplied", |a, b| a * b),
        }
    }
}

/// jq repeats a string for every started unit; less than nothing is null.
fn repeated(text: &str, times: f64) -> ValR {
    if times.is_nan() || times <= 0.0 {
        return Ok(Val::Null);
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and saturating is meant"
    )]
    let times = times.ceil() as usize;
    let bytes = text.len().saturating_mul(times);
    paid(meter::admit_bytes(bytes) && meter::charge_bytes(bytes))?;
    Ok(Val::str(text.repeat(times)))
}

/// The recursive merge of `*`. Its depth is that of the values, which is bounded.
fn merged(mut a: Arc<Object>, b: &Object) -> Result<Arc<Object>, Error<Val>> {
    pay_for_copy(&a, 4 * a.entries().len())?;
    paid(meter::charge(4 * b.entries().len() as u64))?;
    let object = Arc::make_mut(&mut a);
    for (key, value) in b.entries() {
        let value = match (object.take(key), value) {
            (Some(Val::Obj(old)), Val::Obj(new)) => Val::Obj(merged(old, new)?),
            _ => value.clone(),
        };
        object.insert(Arc::clone(key), value);
    }
    Ok(a)
}

impl Div for Val {
    type Output = ValR;

    fn div(self, other: Self) -> ValR {
        paid(meter::charge(1))?;
        match (&self, &other) {
            (Self::Str(text), Self::Str(separator)) => split(text, separator),
            (a, b) if a.as_float().is_some() && b.as_float() == Some(0.0) => {
                Err(refused(a, b, "divided because the divisor is zero"))
            }
            (a, b) => floats(a, b, "divided", |a, b| a / b),
        }
    }
}

fn split(text: &str, separator: &str) -> ValR {
    paid(meter::charge_bytes(text.len()))?;
    if text.is_empty() {
        return Ok(Val::array(Vec::new()));
    }
    if separator.is_empty() {
        return Ok(text.chars().map(Val::str).collect());
    }
    Ok(text.split(separator).map(Val::str).collect())
}

impl Rem for Val {
    type Output = ValR;

    fn rem(self, other: Self) -> ValR {
        paid(meter::charge(1))?;
        let (Some(a), Some(b)) = (self.as_float(), other.as_float()) else {
            return Err(refused(&self, &other, "divided (remainder)"));
        };
        if a.is_nan() || b.is_nan() {
            return Ok(Self::Float(f64::NAN));
        }
        let (left, right) = (self.truncated(), other.truncated());
        if right == 0 {
            let verb = "divided (remainder) because the divisor is zero";
            return Err(refused(&self, &other, verb));
        }
        Ok(Self::Int(left.checked_rem(right).unwrap_or(0)))
    }
}

impl Val {
    fn truncated(&self) -> i64 {
        match self {
            Self::Int(value) => *value,
            #[expect(clippy::cast_possible_truncation, reason = "saturating is meant")]
            other => other.as_float().unwrap_or(0.0) as i64,
        }
    }
}

impl Neg for Val {
    type Output = ValR;

    fn neg(self) -> ValR {
        match (&self, self.as_float()) {
            (Self::Int(value), _) if value.checked_neg().is_some() => Ok(Self::Int(-value)),
            (_, Some(value)) => Ok(Self::Float(-value)),
            (value, None) => Err(fail(format!(
                "{} ({value}) cannot be negated",
                value.type_name()
            ))),
        }
    }
}

/// Keys must be strings.
pub(super) fn from_entries(entries: impl IntoIterator<Item = (Val, Val)>) -> ValR {
    let mut map = Map::new();
    for (key, value) in entries {
        paid(meter::charge(4))?;
        match key {
            Val::Str(key) => map.insert(key, value),
            key => {
                return Err(fail(format!(
                    "Object keys must be strings, not {} ({key})",
                    key.type_name()
                )));
            }
        };
    }
    Ok(Val::object(map))
}
