//! A shape as a schema.

use serde_json::{Map, Value as Json, json};

use super::of_step;
use crate::decode::shape::{Shape, Value};
use crate::document::STEP;

/// Shapes that were referred to, by name.
#[derive(Default)]
pub(super) struct Definitions {
    all: Map<String, Json>,
    is_in_composite: bool,
}

/// A text that is exactly one expression, or the element of a loop: of any type.
pub(super) const EXPRESSION: &str = r"^(\$\{[\s\S]*\}|@[A-Za-z0-9_.-]+)$";

/// What points are counted up to: hundredths in 32 bits.
const MOST_POINTS: f64 = 42_949_672.95;

impl Definitions {
    /// Whether what follows belongs to a composite.
    pub(super) fn in_composite(&mut self, yes: bool) {
        self.is_in_composite = yes;
    }

    pub(super) fn take(self) -> Map<String, Json> {
        self.all
    }

    /// A reference to a shape, which is defined if it was not yet.
    pub(super) fn reference(&mut self, shape: &'static Shape) -> Json {
        let is_step = std::ptr::eq(shape, &raw const STEP);
        let mut name = name_of(shape);
        if is_step && self.is_in_composite {
            name.push_str("-of-a-composite");
        }
        if !self.all.contains_key(&name) {
            // Its place is taken first: a shape may refer to itself.
            self.all.insert(name.clone(), Json::Null);
            let mut object = self.object(shape);
            if is_step {
                of_step::refine(&mut object, self.is_in_composite);
            }
            self.all.insert(name.clone(), object);
        }
        json!({ "$ref": format!("#/$defs/{name}") })
    }

    /// A shape itself.
    pub(super) fn object(&mut self, shape: &'static Shape) -> Json {
        let mut properties = Map::new();
        for key in shape.keys {
            let mut schema = self.value(&key.value);
            schema["description"] = json!(key.doc);
            properties.insert(key.name.to_owned(), schema);
        }
        let required = shape.keys.iter().filter(|key| key.required);
        let required: Vec<&str> = required.map(|key| key.name).collect();
        let mut object = json!({
            "title": title(shape),
            "description": shape.doc,
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": shape.is_open,
        });
        if !shape.one_of.is_empty() {
            let each = |key: &&str| json!({ "required": [key] });
            object["oneOf"] = shape.one_of.iter().map(each).collect();
        }
        object
    }

    fn value(&mut self, value: &Value) -> Json {
        match value {
            Value::Any => json!({}),
            Value::Text => json!({ "type": "string" }),
            Value::Name(pattern) => json!({ "type": "string", "pattern": pattern }),
            Value::Written => json!({ "type": ["string", "number", "boolean"] }),
            Value::WrittenName(pattern) => json!({
                "anyOf": [
                    { "type": "string", "pattern": pattern },
                    { "type": "integer", "minimum": 0 },
                    { "type": "boolean" },
                ],
            }),
            Value::Words(words) => json!({ "enum": words }),
            Value::WordsInAnyCase(words) => json!({
                "anyOf": [
                    { "enum": words },
                    { "type": "string", "pattern": in_any_case(words) },
                ],
            }),
            Value::Major(major) => json!({
                "anyOf": [
                    { "type": "string", "pattern": format!(r"^{major}(\.|$)") },
                    { "type": "number", "minimum": major, "exclusiveMaximum": major + 1 },
                ],
            }),
            Value::Boolean => json!({ "type": "boolean" }),
            Value::Whole => json!({ "type": "integer" }),
            Value::Count(least, most) => count(*least, *most),
            // Two decimals cannot be asked for: many validators divide binary fractions.
            Value::Points => json!({ "type": "number", "minimum": 0, "maximum": MOST_POINTS }),
            Value::Seconds => {
                json!({ "type": "number", "exclusiveMinimum": 0, "maximum": 366 * 86_400 })
            }
            Value::List(item) => json!({ "type": "array", "items": self.value(item) }),
            Value::Items(item) => {
                json!({ "type": "array", "items": self.value(item), "minItems": 1 })
            }
            Value::Map(item) => {
                json!({ "type": "object", "additionalProperties": self.value(item) })
            }
            Value::ByWord(words, item) => self.by_word(words, item),
            Value::Named(pattern, item) => json!({
                "type": "object",
                "patternProperties": { *pattern: self.value(item) },
                "additionalProperties": false,
            }),
            Value::Groups(groups) => of_groups(groups),
            Value::Shape(shape) => self.reference(shape),
            Value::Either(values) => {
                let each: Vec<Json> = values.iter().map(|value| self.value(value)).collect();
                json!({ "anyOf": each })
            }
            Value::Input(value) => {
                let literal = self.value(value);
                or_expression(literal)
            }
            Value::Rendered(value) => {
                json!({ "anyOf": [self.value(value), { "type": "string", "pattern": r"\$\{" }] })
            }
            Value::Uses => of_step::uses(),
            Value::With => json!({ "type": "object" }),
            Value::Capture => of_step::capture(),
        }
    }

    fn by_word(&mut self, words: &[&str], item: &Value) -> Json {
        let item = self.value(item);
        let properties: Map<String, Json> = words
            .iter()
            .map(|word| ((*word).to_owned(), item.clone()))
            .collect();
        json!({
            "type": "object",
            "properties": properties,
            "patternProperties": { in_any_case(words): item },
            "additionalProperties": false,
        })
    }
}

/// A literal of a type, or an expression that gives one. Text may hold expressions anyway.
pub(super) fn or_expression(literal: Json) -> Json {
    let is_anything = literal.as_object().is_some_and(Map::is_empty);
    let is_text = literal["type"] == "string" && literal.get("pattern").is_none();
    if is_anything || is_text {
        return literal;
    }
    json!({ "anyOf": [literal, { "type": "string", "pattern": EXPRESSION }] })
}

fn count(least: u64, most: u64) -> Json {
    let mut schema = json!({ "type": "integer", "minimum": least });
    if most < u64::MAX {
        schema["maximum"] = json!(most);
    }
    schema
}

fn of_groups(groups: &[(&str, &[&str])]) -> Json {
    let properties: Map<String, Json> = groups
        .iter()
        .map(|(group, fields)| {
            let fields = json!({ "type": "array", "items": { "enum": fields } });
            ((*group).to_owned(), fields)
        })
        .collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// Words as a regular expression that takes them in any case.
fn in_any_case(words: &[&str]) -> String {
    let any_case = |letter: char| {
        if letter.is_ascii_alphabetic() {
            let (upper, lower) = (letter.to_ascii_uppercase(), letter.to_ascii_lowercase());
            format!("[{upper}{lower}]")
        } else {
            letter.to_string()
        }
    };
    let words: Vec<String> = words
        .iter()
        .map(|word| word.chars().map(any_case).collect())
        .collect();
    format!("^({})$", words.join("|"))
}

/// `the job's spec` without its article.
fn bare(shape: &Shape) -> &str {
    let articles = ["a ", "an ", "the "];
    let stripped = articles.iter().find_map(|it| shape.what.strip_prefix(it));
    stripped.unwrap_or(shape.what).trim_matches('`')
}

fn title(shape: &Shape) -> String {
    bare(shape).replace('`', "")
}

/// A shape's name among the definitions.
fn name_of(shape: &Shape) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = title(shape).replace("'s", "").chars().map(word).collect();
    name.split('-')
        .filter(|it| !it.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}
