//! JSON Schemas (2020-12) of every kind of document, made from the shapes that the decoders read by.
//!
//! A schema tells what can be told of one document by itself. What holds across documents (names that
//! answer, variables that were captured) is for [`crate::check`] to say. Where the language reads a
//! second spelling of something with a warning, the schema has the canonical one only; and a key with
//! nothing after it, which a decoder takes for a key that is not there, is not accepted.

mod of_shape;
mod of_step;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use self::of_shape::Definitions;
use crate::decode::shape::Shape;
use crate::document::{DocumentKind, FLAT, KINDS, PORTS, SEED};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Where schemas are said to be; nobody needs to fetch them from there.
const BASE: &str = "https://lcm.cisco.com/dsl/2.0.0/schemas/";

/// The schema that takes any document.
const ANY: &str = "pav1";

/// Every schema by its name: one for each kind of document, as `job-definition`, and `pav1` for
/// whatever kind a document says it is.
///
/// ```
/// let all = se_dsl::schema::all();
/// let job = &all["job-definition"];
/// assert_eq!(job["properties"]["kind"]["const"], "JobDefinition");
/// let steps = &job["$defs"]["job-spec"]["properties"]["steps"];
/// assert_eq!(steps["minItems"], 1);
/// ```
#[must_use]
pub fn all() -> BTreeMap<String, Value> {
    let mut all: BTreeMap<String, Value> = documents()
        .iter()
        .map(|document| (document.name(), document.schema()))
        .collect();
    all.insert(ANY.to_owned(), of_any());
    all
}

/// What a document is recognized by.
#[derive(Clone, Copy)]
enum Document {
    /// Its `kind`.
    Wrapped(&'static DocumentKind),
    /// A key that no other document has, or nothing.
    Bare {
        name: &'static str,
        key: Option<&'static str>,
        shape: &'static Shape,
    },
}

fn documents() -> Vec<Document> {
    let bare = [
        ("seed-manifest", Some("schema_version"), &SEED),
        ("flat-manifest", Some("format_version"), &FLAT),
        ("ports", None, &PORTS),
    ];
    let wrapped = KINDS.into_iter().map(Document::Wrapped);
    let bare = bare
        .into_iter()
        .map(|(name, key, shape)| Document::Bare { name, key, shape });
    wrapped.chain(bare).collect()
}

impl Document {
    /// `JobDefinition` is `job-definition`.
    fn name(self) -> String {
        let kind = match self {
            Self::Wrapped(kind) => kind.kind,
            Self::Bare { name, .. } => return name.to_owned(),
        };
        let mut name = String::new();
        for letter in kind.chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }

    /// What the document itself holds; shapes below it are put into `definitions`.
    fn object(self, definitions: &mut Definitions) -> Value {
        match self {
            Self::Wrapped(kind) => wrapped(kind, definitions),
            Self::Bare { shape, .. } => definitions.object(shape),
        }
    }

    /// The whole schema.
    fn schema(self) -> Value {
        let mut definitions = Definitions::default();
        let object = self.object(&mut definitions);
        whole(&self.name(), object, definitions.take())
    }

    /// What holds for documents of this sort only.
    fn recognized(self) -> Option<Value> {
        match self {
            Self::Wrapped(kind) => Some(json!({
                "properties": { "kind": { "const": kind.kind } },
                "required": ["kind"],
            })),
            Self::Bare { key, .. } => key.map(|key| json!({ "required": [key] })),
        }
    }
}

/// An envelope with its metadata and spec.
fn wrapped(kind: &DocumentKind, definitions: &mut Definitions) -> Value {
    let mut object = definitions.object(&crate::document::ENVELOPE);
    object["title"] = json!(kind.kind);
    object["description"] = json!(kind.doc);
    let properties = &mut object["properties"];
    properties["kind"] = json!({
        "const": kind.kind,
        "description": properties["kind"]["description"],
    });
    // In a composite a step takes the target of the step that uses it.
    definitions.in_composite(kind.kind == "CompositeScenario");
    properties["metadata"] = definitions.object(kind.metadata);
    properties["spec"] = definitions.reference(kind.spec);
    properties["spec"]["description"] = json!(kind.spec.doc);
    if kind.metadata.keys.iter().any(|key| key.required)
        && let Some(required) = object["required"].as_array_mut()
    {
        required.push(json!("metadata"));
    }
    object
}

/// A document of any kind: what it says it is decides.
fn of_any() -> Value {
    let mut definitions = Definitions::default();
    let mut cases = Vec::new();
    let mut bodies = Map::new();
    for document in documents() {
        let Some(recognized) = document.recognized() else {
            continue;
        };
        let name = document.name();
        let body = document.object(&mut definitions);
        bodies.insert(name.clone(), body);
        cases.push(json!({
            "if": recognized,
            "then": { "$ref": format!("#/$defs/{name}") },
        }));
    }
    let mut all = definitions.take();
    all.extend(bodies);
    let kinds = KINDS.map(|kind| kind.kind);
    let object = json!({
        "title": "A document of a package",
        "description": "A document of a PAv1 package, of the kind that it says it is.",
        "type": "object",
        "properties": {
            "apiVersion": { "enum": ["pav1"], "description": "The version of the format: pav1." },
            "kind": { "enum": kinds, "description": "What the document is." },
        },
        "anyOf": [
            { "required": ["kind"] },
            { "required": ["schema_version"] },
            { "required": ["format_version"] },
        ],
        "allOf": cases,
    });
    whole(ANY, object, all)
}

/// A schema with what every schema begins with, and its definitions.
fn whole(name: &str, object: Value, definitions: Map<String, Value>) -> Value {
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), json!(DIALECT));
    schema.insert("$id".to_owned(), json!(format!("{BASE}{name}.schema.json")));
    if let Value::Object(object) = object {
        schema.extend(object);
    }
    if !definitions.is_empty() {
        schema.insert("$defs".to_owned(), Value::Object(definitions));
    }
    Value::Object(schema)
}
