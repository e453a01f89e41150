//! What expressions see, fixed when a job is taken in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use se_dsl::checked::Connector;
use se_dsl::expr::Root;
use se_runtime::event::{FrozenScopes, PartScopes};
use se_runtime::{PARTS, Secret};
use se_store::{Definition, DefinitionKey};
use serde_json::{Map, Value, json};

use super::secrets::{Secrets, spell_named, spell_secrets};
use super::{JobRequest, What, worker};
use crate::config;
use crate::content::Package;
use crate::error::{Error, Result, chain};

/// The pod that a job runs on.
#[derive(Debug)]
pub(super) struct Pod<'a> {
    pub(super) definition: &'a Definition,
    pub(super) package: &'a Package,
    pub(super) worker: &'a Map<String, Value>,
    /// What earlier jobs of the session learned.
    pub(super) learned: Map<String, Value>,
    /// What they captured and this one reads, by part.
    pub(super) carried: BTreeMap<Option<usize>, Map<String, Value>>,
}

/// Scopes in the clear, with what must be sealed in them, but for what connectors log in with.
#[derive(Debug)]
pub(super) struct Frozen {
    pub(super) scopes: FrozenScopes,
    pub(super) secrets: Secrets,
}

pub(super) fn freeze(
    request: &JobRequest,
    pod: &Pod<'_>,
    secrets: &config::Secrets,
) -> Result<Frozen> {
    let mut session = pod.package.checked.session.clone();
    merge(&mut session, &Value::Object(request.session.clone()));
    if let (Value::Object(session), Some(id)) = (&mut session, &request.session_id) {
        session
            .entry("session_id")
            .or_insert_with(|| Value::from(id.as_str()));
    }
    spell_secrets(&mut session);
    let checked = &pod.package.checked;
    let known = env(request, pod, None, secrets)?;
    let mut parts = BTreeMap::new();
    for (at, part) in checked.parts.iter().enumerate() {
        let scopes = PartScopes {
            content: part_content(pod, at),
            runtime_env: env(request, pod, Some(at), secrets)?,
            vars: vars(request, pod, Some(at)),
        };
        parts.insert(part.name.clone(), scopes);
    }
    let scopes = FrozenScopes {
        session,
        content: content(
            &pod.definition.key,
            pod.definition.content_hash.as_deref(),
            pod.package,
        ),
        runtime_env: known,
        vars: vars(request, pod, None),
        parts,
    };
    let mut secrets = Secrets::default();
    secrets.collect_named(&scopes);
    secrets.collect(&Value::Object(request.secrets.clone()), true);
    if let What::Scenario { scenario, .. } = &request.what {
        secrets.collect(&Value::Object(scenario.input.clone()), false);
    }
    Ok(Frozen { scopes, secrets })
}

/// What is known about the pod of a part, or of the package: what comes later wins.
fn env(
    request: &JobRequest,
    pod: &Pod<'_>,
    part: Option<usize>,
    secrets: &config::Secrets,
) -> Result<Value> {
    let checked = &pod.package.checked;
    let content = checked.content(part);
    let mut env = content.pod_facts.clone();
    merge(&mut env, &Value::Object(worker::runtime_env(pod.worker)));
    merge(&mut env, &Value::Object(learned(pod, part)));
    merge(&mut env, &Value::Object(named(&request.secrets)));
    merge(&mut env, &Value::Object(request.runtime_env.clone()));
    spell_secrets(&mut env);
    stored(&mut env, &content.connectors, secrets)?;
    Ok(env)
}

/// What earlier jobs learned about a part's pod, or about the only one.
fn learned(pod: &Pod<'_>, part: Option<usize>) -> Map<String, Value> {
    let mut all = pod.learned.clone();
    let of_parts = all.remove(PARTS);
    let Some(part) = part else { return all };
    let name = &pod.package.checked.part(part).name;
    let own = of_parts.as_ref().and_then(|it| it.get(name));
    own.and_then(Value::as_object).cloned().unwrap_or_default()
}

/// What the session's earlier jobs captured, and over it what the request gives.
fn vars(request: &JobRequest, pod: &Pod<'_>, part: Option<usize>) -> Map<String, Value> {
    let carried = pod.carried.get(&part).cloned().unwrap_or_default();
    let mut vars = Value::Object(carried);
    merge(&mut vars, &Value::Object(request.variables.clone()));
    match vars {
        Value::Object(mut vars) => {
            spell_named(&mut vars);
            vars
        }
        _ => Map::new(),
    }
}

/// `content` in a part.
fn part_content(pod: &Pod<'_>, at: usize) -> Value {
    let (key, package) = (&pod.definition.key, pod.package);
    let hash = pod.definition.content_hash.as_deref();
    let part = package.checked.part(at);
    let mut content = content(key, hash, package);
    content["part"] = Value::from(part.name.as_str());
    content["pod_type"] = Value::from(part.pod_type.as_str());
    content["files"] = json!(part.content.files);
    content
}

