//! What a step does in the world: each action of the catalogue, on the pod of one job.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use se_dsl::catalog::Action;
use se_runtime::event::Map;
use se_runtime::port::Progress;
use se_runtime::{Actions, Call, Clock, Done, Fault, FaultKind, Outcome, Timestamp};
use serde_json::Value;
use tokio::time::Instant;

use crate::connect::{Connectors, Sessions};
use crate::deadline::Deadline;
use crate::device;
use crate::files::ContentFiles;
use crate::lab::power::{self, Switch};
use crate::lab::resolve::{self, LabSource, Resolved};
use crate::lab::watch::Attempt;
use crate::lab::{LabId, LabStatus, PodAdapter};
use crate::registry::Selected;
use crate::worker::Worker;

/// What a job's actions work with.
pub struct PodOptions {
    /// Where the pod is.
    pub worker: Worker,
    /// Which adapter drives it.
    pub selected: Selected,
    /// What the package's lab is made of, where it has a topology.
    pub lab: Option<LabSource>,
    /// The package's files.
    pub files: Arc<dyn ContentFiles>,
    /// The consoles, shared with the other jobs of the process.
    pub connectors: Arc<Connectors>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The actions of one job.
///
/// The adapter is made when the first step needs it: a job without lab operations runs with the
/// controller down.
pub struct PodActions {
    options: PodOptions,
    adapter: Mutex<Option<Arc<dyn PodAdapter>>>,
    sessions: Sessions,
}

impl PodActions {
    /// Contacts nothing.
    #[must_use]
    pub fn new(options: PodOptions) -> Self {
        Self {
            adapter: Mutex::new(None),
            sessions: Sessions::new(Arc::clone(&options.connectors)),
            options,
        }
    }

    /// The job's sessions on devices, with what went over them.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Leaves every device; to be called when the job has ended.
    pub async fn finish(&self, time: Duration) {
        self.sessions.close_all(Instant::now() + time).await;
    }

    /// The job's adapter.
    ///
    /// # Errors
    /// `validation` if the pod has no labs, or the worker's facts cannot be used.
    pub fn adapter(&self) -> Result<Arc<dyn PodAdapter>, Fault> {
        let mut adapter = self.adapter.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(adapter) = adapter.as_ref() {
            return Ok(Arc::clone(adapter));
        }
        let fresh = self.options.selected.adapter(&self.options.worker)?;
        *adapter = Some(Arc::clone(&fresh));
        Ok(fresh)
    }

    async fn dispatch(&self, call: &Call, progress: &dyn Progress) -> Outcome {
        // The driver drops the attempt at its timeout; it shall tell why before that.
        let margin = (call.timeout / 10).min(Duration::from_secs(1));
        let time = call.timeout.saturating_sub(margin);
        let deadline = Deadline::new(Arc::clone(&self.options.clock), time);
        match call.primitive.action {
            Action::Pause => self.pause(call).await,
            Action::Exec => device::exec(&self.sessions, call).await,
            Action::Copy => self.copy(call).await,
            Action::Collect => device::collect(&self.sessions, call).await,
            Action::BounceInterface => device::bounce(&self.sessions, call).await,
            Action::LabResolve
            | Action::LabStart
            | Action::LabStop
            | Action::Wipe
            | Action::Power
            | Action::LabCheckConvergence => {
                let adapter = self.adapter()?;
                let attempt = Attempt {
                    adapter: adapter.as_ref(),
                    progress,
                    deadline: &deadline,
                };
                let lab = self.options.lab.as_ref();
                LabCall { call, lab, attempt }.run().await
            }
            Action::EvaluateRegex | Action::Report(_) => Err(Fault::new(
                FaultKind::Validation,
                format!(
                    "{} is done by the engine, not by a pod",
                    call.primitive.id()
                ),
            )),
        }
    }

    async fn copy(&self, call: &Call) -> Outcome {
        let source = call.inputs.get("source").and_then(Value::as_str);
        let source = source.ok_or_else(|| unacceptable(call, "source", "a content file"))?;
        let path = self.options.files.locate(source).await?;
        device::copy(&self.sessions, call, &path).await
    }

