//! Every option of the service. The file comes first, then the environment, then the flags.
//!
//! This is the only code that reads the environment.

mod colour;
mod keys;
mod lds;
mod load;
mod retention;
mod sealing;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use se_runtime::Secret;
use se_runtime::cloudevent::Profile;
use se_store::Limits;
use serde::{Deserialize, Deserializer};

pub use colour::{Colour, columns};
pub(crate) use keys::nearest;
pub use lds::Lds;
pub use load::{ConfigError, Given, environment, load};
pub use sealing::Sealing;

/// All of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `[server]`: how it listens.
    pub server: Server,
    /// `[store]`: where jobs are kept.
    pub store: Store,
    /// `[sealing]`: where the keys of secrets at rest come from.
    pub sealing: Sealing,
    /// `[content]`: where packages come from.
    pub content: Content,
    /// `[s3]`: the object store.
    pub s3: S3,
    /// `[events]`: where CloudEvents go.
    pub events: Events,
    /// `[jobs]`: how they run.
    pub jobs: Jobs,
    /// `[secrets]`: secrets that connectors may ask for by name.
    pub secrets: Secrets,
    /// `[workers.<name>]`: facts of workers that requests leave out; `default` fits any.
    pub workers: BTreeMap<String, Worker>,
    /// `[lds.<region>]`: where candidates see pods; `default` fits any region.
    pub lds: BTreeMap<String, Lds>,
    /// `[log]`: what is logged, and how.
    pub log: Log,
}

/// How it listens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address and port; port 0 picks one.
    pub listen: SocketAddr,
    /// Listen on an address that others can reach, though nobody is asked who they are.
    pub insecure: bool,
    /// What stands before `/api/v1` in addresses given to others; default: nothing, they are relative.
    pub public_url: String,
    /// The largest JSON body, in bytes.
    pub body_limit: usize,
    /// The largest zip that can be validated, in bytes.
    pub package_limit: usize,
    /// How long running jobs may take to reach a step boundary when the service stops, in seconds.
    pub drain_timeout: u64,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8084)),
            insecure: false,
            public_url: String::new(),
            body_limit: 2 << 20,
            package_limit: 256 << 20,
            drain_timeout: 30,
        }
    }
}

/// Where jobs are kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// Folder of the database, the sealing key and the unpacked content.
    pub data_dir: PathBuf,
    /// The database; default: `se.db` in the data folder.
    pub url: Option<String>,
    /// What has ended is deleted after so many days (0.5: twelve hours), where nothing else is said of it; 0
    /// keeps it.
    pub keep_days: f64,
    /// Where several engines share a database: one that gives no sign for so long, in seconds, is taken
    /// for dead, and others go on with its jobs.
    pub lease: u64,
    /// Jobs that ended well.
    pub keep_completed_days: Option<f64>,
    /// Jobs that failed.
    pub keep_faulted_days: Option<f64>,
    /// Jobs that were cancelled.
    pub keep_cancelled_days: Option<f64>,
    /// CloudEvents that arrived.
    pub keep_delivered_days: Option<f64>,
    /// CloudEvents that were given up.
    pub keep_dead_days: Option<f64>,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("data"),
            url: None,
            keep_days: 90.0,
            lease: 15,
            keep_completed_days: None,
            keep_faulted_days: None,
            keep_cancelled_days: None,
            keep_delivered_days: None,
            keep_dead_days: None,
        }
    }
}

impl Store {
    /// Whether other engines may work on the same database.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        let address = self.address();
        let servers = ["postgres:", "postgresql:"];
        servers.iter().any(|it| address.starts_with(it))
    }

    /// Address of the database.
    #[must_use]
    pub fn address(&self) -> String {
        let default = || format!("sqlite://{}", self.data_dir.join("se.db").display());
        self.url.clone().unwrap_or_else(default)
    }
}

