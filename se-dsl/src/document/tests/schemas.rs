//! Schemas and decoders refuse the same documents, as far as one document can tell.

use std::collections::BTreeMap;

use jsonschema::Validator;
use serde_json::{Value as Json, json};

use super::coverage::{PACKAGES, parsed};
use crate::decode::shape::{Shape, Value};
use crate::document::{ENVELOPE, FLAT, KINDS, PORTS, SEED};
use crate::source::Sources;
use crate::{Options, Severity, check, schema};

/// Codes of what one document can tell by itself.
const OF_SHAPE: &[&str] = &[
    "SE1101", "SE1102", "SE1103", "SE1104", "SE1105", "SE1106", "SE1107", "SE1113", "SE1114",
    "SE1115", "SE1202", "SE1203", "SE1204", "SE1205", "SE1206", "SE1207", "SE1210", "SE1211",
    "SE1220", "SE1502", "SE1505",
];

/// A mapping of a document: where it stands, and its shape.
type Place = (String, &'static Shape);

/// A document of a package, whose other documents stand around it.
struct Case {
    package: &'static [(&'static str, &'static str)],
    path: &'static str,
    json: Json,
    name: &'static str,
    places: Vec<Place>,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for package in PACKAGES {
        for (path, text) in package {
            let json = parsed(text);
            let mut places = Vec::new();
            let name = documented(path, &json, &mut places);
            cases.push(Case {
                package,
                path,
                json,
                name,
                places,
            });
        }
    }
    cases
}

/// The name of a document's schema, and every mapping in it.
fn documented(path: &str, json: &Json, places: &mut Vec<Place>) -> &'static str {
    let bare = [
        ("seed-manifest", "schema_version", &SEED),
        ("flat-manifest", "format_version", &FLAT),
        ("ports", "ports", &PORTS),
    ];
    for (name, key, shape) in bare {
        if json.get(key).is_some() {
            mappings(shape, json, "", places);
            return name;
        }
    }
    let kind = KINDS.iter().find(|it| json["kind"] == it.kind);
    let kind = kind.unwrap_or_else(|| panic!("{path} has a kind"));
    places.push((String::new(), &ENVELOPE));
    if let Some(metadata) = json.get("metadata") {
        mappings(kind.metadata, metadata, "/metadata", places);
    }
    mappings(kind.spec, &json["spec"], "/spec", places);
    let name = schema::all()
        .into_iter()
        .find(|(_, schema)| schema["properties"]["kind"]["const"] == kind.kind);
    name.map_or_else(
        || panic!("{} has a schema", kind.kind),
        |(name, _)| name.leak(),
    )
}

fn mappings(shape: &'static Shape, json: &Json, at: &str, found: &mut Vec<Place>) {
    found.push((at.to_owned(), shape));
    for key in shape.keys {
        if let Some(value) = json.get(key.name) {
            mappings_of(&key.value, value, &format!("{at}/{}", key.name), found);
        }
    }
}

fn mappings_of(value: &'static Value, json: &Json, at: &str, found: &mut Vec<Place>) {
    match (value, json) {
        (Value::Shape(shape), Json::Object(_)) => mappings(shape, json, at, found),
        (Value::List(item) | Value::Items(item), Json::Array(items)) => {
            for (index, json) in items.iter().enumerate() {
                mappings_of(item, json, &format!("{at}/{index}"), found);
            }
        }
        (
            Value::Map(item) | Value::Named(_, item) | Value::ByWord(_, item),
            Json::Object(values),
        ) => {
            for (name, json) in values {
                mappings_of(item, json, &format!("{at}/{name}"), found);
            }
        }
        (Value::Input(item) | Value::Rendered(item), _) => mappings_of(item, json, at, found),
        (Value::Either(values), _) => {
            for value in *values {
                mappings_of(value, json, at, found);
            }
        }
        _ => {}
    }
}

struct Schemas {
    by_name: BTreeMap<String, Validator>,
}

impl Schemas {
    fn new() -> Self {
        let of = |(name, schema): (String, Json)| {
            let valid = jsonschema::draft202012::meta::validate(&schema);
            assert!(valid.is_ok(), "{name}: {valid:?}");
            let validator = jsonschema::draft202012::new(&schema);
            (name, validator.unwrap())
        };
        Self {
            by_name: schema::all().into_iter().map(of).collect(),
        }
    }

    /// What the schema of a document, and that of any document, say: they agree.
    fn accept(&self, case: &Case, json: &Json) -> bool {
        let own = self.by_name[case.name].is_valid(json);
        if case.name != "ports" {
            let any = self.by_name["pav1"].is_valid(json);
            assert_eq!(
                own, any,
                "{} and pav1 say different things: {json:#}",
                case.name
            );
        }
        own
    }
}

