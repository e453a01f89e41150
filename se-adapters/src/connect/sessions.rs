//! Who talks to which device: sessions that a job keeps between its steps, and one user per console.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use russh::keys::PrivateKey;
use se_dsl::checked::Transport;
use se_runtime::{Clock, Endpoint, Fault, FaultKind};
use tokio::runtime::Handle;
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, sleep, timeout_at};

use super::place::{Came, Place};
use super::{NodeConsoles, Opening};
use crate::device::Device;
use crate::transcript::Transcript;

/// How often it is asked whether another process has left a console.
const POLL: Duration = Duration::from_millis(250);
/// How long a session that is in another's way may take to log out.
const LEAVE: Duration = Duration::from_secs(2);

/// Who may use a console, where several processes may want the same.
pub trait ConsoleLeases: std::fmt::Debug + Send + Sync {
    /// Takes a console for this process, or notes that it is wanted; returns whether it is this process's.
    fn take<'a>(&'a self, address: &'a str, job: &'a str) -> BoxFuture<'a, Result<bool, Fault>>;

    /// Lets others take it.
    fn leave<'a>(&'a self, address: &'a str) -> BoxFuture<'a, Result<(), Fault>>;
}

/// What all jobs of a process share: the consoles, each with one user at a time.
pub struct Connectors {
    clock: Arc<dyn Clock>,
    identity: Option<Arc<PrivateKey>>,
    consoles: Slots,
    /// Of consoles that other processes use too.
    leases: Option<Arc<dyn ConsoleLeases>>,
    jobs: AtomicU64,
}

impl Connectors {
    /// With the time that transcripts show.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            identity: None,
            consoles: Slots::default(),
            leases: None,
            jobs: AtomicU64::new(0),
        }
    }

    /// Asks before it uses a console, because other processes use them too.
    #[must_use]
    pub fn with_leases(mut self, leases: Arc<dyn ConsoleLeases>) -> Self {
        self.leases = Some(leases);
        self
    }

    /// Whether a session stands on some console.
    #[must_use]
    pub fn is_used(&self) -> bool {
        !lock(&self.consoles.0).is_empty()
    }

    /// Logs out of a console that others wait for, once the step that uses it has ended; its job opens another
    /// session when it needs one.
    pub async fn make_way(&self, address: &str, deadline: Instant) {
        let slot = self.consoles.slot(address.to_owned());
        let Ok(mut slot) = timeout_at(deadline, slot.lock_owned()).await else {
            return;
        };
        match (slot.take(), &self.leases) {
            (Some(open), _) => open.close(deadline).await,
            // A lease without a session: what it was taken for has failed.
            (None, Some(leases)) => leave(leases.as_ref(), address).await,
            (None, None) => {}
        }
    }

    /// Offers this private key (OpenSSH or PEM, without passphrase) to SSH servers before any password.
    ///
    /// # Errors
    /// `validation` if it cannot be read or is an RSA key: signing with one leaks it through timing
    /// (RUSTSEC-2023-0071).
    pub fn with_identity(mut self, key: &str) -> Result<Self, Fault> {
        let key = russh::keys::decode_secret_key(key, None).map_err(|error| {
            let detail = format!("the SSH key cannot be read: {error}; give an OpenSSH private key without passphrase");
            Fault::new(FaultKind::Validation, detail)
        })?;
        if key.algorithm().is_rsa() {
            let detail = "the SSH key is an RSA key; make another one: ssh-keygen -t ed25519";
            return Err(Fault::new(FaultKind::Validation, detail));
        }
        self.identity = Some(Arc::new(key));
        Ok(self)
    }
}

impl std::fmt::Debug for Connectors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connectors")
    }
}

/// The sessions of one job.
///
/// A console belongs to a step while it runs. Between steps its session stays logged in, until this job
/// needs it again or another one wants the console: that one logs it out and opens its own.
pub struct Sessions {
    shared: Arc<Connectors>,
    job: u64,
    /// SSH connections are this job's alone.
    connections: Slots,
    nodes: Option<Arc<dyn NodeConsoles>>,
    transcripts: Mutex<BTreeMap<String, Transcript>>,
}