/// Where packages come from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Content {
    /// `file://` addresses must lie below this folder; without one they are refused.
    pub root: Option<PathBuf>,
    /// How long an answer waits for a sync, in seconds; then it says `synchronizing`.
    pub sync_wait: u64,
    /// The largest zip, in bytes.
    pub max_package: u64,
    /// The most that a package may unpack to, in bytes.
    pub max_unpacked: u64,
    /// The most files in a package.
    pub max_entries: usize,
    /// The largest document, in bytes.
    pub max_document: u64,
}

impl Default for Content {
    fn default() -> Self {
        let limits = se_content::Limits::default();
        Self {
            root: None,
            sync_wait: 30,
            max_package: limits.package_bytes,
            max_unpacked: limits.unpacked_bytes,
            max_entries: limits.entries,
            max_document: limits.document_bytes,
        }
    }
}

impl Content {
    /// As content is read.
    #[must_use]
    pub fn limits(&self) -> se_content::Limits {
        se_content::Limits {
            package_bytes: self.max_package,
            unpacked_bytes: self.max_unpacked,
            entries: self.max_entries,
            document_bytes: self.max_document,
            ..se_content::Limits::default()
        }
    }
}

/// The object store.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct S3 {
    /// `http://minio:9000`; Amazon's own where there is none.
    pub endpoint: Option<String>,
    /// The bucket that packages are kept in for other engines on the same database, and events that are too
    /// large for a row; addresses of content name their own.
    pub bucket: Option<String>,
    /// Key id.
    pub access_key: Option<String>,
    /// Secret of the key.
    #[serde(deserialize_with = "secret")]
    pub secret_key: Option<Secret>,
    /// The region; default `us-east-1`.
    pub region: Option<String>,
}

impl S3 {
    /// Where packages are kept for other engines; nothing where no bucket is configured.
    #[must_use]
    pub fn shelf(&self) -> Option<se_content::Shelf> {
        let (s3, bucket) = (self.place()?, self.bucket.clone()?);
        Some(se_content::Shelf { s3, bucket })
    }

    /// As content is fetched; nothing where none of it is configured.
    #[must_use]
    pub fn place(&self) -> Option<se_content::S3> {
        (self.endpoint.is_some() || self.access_key.is_some()).then(|| se_content::S3 {
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            access_key_id: self.access_key.clone(),
            secret_access_key: self.secret_key.as_ref().map(|it| it.expose().to_owned()),
            session_token: None,
        })
    }
}

/// Where CloudEvents go.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Events {
    /// Which types and fields: `seed` or `lcm`.
    #[serde(deserialize_with = "profile")]
    pub profile: Profile,
    /// Where events go that have no `callback_url`; default: nowhere.
    pub sink: Option<String>,
    /// How long a receiver may take to answer, in seconds.
    pub timeout: u64,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            profile: Profile::Seed,
            sink: None,
            timeout: 10,
        }
    }
}

impl Events {
    fn check(&self) -> Result<(), ConfigError> {
        let Some(sink) = &self.sink else {
            return Ok(());
        };
        if !is_http(sink) {
            return Err(ConfigError::new(format!(
                "events.sink is `{sink}`; give an address that begins with http:// or https://"
            )));
        }
        if sink.len() > LONGEST_URL {
            let length = sink.len();
            return Err(ConfigError::new(format!(
                "events.sink is {length} bytes long; give an address of at most {LONGEST_URL}"
            )));
        }
        Ok(())
    }
}

/// How jobs run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Jobs {
    /// How many run at the same time.
    pub max_concurrent: usize,
    /// How many may wait; a submission beyond that is answered with 429.
    pub max_queued: usize,
    /// How many run at the same time on one worker, over all engines; 0: as many as there are.
    pub max_per_worker: u32,
    /// How many run at the same time of one pod definition, over all engines; 0: as many as there are.
    pub max_per_definition: u32,
    /// A job that takes longer is cancelled, in seconds; 0: as long as its steps may.
    pub default_timeout: u64,
    /// Progress is told to receivers at most this often, in seconds.
    pub progress_interval: u64,
}

