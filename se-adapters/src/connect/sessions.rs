//! Who talks to which device: sessions that a job keeps between its steps, and one user per console.

mod slots;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use russh::keys::PrivateKey;
use se_dsl::checked::Transport;
use se_runtime::{Clock, Endpoint, Fault, FaultKind};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use self::slots::{Claim, Open, Slot, Slots, Taken, key};
use super::place::{Came, Place};
use super::{NodeConsoles, Opening};
use crate::device::{Device, Task};
use crate::transcript::Transcript;

/// How often it is asked whether another process has left a console.
const POLL: Duration = Duration::from_millis(250);
/// How long a session that is in another's way may take to log out.
const LEAVE: Duration = Duration::from_secs(2);
/// How long a device that a step leaves may take to be put right.
const AMENDS: Duration = Duration::from_secs(5);
/// A console that was left because others wait for it is not taken again for so long: they have looked by then.
const THEIRS: Duration = Duration::from_millis(500);

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
    /// Consoles that were left for others, and from when on they may be taken again.
    left: Mutex<BTreeMap<String, Instant>>,
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
            left: Mutex::default(),
            jobs: AtomicU64::new(0),
        }
    }

    /// Asks before it uses a console, because other processes use them too.
    #[must_use]
    pub fn with_leases(mut self, leases: Arc<dyn ConsoleLeases>) -> Self {
        self.leases = Some(leases);
        self
    }

    /// Whether a session stands on some console, or somebody works on one.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.consoles.is_used()
    }

    /// Logs out of a console that others wait for, once the step that uses it has ended; its job opens another
    /// session when it needs one.
    pub async fn make_way(&self, address: &str, deadline: Instant) {
        let slot = self.consoles.slot(address.to_owned());
        let Ok(mut slot) = timeout_at(deadline, slot.lock_owned()).await else {
            return;
        };
        let open = slot.take();
        let mut taken = Taken::new(slot, self.claim(address.to_owned()));
        match open {
            Some(open) => taken.close(open, deadline).await,
            // A lease without a session: what it was taken for has failed.
            None => taken.leave().await,
        }
        // The slot is still taken: who gets it next knows.
        self.note_left(address);
    }

    fn note_left(&self, address: &str) {
        let now = Instant::now();
        let mut left = lock(&self.left);
        left.retain(|_, until| *until > now);
        left.insert(address.to_owned(), now + THEIRS);
    }

    fn claim(&self, address: String) -> Claim {
        let leases = self.leases.as_ref();
        leases.map_or_else(Claim::none, |it| Claim::new(Arc::clone(it), address))
    }

    /// The right to what `endpoint` is on.
    fn claim_of(&self, endpoint: &Endpoint) -> Claim {
        match endpoint.transport {
            Transport::Telnet | Transport::Console => self.claim(key(endpoint)),
            Transport::Ssh => Claim::none(),
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
        let open = slot.take();
        let mut taken = Taken::new(slot, self.shared.claim_of(endpoint));
        if let Some(open) = open {
            taken = match self.reuse(open, taken, endpoint, deadline).await {
                Ok(lease) => return Ok(lease),
                Err(taken) => taken,
            };
        }
        self.wait_for(taken.claim(), endpoint, deadline).await?;
        let opening = Opening {
            endpoint,
            transcript: &self.transcript(endpoint),
            identity: self.shared.identity.as_ref(),
            nodes: self.nodes.as_deref(),
            deadline,
        };
        let open = Open {
            job: self.job,
            endpoint: Arc::clone(endpoint),
            device: super::open(opening).await?,
        };
        Ok(Lease::new(taken, open, false))
    }

    /// Waits until no other process uses the console.
    async fn wait_for(
        &self,
        claim: &Claim,
        endpoint: &Endpoint,
        deadline: Instant,
    ) -> Result<(), Fault> {
        let theirs = lock(&self.shared.left).get(&key(endpoint)).copied();
        if let Some(theirs) = theirs {
            sleep_until(theirs.min(deadline)).await;
        }
        let job = self.job.to_string();
        loop {
            let taken = claim.take(&job).await;
            if matches!(taken, Ok(true)) {
                return Ok(());
            }
            if Instant::now() + POLL >= deadline {
                // Who cannot say whose it is may be back in time: until then that is no failure of the step.
                taken?;
                return Err(Place::new(endpoint).fault(
                    FaultKind::Timeout,
                    "waiting for the console",
                    &Came::Reason("another engine kept it busy all the time"),
                    "raise the step's `timeout`, or see which job uses this device",
                ));
            }
            sleep(POLL).await;
        }
    }

    /// The session that is there, if it is this job's and still works; else the slot without it.
    async fn reuse(
        &self,
        open: Open,
        taken: Taken,
        endpoint: &Arc<Endpoint>,
        deadline: Instant,
    ) -> Result<Lease, Taken> {
        if open.job != self.job || open.endpoint != *endpoint {
            let soon = deadline.min(Instant::now() + LEAVE);
            open.device.close(soon).await;
            return Err(taken);
        }
        let mut lease = Lease::new(taken, open, true);
        match lease.device().ready(deadline).await {
            Ok(()) => Ok(lease),
            Err(fault) => {
                tracing::debug!(connector = endpoint.name, %fault, "reopening a session");
                Err(lease.into_held().taken)
            }
        }
    }

    /// Leaves every device; sessions that do not log out until `deadline` are cut off.
    pub async fn close_all(&self, deadline: Instant) {
        close(&self.shared, self.all(), self.job, deadline).await;
        self.connections.prune();
    }

    fn all(&self) -> Vec<Slot> {
        let slots = [&self.shared.consoles, &self.connections];
        slots.into_iter().flat_map(Slots::all).collect()
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

impl Drop for Sessions {
    fn drop(&mut self) {
        let mut slots = self.all();
        // One that is locked may be about to get a session back that its step has done with.
        let may_be_own = |it: &Slot| {
            let open = it.try_lock();
            open.map_or(true, |it| it.as_ref().is_some_and(|it| it.job == self.job))
        };
        slots.retain(may_be_own);
        let (false, Ok(runtime)) = (slots.is_empty(), Handle::try_current()) else {
            return;
        };
        let (shared, job) = (Arc::clone(&self.shared), self.job);
        let leaving = async move {
            close(&shared, slots, job, Instant::now() + LEAVE).await;
        };
        // A drop cannot wait; the task ends by itself within `LEAVE`.
        drop(runtime.spawn(leaving));
    }
}

/// Leaves what `job` has open in `slots`.
async fn close(shared: &Connectors, slots: Vec<Slot>, job: u64, deadline: Instant) {
    let closing = slots.into_iter().map(|slot| async move {
        let Ok(mut slot) = timeout_at(deadline, slot.lock_owned()).await else {
            return;
        };
        if let Some(open) = slot.take_if(|it| it.job == job) {
            let mut taken = Taken::new(slot, shared.claim_of(&open.endpoint));
            taken.close(open, deadline).await;
        }
    });
    join_all(closing).await;
    shared.consoles.prune();
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sessions({})", self.job)
    }
}

/// A session in use. [`Lease::keep`] keeps it for the next step; dropped, it is abandoned: what runs is
/// stopped within two seconds, what the step [owes](Lease::owe) the device is run, and only then the next step gets it.
pub struct Lease(Option<Held>);

const WHOLE: &str = "only what ends the lease takes the session";

struct Held {
    taken: Taken,
    open: Open,
    reused: bool,
    owed: Option<Task>,
}

impl Lease {
    fn new(taken: Taken, open: Open, reused: bool) -> Self {
        let held = Held {
            taken,
            open,
            reused,
            owed: None,
        };
        Self(Some(held))
    }

    fn into_held(mut self) -> Held {
        self.0.take().expect(WHOLE)
    }

    fn held(&mut self) -> &mut Held {
        self.0.as_mut().expect(WHOLE)
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

    /// From now on, whatever drops the lease, this is run on the device before it is left.
    pub fn owe(&mut self, task: Task) {
        self.held().owed = Some(task);
    }

    /// Nothing is owed any more: it is run, or the device would not have it.
    pub fn settle(&mut self) {
        self.held().owed = None;
    }

    /// Keeps the session open for the next step.
    pub fn keep(self) {
        let Held { taken, open, .. } = self.into_held();
        taken.keep(open);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (Some(held), Ok(runtime)) = (self.0.take(), Handle::try_current()) else {
            return;
        };
        let Held {
            mut taken,
            mut open,
            owed,
            ..
        } = held;
        let abandoning = async move {
            if let Some(task) = owed {
                make_amends(&mut open, &task).await;
            }
            open.device.abandon(Instant::now() + LEAVE).await;
            taken.leave().await;
        };
        // A drop cannot wait; the task ends by itself within `AMENDS` and `LEAVE`, and the slot waits for it.
        drop(runtime.spawn(abandoning));
    }
}

/// Runs what a step that was cut off owes the device.
async fn make_amends(open: &mut Open, task: &Task) {
    let deadline = Instant::now() + AMENDS;
    let device = &mut open.device;
    device.stop(deadline.min(Instant::now() + LEAVE)).await;
    let amends = async {
        device.ready(deadline).await?;
        device.run(task, deadline).await
    };
    // What a device says may hold secrets.
    let failed = match amends.await {
        Ok(reply) => reply.error.map(|_| "the device rejects it"),
        Err(fault) => Some(fault.kind.as_str()),
    };
    if let Some(failed) = failed {
        let (device, task) = (&open.endpoint.device, task.title());
        tracing::warn!(
            device,
            task,
            failed,
            "a device is left as a step that was cut off had made it"
        );
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.0.as_ref().map(|it| it.open.endpoint.name.as_str());
        write!(f, "Lease({})", name.unwrap_or("-"))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
