//! Fields of a request read one by one, so that every mistake is told at once and by its place.

mod bounds;

use serde_json::{Map, Value};

use crate::config::{LONGEST_URL, is_http, nearest};
use crate::error::{Error, Field, Result};

pub(crate) use bounds::{nests_within, spell, token, too_large};

/// The longest name that a database can look things up by, in bytes: PostgreSQL takes some 2,700 into an index, for
/// all that it holds together.
pub(crate) const LONGEST_NAME: usize = 255;

/// What is wrong so far.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    wrong: Vec<Field>,
}

impl Fields {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Notes that a field cannot be used. Only the first reason is kept: what follows from it (it is
    /// missing, as it is no text) helps nobody.
    pub(crate) fn wrong(&mut self, pointer: &str, message: &str) {
        if self.wrong.iter().any(|it| it.pointer == pointer) {
            return;
        }
        self.wrong.push(Field {
            pointer: pointer.to_owned(),
            message: message.to_owned(),
        });
    }

    /// Unknown fields are passed over, as callers may know more; one that looks like a slip of the
    /// pen is not.
    pub(crate) fn known(&mut self, object: &Map<String, Value>, at: &str, known: &[&str]) {
        for key in object.keys().filter(|it| !known.contains(&it.as_str())) {
            let Some(near) = nearest(key, known.iter().copied()) else {
                continue;
            };
            let close = strsim::damerau_levenshtein(key, near) <= 2;
            if close && !object.contains_key(near) {
                self.wrong(
                    &format!("{at}/{key}"),
                    &format!("is unknown; did you mean `{near}`?"),
                );
            }
        }
    }

    /// Text that is not empty; nothing where it is missing or null.
    pub(crate) fn text(
        &mut self,
        object: &Map<String, Value>,
        at: &str,
        key: &str,
    ) -> Option<String> {
        match object.get(key)? {
            Value::Null => None,
            Value::String(text) if text.trim().is_empty() => None,
            Value::String(text) => Some(text.clone()),
            other => self.mistaken(at, key, other, "text"),
        }
    }

    /// The same, of what things are looked up by.
    pub(crate) fn name(
        &mut self,
        object: &Map<String, Value>,
        at: &str,
        key: &str,
    ) -> Option<String> {
        let name = self.text(object, at, key)?;
        self.at_most(LONGEST_NAME, &name, &format!("{at}/{key}"));
        Some(name)
    }

    /// An address that events go to.
    pub(crate) fn callback_url(&mut self, object: &Map<String, Value>) -> Option<String> {
        let at = "/callback_url";
        let url = self.text(object, "", "callback_url")?;
        if !is_http(&url) {
            self.wrong(
                at,
                "is no address, or holds a user or password; give one that begins with http:// or \
                 https:// and has neither",
            );
        }
        self.at_most(LONGEST_URL, &url, at);
        Some(url)
    }

    /// Notes that a text is too long.
    fn at_most(&mut self, most: usize, text: &str, pointer: &str) {
        let length = text.len();
        if length > most {
            let message = format!("is {length} bytes long; give at most {most}");
            self.wrong(pointer, &message);
        }
    }

    /// A true or false; false where it is missing or null.
    pub(crate) fn boolean(&mut self, object: &Map<String, Value>, at: &str, key: &str) -> bool {
        match object.get(key) {
            None | Some(Value::Null) => false,
            Some(Value::Bool(it)) => *it,
            Some(other) => self
                .mistaken(at, key, other, "true or false")
                .unwrap_or_default(),
        }
    }

    /// An object; an empty one where it is missing or null.
    pub(crate) fn object(
        &mut self,
        object: &Map<String, Value>,
        at: &str,
        key: &str,
    ) -> Map<String, Value> {
        match object.get(key) {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(it)) => it.clone(),
            Some(other) => self
                .mistaken(at, key, other, "an object")
                .unwrap_or_default(),
        }
    }

    /// A list of texts; an empty one where it is missing or null.
    pub(crate) fn texts(
        &mut self,
        object: &Map<String, Value>,
        at: &str,
        key: &str,
    ) -> Vec<String> {
        let texts = match object.get(key) {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Array(all)) => all
                .iter()
                .map(|it| it.as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>(),
            Some(_) => None,
        };
        let found = object.get(key).unwrap_or(&Value::Null);
        texts
            .or_else(|| self.mistaken(at, key, found, "a list of texts"))
            .unwrap_or_default()
    }

    /// The request, if nothing is wrong.
    pub(crate) fn finish<T>(self, read: T) -> Result<T> {
        if self.wrong.is_empty() {
            Ok(read)
        } else {
            Err(Error::Invalid { fields: self.wrong })
        }
    }

    fn mistaken<T>(&mut self, at: &str, key: &str, found: &Value, wanted: &str) -> Option<T> {
        self.wrong(
            &format!("{at}/{key}"),
            &format!("is {}; give {wanted}", kind(found)),
        );
        None
    }
}

/// The kind of a value; never the value, which may be a secret.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