impl Sessions {
    /// None yet.
    #[must_use]
    pub fn new(shared: Arc<Connectors>) -> Self {
        let job = shared.jobs.fetch_add(1, Ordering::Relaxed);
        Self {
            shared,
            job,
            connections: Slots::default(),
            nodes: None,
            transcripts: Mutex::default(),
        }
    }

    /// Reaches consoles also through their controller.
    #[must_use]
    pub fn with_nodes(mut self, nodes: Arc<dyn NodeConsoles>) -> Self {
        self.nodes = Some(nodes);
        self
    }

    /// A session on `endpoint` that stands at its prompt: the one that is open, or a fresh one.
    ///
    /// # Errors
    /// `timeout` if another job keeps the console busy until `deadline`, and whatever connecting and
    /// logging in comes to.
    pub async fn lease(&self, endpoint: &Arc<Endpoint>, deadline: Instant) -> Result<Lease, Fault> {
        let slot = self.slots(endpoint).slot(key(endpoint));
        let Ok(mut slot) = timeout_at(deadline, slot.lock_owned()).await else {
            return Err(Place::new(endpoint).fault(
                FaultKind::Timeout,
                "waiting for the console",
                &Came::Reason("another step kept it busy all the time"),
                "raise the step's `timeout`, or see which job uses this device",
            ));
        };
        let transcript = self.transcript(endpoint);
        if let Some(open) = slot.take()
            && let Some(open) = self.reuse(open, endpoint, deadline).await
        {
            return Ok(Lease::new(slot, open, true));
        }
        let claim = self.claim(endpoint, deadline).await?;
        let opening = Opening {
            endpoint,
            transcript: &transcript,
            identity: self.shared.identity.as_ref(),
            nodes: self.nodes.as_deref(),
            deadline,
        };
        let device = match super::open(opening).await {
            Ok(device) => device,
            Err(fault) => {
                claim.leave().await;
                return Err(fault);
            }
        };
        let open = Open {
            job: self.job,
            endpoint: Arc::clone(endpoint),
            device,
            claim,
        };
        Ok(Lease::new(slot, open, false))
    }

    /// Waits until no other process uses the console.
    async fn claim(&self, endpoint: &Arc<Endpoint>, deadline: Instant) -> Result<Claim, Fault> {
        let leases = self.shared.leases.as_ref();
        let Some(leases) = leases.filter(|_| endpoint.transport != Transport::Ssh) else {
            return Ok(Claim(None));
        };
        let address = key(endpoint);
        let job = self.job.to_string();
        while !leases.take(&address, &job).await? {
            if Instant::now() + POLL >= deadline {
                return Err(Place::new(endpoint).fault(
                    FaultKind::Timeout,
                    "waiting for the console",
                    &Came::Reason("another engine kept it busy all the time"),
                    "raise the step's `timeout`, or see which job uses this device",
                ));
            }
            sleep(POLL).await;
        }
        Ok(Claim(Some((Arc::clone(leases), address))))
    }

    /// The session that is there, if it is this job's and still works.
    async fn reuse(
        &self,
        mut open: Open,
        endpoint: &Arc<Endpoint>,
        deadline: Instant,
    ) -> Option<Open> {
        if open.job != self.job || open.endpoint != *endpoint {
            let soon = deadline.min(Instant::now() + LEAVE);
            open.close(soon).await;
            return None;
        }
        match open.device.ready(deadline).await {
            Ok(()) => Some(open),
            Err(fault) => {
                tracing::debug!(connector = endpoint.name, %fault, "reopening a session");
                open.claim.leave().await;
                None
            }
        }
    }

    /// Leaves every device; sessions that do not log out until `deadline` are cut off.
    pub async fn close_all(&self, deadline: Instant) {
        let slots = [&self.shared.consoles, &self.connections]
            .into_iter()
            .flat_map(Slots::all);
        let closing = slots.map(|slot| async move {
            let Ok(mut slot) = timeout_at(deadline, slot.lock_owned()).await else {
                return;
            };
            if let Some(open) = slot.take_if(|it| it.job == self.job) {
                open.close(deadline).await;
            }
        });
        join_all(closing).await;
        self.shared.consoles.prune();
        self.connections.prune();
    }

    /// What went over each connector, by its name.
    #[must_use]
    pub fn transcripts(&self) -> BTreeMap<String, Transcript> {
        lock(&self.transcripts).clone()
    }

