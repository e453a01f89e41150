//! Every key of every shape is written in some document here, and read.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::documents;
use crate::decode::shape::{Shape, Value};
use crate::decode::{Sink, to_json};
use crate::document::envelope::{ENVELOPE, KINDS};
use crate::document::{facts, manifest};
use crate::source::Sources;
use crate::{Options, syntax};

const SESSION: &[(&str, &str)] = &[
    ("PAv1/manifest.yaml", include_str!("every/session.yaml")),
    (
        "PAv1/lifecycle.yaml",
        include_str!("every/part_workflow.yaml"),
    ),
    (
        "PAv1/authorization/a.yaml",
        include_str!("every/policy.yaml"),
    ),
    ("PAv1/parts/a/part.yaml", include_str!("every/part.yaml")),
    (
        "PAv1/parts/a/scenarios/a.yaml",
        include_str!("every/scenario.yaml"),
    ),
    (
        "PAv1/parts/a/grading/a.yaml",
        include_str!("every/rubric.yaml"),
    ),
    (
        "PAv1/parts/a/reports/a.yaml",
        include_str!("every/report.yaml"),
    ),
];

const LABLET: &[(&str, &str)] = &[
    ("PAv1/manifest.yaml", include_str!("every/lablet.yaml")),
    ("PAv1/lifecycle.yaml", include_str!("every/phases.yaml")),
    (
        "PAv1/connectors.yaml",
        include_str!("every/connectors.yaml"),
    ),
    ("PAv1/jobs/a.yaml", include_str!("every/job.yaml")),
    (
        "PAv1/composites/a.yaml",
        include_str!("every/composite.yaml"),
    ),
    (
        "PAv1/composites/listed.yaml",
        include_str!("every/listed.yaml"),
    ),
    ("PAv1/grading/a.yaml", include_str!("every/rubric.yaml")),
    ("PAv1/reports/a.yaml", include_str!("every/report.yaml")),
    ("PAv1/topology/ports.json", include_str!("every/ports.json")),
];

const SEED: &[(&str, &str)] = &[
    ("PAv1/manifest.yaml", include_str!("every/seed.yaml")),
    ("PAv1/lifecycle.yaml", include_str!("every/phases.yaml")),
];

const FLAT: &[(&str, &str)] = &[
    ("PAv1/manifest.yaml", include_str!("every/flat.yaml")),
    ("PAv1/lifecycle.yaml", include_str!("every/phases.yaml")),
];

/// Packages that together use every key there is.
pub(super) const PACKAGES: [&[(&str, &str)]; 4] = [SESSION, LABLET, SEED, FLAT];

/// A document as JSON.
pub(super) fn parsed(text: &str) -> Json {
    let mut sources = Sources::new();
    let file = sources.add("a.yaml", text);
    let sink = Sink::new(&sources, Options::default());
    to_json(&syntax::read(&sink, file).unwrap())
}

/// A key of a shape, by the shape's place in memory: two shapes may be called the same.
type Place = (usize, &'static str, &'static str);

fn place(shape: &'static Shape, key: &'static str) -> Place {
    (std::ptr::from_ref(shape) as usize, shape.what, key)
}

/// Every key that can be reached from a shape.
fn all(shape: &'static Shape, found: &mut BTreeSet<Place>) {
    for key in shape.keys {
        if found.insert(place(shape, key.name)) {
            all_of(&key.value, found);
        }
    }
}

fn all_of(value: &'static Value, found: &mut BTreeSet<Place>) {
    match value {
        Value::Shape(shape) => all(shape, found),
        Value::List(value)
        | Value::Items(value)
        | Value::Map(value)
        | Value::Named(_, value)
        | Value::ByWord(_, value)
        | Value::Input(value)
        | Value::Rendered(value) => all_of(value, found),
        Value::Either(values) => values.iter().for_each(|value| all_of(value, found)),
        _ => {}
    }
}

/// The keys that a document uses.
fn used(shape: &'static Shape, json: &Json, found: &mut BTreeSet<Place>) {
    for key in shape.keys {
        if let Some(value) = json.get(key.name) {
            found.insert(place(shape, key.name));
            used_of(&key.value, value, found);
        }
    }
}

