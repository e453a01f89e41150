//! JSON Schemas: what they take, and what they refuse.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jsonschema::Validator;
use se_dsl::{catalog, schema};
use serde_json::{Value, json};

use crate::lab::files;

static VALIDATORS: LazyLock<BTreeMap<String, Validator>> = LazyLock::new(|| {
    let all = schema::all().into_iter();
    all.map(|(name, schema)| {
        jsonschema::draft202012::meta::validate(&schema).unwrap();
        (name, jsonschema::draft202012::new(&schema).unwrap())
    })
    .collect()
});

fn validator(name: &str) -> &'static Validator {
    &VALIDATORS[name]
}

/// What is wrong, each with its place.
fn errors(validator: &Validator, document: &Value) -> Vec<String> {
    let errors = validator.iter_errors(document);
    errors
        .map(|it| format!("{} at {}", it, it.instance_path()))
        .collect()
}

/// Whether a step is one that a job, or that a composite, may have.
fn accepts(kind: &str, step: &Value) -> bool {
    let name = match kind {
        "JobDefinition" => "job-definition",
        _ => "composite-scenario",
    };
    let document = json!({ "apiVersion": "pav1", "kind": kind, "spec": { "steps": [step] } });
    let own = validator(name).is_valid(&document);
    assert_eq!(validator("pav1").is_valid(&document), own, "{step}");
    own
}

#[test]
fn the_example_package_is_accepted() {
    let any = validator("pav1");
    let mut seen = 0;
    for (path, bytes) in files() {
        let text = String::from_utf8_lossy(&bytes);
        if path.ends_with("topology/ports.json") {
            let ports = serde_json::from_str(&text).unwrap();
            assert_eq!(errors(validator("ports"), &ports), [""; 0], "{path}");
        } else if path.ends_with(".yaml") && !path.contains("/topology/") {
            seen += 1;
            let document: Value = serde_saphyr::from_str(&text).unwrap();
            assert_eq!(errors(any, &document), [""; 0], "{path}");
        }
    }
    assert_eq!(seen, 7);
}

#[test]
fn there_is_a_schema_for_every_kind() {
    let all: BTreeMap<String, Value> = schema::all();
    let names: Vec<&str> = all.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "authorization-policy",
            "composite-scenario",
            "connector-model",
            "evaluation-ruleset",
            "flat-manifest",
            "job-definition",
            "lablet-definition",
            "lifecycle",
            "part-definition",
            "pav1",
            "ports",
            "process-report-spec",
            "scenario-definition",
            "seed-manifest",
            "session-definition",
        ]
    );
    for (name, schema) in &all {
        let id = schema["$id"].as_str().unwrap();
        assert!(id.ends_with(&format!("/{name}.schema.json")), "{id}");
        assert!(
            schema["title"].is_string() && schema["description"].is_string(),
            "{name}"
        );
        described(name, "", schema);
    }
}

/// Every property says what it is for.
fn described(name: &str, at: &str, schema: &Value) {
    let Some(map) = schema.as_object() else {
        return;
    };
    let is_condition = at.ends_with("/if") || at.ends_with("/then");
    let properties = map.get("properties").and_then(Value::as_object);
    for (key, property) in properties.into_iter().flatten().filter(|_| !is_condition) {
        // Names of pod types and groups of a report say it themselves.
        let is_listed = property["type"] == "array" && property["items"].get("$ref").is_none();
        assert!(
            property.get("description").is_some() || is_listed,
            "{name}{at} does not describe `{key}`"
        );
    }
    for (key, value) in map {
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    described(name, &format!("{at}/{key}/{index}"), item);
                }
            }
            other => described(name, &format!("{at}/{key}"), other),
        }
    }
}

