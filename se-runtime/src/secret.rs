//! Secrets: never shown, and never on disk in the clear.
//!
//! A job's secrets are known when it is taken in. Wherever one of them occurs in an event, the stored
//! event holds a placeholder; [`Vault::open_text`] puts the secret back when the log is folded, so that a
//! resumed job sees the same values, and [`mask_value`] turns placeholders into `***` for everybody else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use serde_json::Value;

/// Text that prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one who sends it to where it belongs.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Opens a placeholder; a private-use character, doubled where it occurs in device output.
const OPEN: char = '\u{F8F0}';
const CLOSE: char = '\u{F8F1}';
/// Shorter secrets are replaced only where they are the whole text: `a` would be everywhere.
const SHORTEST_INSIDE: usize = 3;
/// Of secrets of several lines, such as private keys, each line that is longer is one: devices print them line by line.
const SHORTEST_LINE: usize = 8;
/// What keys begin and end with, which is in every key.
const FRAME: &str = "-----";

/// The secrets of one job.
#[derive(Clone, Default)]
pub struct Vault {
    /// In an order that depends on the values only; placeholders are indices into it.
    secrets: Vec<Secret>,
    /// The same, longest first: a secret that contains another is found first.
    by_length: Vec<usize>,
}

impl Vault {
    /// From the secrets of a job, in an order that must be the same whenever the job is loaded.
    /// Empty texts and repetitions do not count. Behind them come the lines of those that have several.
    ///
    /// # Example
    /// ```
    /// use se_runtime::{Secret, Vault};
    /// let vault = Vault::new([Secret::new("-----BEGIN KEY-----\nMIIEvQIBADAN\n-----END KEY-----")]);
    /// assert_eq!(vault.mask_text("2: MIIEvQIBADAN\r\n"), "2: ***\r\n");
    /// ```
    #[must_use]
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let given: Vec<Secret> = secrets.into_iter().collect();
        let mut seen = BTreeSet::new();
        let lines = given.iter().flat_map(|it| lines(&it.0));
        let texts = given.iter().map(|it| it.0.as_str()).chain(lines);
        let texts = texts.filter(|it| !it.is_empty() && seen.insert(*it));
        let all: Vec<Secret> = texts.map(Secret::new).collect();
        let mut by_length: Vec<usize> = (0..all.len()).collect();
        by_length.sort_by_key(|at| std::cmp::Reverse(all.get(*at).map_or(0, |it| it.0.len())));
        Self {
            secrets: all,
            by_length,
        }
    }

    /// The secrets, in the order given, then lines of them.
    pub fn iter(&self) -> impl Iterator<Item = &Secret> {
        self.secrets.iter()
    }

    /// Replaces every secret in `text` by its placeholder.
    #[must_use]
    pub fn seal_text(&self, text: &str) -> String {
        let mut sealed = escape(text);
        for at in &self.by_length {
            let Some(secret) = self.secrets.get(*at) else {
                continue;
            };
            if sealed.len() < secret.0.len() {
                continue;
            }
            let secret = escape(&secret.0);
            let placeholder = format!("{OPEN}{at}{CLOSE}");
            if sealed == secret {
                return placeholder;
            }
            if secret.chars().count() >= SHORTEST_INSIDE && sealed.contains(&secret) {
                sealed = replace_outside_placeholders(&sealed, &secret, &placeholder);
            }
        }
        sealed
    }

    /// Puts the secrets back.
    #[must_use]
    pub fn open_text(&self, sealed: &str) -> String {
        expand(sealed, |number| {
            let secret = number
                .parse()
                .ok()
                .and_then(|at: usize| self.secrets.get(at));
            secret.map_or("***", |it| it.0.as_str())
        })
    }

    /// Replaces every secret in `text` by `***`.
    #[must_use]
    pub fn mask_text(&self, text: &str) -> String {
        mask_text(&self.seal_text(text))
    }

    /// Widens a range of bytes of `text` to the whole of each secret that it touches.
    #[must_use]
    pub fn widen(&self, text: &str, range: Range<usize>) -> Range<usize> {
        let long = self
            .secrets
            .iter()
            .filter(|it| it.0.chars().count() >= SHORTEST_INSIDE);
        let places: Vec<Range<usize>> = long
            .flat_map(|secret| text.match_indices(&secret.0))
            .map(|(start, found)| start..start + found.len())
            .collect();
        let mut wide = range;
        // Widening may touch a further one; each round takes one in, so this comes to an end.
        while let Some(place) = places.iter().find(|it| {
            let touches = it.start < wide.end && it.end > wide.start;
            touches && (it.start < wide.start || it.end > wide.end)
        }) {
            wide = wide.start.min(place.start)..wide.end.max(place.end);
        }
        wide
    }

    /// Seals every text in `value`, keys too.
    #[must_use]
    pub fn seal_value(&self, value: &Value) -> Value {
        map_texts(value, &|text| self.seal_text(text))
    }

    /// Opens every text in `value`.
    #[must_use]
    pub fn open_value(&self, value: &Value) -> Value {
        map_texts(value, &|text| self.open_text(text))
    }

    /// Masks every secret in `value`.
    #[must_use]
    pub fn mask_value(&self, value: &Value) -> Value {
        map_texts(value, &|text| self.mask_text(text))
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({} secrets)", self.secrets.len())
    }
}