fn used_of(value: &'static Value, json: &Json, found: &mut BTreeSet<Place>) {
    match value {
        Value::Shape(shape) => used(shape, json, found),
        Value::List(value) | Value::Items(value) => {
            let items = json.as_array().into_iter().flatten();
            items.for_each(|item| used_of(value, item, found));
        }
        Value::Map(value) | Value::Named(_, value) | Value::ByWord(_, value) => {
            let values = json.as_object().into_iter().flat_map(|map| map.values());
            values.for_each(|item| used_of(value, item, found));
        }
        Value::Input(value) | Value::Rendered(value) => used_of(value, json, found),
        Value::Either(values) => values.iter().for_each(|value| used_of(value, json, found)),
        _ => {}
    }
}

/// The shape that a document goes by: with its envelope, or without.
fn shapes(path: &str, json: &Json) -> Vec<(&'static Shape, Json)> {
    if path.ends_with("ports.json") {
        return vec![(&facts::PORTS, json.clone())];
    }
    let kind = KINDS.iter().find(|it| json["kind"] == it.kind);
    match kind {
        Some(kind) => vec![
            (&ENVELOPE, json.clone()),
            (kind.metadata, json["metadata"].clone()),
            (kind.spec, json["spec"].clone()),
        ],
        None if json.get("schema_version").is_some() => vec![(&manifest::SEED, json.clone())],
        None => vec![(&manifest::FLAT, json.clone())],
    }
}

/// Every key that there is.
fn all_keys() -> BTreeSet<Place> {
    let mut wanted = BTreeSet::new();
    for shape in [&ENVELOPE, &facts::PORTS, &manifest::SEED, &manifest::FLAT] {
        all(shape, &mut wanted);
    }
    for kind in KINDS {
        all(kind.metadata, &mut wanted);
        all(kind.spec, &mut wanted);
    }
    wanted
}

#[test]
fn the_page_for_language_models_names_every_kind_and_key() {
    let page = include_str!("../../../../docs/for-language-models.md");
    let kinds = KINDS.iter().map(|kind| format!("kind: {}\n", kind.kind));
    let missing: Vec<String> = kinds.filter(|it| !page.contains(it)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let is_named = |key: &str| {
        let forms = [format!("{key}:"), format!("\"{key}\":"), format!("`{key}`")];
        forms.iter().any(|it| page.contains(it))
    };
    let keys = all_keys();
    let missing: Vec<_> = keys.iter().filter(|(_, _, key)| !is_named(key)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_key_of_every_shape_is_read() {
    let wanted = all_keys();
    let mut written = BTreeSet::new();
    for package in PACKAGES {
        // Reading asks for keys, and a key that no shape has, or that nobody asks for, fails here.
        let (_, found) = documents(package);
        assert_eq!(found, [""; 0]);
        for (path, text) in package {
            let json = parsed(text);
            for (shape, json) in shapes(path, &json) {
                used(shape, &json, &mut written);
            }
        }
    }
    let missing: Vec<_> = wanted.difference(&written).collect();
    assert!(missing.is_empty(), "no document here uses {missing:?}");
}

#[test]
#[should_panic(expected = "has no key `nonsense` in its shape")]
#[cfg(debug_assertions)]
fn asking_for_a_key_that_the_shape_lacks_is_noticed() {
    ask(|fields| {
        fields.get("nonsense");
    });
}

#[test]
#[should_panic(expected = "nobody reads `apiVersion`")]
#[cfg(debug_assertions)]
fn a_key_that_nobody_reads_is_noticed() {
    ask(|_| ());
}

#[cfg(debug_assertions)]
fn ask(ask: impl FnOnce(&crate::decode::Fields<'_, '_, '_>)) {
    let mut sources = Sources::new();
    let file = sources.add("a.yaml", "kind: x\n");
    let sink = Sink::new(&sources, Options::default());
    let node = syntax::read(&sink, file).unwrap();
    let fields = crate::decode::Fields::open(&sink, &node, &ENVELOPE).unwrap();
    ask(&fields);
    fields.close();
}