#[test]
fn a_step_is_held_against_what_it_uses() {
    let good = [
        json!({"uses": "collect@v1", "target": "r1", "with": {"command": "x"}, "capture": {"output": "r1.x"}}),
        json!({"uses": "collect@v1", "target": "${ vars.x }", "with": {"command": "a ${ vars.x }"}}),
        json!({"uses": "collect@v1", "target": "@dev", "with": {"command": "@dev.x"}, "capture": {"output": "@dev.x"},
               "for_each": {"var": "dev", "in": "${ vars.all }"}}),
        json!({"uses": "pause@v1", "with": {"seconds": 2.5}}),
        json!({"uses": "pause@v1", "with": {"seconds": "${ vars.x }"}}),
        json!({"uses": "pause@v1", "with": {"seconds": "@dev.wait"}, "for_each": {"var": "dev", "in": [1]}}),
        json!({"uses": "cml.power@v1", "with": {"node": "r1", "action": "stop"}}),
        json!({"uses": "cml.power@v1", "with": {"node": "r1", "action": "${ vars.what }"}}),
        json!({"uses": "cml.wipe@v1"}),
        json!({"uses": "cml.wipe@v1", "with": {"devices": ["r1", "${ vars.x }"]}}),
        json!({"uses": "exec@v1", "target": "r1", "with": {"script": "a\nb"}}),
        json!({"uses": "evaluate.regex@v1"}),
        json!({"uses": "evaluate.regex@v1", "with": {"ruleset": "rubric"}}),
        json!({"uses": "evaluate.regex@v1", "with": {"source": null, "regex": "x", "flags": []}}),
        json!({"uses": "composite:settle@v1", "with": {"anything": 1}, "capture": {"x": "y.z"}}),
        json!({"uses": "composite:settle@v1", "target": "r1"}),
    ];
    for step in good {
        assert!(accepts("JobDefinition", &named(&step)), "{step}");
        assert!(accepts("CompositeScenario", &named(&step)), "{step}");
    }
    let bad = [
        json!({"uses": "colect@v1", "target": "r1", "with": {"command": "x"}}),
        json!({"uses": "collect@v2", "target": "r1", "with": {"command": "x"}}),
        json!({"uses": "composite:settle"}),
        json!({"uses": "collect@v1", "target": "r1", "with": {"command": 1}}),
        json!({"uses": "collect@v1", "target": "r1", "with": {"comand": "x"}}),
        json!({"uses": "collect@v1", "target": "r1", "with": {}}),
        json!({"uses": "collect@v1", "target": "r1"}),
        json!({"uses": "collect@v1", "target": "r1", "with": {"command": "x"}, "capture": {"stdout": "y"}}),
        json!({"uses": "collect@v1", "target": "r1", "with": {"command": "x"}, "capture": {"output": "y..z"}}),
        json!({"uses": "collect@v1", "target": "r1", "with": {"command": "x"}, "captures": {"output": "y"}}),
        json!({"uses": "pause@v1", "with": {"seconds": "2"}}),
        json!({"uses": "pause@v1", "with": {"seconds": "in ${ vars.x }"}}),
        json!({"uses": "pause@v1", "with": {"seconds": -1}}),
        json!({"uses": "pause@v1", "target": "r1", "with": {"seconds": 1}}),
        json!({"uses": "pause@v1", "with": {"seconds": 1}, "capture": {"x": "y"}}),
        json!({"uses": "cml.power@v1", "with": {"node": "r1", "action": "halt"}}),
        json!({"uses": "cml.wipe@v1", "with": {"devices": [1]}}),
        json!({"uses": "exec@v1", "target": "r1"}),
        json!({"uses": "exec@v1", "target": "r1", "with": {"command": "x", "script": "y"}}),
        json!({"uses": "evaluate.regex@v1", "with": {"ruleset": "a", "regex": "x"}}),
        json!({"uses": "composite:settle@v1", "with": ["x"]}),
        json!({"uses": "pause@v1", "with": {"seconds": 1}, "for_each": {"var": "Dev", "in": [1]}}),
        json!({"uses": "pause@v1", "with": {"seconds": 1}, "for_each": {"var": "dev", "in": "text"}}),
        json!({"uses": "pause@v1", "with": {"seconds": 1}, "on_error": {"action": "retry", "retries": 1001}}),
        json!({"uses": "pause@v1", "with": {"seconds": 1}, "timeout": 0}),
        json!({"uses": "pause@v1", "with": {"seconds": 1}, "stage": "colect"}),
    ];
    for step in bad {
        assert!(!accepts("JobDefinition", &named(&step)), "{step}");
        assert!(!accepts("CompositeScenario", &named(&step)), "{step}");
    }
    let no_target = named(&json!({"uses": "collect@v1", "with": {"command": "x"}}));
    assert!(!accepts("JobDefinition", &no_target));
    // The step that uses the composite gives it.
    assert!(accepts("CompositeScenario", &no_target));
}

/// A step with an id.
fn named(step: &Value) -> Value {
    let mut step = step.clone();
    step["id"] = json!("a");
    step
}

#[test]
fn every_primitive_can_be_used_with_its_least_inputs() {
    for primitive in catalog::all() {
        let example = |kind: catalog::Kind| match kind {
            catalog::Kind::Integer | catalog::Kind::Count => json!(1),
            catalog::Kind::Number | catalog::Kind::Amount => json!(1.5),
            catalog::Kind::Boolean => json!(true),
            catalog::Kind::Strings | catalog::Kind::Array => json!(["x"]),
            catalog::Kind::Object => json!({"x": 1}),
            catalog::Kind::OneOf(words) => json!(words[0]),
            catalog::Kind::String | catalog::Kind::Any => json!("x"),
        };
        let required = primitive.inputs.iter().filter(|field| field.required);
        let mut with: BTreeMap<&str, Value> = required
            .map(|field| (field.name, example(field.kind)))
            .collect();
        if primitive.action == catalog::Action::Exec {
            with.insert("command", json!("x"));
        }
        if primitive.action == catalog::Action::TransferFile {
            with.insert("dest", json!("x"));
        }
        let capture: BTreeMap<&str, &str> = primitive
            .outputs
            .iter()
            .map(|field| (field.name, "x.y"))
            .collect();
        let mut step = json!({"id": "a", "uses": primitive.id(), "with": with, "capture": capture});
        if primitive.target == catalog::Target::Required {
            step["target"] = json!("r1");
        }
        assert!(accepts("JobDefinition", &step), "{step}");
        step["with"]["zzzzzz"] = json!(1);
        assert!(!accepts("JobDefinition", &step), "{step}");
    }
}
