//! What a step does in the world: each action of the catalogue, on the pod of one job.

mod consoles;
mod lab;
mod ports;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use se_dsl::catalog::Action;
use se_runtime::port::Progress;
use se_runtime::{Actions, Call, Clock, Done, Fault, FaultKind, Outcome, Timestamp};
use serde_json::Value;
use tokio::time::Instant;

use crate::connect::{Connectors, NodeConsoles, Sessions};
use crate::deadline::Deadline;
use crate::device;
use crate::files::ContentFiles;
use crate::lab::PodAdapter;
use crate::lab::resolve::LabSource;
use crate::lab::watch::Attempt;
use crate::lds::Lds;
use crate::ports::PodPorts;
use crate::registry::Selected;
use crate::worker::Worker;
use consoles::LabConsoles;
use lab::LabCall;
use ports::PortCall;

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
    /// The worker's ports.
    pub ports: PodPorts,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The actions of one job.
///
/// The adapter is made when the first step needs it: a job without lab operations runs with the
/// controller down.
pub struct PodActions {
    options: PodOptions,
    adapter: Arc<Controller>,
    lab: Arc<LabConsoles>,
    sessions: Sessions,
    lds: Lds,
}

/// The adapter of a job, made when it is first needed.
#[derive(Debug)]
struct Controller {
    worker: Worker,
    selected: Selected,
    adapter: Mutex<Option<Arc<dyn PodAdapter>>>,
}

impl Controller {
    fn adapter(&self) -> Result<Arc<dyn PodAdapter>, Fault> {
        let mut adapter = self.adapter.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(adapter) = adapter.as_ref() {
            return Ok(Arc::clone(adapter));
        }
        let fresh = self.selected.adapter(&self.worker)?;
        *adapter = Some(Arc::clone(&fresh));
        Ok(fresh)
    }
}

impl PodActions {
    /// Contacts nothing.
    #[must_use]
    pub fn new(options: PodOptions) -> Self {
        let adapter = Arc::new(Controller {
            worker: options.worker.clone(),
            selected: options.selected,
            adapter: Mutex::new(None),
        });
        let (source, clock) = (options.lab.clone(), Arc::clone(&options.clock));
        let lab = Arc::new(LabConsoles::new(Arc::clone(&adapter), source, clock));
        let nodes: Arc<dyn NodeConsoles> = Arc::<LabConsoles>::clone(&lab);
        Self {
            adapter,
            lab,
            sessions: Sessions::new(Arc::clone(&options.connectors)).with_nodes(nodes),
            options,
            lds: Lds::default(),
        }
    }

    /// With what it takes to show the pod to a candidate.
    #[must_use]
    pub fn with_lds(mut self, lds: Lds) -> Self {
        self.lds = lds;
        self
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
        self.adapter.adapter()
    }

    async fn dispatch(&self, call: &Call, progress: &dyn Progress) -> Outcome {
        // The driver drops the attempt at its timeout; it shall tell why before that.
        let margin = (call.timeout / 10).min(Duration::from_secs(1));
        let time = call.timeout.saturating_sub(margin);
        let deadline = Deadline::new(Arc::clone(&self.options.clock), time);
        self.lab.know(&call.runtime_env);
        match call.primitive.action {
            Action::Pause => self.pause(call).await,
            Action::Exec => device::exec(&self.sessions, call).await,
            Action::Copy => self.copy(call, progress).await,
            Action::TransferFile if device::comes_from_device(call)? => {
                device::fetch(&self.sessions, call, progress).await
            }
            Action::TransferFile => self.copy(call, progress).await,
            Action::Collect => device::collect(&self.sessions, call).await,
            Action::BounceInterface => device::bounce(&self.sessions, call).await,
            Action::LdsProvision => self.lds.provision(call, progress, &deadline).await,
            Action::LdsDeregister => self.lds.deregister(call, &deadline).await,
            Action::LabResolve
            | Action::LabStart
            | Action::LabStop
            | Action::Wipe
            | Action::Power
            | Action::LabCheckConvergence
            | Action::CaptureConfigs
            | Action::TagsSync => {
                let adapter = self.adapter()?;
                let attempt = Attempt {
                    adapter: adapter.as_ref(),
                    progress,
                    deadline: &deadline,
                };
                let lab = self.options.lab.as_ref();
                let (ports, worker) = (&self.options.ports, self.options.worker.ip.as_str());
                let ports = PortCall {
                    call,
                    ports,
                    worker,
                };
                LabCall {
                    call,
                    lab,
                    attempt,
                    ports,
                }
                .run()
                .await
            }
            Action::PortsAlloc | Action::PortsRelease => {
                let (ports, worker) = (&self.options.ports, self.options.worker.ip.as_str());
                PortCall {
                    call,
                    ports,
                    worker,
                }
                .run()
                .await
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

    async fn copy(&self, call: &Call, progress: &dyn Progress) -> Outcome {
        let source = call.inputs.get("source").and_then(Value::as_str);
        let source = source.ok_or_else(|| unacceptable(call, "source", "a content file"))?;
        let path = self.options.files.locate(source).await?;
        device::copy(&self.sessions, call, &path, progress).await
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
