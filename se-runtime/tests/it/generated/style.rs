//! How a document is written: choices that change nothing of what it says.

use serde_json::Value;

/// Choices, one after the other, from one number. Of 0 each is the first: plain block style, no comments.
#[derive(Clone, Debug)]
pub(crate) struct Style {
    seed: u64,
}

impl Style {
    pub(crate) fn of(seed: u64) -> Self {
        Self { seed }
    }

    /// A number below `count`.
    pub(super) fn below(&mut self, count: usize) -> usize {
        if self.seed == 0 {
            return 0;
        }
        // xorshift64*: small, and never 0 again.
        self.seed ^= self.seed >> 12;
        self.seed ^= self.seed << 25;
        self.seed ^= self.seed >> 27;
        let mixed = self.seed.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(mixed).unwrap_or_default() % count
    }

    /// Yes once in `count` times, and never in the plain style.
    pub(super) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == count - 1
    }

    pub(super) fn shuffle<T>(&mut self, all: &mut [T]) {
        for at in (1..all.len()).rev() {
            let other = at - self.below(at + 1);
            all.swap(at, other);
        }
    }
}

/// A document as YAML.
pub(super) fn document(value: &Value, style: &mut Style) -> String {
    let mut page = Page {
        text: String::new(),
        indent: 2 + 2 * style.below(2),
        style,
    };
    if page.style.one_in(12) {
        return serde_json::to_string_pretty(value).expect("values are JSON") + "\n";
    }
    if page.style.one_in(6) {
        page.text.push_str("--- # a document\n");
    }
    page.block(value, 0, Place::Top, "");
    if page.style.one_in(8) {
        page.text.push_str("...\n");
    }
    let text = page.text;
    if style.one_in(5) {
        text.replace('\n', "\r\n")
    } else {
        text
    }
}

/// Where a block stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    /// After `key:`
    Key,
    /// After `- `
    Item,
}

struct Page<'s> {
    text: String,
    indent: usize,
    style: &'s mut Style,
}

/// Mappings whose order says something.
const ORDERED: [&str; 3] = ["capture", "parameters", "include"];

