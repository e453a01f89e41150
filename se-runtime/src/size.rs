//! How large values are.

use serde_json::Value;

use crate::event::Map;

/// About so many bytes as JSON; what needs escaping counts once.
pub(crate) fn of_value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(all) => all.iter().map(|it| of_value(it) + 1).sum::<usize>() + 2,
        Value::Object(all) => of_map(all),
    }
}

/// The same, of an object.
pub(crate) fn of_map(map: &Map) -> usize {
    let fields = map
        .iter()
        .map(|(key, value)| key.len() + 4 + of_value(value));
    fields.sum::<usize>() + 2
}