    async fn pause(&self, call: &Call) -> Outcome {
        let seconds = call.inputs.get("seconds").and_then(Value::as_f64);
        let time = seconds.and_then(|it| Duration::try_from_secs_f64(it).ok());
        let time = time.ok_or_else(|| unacceptable(call, "seconds", "a number of seconds"))?;
        let end: Timestamp = self.options.clock.now().after(time);
        self.options.clock.sleep_until(end).await;
        Ok(Done::default())
    }
}

impl Actions for PodActions {
    fn call<'a>(&'a self, call: Call, progress: &'a dyn Progress) -> BoxFuture<'a, Outcome> {
        async move { self.dispatch(&call, progress).await }.boxed()
    }
}

impl fmt::Debug for PodOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PodOptions")
            .field("worker", &self.worker)
            .field("selected", &self.selected)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PodActions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PodActions").field(&self.options).finish()
    }
}

/// A step that concerns a lab.
struct LabCall<'a> {
    call: &'a Call,
    lab: Option<&'a LabSource>,
    attempt: Attempt<'a>,
}

impl LabCall<'_> {
    async fn run(&self) -> Outcome {
        match self.call.primitive.action {
            Action::LabResolve => self.resolve().await,
            Action::LabStart => self.start().await,
            Action::LabStop => self.stop().await,
            Action::Wipe => self.wipe().await,
            Action::Power => self.power().await,
            Action::LabCheckConvergence => self.check_convergence().await,
            Action::Pause
            | Action::Exec
            | Action::Copy
            | Action::Collect
            | Action::BounceInterface
            | Action::EvaluateRegex
            | Action::Report(_) => Err(Fault::new(
                FaultKind::Validation,
                format!("{} does not concern a lab", self.call.primitive.id()),
            )),
        }
    }

    async fn resolve(&self) -> Outcome {
        let force = self.call.inputs.get("force_import");
        let force = force.and_then(Value::as_bool).unwrap_or(false);
        let known = match self.named()? {
            Some(lab) => Some(lab),
            None => self.remembered()?,
        };
        let resolved = resolve::resolve(self.attempt, self.lab, known.as_ref(), force).await?;
        Ok(done(&resolved.status, |output| {
            insert(output, "freshly_imported", resolved.is_fresh);
            output.insert("nodes".to_owned(), resolved.status.nodes_value());
        }))
    }

    async fn start(&self) -> Outcome {
        let Resolved { status, is_fresh } = match self.known().await? {
            Some(status) => Resolved {
                status,
                is_fresh: false,
            },
            None => resolve::resolve(self.attempt, self.lab, None, false).await?,
        };
        let (status, polls) = power::start_lab(self.attempt, status).await?;
        Ok(done(&status, |output| {
            insert(output, "freshly_imported", is_fresh);
            insert(output, "lab_state", status.state.as_str());
            insert(output, "poll_count", polls);
            insert(output, "converged", status.is_up());
            output.insert("nodes".to_owned(), status.nodes_value());
        }))
    }

    async fn stop(&self) -> Outcome {
        let status = self.existing().await?;
        let status = power::stop_lab(self.attempt, status).await?;
        Ok(done(&status, |output| insert(output, "ok", true)))
    }

    async fn wipe(&self) -> Outcome {
        let labels = self.devices()?;
        if !labels.is_empty() {
            let status = self.existing().await?;
            power::wipe_nodes(self.attempt, status.clone(), &labels).await?;
            return Ok(done(&status, |output| insert(output, "ok", true)));
        }
        match self.wipe_all().await {
            Ok(status) => Ok(done(&status, |output| insert(output, "ok", true))),
            // A lab that is gone needs no wiping: teardown may come twice.
            Err(fault) if fault.kind == FaultKind::NotFound => {
                self.attempt.progress.report(100, "there is no lab to wipe");
                let mut output = Map::new();
                insert(&mut output, "ok", true);
                Ok(Done {
                    output,
                    learned: Map::new(),
                })
            }
            Err(fault) => Err(fault),
        }
    }

    async fn wipe_all(&self) -> Result<LabStatus, Fault> {
        let status = match self.existing().await {
            // The session's lab may have been imported again since it was learned.
            Err(fault) if fault.kind == FaultKind::NotFound && self.named()?.is_none() => {
                self.by_title().await?
            }
            other => other?,
        };
        power::wipe_lab(self.attempt, status.clone()).await?;
        Ok(status)
    }

    async fn power(&self) -> Outcome {
        let node = self.text("node")?;
        let switch = match self.text("action")? {
            "start" => Switch::Start,
            "stop" => Switch::Stop,
            _ => return Err(unacceptable(self.call, "action", "`start` or `stop`")),
        };
        let status = self.existing().await?;
        power::switch_node(self.attempt, &status, node, switch).await?;
        Ok(done(&status, |output| insert(output, "ok", true)))
    }

    async fn check_convergence(&self) -> Outcome {
        let status = self.existing().await?;
        Ok(done(&status, |output| {
            insert(output, "converged", status.is_settled());
            insert(output, "lab_state", status.state.as_str());
            output.insert("nodes".to_owned(), status.nodes_value());
        }))
    }

    /// The lab that the step or the session knows, else the one of the package's title.
    async fn existing(&self) -> Result<LabStatus, Fault> {
        match self.known().await? {
            Some(status) => Ok(status),
            None => self.by_title().await,
        }
    }

    /// The lab of the package's title and nodes.
    async fn by_title(&self) -> Result<LabStatus, Fault> {
        let source = self.lab.ok_or_else(resolve::no_topology)?;
        resolve::find(self.attempt, source).await?.ok_or_else(|| {
            let detail = format!(
                "the controller has no lab `{}` with the package's nodes: cml.lab_resolve@v1 imports \
                 it",
                source.lab_title()
            );
            Fault::new(FaultKind::NotFound, detail)
        })
    }

    /// The lab that the step or the session knows.
    async fn known(&self) -> Result<Option<LabStatus>, Fault> {
        let lab = match self.named()? {
            Some(lab) => lab,
            None => match self.remembered()? {
                Some(lab) => lab,
                None => return Ok(None),
            },
        };
        let Attempt {
            adapter, deadline, ..
        } = self.attempt;
        adapter.lab_status(&lab, deadline).await.map(Some)
    }

    /// `lab_id`, or `cml_lab_id` as the lablet-controller calls it.
    fn named(&self) -> Result<Option<LabId>, Fault> {
        let inputs = &self.call.inputs;
        let text = |key| inputs.get(key).filter(|it| !it.is_null());
        let Some(value) = text("lab_id").or_else(|| text("cml_lab_id")) else {
            return Ok(None);
        };
        let id = value.as_str().unwrap_or_default();
        LabId::parse(id).map(Some)
    }

    fn remembered(&self) -> Result<Option<LabId>, Fault> {
        let id = self.call.runtime_env.get("lab_id").and_then(Value::as_str);
        id.filter(|it| !it.is_empty()).map(LabId::parse).transpose()
    }

    fn devices(&self) -> Result<Vec<String>, Fault> {
        let labels = match self.call.inputs.get("devices") {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(labels)) => labels.iter(),
            Some(_) => return Err(unacceptable(self.call, "devices", "a list of labels")),
        };
        labels
            .map(|it| it.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(|| unacceptable(self.call, "devices", "a list of labels"))
    }

    fn text(&self, key: &str) -> Result<&str, Fault> {
        let value = self.call.inputs.get(key).and_then(Value::as_str);
        value.ok_or_else(|| unacceptable(self.call, key, "text"))
    }
}

/// What every lab step gives: the lab under both its names, and what later steps shall know.
fn done(status: &LabStatus, more: impl FnOnce(&mut Map)) -> Done {
    let mut output = Map::new();
    for (key, value) in [
        ("lab_id", status.id.as_str()),
        ("title", &status.title),
        ("cml_lab_id", status.id.as_str()),
        ("cml_lab_title", &status.title),
    ] {
        insert(&mut output, key, value);
    }
    more(&mut output);
    let mut learned = Map::new();
    insert(&mut learned, "lab_id", status.id.as_str());
    insert(&mut learned, "lab_title", status.title.as_str());
    Done { output, learned }
}

fn insert(map: &mut Map, key: &str, value: impl Into<Value>) {
    map.insert(key.to_owned(), value.into());
}

fn unacceptable(call: &Call, key: &str, wanted: &str) -> Fault {
    let found = call
        .inputs
        .get(key)
        .map_or_else(|| "is missing".to_owned(), |it| format!("is {it}"));
    let detail = format!(
        "`with.{key}` of {} {found}; it must be {wanted}",
        call.primitive.id()
    );
    Fault::new(FaultKind::Validation, detail)
}