/// What stands before an entry of a flow collection.
fn separator(at: usize, first: &'static str) -> &'static str {
    if at == 0 { first } else { ", " }
}

impl Page<'_> {
    /// Begins the line of an entry; the first of an item stands on the line of its dash.
    fn begin(&mut self, at: usize, place: Place, depth: usize) {
        if at > 0 || place != Place::Item {
            self.line(depth);
        }
    }

    /// The value of a key, or an item, after what introduces it; ends its line.
    fn block(&mut self, value: &Value, depth: usize, place: Place, key: &str) {
        match value {
            Value::Object(map) if !map.is_empty() && !self.in_flow(place, depth) => {
                let mut entries: Vec<(&String, &Value)> = map.iter().collect();
                self.order(&mut entries, key);
                self.open(place);
                for (at, (key, value)) in entries.into_iter().enumerate() {
                    self.begin(at, place, depth);
                    self.entry(key, value, depth);
                }
            }
            Value::Array(items) if !items.is_empty() && !self.in_flow(place, depth) => {
                self.open(place);
                for (at, item) in items.iter().enumerate() {
                    self.begin(at, place, depth);
                    self.text.push('-');
                    self.block(item, depth + 1, Place::Item, "");
                }
            }
            Value::String(text)
                if place != Place::Top && is_literal(text) && self.style.below(3) == 0 =>
            {
                self.literal(text, depth);
            }
            other => {
                if place != Place::Top {
                    self.text.push(' ');
                }
                self.flow(other, key, false);
                self.end();
            }
        }
    }

    /// Between what introduces a block and the block.
    fn open(&mut self, place: Place) {
        match place {
            Place::Top => {}
            Place::Key => self.end(),
            Place::Item => self.text.push_str(&" ".repeat(self.indent - 1)),
        }
    }

    fn entry(&mut self, key: &str, value: &Value, depth: usize) {
        self.key(key, false);
        self.text.push(':');
        self.block(value, depth + 1, Place::Key, key);
    }

    /// A literal block: `|`, for a text of whole lines.
    fn literal(&mut self, text: &str, depth: usize) {
        self.text.push_str(" |\n");
        for line in text.lines() {
            self.text.push_str(&" ".repeat(self.indent * depth.max(1)));
            self.text.push_str(line);
            self.text.push('\n');
        }
    }

    fn line(&mut self, depth: usize) {
        if self.style.one_in(24) {
            self.text.push_str("\n# the next line: {says, more}\n");
        }
        self.text.push_str(&" ".repeat(self.indent * depth));
    }

    fn end(&mut self) {
        if self.style.one_in(24) {
            self.text.push_str("  # \"so\"");
        }
        self.text.push('\n');
    }

    fn in_flow(&mut self, place: Place, depth: usize) -> bool {
        place != Place::Top && self.style.one_in(if depth > 3 { 3 } else { 8 })
    }

    fn order(&mut self, entries: &mut [(&String, &Value)], key: &str) {
        if !ORDERED.contains(&key) && self.style.one_in(2) {
            self.style.shuffle(entries);
        }
    }

    fn flow(&mut self, value: &Value, key: &str, inside: bool) {
        match value {
            Value::Null => self.text.push_str("null"),
            Value::Bool(it) => self.text.push_str(if *it { "true" } else { "false" }),
            Value::Number(number) => self.text.push_str(&number.to_string()),
            Value::String(text) => self.scalar(text, inside),
            Value::Array(items) => {
                self.text.push('[');
                for (at, item) in items.iter().enumerate() {
                    self.text.push_str(separator(at, ""));
                    self.flow(item, "", true);
                }
                self.text.push(']');
            }
            Value::Object(map) => {
                let mut entries: Vec<(&String, &Value)> = map.iter().collect();
                self.order(&mut entries, key);
                self.text.push('{');
                for (at, (key, value)) in entries.into_iter().enumerate() {
                    self.text.push_str(separator(at, " "));
                    self.key(key, true);
                    self.text.push_str(": ");
                    self.flow(value, key, true);
                }
                self.text.push_str(" }");
            }
        }
    }

    fn key(&mut self, key: &str, inside: bool) {
        if self.style.one_in(16) {
            self.text.push_str(&double_quoted(key));
        } else {
            self.scalar_as(key, inside, 0);
        }
    }

    fn scalar(&mut self, text: &str, inside: bool) {
        let how = self.style.below(4);
        self.scalar_as(text, inside, how);
    }

    fn scalar_as(&mut self, text: &str, inside: bool, how: usize) {
        let plain = is_plain(text) || !inside && is_plain_expression(text);
        match how {
            0 | 1 if plain => self.text.push_str(text),
            2 if !text.contains(['\n', '\t']) => {
                self.text
                    .push_str(&format!("'{}'", text.replace('\'', "''")));
            }
            _ => self.text.push_str(&double_quoted(text)),
        }
    }
}

fn double_quoted(text: &str) -> String {
    serde_json::to_string(text).expect("texts are JSON")
}

/// Lines that a literal block can hold as they are.
fn is_literal(text: &str) -> bool {
    let has_end = text.ends_with('\n') && !text.ends_with("\n\n");
    has_end
        && text
            .lines()
            .all(|it| !it.is_empty() && !it.starts_with(' '))
}

/// Whether a text means itself without quotes, wherever it stands.
fn is_plain(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_ ./@-".contains(c);
    let word = matches!(
        text.to_ascii_lowercase().as_str(),
        "null" | "true" | "false" | "y" | "n" | "yes" | "no" | "on" | "off"
    );
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(fits)
        && !text.ends_with(' ')
        && !word
}

/// Whether an expression means itself without quotes, outside of brackets.
fn is_plain_expression(text: &str) -> bool {
    text.starts_with("${") && !text.contains([':', '#', '\n', '"'])
}
