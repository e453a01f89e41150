//! A new job that resumes after the last completed step of one that failed or was cancelled.

use se_runtime::event::{Again, FORMAT, FrozenScopes};
use se_runtime::secret::open_text_with;
use se_runtime::{Accepted, Event, JobStatus, Plan, StepIndex, Timestamp};
use serde_json::{Map, Value, json};

use super::{Recording, ended_well, intake};
use crate::content::Package;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::fields::{Fields, too_large};
use crate::jobs::regain::{self, Regained, Texts};
use crate::jobs::secrets::{self, Secrets};
use crate::jobs::{Submission, freeze, hash, take_in, worker};

const KNOWN: &[&str] = &[
    "worker",
    "runtime_env",
    "secrets",
    "session",
    "variables",
    "input_data",
    "callback_url",
    "metadata",
];

/// What is given again, or otherwise.
struct Changes {
    worker: Map<String, Value>,
    secrets: Map<String, Value>,
    metadata: Option<Value>,
    callback_url: Option<String>,
    /// The scopes it changes, in their shape.
    scopes: Value,
}

impl Changes {
    fn read(body: &Map<String, Value>) -> Result<Self> {
        let mut fields = Fields::new();
        fields.known(body, "", KNOWN);
        fields.shallow(body);
        let worker = worker::read(&mut fields, body);
        let secrets = fields.secrets(body);
        let callback_url = fields.callback_url(body);
        fields.metadata(body);
        let mut runtime_env = Value::Object(worker::runtime_env(&worker));
        freeze::merge(&mut runtime_env, &json!(freeze::named(&secrets)));
        let own = fields.object(body, "", "runtime_env");
        freeze::merge(&mut runtime_env, &Value::Object(own));
        let mut scopes = json!({
            "runtime_env": runtime_env,
            "session": fields.object(body, "", "session"),
            "variables": fields.object(body, "", "variables"),
            "input_data": fields.object(body, "", "input_data"),
        });
        secrets::spell_secrets(&mut scopes);
        let metadata = body.get("metadata").filter(|it| !it.is_null()).cloned();
        fields.finish(Self {
            worker,
            secrets,
            metadata,
            callback_url,
            scopes,
        })
    }
}

/// Takes in a job that does what the ended job `id` did not do.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] if the job has not ended or has completed, or its content is
/// gone; [`Error::Invalid`] names the secrets that must be given again.
pub async fn retry(
    engine: &Engine,
    id: &str,
    body: &Map<String, Value>,
    key: Option<&str>,
) -> Result<Submission> {
    let changes = Changes::read(body)?;
    let old = Recording::of(engine, id).await?;
    if old.job.summary.status == JobStatus::Completed {
        return Err(Error::Conflict(format!(
            "job {id} has completed: there is nothing left to do; submit a new job to run it all \
             again, or POST /api/v1/jobs/{id}/regrade to judge its evidence again"
        )));
    }
    let package = old.package(engine).await?;
    let sealed = sealed_scopes(&old.accepted);
    let own = own(engine, &old, &changes, &package)?;
    let stored = stored(engine)?;
    let given = regain::texts(&changes.scopes);
    let Regained { mut scopes, found } = regain::regain(&sealed, &[&given, &own, &stored])
        .map_err(|fields| Error::Invalid { fields })?;
    freeze::merge(&mut scopes, &changes.scopes);
    let changed = json!({
        "runtime_env": changes.scopes["runtime_env"],
        "vars": changes.scopes["variables"],
    });
    for (_, part) in scopes["parts"].as_object_mut().into_iter().flatten() {
        freeze::merge(part, &changed);
    }
    spell_scopes(&mut scopes);
    let mut secrets = Secrets::new(found.values());
    secrets.collect(&scopes, false);
    secrets.collect(&Value::Object(changes.secrets.clone()), true);
    let mut accepted = accepted(engine, &old, &changes, scopes, |it| {
        regain::open_value(it, &found)
    })?;
    let vault = secrets
        .with_logins(&package.checked, &mut accepted.scopes)
        .await?;
    let wanted = worker::of(&accepted.scopes.runtime_env)?;
    let pod_type = package.checked.manifest.pod_type;
    engine
        .registry
        .select(pod_type, wanted.adapter.as_deref(), &wanted.capabilities)
        .map_err(|error| Error::Conflict(error.to_string()))?;
    let plan = package.plan(&accepted, |it| Error::Internal(it.to_string()));
    let plan = plan.await?;
    let done = carried(&old, &plan)?
        .into_iter()
        .map(|(at, event)| (at, event.map_texts(&|text| open_text_with(text, &found))));
    let key_of_worker = accepted.scopes.runtime_env.get("worker");
    let key_of_worker = key_of_worker
        .and_then(Value::as_object)
        .and_then(worker::key)
        .map(str::to_owned);
    let correlation = changes.metadata.as_ref().and_then(correlation);
    let before = old.accepted.metadata.as_ref().and_then(self::correlation);
    let correlation = correlation.filter(|it| before.as_ref() != Some(it));
    let mut intake = intake(
        accepted,
        done.collect(),
        &plan,
        vault,
        engine.world.clock.now(),
    )?;
    intake.worker = key_of_worker;
    intake.header_key = key.map(str::to_owned);
    intake.correlation = correlation;
    intake.request_hash = hash(&json!({"retry": id, "body": body}));
    take_in(engine, intake).await
}

