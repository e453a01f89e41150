//! Values from JSON and to JSON.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

use super::super::meter::{self, MAX_DEPTH};
use super::{Array, Map, Object, Val};

/// Bytes of a value that an error message shows.
const EXCERPT: usize = 80;

impl Val {
    /// The engine's form of a JSON value. What is nested too deeply for programs to work with is
    /// null.
    pub(in super::super) fn from_json(value: &Value) -> Self {
        Self::from_json_at(value, 0)
    }

    fn from_json_at(value: &Value, depth: usize) -> Self {
        // The object of all scopes and the object that an expression builds come on top.
        if depth + 8 > MAX_DEPTH {
            return Self::Null;
        }
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => match number.as_i64() {
                Some(value) => Self::Int(value),
                None => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => Self::str(text.as_str()),
            Value::Array(items) => {
                let items = items.iter().map(|it| Self::from_json_at(it, depth + 1));
                Self::Arr(Arc::new(Array::new(items.collect())))
            }
            Value::Object(entries) => {
                let entries = entries.iter().map(|(key, value)| {
                    (Arc::new(key.clone()), Self::from_json_at(value, depth + 1))
                });
                Self::Obj(Arc::new(Object::new(entries.collect())))
            }
        }
    }

    /// The JSON form: nan is null, the infinities are the largest numbers, as jq writes them.
    pub(in super::super) fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::from(*value),
            Self::Float(value) => finite(*value)
                .and_then(Number::from_f64)
                .map_or(Value::Null, Value::Number),
            Self::Str(text) => Value::String(text.as_str().to_owned()),
            Self::Arr(array) => array.items().iter().map(Self::to_json).collect(),
            Self::Obj(object) => object
                .entries()
                .iter()
                .map(|(key, value)| (key.as_str().to_owned(), value.to_json()))
                .collect(),
        }
    }
}

fn finite(value: f64) -> Option<f64> {
    (!value.is_nan()).then(|| value.clamp(f64::MIN, f64::MAX))
}

/// The text of a value: a string as it is, anything else as compact JSON. `None` if over `max` bytes.
pub(in super::super) fn to_text(value: &Val, max: usize) -> Option<String> {
    match value {
        Val::Str(text) => (text.len() <= max).then(|| text.as_str().to_owned()),
        Val::Null | Val::Bool(_) | Val::Int(_) | Val::Float(_) | Val::Arr(_) | Val::Obj(_) => {
            let mut out = String::new();
            write_json(value, &mut out, max).then_some(out)
        }
    }
}

/// Appends compact JSON; `false` once `out` is over `max` bytes.
pub(in super::super) fn write_json(value: &Val, out: &mut String, max: usize) -> bool {
    match value {
        Val::Null => out.push_str("null"),
        Val::Bool(true) => out.push_str("true"),
        Val::Bool(false) => out.push_str("false"),
        Val::Int(value) => {
            let _infallible = write!(out, "{value}");
        }
        Val::Float(value) => write_float(*value, out),
        Val::Str(text) => write_string(text, out, max),
        Val::Arr(array) => {
            out.push('[');
            for (index, item) in array.items().iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                if !write_json(item, out, max) {
                    return false;
                }
            }
            out.push(']');
        }
        Val::Obj(object) => {
            out.push('{');
            for (index, (key, value)) in object.entries().iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(key, out, max);
                out.push(':');
                if !write_json(value, out, max) {
                    return false;
                }
            }
            out.push('}');
        }
    }
    out.len() <= max
}

fn write_float(value: f64, out: &mut String) {
    let Some(value) = finite(value) else {
        return out.push_str("null");
    };
    let size = value.abs();
    let _infallible = if size >= 1e17 || (size > 0.0 && size < 1e-5) {
        // `1e+17` and `1e-07`, as C prints them.
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        write!(out, "{digits}e{sign}{exponent:0>2}")
    } else if size >= 1e16 {
        write!(out, "{value}")
    } else {
        write!(out, "{value:?}")
    };
}

fn write_string(text: &str, out: &mut String, max: usize) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' || c == '\u{7f}' => {
                let _infallible = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
        if out.len() > max {
            return;
        }
    }
    out.push('"');
}

/// For messages: compact JSON, cut short.
impl fmt::Display for Val {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        if write_json(self, &mut text, EXCERPT) {
            return f.write_str(&text);
        }
        let cut = text.floor_char_boundary(EXCERPT.min(text.len()));
        write!(f, "{}...", &text[..cut])
    }
}

impl<'de> Deserialize<'de> for Val {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValVisitor)
    }
}

/// Reads JSON text, paying for each value while it is made.
struct ValVisitor;

impl<'de> Visitor<'de> for ValVisitor {
    type Value = Val;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Val, E> {
        Ok(Val::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Val, E> {
        Ok(Val::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Val, E> {
        Ok(Val::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Val, E> {
        #[expect(clippy::cast_precision_loss, reason = "jq's numbers are doubles")]
        Ok(i64::try_from(value).map_or(Val::Float(value as f64), Val::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Val, E> {
        Ok(Val::Float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Val, E> {
        Ok(Val::str(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Val, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            if !meter::charge(1) {
                return Err(A::Error::custom("stopped"));
            }
            items.push(item);
        }
        Ok(Val::array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Val, A::Error> {
        let mut entries = Map::new();
        while let Some((key, value)) = map.next_entry::<String, Val>()? {
            if !meter::charge(4) {
                return Err(A::Error::custom("stopped"));
            }
            entries.insert(Arc::new(key), value);
        }
        Ok(Val::object(entries))
    }
}