pub(super) fn content(key: &DefinitionKey, hash: Option<&str>, package: &Package) -> Value {
    let checked = &package.checked;
    let form = checked.manifest.facts.get("form_fqn").cloned();
    let name = Some(checked.manifest.name.as_str()).filter(|it| !it.is_empty());
    let name = name.unwrap_or(&key.definition_id);
    json!({
        "definition_id": key.definition_id,
        "name": name,
        "form_fqn": form.unwrap_or_else(|| Value::from(name)),
        "version": key.version,
        "content_version": checked.manifest.version,
        "content_hash": hash,
        "pod_type": checked.manifest.pod_type.as_str(),
        "lab_root": "PAv1",
        "files": checked.content.files,
    })
}

/// Puts `over` over `base`: objects key by key, anything else as a whole.
pub(super) fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key.as_str()).or_insert(Value::Null), value);
            }
        }
        (base, over) => base.clone_from(over),
    }
}

/// Secrets by name: `a.b` is also the path it spells.
pub(super) fn named(secrets: &Map<String, Value>) -> Map<String, Value> {
    let mut env = Value::Object(Map::new());
    for (name, value) in secrets {
        put(
            &mut env,
            &name.split('.').collect::<Vec<_>>(),
            value.clone(),
        );
    }
    match env {
        Value::Object(env) => env,
        _ => Map::new(),
    }
}

fn put(at: &mut Value, path: &[&str], value: Value) {
    let Some((first, rest)) = path.split_first() else {
        *at = value;
        return;
    };
    if !at.is_object() {
        *at = Value::Object(Map::new());
    }
    if let Value::Object(object) = at {
        put(object.entry(*first).or_insert(Value::Null), rest, value);
    }
}

/// Adds, from the server's secrets, those that connectors read and nobody gave.
pub(super) fn stored(
    runtime_env: &mut Value,
    connectors: &[Arc<Connector>],
    config: &config::Secrets,
) -> Result<()> {
    let mut wanted: BTreeSet<Vec<String>> = BTreeSet::new();
    for connector in connectors {
        let templates = [
            &connector.username,
            &connector.password,
            &connector.enable_password,
        ];
        for template in templates.into_iter().flatten() {
            let reads = template.reads();
            let paths = reads.iter().filter(|(root, _)| *root == Root::RuntimeEnv);
            wanted.extend(paths.map(|(_, path)| path.to_vec()));
        }
    }
    wanted.retain(|path| !path.is_empty() && at(runtime_env, path).is_none_or(Value::is_null));
    if wanted.is_empty() {
        return Ok(());
    }
    let known = known(config)?;
    for path in wanted {
        if let Some(secret) = known.get(&path.join(".")) {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            put(runtime_env, &path, Value::from(secret.expose()));
        }
    }
    Ok(())
}

fn at<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |it, key| it.get(key))
}

/// The server's secrets: a later source fills what earlier ones lack.
pub(crate) fn known(config: &config::Secrets) -> Result<BTreeMap<String, Secret>> {
    let failed = |what: &std::path::Path, error: &dyn std::error::Error| {
        Error::Internal(format!(
            "cannot read the secrets in {}: {}",
            what.display(),
            chain(error)
        ))
    };
    let mut all = BTreeMap::new();
    if let Some(dir) = &config.dir {
        for entry in std::fs::read_dir(dir).map_err(|error| failed(dir, &error))? {
            let path = entry.map_err(|error| failed(dir, &error))?.path();
            // Kubernetes keeps its own bookkeeping in names that begin with a dot.
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if !name.starts_with('.') && path.is_file() {
                let text = std::fs::read_to_string(&path).map_err(|error| failed(&path, &error))?;
                all.insert(name, Secret::new(text.trim_end_matches(['\r', '\n'])));
            }
        }
    }
    if let Some(file) = &config.file {
        let text = std::fs::read_to_string(file).map_err(|error| failed(file, &error))?;
        let table: toml::Table = toml::from_str(&text).map_err(|_| {
            Error::Internal(format!(
                "{} is no TOML of names and secrets",
                file.display()
            ))
        })?;
        for (name, value) in table {
            if let toml::Value::String(text) = value {
                all.entry(name).or_insert_with(|| Secret::new(text));
            }
        }
    }
    for (name, secret) in &config.environment {
        all.entry(name.clone()).or_insert_with(|| secret.clone());
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{merge, named};

    #[test]
    fn what_comes_later_wins_key_by_key() {
        let mut base = json!({"a": {"b": 1, "c": 2}, "d": [1]});
        merge(&mut base, &json!({"a": {"b": 3}, "d": 4}));
        assert_eq!(base, json!({"a": {"b": 3, "c": 2}, "d": 4}));
    }

    #[test]
    fn names_with_dots_are_paths() {
        let secrets = json!({"devices.r1.password": "x", "plain": "y"});
        let env = named(secrets.as_object().unwrap());
        assert_eq!(
            json!(env),
            json!({"devices": {"r1": {"password": "x"}}, "plain": "y"})
        );
    }
}
