//! Which of what expressions see is secret.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use se_dsl::Checked;
use se_dsl::expr::{Limits, Root, Template};
use se_runtime::event::FrozenScopes;
use se_runtime::{Secret, Vault};
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::fields::spell;
use crate::tasks::Tasks;

/// What computing all passwords of a job may take.
const TOGETHER: Duration = Duration::from_secs(1);
/// What is shorter may stand in a password by chance.
const SHORTEST_PART: usize = 3;

/// Parts of names that say that what is under them is secret.
const SECRET_NAMES: [&str; 9] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "private_key",
    "community",
    "api_key",
    "credential",
];

/// The secrets of a job.
#[derive(Debug, Default)]
pub(super) struct Secrets(BTreeSet<String>);

impl Secrets {
    /// Those that are known.
    pub(super) fn new<'a>(known: impl IntoIterator<Item = &'a Secret>) -> Self {
        let texts = known.into_iter().map(|it| it.expose().to_owned());
        Self(texts.collect())
    }

    /// Every text under a name that says it is secret; every text, if all of it is.
    pub(super) fn collect(&mut self, value: &Value, secret: bool) {
        match value {
            Value::String(text) if secret => {
                self.0.insert(text.clone());
            }
            Value::Array(all) => all.iter().for_each(|it| self.collect(it, secret)),
            Value::Object(all) => self.collect_from(all, secret),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn collect_from(&mut self, all: &Map<String, Value>, secret: bool) {
        for (key, it) in all {
            self.collect(it, secret || names_a_secret(key));
        }
    }

    /// Every text in the scopes under a name that says it is secret.
    pub(super) fn collect_named(&mut self, scopes: &FrozenScopes) {
        let parts = scopes.parts.values();
        let envs = parts.clone().map(|it| &it.runtime_env);
        for value in envs.chain([&scopes.runtime_env, &scopes.session]) {
            self.collect(value, false);
        }
        for vars in parts.map(|it| &it.vars).chain([&scopes.vars]) {
            self.collect_from(vars, false);
        }
    }

    /// To seal them with, and with what connectors log in with, whatever it is called; computing that may take its
    /// time. What is a number in the scopes becomes a text: nothing else can be sealed.
    ///
    /// # Errors
    /// [`Error::Internal`] if that broke down.
    pub(super) async fn with_logins(
        mut self,
        checked: &Arc<Checked>,
        scopes: &mut FrozenScopes,
    ) -> Result<Vault> {
        let mut is_computed = false;
        for (_, template) in passwords(checked) {
            match template.literal() {
                Some(text) => self.collect(&text, true),
                None if template.is_path() => self.collect_read(template, scopes, |_| true),
                None => is_computed = true,
            }
        }
        if !is_computed {
            return Ok(self.vault());
        }
        let (checked, mut own) = (Arc::clone(checked), std::mem::take(scopes));
        let work = move || {
            self.collect_computed(&checked, &mut own);
            (own, self.vault())
        };
        let (own, vault) = Tasks::blocking(work).await.map_err(Error::Internal)?;
        *scopes = own;
        Ok(vault)
    }

    /// Passwords that are made of something.
    fn collect_computed(&mut self, checked: &Checked, scopes: &mut FrozenScopes) {
        let limits = Limits::default().together(TOGETHER);
        let seen = scopes.seen_in(checked);
        let is_computed = |it: &Template| !it.is_path() && it.literal().is_none();
        for (place, template) in passwords(checked).filter(|(_, it)| is_computed(it)) {
            let Some(seen) = seen.get(place) else {
                continue;
            };
            let password = template.eval(seen, &limits);
            let Some(password) = password.ok().and_then(spelt) else {
                continue;
            };
            self.collect_read(template, scopes, |it| {
                it.chars().count() >= SHORTEST_PART && password.contains(it)
            });
            self.0.insert(password);
        }
    }

    /// What a password reads, as far as it is part of it.
    fn collect_read(
        &mut self,
        template: &Template,
        scopes: &mut FrozenScopes,
        is_part: impl Fn(&str) -> bool,
    ) {
        for (root, path) in template.reads().iter() {
            let read = read(scopes, root, path).into_iter();
            let parts = read.filter_map(|it| {
                let text = spelt(it.clone()).filter(|it| is_part(it))?;
                Some((text, it))
            });
            for (text, value) in parts {
                *value = Value::String(text.clone());
                self.0.insert(text);
            }
        }
    }

    /// To seal them with.
    fn vault(self) -> Vault {
        Vault::new(self.0.into_iter().map(Secret::new))
    }
}

/// The passwords of all connectors, with the number of the place that they are of: 0 is the package.
fn passwords(checked: &Checked) -> impl Iterator<Item = (usize, &Template)> {
    checked.places().enumerate().flat_map(|(place, part)| {
        let connectors = checked.content(part).connectors.iter();
        let both = connectors.flat_map(|it| [&it.password, &it.enable_password]);
        both.flatten().map(move |it| (place, it))
    })
}

/// A text, or a number as one.
fn spelt(mut value: Value) -> Option<String> {
    if value.is_number() {
        spell(&mut value);
    }
    match value {
        Value::String(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// What stands at a path, for the package and for each part.
fn read<'a>(scopes: &'a mut FrozenScopes, root: Root, path: &[String]) -> Vec<&'a mut Value> {
    let parts = scopes.parts.values_mut();
    match root {
        Root::RuntimeEnv => {
            let envs = parts.map(|it| &mut it.runtime_env);
            let envs = envs.chain([&mut scopes.runtime_env]);
            envs.filter_map(|it| below(it, path)).collect()
        }
        Root::Vars => {
            let all = parts.map(|it| &mut it.vars).chain([&mut scopes.vars]);
            let split = path.split_first();
            let one = |it: &'a mut Map<String, Value>| {
                let (first, rest) = split?;
                below(it.get_mut(first)?, rest)
            };
            all.filter_map(one).collect()
        }
        Root::Session => below(&mut scopes.session, path).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn below<'a>(value: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |it, key| it.get_mut(key))
}

/// Makes numbers texts whose names end so: nothing else can be sealed, and a password may well be digits. Where
/// a name only begins so, it is a measure (`token_ttl`).
pub(super) fn spell_secrets(value: &mut Value) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(spell_secrets),
        Value::Object(all) => spell_named(all),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

pub(super) fn spell_named(all: &mut Map<String, Value>) {
    for (key, it) in all {
        match is_a_secret(key) {
            true => spell(it),
            false => spell_secrets(it),
        }
    }
}

fn is_a_secret(key: &str) -> bool {
    let key = plain(key);
    SECRET_NAMES.iter().any(|it| key.ends_with(it))
}

fn names_a_secret(key: &str) -> bool {
    let key = plain(key);
    SECRET_NAMES.iter().any(|it| key.contains(it))
}

fn plain(key: &str) -> String {
    key.to_ascii_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use se_dsl::Sources;
    use se_runtime::Secret;
    use se_runtime::event::FrozenScopes;
    use serde_json::json;

    use super::{Secrets, spell_secrets};

    #[test]
    fn secrets_are_found_by_the_names_above_them() {
        let mut found = Secrets::default();
        let value = json!({
            "devices": {"r1": {"enable_password": "a1", "port": 5}},
            "secrets": {"x": ["b2", {"y": "c3"}]},
            "SNMP-Community": "d4",
            "title": "not one",
        });
        found.collect(&value, false);
        assert_eq!(
            found.0.into_iter().collect::<Vec<_>>(),
            ["a1", "b2", "c3", "d4"]
        );
    }

    #[tokio::test]
    async fn what_connectors_log_in_with_is_secret_whatever_it_is_called() {
        let mut sources = Sources::new();
        let manifest =
            "format_version: PAv1\nname: t\nversion: '1'\ncontent_id: t\npod_type: none\n";
        sources.add("PAv1/manifest.yaml", manifest);
        let login = "class: unix, transport: ssh, username: \"${ runtime_env.who }\"";
        let connectors = format!(
            "apiVersion: pav1\nkind: ConnectorModel\nmetadata: {{ name: t }}\nspec:\n  connectors:\n    \
             - {{ name: a, {login}, password: \"${{ runtime_env.devices.a.pw }}\" }}\n    \
             - {{ name: b, {login}, password: \"${{ vars.pin }}\", enable_password: as-it-is }}\n    \
             - {{ name: c, {login}, password: \"${{ runtime_env.devices[session.which].pw + \\\"-2\\\" }}\" }}\n"
        );
        sources.add("PAv1/connectors.yaml", connectors);
        let lifecycle = "apiVersion: pav1\nkind: Lifecycle\nmetadata: { lablet: t }\nspec:\n  phases: [{ name: main }]\n";
        sources.add("PAv1/lifecycle.yaml", lifecycle);
        let outcome = se_dsl::check(&sources, se_dsl::Options::default());
        let found = outcome.diagnostics.located(&sources);
        let checked = outcome.checked.unwrap_or_else(|| panic!("{found:#?}"));
        let env = json!({"who": "admin", "devices": {"a": {"pw": "opens", "port": 22}}});
        let mut scopes = FrozenScopes {
            runtime_env: env,
            session: json!({"which": "a"}),
            vars: json!({"pin": 4711, "other": 5})
                .as_object()
                .cloned()
                .unwrap_or_default(),
            ..FrozenScopes::default()
        };
        let checked = Arc::new(checked);
        let vault = Secrets::default().with_logins(&checked, &mut scopes);
        let vault = vault.await.unwrap();
        let all: Vec<&str> = vault.iter().map(Secret::expose).collect();
        assert_eq!(all, ["4711", "as-it-is", "opens", "opens-2"]);
        assert_eq!(json!(scopes.vars), json!({"pin": "4711", "other": 5}));
        assert_eq!(scopes.runtime_env["devices"]["a"]["port"], 22);
    }

    #[test]
    fn numbers_become_texts_under_the_names_of_secrets_only() {
        let mut value = json!({
            "devices": {"r1": {"password": 12_345_678, "port": 5}, "r2": {"token": [0, {"x": 1.5}]}},
            "secret": true, "token_ttl": 3600,
        });
        spell_secrets(&mut value);
        let spelled = json!({
            "devices": {"r1": {"password": "12345678", "port": 5}, "r2": {"token": ["0", {"x": "1.5"}]}},
            "secret": true, "token_ttl": 3600,
        });
        assert_eq!(value, spelled);
    }
}
