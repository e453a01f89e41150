//! The pods of a job: the package's, and one for each part of a session.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either, join_all, select};
use se_adapters::{FilesIn, LabSource, Lds, PodActions, PodOptions, PodPorts};
use se_runtime::port::Progress;
use se_runtime::{Accepted, Actions, Call, Fault, FaultKind, Outcome, Vault};
use se_store::port_holder;

use super::transcripts::{Keeper, Said};
use crate::content::Package;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::jobs::{known_secrets, worker};
use crate::ports::StoredPorts;

/// What does the effects of one job, on whichever pod they are for.
pub(super) struct Pods {
    own: PodActions,
    parts: Vec<Part>,
    keeper: Keeper,
}

struct Part {
    name: String,
    pod: PodActions,
}

/// How often it is looked, while a step runs, what its devices have said.
const LOOK: Duration = Duration::from_secs(5);
/// How long an outcome waits at most until what was said is kept: less than attempts have beyond their timeouts. The
/// store is handed it all the same.
const MOMENT: Duration = Duration::from_millis(500);

impl Pods {
    /// Contacts nothing.
    ///
    /// # Errors
    /// [`Error::Conflict`] if content and worker do not fit.
    pub(super) fn new(
        engine: &Engine,
        opened: &Accepted,
        package: &Package,
        vault: &Vault,
        said: Said,
    ) -> Result<Self> {
        let lds = lds(engine, opened, package)?;
        let actions = |part| -> Result<PodActions> {
            let options = options(engine, opened, package, part)?;
            let lds = Lds {
                host: options.worker.ip.clone(),
                region: options.worker.region.clone(),
                ..lds.clone()
            };
            Ok(PodActions::new(options).with_lds(lds))
        };
        let part = |at| {
            Ok(Part {
                name: package.checked.part(at).name.clone(),
                pod: actions(Some(at))?,
            })
        };
        let parts = 0..package.checked.parts.len();
        Ok(Self {
            own: actions(None)?,
            parts: parts.map(part).collect::<Result<_>>()?,
            keeper: Keeper::new(engine.store.clone(), &opened.job_id, vault, said),
        })
    }

    /// Logs out everywhere.
    pub(super) async fn finish(&self, within: Duration) {
        join_all(self.all().map(|(_, it)| it.finish(within))).await;
        for (part, pod) in self.all() {
            self.keeper.keep(part, pod, true).await;
        }
    }

    fn all(&self) -> impl Iterator<Item = (Option<&str>, &PodActions)> {
        let parts = self.parts.iter();
        let parts = parts.map(|it| (Some(it.name.as_str()), &it.pod));
        std::iter::once((None, &self.own)).chain(parts)
    }

    /// An attempt. What it said to devices and what they said is kept before anybody knows how it ended, and now
    /// and then while it takes long.
    async fn attempt(
        &self,
        part: Option<&str>,
        pod: &PodActions,
        call: Call,
        progress: &dyn Progress,
    ) -> Outcome {
        let keep = || self.keeper.keep(part, pod, false).boxed();
        kept(pod.call(call, progress), keep, LOOK, MOMENT).await
    }
}

/// What comes of `work`. `keep` runs beside it now and then, and once more when it has ended: for a `moment` at most, so
/// that a slow store does not make an end late.
async fn kept<'k, T>(
    mut work: BoxFuture<'_, T>,
    keep: impl Fn() -> BoxFuture<'k, ()>,
    every: Duration,
    moment: Duration,
) -> T {
    let outcome = loop {
        let look = tokio::time::sleep(every).then(|()| keep());
        if let Either::Left((outcome, _)) = select(&mut work, Box::pin(look)).await {
            break outcome;
        }
    };
    if tokio::time::timeout(moment, keep()).await.is_err() {
        tracing::debug!("what was said is not kept yet; the store has it to do");
    }
    outcome
}

impl Actions for Pods {
    fn call<'a>(&'a self, call: Call, progress: &'a dyn Progress) -> BoxFuture<'a, Outcome> {
        let pod = match call.part {
            None => Some((None, &self.own)),
            Some(at) => self
                .parts
                .get(at)
                .map(|it| (Some(it.name.as_str()), &it.pod)),
        };
        match pod {
            Some((part, pod)) => self.attempt(part, pod, call, progress).boxed(),
            None => async {
                let detail = "the content has no such part any more; sync it again";
                Err(Fault::new(FaultKind::NotFound, detail))
            }
            .boxed(),
        }
    }
}

/// Where candidates see the pod, and what is known of them.
fn lds(engine: &Engine, opened: &Accepted, package: &Package) -> Result<Lds> {
    let configured = &engine.config.lds;
    let secrets = if configured.values().all(|it| it.password.is_some()) {
        BTreeMap::new()
    } else {
        known_secrets(&engine.config.secrets)?
    };
    let services = configured
        .iter()
        .map(|(region, it)| (region.clone(), it.service(region, &secrets)));
    let form = package.checked.manifest.facts.get("form_fqn");
    let session = opened.scopes.session.as_object();
    Ok(Lds {
        services: Arc::new(services.collect()),
        form: form.and_then(|it| it.as_str().map(str::to_owned)),
        session: session.cloned().unwrap_or_default(),
        session_id: opened.session_id.clone(),
        ..Lds::default()
    })
}

fn options(
    engine: &Engine,
    opened: &Accepted,
    package: &Package,
    part: Option<usize>,
) -> Result<PodOptions> {
    let worker = worker::of(&opened.scopes.runtime_env)?;
    let checked = &package.checked;
    let selected = engine
        .registry
        .select(
            checked.pod_type(part),
            worker.adapter.as_deref(),
            &worker.capabilities,
        )
        .map_err(|error| Error::Conflict(error.to_string()))?;
    // Labs of one session on one worker are told apart by their parts.
    let session = opened.session_id.as_deref();
    let name = part.map(|at| checked.part(at).name.as_str());
    let session_id = match (session, name) {
        (Some(session), Some(part)) => Some(format!("{session} {part}")),
        (session, part) => session.or(part).map(str::to_owned),
    };
    let lab = checked.content(part).topology.as_ref();
    let lab = lab.map(|it| LabSource {
        topology: it.text.clone(),
        title: it.title.clone(),
        session_id,
    });
    Ok(PodOptions {
        worker,
        selected,
        lab,
        files: Arc::new(FilesIn::new(&package.folder)),
        connectors: Arc::clone(&engine.connectors),
        ports: PodPorts {
            book: Arc::new(StoredPorts(engine.store.clone())),
            holder: port_holder(&opened.job_id, session, name),
        },
        clock: Arc::clone(&engine.world.clock),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use tokio::sync::Notify;

    use super::kept;

    #[tokio::test]
    async fn an_attempt_goes_on_and_ends_though_nothing_can_be_kept() {
        let looks = Notify::new();
        let keep = || {
            looks.notify_one();
            std::future::pending().boxed()
        };
        // It ends only once it has been looked what was said.
        let work = looks.notified().map(|()| 7).boxed();
        let brief = Duration::from_millis(1);
        assert_eq!(kept(work, keep, brief, brief).await, 7);
    }
}