impl Default for Jobs {
    fn default() -> Self {
        Self {
            max_concurrent: 10,
            max_queued: 10_000,
            max_per_worker: 0,
            max_per_definition: 0,
            default_timeout: 0,
            progress_interval: 5,
        }
    }
}

impl Jobs {
    /// How many may run that have something in common.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            per_worker: NonZeroU32::new(self.max_per_worker),
            per_definition: NonZeroU32::new(self.max_per_definition),
        }
    }
}

/// Secrets that connectors may ask for by name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Secrets {
    /// A folder with one file a secret, as Kubernetes mounts them.
    pub dir: Option<PathBuf>,
    /// A TOML file of names and secrets.
    pub file: Option<PathBuf>,
    /// Those in the environment: `SE_SECRET_<NAME>`, the name in small letters.
    #[serde(skip)]
    pub environment: BTreeMap<String, Secret>,
}

/// Facts of a worker that requests leave out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Worker {
    /// Its address.
    pub ip: Option<String>,
    /// Where it is.
    pub region: Option<String>,
    /// The controller; default `https://<ip>`.
    pub cml_url: Option<String>,
    /// Login of the controller.
    pub cml_username: Option<String>,
    /// Password of the controller.
    #[serde(deserialize_with = "secret")]
    pub cml_password: Option<Secret>,
    /// Whether the controller's certificate is checked.
    pub tls_verify: Option<bool>,
    /// PEM file of the authority that vouches for it.
    pub tls_ca_file: Option<String>,
    /// SHA-256 of exactly its certificate.
    pub tls_fingerprint: Option<String>,
}

/// What is logged, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `text` or `json`.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter by module.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: "info".to_owned(),
        }
    }
}

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// What does not go together.
    ///
    /// # Errors
    /// [`ConfigError`] names the options and says what to do.
    pub fn check(self) -> Result<Self, ConfigError> {
        let listen = self.server.listen;
        if !listen.ip().is_loopback() && !self.server.insecure {
            return Err(ConfigError::new(format!(
                "listening on {listen} lets others in, and this version asks nobody who they are; \
                 listen on 127.0.0.1 behind something that does, or say --insecure (or set \
                 server.insecure = true)"
            )));
        }
        self.store.check()?;
        self.sealing.check()?;
        for (region, it) in &self.lds {
            it.check(region)?;
        }
        if self.jobs.max_concurrent == 0 {
            return Err(ConfigError::new(
                "jobs.max_concurrent is 0: no job would ever run; give at least 1",
            ));
        }
        if self.store.lease == 0 {
            return Err(ConfigError::new(
                "store.lease is 0: every engine would be taken for dead; give at least 1 second",
            ));
        }
        self.events.check()?;
        Ok(self)
    }

    /// How long running jobs may take to stop.
    #[must_use]
    pub fn drain_timeout(&self) -> Duration {
        Duration::from_secs(self.server.drain_timeout)
    }
}

/// The longest address that events go to, in bytes: a database looks them up by it.
pub(crate) const LONGEST_URL: usize = 2000;

/// Whether it is an address to speak HTTP to, without a user or password in it.
pub(crate) fn is_http(url: &str) -> bool {
    reqwest::Url::parse(url).is_ok_and(|it| {
        let open = it.username().is_empty() && it.password().is_none();
        matches!(it.scheme(), "http" | "https") && it.host().is_some() && open
    })
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.filter(|it| !it.is_empty()).map(Secret::new))
}

fn profile<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Profile, D::Error> {
    let text = String::deserialize(deserializer)?;
    let unknown = || serde::de::Error::custom(format!("`{text}` is no profile; give seed or lcm"));
    Profile::parse(&text).ok_or_else(unknown)
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}