/// Turns the placeholders of a sealed value into `***`.
#[must_use]
pub fn mask_value(sealed: &Value) -> Value {
    map_texts(sealed, &mask_text)
}

/// Turns the placeholders of a sealed text into `***`.
#[must_use]
pub fn mask_text(sealed: &str) -> String {
    expand(sealed, |_| "***")
}

/// The numbers of the placeholders in a sealed text, in their order.
#[must_use]
pub fn placeholders(sealed: &str) -> Vec<usize> {
    let found = std::cell::RefCell::new(Vec::new());
    expand(sealed, |number| {
        found.borrow_mut().extend(number.parse::<usize>().ok());
        ""
    });
    found.into_inner()
}

/// The number of the placeholder that is the whole of a sealed text.
#[must_use]
pub fn only_placeholder(sealed: &str) -> Option<usize> {
    let number = sealed.strip_prefix(OPEN)?.strip_suffix(CLOSE)?;
    number.parse().ok()
}

/// Puts secrets back that were found again after their job had ended, by the numbers of their
/// placeholders; the others become `***`.
#[must_use]
pub fn open_text_with(sealed: &str, found: &BTreeMap<usize, Secret>) -> String {
    expand(sealed, |number| {
        let secret = number.parse().ok().and_then(|at: usize| found.get(&at));
        secret.map_or("***", |it| it.0.as_str())
    })
}

/// The lines of a secret, without what surrounds them and those that anybody knows.
fn lines(secret: &str) -> impl Iterator<Item = &str> {
    let shortest = match secret.trim().contains(['\n', '\r']) {
        true => SHORTEST_LINE,
        false => SHORTEST_INSIDE,
    };
    let lines = secret.lines().map(str::trim);
    lines.filter(move |it| it.chars().count() >= shortest && !it.starts_with(FRAME))
}

fn escape(text: &str) -> String {
    if text.contains(OPEN) {
        text.replace(OPEN, &format!("{OPEN}{OPEN}"))
    } else {
        text.to_owned()
    }
}