/// What is wrong with a document in its package, as far as one document can tell.
fn refused(case: &Case, json: &Json) -> Vec<String> {
    let mut sources = Sources::new();
    // The rest of the package tells nothing about this document that these do not.
    let frame = ["manifest.yaml", "lifecycle.yaml"];
    let is_needed = |path: &str| {
        let is_frame = frame.iter().any(|it| path.ends_with(it));
        path == case.path || is_frame || path.contains("/parts/")
    };
    for (path, text) in case.package.iter().filter(|(path, _)| is_needed(path)) {
        let text = if *path == case.path {
            json.to_string()
        } else {
            (*text).to_owned()
        };
        sources.add(*path, text);
    }
    let outcome = check(&sources, Options::default());
    let located = outcome.diagnostics.located(&sources);
    let of_shape = located.into_iter().filter(|it| {
        it.severity == Severity::Error && it.file == case.path && OF_SHAPE.contains(&it.code)
    });
    of_shape
        .map(|it| format!("{} {}", it.code, it.message))
        .collect()
}

fn object<'j>(json: &'j mut Json, at: &str) -> &'j mut serde_json::Map<String, Json> {
    json.pointer_mut(at).and_then(Json::as_object_mut).unwrap()
}

#[test]
fn every_document_here_is_accepted() {
    let schemas = Schemas::new();
    for case in cases() {
        let errors: Vec<String> = schemas.by_name[case.name]
            .iter_errors(&case.json)
            .map(|it| format!("{it} at {}", it.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", case.path);
        assert!(schemas.accept(&case, &case.json));
        assert_eq!(refused(&case, &case.json), [""; 0], "{}", case.path);
    }
}

#[test]
fn one_key_too_many_is_refused_by_both() {
    let schemas = Schemas::new();
    for case in cases() {
        for (at, shape) in &case.places {
            let mut json = case.json.clone();
            object(&mut json, at).insert("zzzzzz".to_owned(), json!(1));
            let (place, found) = (format!("{}{at}", case.path), refused(&case, &json));
            assert_eq!(schemas.accept(&case, &json), shape.is_open, "{place}");
            assert_eq!(found.is_empty(), shape.is_open, "{place}: {found:?}");
        }
    }
}

/// Every key of every mapping of every document.
fn keys(cases: &[Case]) -> impl Iterator<Item = (&Case, &str, &'static str)> {
    cases.iter().flat_map(|case| {
        let places = case.places.iter();
        places.flat_map(move |(at, shape)| shape.names().map(move |key| (case, at.as_str(), key)))
    })
}

#[test]
fn one_key_too_few_is_refused_by_both() {
    let schemas = Schemas::new();
    for (case, at, key) in keys(&cases()) {
        let mut json = case.json.clone();
        if object(&mut json, at).shift_remove(key).is_some() {
            compare(&schemas, case, &json, &format!("{at} without {key}"));
        }
    }
}

#[test]
fn values_of_another_type_are_refused_by_both() {
    let schemas = Schemas::new();
    let values = [
        json!({}),
        json!([]),
        json!([{}]),
        json!(["text"]),
        json!([1]),
        json!("text"),
        json!("Text, and more."),
        json!("a..b"),
        json!("${ vars.x }"),
        json!("a ${ vars.x }"),
        json!(1),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1_000_000_000),
        json!(true),
    ];
    for (case, at, key) in keys(&cases()) {
        for value in &values {
            let mut json = case.json.clone();
            object(&mut json, at).insert(key.to_owned(), value.clone());
            compare(&schemas, case, &json, &format!("{at}/{key} = {value}"));
        }
    }
}

/// A mistake that only one of the two can tell.
const ONLY_ONE: &[(&str, &str, &str)] = &[
    // A built-in job that needs a rubric.
    (
        "lifecycle",
        " without rubric",
        "SE1102 `grade_item@v1` has no",
    ),
    // How keys of one mapping fit together: the default, the enum and the type of a parameter.
    (
        "composite-scenario",
        "/default = ",
        "SE1101 a default must be ",
    ),
    (
        "composite-scenario",
        "/default = ",
        "SE1104 a default cannot be ",
    ),
    (
        "composite-scenario",
        "/enum = ",
        "SE1101 a value of the enum must be ",
    ),
    (
        "composite-scenario",
        "/enum = ",
        "SE1104 a default cannot be ",
    ),
];

fn compare(schemas: &Schemas, case: &Case, json: &Json, what: &str) {
    let found = refused(case, json);
    let accepted = schemas.accept(case, json);
    if accepted == found.is_empty() {
        return;
    }
    let is_known = ONLY_ONE.iter().any(|(name, place, finding)| {
        let told = found.first().map_or("", String::as_str);
        case.name == *name
            && what.contains(place)
            && told.starts_with(finding)
            && accepted != finding.is_empty()
    });
    assert!(
        is_known,
        "{}{what}: the schema accepts it: {accepted}; the check says {found:?}",
        case.path
    );
}