    fn slots(&self, endpoint: &Endpoint) -> &Slots {
        match endpoint.transport {
            Transport::Telnet | Transport::Console => &self.shared.consoles,
            Transport::Ssh => &self.connections,
        }
    }

    fn transcript(&self, endpoint: &Endpoint) -> Transcript {
        let new = || Transcript::new(Arc::clone(&self.shared.clock), Place::new(endpoint).mask());
        lock(&self.transcripts)
            .entry(endpoint.name.clone())
            .or_insert_with(new)
            .clone()
    }
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sessions({})", self.job)
    }
}

/// A session in use. [`Lease::keep`] keeps it for the next step; dropped, it is abandoned: what runs is
/// stopped within two seconds, and only then the next step gets the device.
pub struct Lease(Option<Held>);

struct Held {
    slot: OwnedMutexGuard<Option<Open>>,
    open: Open,
    reused: bool,
}

impl Lease {
    fn new(slot: OwnedMutexGuard<Option<Open>>, open: Open, reused: bool) -> Self {
        Self(Some(Held { slot, open, reused }))
    }

    fn held(&mut self) -> &mut Held {
        let held = self.0.as_mut();
        held.expect("only `keep` and `drop` take the session, and both end the lease")
    }

    /// The device.
    pub fn device(&mut self) -> &mut dyn Device {
        self.held().open.device.as_mut()
    }

    /// Whether an earlier step opened it: it may have broken since.
    #[must_use]
    pub fn is_reused(&self) -> bool {
        self.0.as_ref().is_some_and(|it| it.reused)
    }

    /// Keeps the session open for the next step.
    pub fn keep(mut self) {
        if let Some(Held { mut slot, open, .. }) = self.0.take() {
            *slot = Some(open);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (Some(held), Ok(runtime)) = (self.0.take(), Handle::try_current()) else {
            return;
        };
        let Held { slot, open, .. } = held;
        let abandoning = async move {
            open.abandon(Instant::now() + LEAVE).await;
            drop(slot);
        };
        // A drop cannot wait; the task ends by itself within `LEAVE`, and the slot waits for it.
        drop(runtime.spawn(abandoning));
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.0.as_ref().map(|it| it.open.endpoint.name.as_str());
        write!(f, "Lease({})", name.unwrap_or("-"))
    }
}

struct Open {
    job: u64,
    endpoint: Arc<Endpoint>,
    device: Box<dyn Device>,
    claim: Claim,
}

impl Open {
    async fn close(self, deadline: Instant) {
        self.device.close(deadline).await;
        self.claim.leave().await;
    }

    async fn abandon(self, deadline: Instant) {
        self.device.abandon(deadline).await;
        self.claim.leave().await;
    }
}

/// The right to use a console, where other processes want to as well.
struct Claim(Option<(Arc<dyn ConsoleLeases>, String)>);

impl Claim {
    async fn leave(self) {
        if let Some((leases, address)) = self.0 {
            leave(leases.as_ref(), &address).await;
        }
    }
}

async fn leave(leases: &dyn ConsoleLeases, address: &str) {
    if let Err(fault) = leases.leave(address).await {
        tracing::warn!(address, %fault, "others wait for a console until this engine ends");
    }
}

type Slot = Arc<tokio::sync::Mutex<Option<Open>>>;

/// Places that one session may be in.
#[derive(Default)]
struct Slots(Mutex<BTreeMap<String, Slot>>);

impl Slots {
    fn slot(&self, key: String) -> Slot {
        Arc::clone(lock(&self.0).entry(key).or_default())
    }

    fn all(&self) -> Vec<Slot> {
        lock(&self.0).values().cloned().collect()
    }

    /// Forgets places that nobody uses.
    fn prune(&self) {
        lock(&self.0).retain(|_, slot| {
            Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|open| open.is_some())
        });
    }
}

/// A console is a place, whoever calls it what; SSH connections are told apart by connector.
fn key(endpoint: &Endpoint) -> String {
    let address = format!("{}:{}", endpoint.host, endpoint.port);
    match endpoint.transport {
        Transport::Console if endpoint.port == Endpoint::NO_PORT => {
            format!("{}/{}", endpoint.host, endpoint.device)
        }
        Transport::Telnet | Transport::Console => address,
        Transport::Ssh => format!("{}@{address}", endpoint.name),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
