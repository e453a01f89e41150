//! The secrets of an ended job are erased. A job that goes on from it finds them again in the same
//! places: in the request, the content, the configuration or the secret store.

use std::collections::{BTreeMap, BTreeSet};

use se_runtime::Secret;
use se_runtime::secret::{map_texts, only_placeholder, open_text_with, placeholders};
use serde_json::Value;

use crate::error::Field;
use crate::fields::token;

/// Texts by the place they stand at in a request, as a JSON Pointer.
pub(super) type Texts = BTreeMap<String, String>;

/// Where the same fact of the worker stands elsewhere, and its place in a request.
const WORKER_FACTS: [(&str, &str); 8] = [
    ("/runtime_env/worker_ip", "/worker/ip"),
    ("/runtime_env/region", "/worker/region"),
    ("/runtime_env/cml_username", "/worker/cml_username"),
    ("/runtime_env/cml_password", "/worker/cml_password"),
    ("/runtime_env/cml_url", "/worker/cml_url"),
    ("/input_data/worker_ip", "/worker/ip"),
    ("/input_data/worker_cml_username", "/worker/cml_username"),
    ("/input_data/worker_cml_password", "/worker/cml_password"),
];

/// What was found again.
#[derive(Debug)]
pub(super) struct Regained {
    /// The scopes with secrets in their places.
    pub(super) scopes: Value,
    /// Secrets by the number of the placeholder that stood for them.
    pub(super) found: BTreeMap<usize, Secret>,
}

/// Every text in `value`, by its place in a request; the first of a place counts.
pub(super) fn texts(value: &Value) -> Texts {
    let mut all = Texts::new();
    each_text(value, "", &mut |place, text| {
        all.entry(in_request(place))
            .or_insert_with(|| text.to_owned());
    });
    all
}

/// Fills the sealed scopes of an ended job. Earlier sources win.
///
/// A place that was a secret as a whole is filled from the same place only: a password that happened
/// to be equal to another may have been changed alone. Where a secret stood within other text, and in
/// recorded events, the secret of its former place is put in.
///
/// # Errors
/// Every place that no source fills.
pub(super) fn regain(sealed: &Value, sources: &[&Texts]) -> Result<Regained, Vec<Field>> {
    let mut found: BTreeMap<usize, Secret> = BTreeMap::new();
    let mut missing: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    let find = |place: &str| sources.iter().find_map(|it| it.get(place));
    each_text(sealed, "", &mut |place, text| {
        if let Some(number) = only_placeholder(text) {
            let place = in_request(place);
            if let Some(secret) = find(&place) {
                found.entry(number).or_insert_with(|| Secret::new(secret));
            } else {
                missing.entry(place).or_default().insert(number);
            }
        }
    });
    let named: BTreeSet<usize> = missing.values().flatten().copied().collect();
    each_text(sealed, "", &mut |place, text| {
        let lost: BTreeSet<usize> = placeholders(text)
            .into_iter()
            .filter(|it| !found.contains_key(it) && !named.contains(it))
            .collect();
        let place = in_request(place);
        if !lost.is_empty() && find(&place).is_none() {
            missing.entry(place).or_default().extend(lost);
        }
    });
    if !missing.is_empty() {
        let fields = missing.into_keys().map(|pointer| Field {
            pointer,
            message:
                "held the text of a secret, which was erased when the job ended; give it again"
                    .to_owned(),
        });
        return Err(fields.collect());
    }
    let scopes = fill(sealed, "", &find, &found);
    Ok(Regained { scopes, found })
}

fn fill<'a>(
    sealed: &Value,
    at: &str,
    find: &impl Fn(&str) -> Option<&'a String>,
    found: &BTreeMap<usize, Secret>,
) -> Value {
    match sealed {
        Value::String(text) if placeholders(text).is_empty() => {
            Value::String(open_text_with(text, found))
        }
        Value::String(text) => {
            let again = find(&in_request(at)).cloned();
            Value::String(again.unwrap_or_else(|| open_text_with(text, found)))
        }
        Value::Array(all) => all
            .iter()
            .enumerate()
            .map(|(index, it)| fill(it, &format!("{at}/{index}"), find, found))
            .collect(),
        Value::Object(all) => all
            .iter()
            .map(|(key, it)| {
                let filled = fill(it, &format!("{at}/{}", token(key)), find, found);
                (open_text_with(key, found), filled)
            })
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => sealed.clone(),
    }
}

/// A recorded value with the secrets that were found again; the others become `***`.
pub(super) fn open_value(sealed: &Value, found: &BTreeMap<usize, Secret>) -> Value {
    map_texts(sealed, &|text| open_text_with(text, found))
}

/// The place in a request that gives the scopes this place.
fn in_request(place: &str) -> String {
    // A request tells all parts of a session the same.
    let of_part = place.strip_prefix("/parts/");
    if let Some((_, rest)) = of_part.and_then(|it| it.split_once('/')) {
        return match rest.strip_prefix("vars/") {
            Some(rest) => format!("/variables/{rest}"),
            None => in_request(&format!("/{rest}")),
        };
    }
    if let Some(rest) = place.strip_prefix("/runtime_env/worker/") {
        return format!("/worker/{rest}");
    }
    let fact = WORKER_FACTS.iter().find(|(scope, _)| *scope == place);
    fact.map_or(place, |(_, request)| request).to_owned()
}

fn each_text(value: &Value, at: &str, see: &mut dyn FnMut(&str, &str)) {
    match value {
        Value::String(text) => see(at, text),
        Value::Array(all) => {
            for (index, it) in all.iter().enumerate() {
                each_text(it, &format!("{at}/{index}"), see);
            }
        }
        Value::Object(all) => {
            for (key, it) in all {
                each_text(it, &format!("{at}/{}", token(key)), see);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use se_runtime::{Secret, Vault};
    use serde_json::json;

    use super::{open_value, regain, texts};

    #[test]
    fn each_place_is_filled_from_the_same_place_only() {
        let vault = Vault::new(["admin", "pw1"].map(Secret::new));
        let sealed = vault.seal_value(&json!({
            "runtime_env": {
                "cml_username": "admin", "cml_password": "admin",
                "worker": {"ip": "127.0.0.1", "cml_username": "admin", "cml_password": "admin"},
                "devices": {"r/1": {"password": "pw1"}}, "url": "https://u:admin@h",
            },
        }));
        let missing = regain(&sealed, &[]).unwrap_err();
        let pointers: Vec<&str> = missing.iter().map(|it| it.pointer.as_str()).collect();
        let all = [
            "/runtime_env/devices/r~11/password",
            "/worker/cml_password",
            "/worker/cml_username",
        ];
        assert_eq!(pointers, all);
        let given = texts(&json!({
            "worker": {"cml_username": "admin", "cml_password": "new"},
            "runtime_env": {"devices": {"r/1": {"password": "pw2"}}, "url": "https://h"},
        }));
        let regained = regain(&sealed, &[&given]).unwrap();
        let env = &regained.scopes["runtime_env"];
        assert_eq!(env["cml_username"], "admin");
        assert_eq!(env["worker"]["cml_password"], "new");
        assert_eq!(env["worker"]["ip"], "127.0.0.1");
        assert_eq!(env["url"], "https://h");
        let recorded = vault.seal_value(&json!({"said": "login pw1 ok"}));
        assert_eq!(
            open_value(&recorded, &regained.found),
            json!({"said": "login pw2 ok"})
        );
    }
}
