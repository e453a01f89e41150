//! What an attempt of a step needs to know before it begins: `when`, `with` and `target`, evaluated.

use se_dsl::checked::Step;
use se_dsl::expr::{ExprError, Limits, Scopes, Template};
use serde_json::Value;

use crate::event::Map;
use crate::fault::{Fault, FaultKind};
use crate::machine::holds;
use crate::port::Endpoints;

/// Whether the step's `when` holds.
pub(crate) fn wanted(step: &Step, scopes: &Scopes) -> Result<bool, Fault> {
    match &step.when {
        None => Ok(true),
        Some(when) => Ok(holds(&eval(when, "when", scopes)?)),
    }
}

/// The evaluated `with`, fit for the primitive. An optional input that is null is left out.
pub(crate) fn inputs(step: &Step, scopes: &Scopes) -> Result<Map, Fault> {
    let mut inputs = Map::new();
    for (name, template) in &step.with {
        let value = eval(template, &format!("with.{name}"), scopes)?;
        let Some(field) = step.uses.input(name) else {
            continue;
        };
        // Where anything is welcome, null is a value: a text that is not there.
        if value.is_null() && !field.required && !field.kind.accepts(&value) {
            continue;
        }
        if !field.kind.accepts(&value) {
            let detail = format!(
                "input `{name}` of {} must be {}, and `{}` gave {}",
                step.uses.id(),
                field.kind.describe(),
                source(template),
                brief(&value),
            );
            return Err(Fault::new(FaultKind::Validation, detail));
        }
        inputs.insert(name.clone(), value);
    }
    Ok(inputs)
}

/// The connector that `target` names, if it can be used.
pub(crate) fn target(
    step: &Step,
    scopes: &Scopes,
    endpoints: &Endpoints,
) -> Result<Option<String>, Fault> {
    let Some(template) = &step.target else {
        return Ok(None);
    };
    let value = eval(template, "target", scopes)?;
    let Some(name) = value.as_str() else {
        let detail = format!(
            "`target: {}` must name a connector, and gave {}",
            source(template),
            brief(&value)
        );
        return Err(Fault::new(FaultKind::Validation, detail));
    };
    endpoints.get(name)?;
    Ok(Some(name.to_owned()))
}

/// Evaluates, and says which key of the step failed.
pub(crate) fn eval(template: &Template, key: &str, scopes: &Scopes) -> Result<Value, Fault> {
    template.eval(scopes, &Limits::default()).map_err(|error| {
        let problem = match error {
            ExprError::Invalid { message, .. } => message,
            ExprError::Failed(message) => message,
            exceeded @ ExprError::Exceeded(_) => exceeded.to_string(),
        };
        let detail = format!("`{key}: {}`: {problem}", source(template));
        Fault::new(FaultKind::Expression, detail)
    })
}

/// A template roughly as it was written.
fn source(template: &Template) -> String {
    match template {
        Template::Expr(expr) => format!("${{ {} }}", expr.source().trim()),
        Template::Literal(value) => brief(value),
        Template::Text(_) => "a text with expressions".to_owned(),
        Template::Array(_) => "a list with expressions".to_owned(),
        Template::Object(_) => "a mapping with expressions".to_owned(),
    }
}

/// A value in a few words: long ones are cut.
fn brief(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", text.get(..cut).unwrap_or_default()),
        None => text,
    }
}
