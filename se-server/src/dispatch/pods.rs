//! The pods of a job: the package's, and one for each part of a session.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use se_adapters::{FilesIn, LabSource, Lds, PodActions, PodOptions};
use se_runtime::port::Progress;
use se_runtime::{Accepted, Actions, Call, Fault, FaultKind, Outcome};

use crate::content::Package;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::jobs::{known_secrets, worker};

/// What does the effects of one job, on whichever pod they are for.
pub(super) struct Pods {
    own: PodActions,
    parts: Vec<PodActions>,
}

impl Pods {
    /// Contacts nothing.
    ///
    /// # Errors
    /// [`Error::Conflict`] if content and worker do not fit.
    pub(super) fn new(engine: &Engine, opened: &Accepted, package: &Package) -> Result<Self> {
        let parts = (0..package.checked.parts.len()).map(Some);
        let lds = lds(engine, opened, package)?;
        let actions = |part| {
            let options = options(engine, opened, package, part)?;
            let lds = Lds {
                host: options.worker.ip.clone(),
                region: options.worker.region.clone(),
                ..lds.clone()
            };
            Ok(PodActions::new(options).with_lds(lds))
        };
        Ok(Self {
            own: actions(None)?,
            parts: parts.map(actions).collect::<Result<_>>()?,
        })
    }

    /// Logs out everywhere.
    pub(super) async fn finish(&self, within: Duration) {
        let all = std::iter::once(&self.own).chain(&self.parts);
        join_all(all.map(|it| it.finish(within))).await;
    }
}

impl Actions for Pods {
    fn call<'a>(&'a self, call: Call, progress: &'a dyn Progress) -> BoxFuture<'a, Outcome> {
        let pod = match call.part {
            None => Some(&self.own),
            Some(at) => self.parts.get(at),
        };
        match pod {
            Some(pod) => pod.call(call, progress),
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
    let session = opened.session_id.clone();
    let session_id = match part {
        None => session,
        Some(at) => {
            let name = checked.part(at).name.clone();
            Some(session.map_or_else(|| name.clone(), |it| format!("{it} {name}")))
        }
    };
    let lab = checked.content(part).topology.as_ref();
    let lab = lab.map(|it| LabSource {
        topology: it.text.clone(),
        title: it.title.clone(),
        session_id: session_id.clone(),
    });
    Ok(PodOptions {
        worker,
        selected,
        lab,
        files: Arc::new(FilesIn::new(&package.folder)),
        connectors: Arc::clone(&engine.connectors),
        clock: Arc::clone(&engine.world.clock),
    })
}
