//! What a step may hold depends on what it uses: the catalogue tells.

use serde_json::{Map, Value, json};

use super::of_shape::or_expression;
use crate::catalog::{self, Action, Primitive, Target};

/// Names with dots between them.
const PATH: &str = r"^[^.]+(\.[^.]+)*$";

/// A primitive of the catalogue, or a composite.
pub(super) fn uses() -> Value {
    let known: Vec<Value> = catalog::all()
        .iter()
        .map(|it| json!({ "const": it.id(), "description": it.summary }))
        .collect();
    let mut any = known;
    any.push(json!({
        "type": "string",
        "pattern": "^composite:[^@]+@[^@]+$",
        "description": "A composite of the package: composite:name@version.",
    }));
    json!({ "anyOf": any })
}

/// Outputs with the variables they go to, whatever the step uses.
pub(super) fn capture() -> Value {
    json!({ "type": "object", "additionalProperties": { "type": "string", "pattern": PATH } })
}

/// Adds to a step what each primitive says of it.
pub(super) fn refine(step: &mut Value, may_inherit_target: bool) {
    let cases: Vec<Value> = catalog::all()
        .iter()
        .map(|primitive| {
            json!({
                "if": {
                    "properties": { "uses": { "const": primitive.id() } },
                    "required": ["uses"],
                },
                "then": then(primitive, may_inherit_target),
            })
        })
        .collect();
    step["allOf"] = Value::Array(cases);
}

fn then(primitive: &Primitive, may_inherit_target: bool) -> Value {
    let with = with(primitive);
    let mut required = Vec::new();
    if needs_input(primitive) {
        required.push("with");
    }
    let mut properties = json!({ "with": with, "capture": captured(primitive) });
    match primitive.target {
        Target::Required if may_inherit_target => {}
        Target::Required => required.push("target"),
        Target::Forbidden => properties["target"] = json!(false),
    }
    json!({ "properties": properties, "required": required })
}

fn needs_input(primitive: &Primitive) -> bool {
    primitive.action == Action::Exec || primitive.inputs.iter().any(|field| field.required)
}

/// The inputs: each is of its type, or an expression that gives it.
fn with(primitive: &Primitive) -> Value {
    let mut schema = primitive.input_schema();
    if let Some(object) = schema.as_object_mut() {
        object.shift_remove("$schema");
    }
    schema["title"] = json!(format!("inputs of {}", primitive.id()));
    schema["description"] = json!(primitive.summary);
    let inputs = schema["properties"].as_object_mut();
    for input in inputs.into_iter().flat_map(Map::values_mut) {
        let mut literal = input.take();
        let doc = literal
            .as_object_mut()
            .and_then(|literal| literal.shift_remove("description"));
        *input = or_expression(literal);
        input["description"] = doc.unwrap_or_default();
    }
    match primitive.action {
        Action::Exec => {
            schema["oneOf"] = json!([{ "required": ["command"] }, { "required": ["script"] }]);
        }
        Action::EvaluateRegex => {
            let others = ["source", "regex", "mode", "flags", "issue"];
            let refused: Map<String, Value> = others
                .iter()
                .map(|key| ((*key).to_owned(), json!(false)))
                .collect();
            schema["if"] = json!({ "required": ["ruleset"] });
            schema["then"] = json!({ "properties": refused });
        }
        Action::TransferFile => {
            // Where the direction is an expression, nobody knows yet.
            schema["allOf"] = json!([
                {
                    "if": { "properties": { "direction": { "const": "get" } }, "required": ["direction"] },
                    "then": { "properties": { "dest": false, "mode": false } },
                },
                {
                    "if": { "properties": { "direction": { "const": "put" } } },
                    "then": { "required": ["dest"] },
                },
            ]);
        }
        _ => {}
    }
    schema
}

/// The outputs, each with the variable it goes to.
fn captured(primitive: &Primitive) -> Value {
    let outputs: Map<String, Value> = primitive
        .outputs
        .iter()
        .map(|field| {
            let doc = format!("The variable that takes it. {}", field.doc);
            let path = json!({ "type": "string", "pattern": PATH, "description": doc });
            (field.name.to_owned(), path)
        })
        .collect();
    json!({ "type": "object", "properties": outputs, "additionalProperties": false })
}