fn expand<'a>(sealed: &str, secret: impl Fn(&str) -> &'a str) -> String {
    let mut out = String::with_capacity(sealed.len());
    let mut rest = sealed;
    while let Some((before, after)) = rest.split_once(OPEN) {
        out.push_str(before);
        if let Some(after) = after.strip_prefix(OPEN) {
            out.push(OPEN);
            rest = after;
        } else if let Some((number, after)) = after.split_once(CLOSE) {
            out.push_str(secret(number));
            rest = after;
        } else {
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

fn replace_outside_placeholders(sealed: &str, secret: &str, placeholder: &str) -> String {
    let mut out = String::with_capacity(sealed.len());
    let mut rest = sealed;
    loop {
        let next = match (rest.find(secret), rest.find(OPEN)) {
            (Some(found), Some(open)) if open < found => open,
            (Some(found), _) => {
                let (before, after) = rest.split_at(found);
                out.push_str(before);
                out.push_str(placeholder);
                rest = after.strip_prefix(secret).unwrap_or(after);
                continue;
            }
            (None, _) => break,
        };
        // A placeholder or an escape stands before the next occurrence: pass over it whole.
        let (before, after) = rest.split_at(next);
        out.push_str(before);
        let length = placeholder_length(after);
        let (whole, after) = after.split_at(length);
        out.push_str(whole);
        rest = after;
    }
    out.push_str(rest);
    out
}

fn placeholder_length(at_open: &str) -> usize {
    let open = OPEN.len_utf8();
    match at_open.get(open..) {
        Some(after) if after.starts_with(OPEN) => open * 2,
        Some(after) => after
            .find(CLOSE)
            .map_or(open, |close| open + close + CLOSE.len_utf8()),
        None => open,
    }
}

/// The same value with every text in it replaced, keys too.
#[must_use]
pub fn map_texts(value: &Value, text: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(it) => Value::String(text(it)),
        Value::Array(all) => all.iter().map(|it| map_texts(it, text)).collect(),
        Value::Object(all) => all
            .iter()
            .map(|(key, it)| (text(key), map_texts(it, text)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Secret, Vault, mask_text, only_placeholder, open_text_with, placeholders};

    fn vault(secrets: &[&str]) -> Vault {
        Vault::new(secrets.iter().map(|it| Secret::new(*it)))
    }

    #[test]
    fn sealing_hides_and_opening_restores() {
        let vault = vault(&["cisco", "cisco123", "a", "\u{F8F0}x"]);
        for text in [
            "",
            "a",
            "cisco",
            "Password: cisco123\r\n",
            "ciscocisco",
            "a cat",
            "\u{F8F0}0\u{F8F1}",
            "\u{F8F0}x and \u{F8F0}\u{F8F0}",
            "no secret at all",
        ] {
            let sealed = vault.seal_text(text);
            assert_eq!(vault.open_text(&sealed), text);
            assert!(!sealed.contains("cisco"), "{sealed}");
        }
        assert_eq!(
            mask_text(&vault.seal_text("Password: cisco123")),
            "Password: ***"
        );
        assert_eq!(vault.mask_text("a"), "***");
        assert_eq!(vault.mask_text("cat"), "cat");
    }

    #[test]
    fn lines_of_a_secret_are_secrets_behind_all_that_were_given() {
        let key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\n  Bgkqhkig \nend\n-----END PRIVATE KEY-----\n";
        let vault = vault(&[key, "pass\n", "other"]);
        let all: Vec<&str> = vault.iter().map(Secret::expose).collect();
        assert_eq!(
            all,
            [key, "pass\n", "other", "MIIEvQIBADAN", "Bgkqhkig", "pass"]
        );
        // What is stored with a job is what its placeholders count.
        let again = Vault::new(vault.iter().cloned());
        assert_eq!(again.iter().count(), 6);
        let printed = key.replace('\n', "\r\n");
        let sealed = vault.seal_text(&printed);
        assert_eq!(vault.open_text(&sealed), printed);
        let shown =
            "-----BEGIN PRIVATE KEY-----\r\n***\r\n  *** \r\nend\r\n-----END PRIVATE KEY-----\r\n";
        assert_eq!(mask_text(&sealed), shown);
        assert_eq!(vault.mask_text(key), "***");
    }

    #[test]
    fn secrets_found_again_take_the_places_of_the_erased() {
        let sealed = vault(&["alpha", "beta"]).seal_text("beta and alpha \u{F8F0}");
        assert_eq!(placeholders(&sealed), [1, 0]);
        assert_eq!(only_placeholder(&sealed), None);
        let found = BTreeMap::from([(1, Secret::new("gamma"))]);
        assert_eq!(open_text_with(&sealed, &found), "gamma and *** \u{F8F0}");
        let whole = vault(&["alpha", "beta"]).seal_text("beta");
        assert_eq!(only_placeholder(&whole), Some(1));
    }
}