/// Every scope of a request under its name there.
fn sealed_scopes(accepted: &Accepted) -> Value {
    let scopes = &accepted.scopes;
    json!({
        "runtime_env": scopes.runtime_env,
        "session": scopes.session,
        "variables": scopes.vars,
        "parts": scopes.parts,
        "input_data": accepted.scenario.as_ref().map(|it| &it.input),
    })
}

/// What former versions left as numbers. The names of parts say nothing of secrets.
fn spell_scopes(scopes: &mut Value) {
    for (name, of_all) in scopes.as_object_mut().into_iter().flatten() {
        match of_all {
            Value::Object(parts) if name == "parts" => {
                parts.values_mut().for_each(secrets::spell_secrets);
            }
            other => secrets::spell_secrets(other),
        }
    }
}

/// What content and configuration know.
fn own(engine: &Engine, old: &Recording, changes: &Changes, package: &Package) -> Result<Texts> {
    let worker = old.accepted.scopes.runtime_env.get("worker");
    let mut worker = worker
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    worker.extend(changes.worker.clone());
    worker.retain(|_, it| {
        it.as_str()
            .is_none_or(|it| se_runtime::secret::placeholders(it).is_empty())
    });
    worker::configured(&engine.config, &mut worker);
    let mut runtime_env = json!(worker::runtime_env(&worker));
    let checked = &package.checked;
    for part in checked.places() {
        let content = checked.content(part);
        freeze::merge(&mut runtime_env, &content.pod_facts);
        freeze::stored(
            &mut runtime_env,
            &content.connectors,
            &engine.config.secrets,
        )?;
    }
    let session = &package.checked.session;
    let mut own = json!({"runtime_env": runtime_env, "session": session});
    secrets::spell_secrets(&mut own);
    Ok(regain::texts(&own))
}

/// What the secret store has, by names with dots as paths.
fn stored(engine: &Engine) -> Result<Texts> {
    let known = freeze::known(&engine.config.secrets)?.into_iter();
    let known = known.map(|(name, secret)| (name, Value::from(secret.expose())));
    let named = freeze::named(&known.collect());
    Ok(regain::texts(&json!({"runtime_env": named})))
}

/// The same request, with what was changed.
fn accepted(
    engine: &Engine,
    old: &Recording,
    changes: &Changes,
    mut scopes: Value,
    open: impl Fn(&Value) -> Value,
) -> Result<Accepted> {
    let object = |it: Value| match it {
        Value::Object(it) => it,
        _ => Map::new(),
    };
    let before = &old.accepted;
    let mut metadata = before.metadata.as_ref().map(&open);
    if let Some(changed) = &changes.metadata {
        let merged = metadata.get_or_insert(Value::Null);
        freeze::merge(merged, changed);
        if let Some(why) = too_large(merged) {
            return Err(Error::field(
                "/metadata",
                format!("together with the job's own, {why}"),
            ));
        }
    }
    let mut scenario = before.scenario.clone();
    if let Some(scenario) = &mut scenario {
        scenario.input = object(scopes["input_data"].take());
    }
    let callback_url = changes.callback_url.clone();
    let parts = serde_json::from_value(scopes["parts"].take())
        .map_err(|error| Error::Internal(format!("the scopes of the parts: {error}")))?;
    Ok(Accepted {
        format: FORMAT,
        job_id: engine.world.ids.next(),
        callback_url: callback_url.or_else(|| before.callback_url.clone()),
        metadata,
        scenario,
        scopes: FrozenScopes {
            session: scopes["session"].take(),
            content: open(&before.scopes.content),
            runtime_env: scopes["runtime_env"].take(),
            vars: object(scopes["variables"].take()),
            parts,
        },
        engine_version: env!("CARGO_PKG_VERSION").to_owned(),
        origin: Some(old.origin(Again::Retry)),
        ..before.clone()
    })
}

/// Everything recorded of the steps that ended well, in its order.
fn carried(old: &Recording, plan: &Plan) -> Result<Vec<(Timestamp, Event)>> {
    let state = old.fold(plan)?;
    let well = |key: &str| {
        let step = plan.find(key).map(|it| state.step(it).status);
        step.is_some_and(ended_well)
    };
    let records = old.records.iter();
    let outermost = |it: &Event| it.step().map(StepIndex::outermost).is_some_and(well);
    let done = records.filter(|it| outermost(&it.event));
    Ok(done.map(|it| (it.at, it.event.clone())).collect())
}

fn correlation(metadata: &Value) -> Option<String> {
    let id = metadata.get("step_correlation_id")?.as_str()?;
    Some(id.to_owned()).filter(|it| !it.is_empty())
}
