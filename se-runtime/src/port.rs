//! What the core needs of the world: traits that the edges implement.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use se_dsl::catalog::Primitive;
use se_dsl::checked::{ConnectorClass, Transport};

use crate::event::{Batch, Map};
use crate::fault::Fault;
use crate::secret::Secret;
use crate::time::Timestamp;

/// Does what a primitive says, in the world. One value serves one job.
///
/// # Contract
/// - Dropping the future stops the attempt within two seconds and leaves the device usable.
/// - The attempt ends by itself before [`Call::timeout`] is over, with a fault that tells what was
///   tried and what came back; the driver drops it one second after that.
/// - Nothing is sent after the future has ended.
pub trait Actions: Send + Sync {
    /// Makes one attempt.
    fn call<'a>(&'a self, call: Call, progress: &'a dyn Progress) -> BoxFuture<'a, Outcome>;
}

/// How an attempt ended.
pub type Outcome = Result<Done, Fault>;

/// What an attempt gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Done {
    /// The primitive's outputs.
    pub output: Map,
    /// What was learned about the pod (`lab_id`, `lab_title`, …): given to later steps and to later
    /// jobs of the session, in `runtime_env`.
    pub learned: Map,
}

/// One attempt of one step.
#[derive(Clone, Debug)]
pub struct Call {
    /// Id of the job.
    pub job: String,
    /// Key of the step in its plan.
    pub step: String,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// The part of the session whose pod it is about, by its place in the package.
    pub part: Option<usize>,
    /// What to do.
    pub primitive: &'static Primitive,
    /// The evaluated `with`.
    pub inputs: Map,
    /// The connector that `target` names.
    pub target: Option<Arc<Endpoint>>,
    /// Every connector of the package, for primitives that name a device in `with`.
    pub endpoints: Arc<Endpoints>,
    /// `runtime_env` with what the job has learned so far.
    pub runtime_env: Arc<serde_json::Value>,
    /// The longest the attempt may take.
    pub timeout: Duration,
}

/// A connector with its expressions evaluated: where a device is and how to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The connector's name.
    pub name: String,
    /// The device it belongs to.
    pub device: String,
    /// What talks back.
    pub class: ConnectorClass,
    /// How bytes travel.
    pub transport: Transport,
    /// Host name or address.
    pub host: String,
    /// TCP port; [`Self::NO_PORT`] where a console has none.
    pub port: u16,
    /// How long connecting, logging in and each prompt may take.
    pub timeout: Duration,
    /// How long the device may say nothing while an answer is waited for, where that is limited.
    pub idle_timeout: Option<Duration>,
    /// Between two characters that are typed.
    pub typing_delay: Duration,
    /// What holds for SSH alone.
    pub ssh: SshPolicy,
    /// The device's prompt without its `>` or `#`, where the content says it.
    pub prompt: Option<String>,
    /// Login name.
    pub username: Option<String>,
    /// Login password.
    pub password: Option<Secret>,
    /// Password of `enable`.
    pub enable_password: Option<Secret>,
}

impl Endpoint {
    /// The console is not behind a port of its own: only the controller leads to it.
    pub const NO_PORT: u16 = 0;
}

/// Which SSH servers are spoken to, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SshPolicy {
    /// Algorithms are offered, too, that only old devices need.
    pub legacy: bool,
    /// The fingerprint that the server's key must have: `SHA256:` and base64.
    pub host_key: Option<String>,
    /// A server whose fingerprint is not known is refused.
    pub refuse_unknown: bool,
}

/// Every connector of a package, each evaluated or with the reason why it could not be.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    pub(crate) by_name: std::collections::BTreeMap<String, Result<Arc<Endpoint>, Fault>>,
}

impl Endpoints {
    /// From evaluated connectors: for tests and for use without a package.
    #[must_use]
    pub fn new(all: impl IntoIterator<Item = Endpoint>) -> Self {
        let by_name = all
            .into_iter()
            .map(|it| (it.name.clone(), Ok(Arc::new(it))))
            .collect();
        Self { by_name }
    }

    /// The connector of that name.
    ///
    /// # Errors
    /// `not-found` with the names there are, or the reason why it could not be evaluated.
    pub fn get(&self, name: &str) -> Result<Arc<Endpoint>, Fault> {
        self.by_name.get(name).cloned().unwrap_or_else(|| {
            let names: Vec<&str> = self.by_name.keys().map(String::as_str).collect();
            let detail = format!(
                "no connector `{name}`; connectors.yaml has: {}",
                names.join(", ")
            );
            Err(Fault::new(crate::fault::FaultKind::NotFound, detail))
        })
    }
}

/// Hears how far an attempt is.
pub trait Progress: Send + Sync {
    /// `percent` of this step is done; `message` says what is going on.
    fn report(&self, percent: u8, message: &str);
}

/// The log of one job.
///
/// # Contract
/// `append` returns after the batch is durable, all of it or none. It fails with
/// [`LogError::Conflict`] if the log does not end at `batch.after`, and with [`LogError::Fenced`] if
/// another engine drives the job by now. A batch that the log ends with already is not stored twice: that its
/// answer was lost is no error.
pub trait EventLog: Send + Sync {
    /// Adds events at the end.
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<(), LogError>>;
}

/// Why a log could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Somebody else has written: this driver must stop.
    #[error("the log of job {job} ends at event {found}, not {expected}: another driver writes it")]
    Conflict {
        /// The job.
        job: String,
        /// Where this driver believes the log to end.
        expected: u64,
        /// Where it ends.
        found: u64,
    },
    /// The job was given to somebody else: this driver must stop.
    #[error("job {job} is driven by another engine now")]
    Fenced {
        /// The job.
        job: String,
    },
    /// The store does not answer; nothing was written.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// What is stored makes no sense.
    #[error("event {seq} of job {job} cannot be read: {reason}")]
    Corrupt {
        /// The job.
        job: String,
        /// The event.
        seq: u64,
        /// What is wrong with it.
        reason: String,
    },
}

/// Time, as the core sees it.
pub trait Clock: Send + Sync {
    /// This moment.
    fn now(&self) -> Timestamp;
    /// Ends at `at`, or at once if that is past.
    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()>;
}

impl fmt::Debug for dyn Actions + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Actions")
    }
}

impl fmt::Debug for dyn EventLog + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventLog")
    }
}

impl fmt::Debug for dyn Clock + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// The store did not answer. Why is for the log of whoever implements a port: the core asks again, whatever
/// it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store does not answer")]
pub struct Unanswered;
