//! How much a request may bring: what is stored of it must be read again, and what is sent must arrive.

use serde_json::{Map, Value};

use super::{Fields, LONGEST_NAME};

/// Levels that a field of a request may nest. A stored record is read again to 127 levels; it takes five
/// of them itself and the name of a secret up to [`MOST_PARTS`], and expressions see 92.
const DEEPEST: usize = 64;

/// Parts of a secret's name: each is a level of `runtime_env`.
const MOST_PARTS: usize = 16;

/// The largest metadata, in bytes of JSON: every event of a job holds all of it.
const LARGEST_METADATA: usize = 16 << 10;

impl Fields {
    /// Notes the fields of a request that nest too deeply.
    pub(crate) fn shallow(&mut self, body: &Map<String, Value>) {
        for (key, _) in body.iter().filter(|(_, it)| !nests_within(it, DEEPEST)) {
            let message = format!("nests deeper than {DEEPEST} levels; give it flatter");
            self.wrong(&format!("/{}", token(key)), &message);
        }
    }

    /// Secrets by name, with numbers as texts: only texts are sealed. A name that is no good is left
    /// out, so that nothing is built from it.
    pub(crate) fn secrets(&mut self, body: &Map<String, Value>) -> Map<String, Value> {
        let mut secrets = self.object(body, "", "secrets");
        secrets.retain(|name, value| {
            spell(value);
            self.secret(name, value)
        });
        secrets
    }

    fn secret(&mut self, name: &str, value: &Value) -> bool {
        let (length, parts) = (name.len(), name.split('.').count());
        let (pointer, message) = if length > LONGEST_NAME {
            let message = format!("has a name of {length} bytes; give at most {LONGEST_NAME}");
            ("/secrets".to_owned(), message)
        } else if parts > MOST_PARTS {
            let message = format!("has {parts} parts between dots; give at most {MOST_PARTS}");
            (format!("/secrets/{}", token(name)), message)
        } else if holds_boolean(value) {
            let message = "holds true or false; give text or a number".to_owned();
            (format!("/secrets/{}", token(name)), message)
        } else {
            return true;
        };
        self.wrong(&pointer, &message);
        false
    }

    /// Metadata that is not too large; empty where it is missing or null.
    pub(crate) fn metadata(&mut self, body: &Map<String, Value>) -> Map<String, Value> {
        let metadata = self.object(body, "", "metadata");
        if let Some(why) = too_large(&metadata) {
            self.wrong("/metadata", &why);
        }
        metadata
    }
}

/// Why metadata cannot be echoed in every event.
pub(crate) fn too_large(metadata: &impl serde::Serialize) -> Option<String> {
    let bytes = serde_json::to_vec(metadata).map_or(usize::MAX, |it| it.len());
    (bytes > LARGEST_METADATA).then(|| {
        format!("is {bytes} bytes of JSON, which every event would hold; give at most {LARGEST_METADATA}")
    })
}

/// Whether a value nests so many levels at most.
pub(crate) fn nests_within(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(all) => levels > 0 && all.iter().all(|it| nests_within(it, levels - 1)),
        Value::Object(all) => levels > 0 && all.values().all(|it| nests_within(it, levels - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// Makes every number in a value its text.
pub(crate) fn spell(value: &mut Value) {
    match value {
        Value::Number(number) => *value = Value::String(number.to_string()),
        Value::Array(all) => all.iter_mut().for_each(spell),
        Value::Object(all) => all.values_mut().for_each(spell),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn holds_boolean(value: &Value) -> bool {
    match value {
        Value::Bool(_) => true,
        Value::Array(all) => all.iter().any(holds_boolean),
        Value::Object(all) => all.values().any(holds_boolean),
        Value::Null | Value::Number(_) | Value::String(_) => false,
    }
}

/// A key as JSON Pointers write it.
pub(crate) fn token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
