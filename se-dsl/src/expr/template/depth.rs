//! How deep a value may nest once expressions have put theirs into it.

use serde_json::Value;

use super::super::ExprError;
use super::super::meter::MAX_DEPTH;
use super::Template;

/// The value of a template, if it does not nest too deeply. What is literal is bounded with its
/// document, and each expression by itself.
pub(super) fn admitted(template: &Template, value: Value) -> Result<Value, ExprError> {
    match template {
        Template::Array(_) | Template::Object(_) if !fits(&value, MAX_DEPTH) => {
            Err(ExprError::Exceeded(format!(
                "and what is around it made a value nested more than {MAX_DEPTH} levels deep"
            )))
        }
        _ => Ok(value),
    }
}

fn fits(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(all) => levels > 0 && all.iter().all(|it| fits(it, levels - 1)),
        Value::Object(all) => levels > 0 && all.values().all(|it| fits(it, levels - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}
