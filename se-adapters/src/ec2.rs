//! The machine that a worker runs on, at Amazon EC2: starts and stops its instance, and waits until that is so.
//!
//! EC2's query interface takes forms and answers XML; requests are signed by what object_store brings for S3.

mod query;

use std::fmt;
use std::time::Duration;

use se_runtime::port::Progress;
use se_runtime::{Fault, FaultKind, Secret};

use self::query::{Query, Trouble};
use crate::deadline::Deadline;

/// Between two looks at an instance that changes its state.
const LOOK: Duration = Duration::from_secs(2);

/// Where EC2 is, and who asks.
#[derive(Clone)]
pub struct Ec2Options {
    /// `https://ec2.<region>.amazonaws.com` where there is none.
    pub endpoint: Option<String>,
    /// The region that the instance is in.
    pub region: String,
    /// Key id.
    pub access_key_id: String,
    /// Secret of the key.
    pub secret_access_key: Secret,
    /// Of keys that are for a time only.
    pub session_token: Option<Secret>,
}

impl fmt::Debug for Ec2Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ec2Options")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

/// Instances of one region.
#[derive(Debug)]
pub struct Ec2 {
    query: Query,
}

/// What an instance is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceState {
    /// It is being started.
    Pending,
    /// It runs.
    Running,
    /// It is being stopped.
    Stopping,
    /// It does not run.
    Stopped,
    /// It is being removed, or gone.
    Terminated,
}

impl InstanceState {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "pending" => Self::Pending,
            "running" => Self::Running,
            "stopping" => Self::Stopping,
            "stopped" => Self::Stopped,
            "shutting-down" | "terminated" => Self::Terminated,
            _ => return None,
        })
    }

    /// As EC2 says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Terminated => "terminated",
        }
    }
}

impl Ec2 {
    /// Contacts nothing.
    ///
    /// # Errors
    /// `validation` if the endpoint is no address.
    pub fn new(options: Ec2Options) -> Result<Self, Fault> {
        let query = Query::new(options)?;
        Ok(Self { query })
    }

    /// What an instance is doing.
    ///
    /// # Errors
    /// `not-found` if there is no such instance, `authentication` if the key may not look at it; `communication` and
    /// `timeout` as they happen.
    pub async fn state(&self, instance: &str, deadline: &Deadline) -> Result<InstanceState, Fault> {
        let asked = self.query.ask("DescribeInstances", instance, deadline);
        let answer = asked
            .await
            .map_err(|trouble| self.fault("looking at", instance, &trouble))?;
        let state = query::state_in(&answer).and_then(|it| InstanceState::parse(&it));
        state.ok_or_else(|| {
            let detail = format!(
                "EC2 ({}): looking at `{instance}`: the answer names no state of it; check its id",
                self.query.region()
            );
            Fault::new(FaultKind::NotFound, detail)
        })
    }

    /// Starts an instance and waits until it runs. One that runs already is left alone; one that is being stopped is
    /// waited for first.
    ///
    /// # Errors
    /// As for [`Ec2::state`]; `conflict` if it is gone, or there is no room for it.
    pub async fn start(
        &self,
        instance: &str,
        progress: &dyn Progress,
        deadline: &Deadline,
    ) -> Result<(), Fault> {
        let change = Change {
            action: "StartInstances",
            doing: "starting",
            first: InstanceState::Stopped,
            last: InstanceState::Running,
        };
        self.change(&change, instance, progress, deadline).await
    }

    /// Stops an instance and waits until it does not run. One that is stopped already is left alone; one that is being
    /// started is waited for first.
    ///
    /// # Errors
    /// As for [`Ec2::start`].
    pub async fn stop(
        &self,
        instance: &str,
        progress: &dyn Progress,
        deadline: &Deadline,
    ) -> Result<(), Fault> {
        let change = Change {
            action: "StopInstances",
            doing: "stopping",
            first: InstanceState::Running,
            last: InstanceState::Stopped,
        };
        self.change(&change, instance, progress, deadline).await
    }

    /// Asks for the change when the instance is where the change begins, and waits until it is where it ends.
    async fn change(
        &self,
        change: &Change,
        instance: &str,
        progress: &dyn Progress,
        deadline: &Deadline,
    ) -> Result<(), Fault> {
        let mut asked = false;
        loop {
            let state = self.state(instance, deadline).await?;
            if state == change.last {
                progress.report(100, &format!("{instance} is {}", state.as_str()));
                return Ok(());
            }
            let percent = if asked { 50 } else { 10 };
            progress.report(percent, &format!("{instance} is {}", state.as_str()));
            if state == InstanceState::Terminated {
                let detail = format!(
                    "EC2 ({}): {} `{instance}`: it is terminated; give the worker another instance",
                    self.query.region(),
                    change.doing
                );
                return Err(Fault::new(FaultKind::Conflict, detail));
            }
            // Asked before, it may not have begun yet.
            if state == change.first && !asked {
                let answer = self.query.ask(change.action, instance, deadline).await;
                answer.map_err(|trouble| self.fault(change.doing, instance, &trouble))?;
                asked = true;
                continue;
            }
            if deadline.left() <= LOOK {
                return Err(self.too_late(change, instance, state));
            }
            deadline.pause(LOOK).await;
        }
    }

    fn too_late(&self, change: &Change, instance: &str, state: InstanceState) -> Fault {
        let detail = format!(
            "EC2 ({}): {} `{instance}`: it is still {}; raise the `timeout`, or look at it in the console",
            self.query.region(),
            change.doing,
            state.as_str()
        );
        Fault::new(FaultKind::Timeout, detail)
    }

    fn fault(&self, doing: &str, instance: &str, trouble: &Trouble) -> Fault {
        let (kind, check) = trouble.means();
        let region = self.query.region();
        let detail = format!("EC2 ({region}): {doing} `{instance}`: {trouble}; {check}");
        Fault::new(kind, detail)
    }
}

/// From one state to another.
struct Change {
    action: &'static str,
    doing: &'static str,
    first: InstanceState,
    last: InstanceState,
}
