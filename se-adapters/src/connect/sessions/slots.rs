//! Places for sessions, and the right to use a console while one is there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use se_dsl::checked::Transport;
use se_runtime::{Endpoint, Fault};
use tokio::runtime::Handle;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::{ConsoleLeases, lock};
use crate::device::Device;

/// A session, and whose it is.
pub(super) struct Open {
    pub(super) job: u64,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) device: Box<dyn Device>,
}

/// The right to use a console, where other processes want to as well.
pub(super) struct Claim(Option<(Arc<dyn ConsoleLeases>, String)>);

impl Claim {
    /// Of nothing that anybody else could use.
    pub(super) fn none() -> Self {
        Self(None)
    }

    pub(super) fn new(leases: Arc<dyn ConsoleLeases>, address: String) -> Self {
        Self(Some((leases, address)))
    }

    /// Whether it is this process's now; else it is noted that it is wanted.
    pub(super) async fn take(&self, job: &str) -> Result<bool, Fault> {
        match &self.0 {
            Some((leases, address)) => leases.take(address, job).await,
            None => Ok(true),
        }
    }

    async fn leave(&self) {
        if let Some((leases, address)) = &self.0
            && let Err(fault) = leases.leave(address).await
        {
            tracing::warn!(address, %fault, "others wait for a console until this engine ends");
        }
    }
}

pub(super) type Slot = Arc<tokio::sync::Mutex<Option<Open>>>;

/// A slot that somebody works on, and the right to its console. Dropped, that is given back, whether it had been got
/// or only asked for, and then the next one gets the slot.
pub(super) struct Taken {
    slot: Option<OwnedMutexGuard<Option<Open>>>,
    claim: Claim,
}

impl Taken {
    pub(super) fn new(slot: OwnedMutexGuard<Option<Open>>, claim: Claim) -> Self {
        let slot = Some(slot);
        Self { slot, claim }
    }

    pub(super) fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Leaves a session there, with the right to its console.
    pub(super) fn keep(mut self, open: Open) {
        if let Some(mut slot) = self.slot.take() {
            *slot = Some(open);
        }
    }

    /// Lets others have the console; the slot is still taken.
    pub(super) async fn leave(&mut self) {
        self.claim.leave().await;
        self.claim = Claim::none();
    }

    /// Logs out, and lets others have the console.
    pub(super) async fn close(&mut self, open: Open, deadline: Instant) {
        open.device.close(deadline).await;
        self.leave().await;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let (Some(slot), Ok(runtime)) = (self.slot.take(), Handle::try_current()) else {
            return;
        };
        let claim = std::mem::replace(&mut self.claim, Claim::none());
        if claim.0.is_none() {
            return;
        }
        let leaving = async move {
            claim.leave().await;
            drop(slot);
        };
        // A drop cannot wait; the slot waits for the task.
        drop(runtime.spawn(leaving));
    }
}

/// Places that one session may be in.
#[derive(Default)]
pub(super) struct Slots(Mutex<BTreeMap<String, Slot>>);

impl Slots {
    pub(super) fn slot(&self, key: String) -> Slot {
        Arc::clone(lock(&self.0).entry(key).or_default())
    }

    pub(super) fn all(&self) -> Vec<Slot> {
        lock(&self.0).values().cloned().collect()
    }

    /// Forgets places that nobody uses.
    pub(super) fn prune(&self) {
        lock(&self.0).retain(|_, slot| {
            Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|open| open.is_some())
        });
    }

    /// Whether somebody uses one.
    pub(super) fn is_used(&self) -> bool {
        self.prune();
        !lock(&self.0).is_empty()
    }
}

/// A console is a place, whoever calls it what; SSH connections are told apart by connector.
pub(super) fn key(endpoint: &Endpoint) -> String {
    let address = format!("{}:{}", endpoint.host, endpoint.port);
    match endpoint.transport {
        Transport::Console if endpoint.port == Endpoint::NO_PORT => {
            format!("{}/{}", endpoint.host, endpoint.device)
        }
        Transport::Telnet | Transport::Console => address,
        Transport::Ssh => format!("{}@{address}", endpoint.name),
    }
}
