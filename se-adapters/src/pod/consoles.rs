//! The consoles of the nodes of a job's lab, through its controller.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use se_runtime::port::Progress;
use se_runtime::{Clock, Fault, FaultKind};
use serde_json::Value;
use tokio::time::Instant;

use super::Controller;
use crate::connect::NodeConsoles;
use crate::deadline::Deadline;
use crate::lab::resolve::{self, LabSource};
use crate::lab::watch::Attempt;
use crate::lab::{ConsoleStream, LabId, LabStatus, NodeAt, PodAdapter};
use crate::worker::ConsoleWay;

/// Finds the node in the lab that the session knows, else in that of the package's title.
pub(super) struct LabConsoles {
    controller: Arc<Controller>,
    source: Option<LabSource>,
    clock: Arc<dyn Clock>,
    known: Mutex<Option<LabId>>,
}

impl LabConsoles {
    pub(super) fn new(
        controller: Arc<Controller>,
        source: Option<LabSource>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            controller,
            source,
            clock,
            known: Mutex::default(),
        }
    }

    /// Remembers which lab a step works on.
    pub(super) fn know(&self, runtime_env: &Value) {
        let lab = runtime_env.get("lab_id").and_then(Value::as_str);
        let lab = lab.and_then(|it| LabId::parse(it).ok());
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = lab;
    }

    async fn lab(&self, adapter: &dyn PodAdapter, deadline: &Deadline) -> Result<LabStatus, Fault> {
        let known = self.known.lock();
        let known = known.unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(lab) = known {
            return adapter.lab_status(&lab, deadline).await;
        }
        let source = self.source.as_ref().ok_or_else(resolve::no_topology)?;
        let progress = &Unheard;
        let attempt = Attempt {
            adapter,
            progress,
            deadline,
        };
        let found = resolve::find(attempt, source).await?;
        found.ok_or_else(|| {
            let detail = format!(
                "the controller has no lab `{}` with the package's nodes, so there are no consoles: \
                 cml.lab_resolve@v1 imports it",
                source.lab_title()
            );
            Fault::new(FaultKind::NotFound, detail)
        })
    }

    async fn connect(
        &self,
        label: &str,
        way: ConsoleWay,
        left: Duration,
    ) -> Result<ConsoleStream, Fault> {
        let deadline = Deadline::new(Arc::clone(&self.clock), left);
        let adapter = self.controller.adapter()?;
        let lab = self.lab(adapter.as_ref(), &deadline).await?;
        let at = NodeAt {
            lab: &lab.id,
            node: &lab.node(label)?.id,
        };
        adapter.open_console(at, way, &deadline).await
    }
}

impl NodeConsoles for LabConsoles {
    fn ways(&self) -> &[ConsoleWay] {
        &self.controller.worker.consoles
    }

    fn open<'a>(
        &'a self,
        label: &'a str,
        way: ConsoleWay,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<ConsoleStream, Fault>> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.connect(label, way, left).boxed()
    }
}

/// Progress of a step that is not about the lab.
struct Unheard;

impl Progress for Unheard {
    fn report(&self, _percent: u8, _message: &str) {}
}

impl fmt::Debug for LabConsoles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LabConsoles")
            .field(&self.controller)
            .finish()
    }
}
