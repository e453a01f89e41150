//! A new job that judges again what an ended one recorded, and touches no pod.

use std::collections::BTreeMap;

use se_runtime::event::{Again, FORMAT, FrozenScopes, PartScopes};
use se_runtime::secret::open_text_with;
use se_runtime::{Accepted, Event, Plan, PlanError, StepStatus, Timestamp, Vault};
use se_store::{DefinitionKey, DefinitionStatus};
use serde_json::{Map, Value, json};

use super::{Recording, continued, intake, judges};
use crate::content::{self, Package};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::fields::Fields;
use crate::jobs::regain::open_value;
use crate::jobs::{Submission, freeze, hash, take_in};

/// Takes in a job that judges the evidence of the ended job `id` with the rubric of a version.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] if the job has not ended, nothing in its phase is judged, or
/// the content is gone; [`Error::Invalid`] if the version has no such phase or no rubric in it.
pub async fn regrade(
    engine: &Engine,
    id: &str,
    body: &Map<String, Value>,
    key: Option<&str>,
) -> Result<Submission> {
    let mut fields = Fields::new();
    fields.known(body, "", &["version"]);
    let version = fields.name(body, "", "version");
    let version = fields.finish(version)?;
    let old = Recording::of(engine, id).await?;
    let before = old.package(engine).await?;
    let old_plan = before.plan(&old.accepted, |it| Error::Internal(it.to_string()));
    let old_plan = old_plan.await?;
    if !has_rubric(&old_plan) {
        return Err(Error::Conflict(format!(
            "job {id} has no rubric: nothing in it is graded; regrade a job of a phase whose steps \
             use evaluate.regex@v1 with a `ruleset`"
        )));
    }
    let chosen = Chosen::of(engine, &old, version.as_deref(), before).await?;
    let accepted = accepted(engine, &old, &chosen);
    let refused = |it: &PlanError| Error::field("/version", it.to_string());
    let plan = chosen.package.plan(&accepted, refused).await?;
    if !has_rubric(&plan) {
        let why = format!(
            "has no rubric in phase `{}`; give a version that has one",
            accepted.phase.as_deref().unwrap_or_default()
        );
        return Err(Error::field("/version", why));
    }
    let at = engine.world.clock.now();
    let brought = carried(&old, &old_plan, &plan, at)?;
    let mut intake = intake(accepted, brought, &plan, Vault::default(), at)?;
    intake.header_key = key.map(str::to_owned);
    intake.request_hash = hash(&json!({"regrade": id, "body": body}));
    take_in(engine, intake).await
}

fn has_rubric(plan: &Plan) -> bool {
    plan.steps().any(|(_, node)| node.step().rubric.is_some())
}

/// The content whose rubric judges.
struct Chosen {
    key: DefinitionKey,
    hash: String,
    package: Package,
}

impl Chosen {
    async fn of(
        engine: &Engine,
        old: &Recording,
        version: Option<&str>,
        before: Package,
    ) -> Result<Self> {
        let accepted = &old.accepted;
        let Some(version) = version else {
            return Ok(Self {
                key: DefinitionKey::new(&accepted.definition_id, &accepted.version),
                hash: accepted.content_hash.clone(),
                package: before,
            });
        };
        let key = DefinitionKey::new(&accepted.definition_id, version);
        let found = engine.store.definitions().by_version(&key).await;
        let found = match found {
            Err(se_store::Error::NotFound { .. }) => {
                let why = format!("{key} does not exist; sync it, or give another version");
                return Err(Error::field("/version", why));
            }
            other => other?,
        };
        let hash = found.content_hash.filter(|_| {
            matches!(
                found.status,
                DefinitionStatus::Ready | DefinitionStatus::Superseded | DefinitionStatus::Expired
            )
        });
        let Some(hash) = hash else {
            return Err(Error::Conflict(format!(
                "pod definition {key} is {} and has no content; sync it first",
                found.status.as_str()
            )));
        };
        let folder = content::at_hand(engine, &key, &hash).await?;
        let package = engine.packages.open(&folder).await?;
        Ok(Self { key, hash, package })
    }
}

/// The same request on the chosen content. No secret is known, and none is needed: they are `***`.
fn accepted(engine: &Engine, old: &Recording, chosen: &Chosen) -> Accepted {
    let none = BTreeMap::new();
    let before = &old.accepted;
    let open = |it: &Value| open_value(it, &none);
    let mut scenario = before.scenario.clone();
    if let Some(scenario) = &mut scenario {
        scenario.input = opened(&scenario.input);
    }
    Accepted {
        format: FORMAT,
        job_id: engine.world.ids.next(),
        version: chosen.key.version.clone(),
        content_hash: chosen.hash.clone(),
        metadata: before.metadata.as_ref().map(open),
        scenario,
        scopes: FrozenScopes {
            session: open(&before.scopes.session),
            content: freeze::content(&chosen.key, Some(&chosen.hash), &chosen.package),
            runtime_env: open(&before.scopes.runtime_env),
            vars: opened(&before.scopes.vars),
            parts: before
                .scopes
                .parts
                .iter()
                .map(|(name, part)| (name.clone(), opened_part(part)))
                .collect(),
        },
        engine_version: env!("CARGO_PKG_VERSION").to_owned(),
        origin: Some(old.origin(Again::Regrade)),
        ..before.clone()
    }
}

/// What a loop or composite consists of ended as it did; the whole of it is gone on from.
fn gone_on_from(event: Event, key: &str) -> Event {
    if event.step() == Some(key) {
        continued(event)
    } else {
        event
    }
}

fn opened_part(part: &PartScopes) -> PartScopes {
    let none = BTreeMap::new();
    PartScopes {
        content: open_value(&part.content, &none),
        runtime_env: open_value(&part.runtime_env, &none),
        vars: opened(&part.vars),
    }
}

fn opened(object: &Map<String, Value>) -> Map<String, Value> {
    let none = BTreeMap::new();
    let opened = object
        .iter()
        .map(|(key, it)| (key.clone(), open_value(it, &none)));
    opened.collect()
}

/// Every step that does not judge, as it was recorded: done, or failed and gone on from, or skipped
/// where nothing was recorded of it.
fn carried(
    old: &Recording,
    old_plan: &Plan,
    plan: &Plan,
    at: Timestamp,
) -> Result<Vec<(Timestamp, Event)>> {
    let state = old.fold(old_plan)?;
    let none = BTreeMap::new();
    let mut all = Vec::new();
    for (_, node) in plan.steps().filter(|(_, node)| !judges(node.step())) {
        let key = node.key.as_str();
        let same = old_plan
            .find(key)
            .filter(|it| old_plan.node(*it).step().uses.id() == node.step().uses.id());
        let recorded = same.is_some_and(|it| {
            matches!(
                state.step(it).status,
                StepStatus::Completed | StepStatus::Continued | StepStatus::Faulted
            )
        });
        if recorded {
            let own = old.step(key).map(|(at, event)| {
                let open = event.map_texts(&|text| open_text_with(text, &none));
                (at, gone_on_from(open, key))
            });
            all.extend(own);
        } else {
            let step = node.key.clone();
            all.push((at, Event::StepSkipped { step }));
        }
    }
    Ok(all)
}
