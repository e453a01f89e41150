//! The composition root: the only file that puts concrete stores and adapters together.

mod bucket;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use se_adapters::Registry;
use se_adapters::connect::Connectors;
use se_runtime::Timestamp;
use se_runtime::dispatch::Places;
use se_store::{Objects, Options, Store};
use tokio::sync::Semaphore;

use crate::announce::Announcer;
use crate::clock::World;
use crate::config::Config;
use crate::consoles::StoredLeases;
use crate::content::Packages;
use crate::dispatch::HandedOver;
use crate::error::{Error, Result};
use crate::metrics::{Gauges, Metrics};
use crate::stream::Hub;
use crate::tasks::{TaskKind, Tasks};
use crate::{consoles, dispatch, housekeeping, lease, sealing, sender, stream};

use bucket::Bucket;

/// Large events in the data folder.
const OBJECTS: &str = "objects";
/// Unpacked content in the data folder.
pub(crate) const PACKAGES: &str = "packages";
/// What was last changed so long ago in a folder that engines share, an engine that was killed has left.
const ABANDONED: Duration = Duration::from_hours(24);
/// Requests at a time that need much memory each.
const LARGE: usize = 4;
/// How long deliveries may take to be flushed at the end.
const FLUSH: Duration = Duration::from_secs(15);

/// Everything that serves requests and runs jobs.
#[derive(Debug)]
pub struct Engine {
    pub(crate) config: Config,
    pub(crate) world: World,
    pub(crate) store: Store,
    /// Nothing where none is configured.
    pub(crate) bucket: Option<Bucket>,
    pub(crate) packages: Packages,
    pub(crate) registry: Registry,
    pub(crate) connectors: Arc<Connectors>,
    pub(crate) places: Places,
    pub(crate) handed_over: HandedOver,
    /// Places for requests that need much memory.
    pub(crate) large: Arc<Semaphore>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) tasks: Tasks,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) started_at: Timestamp,
}

impl Engine {
    /// Opens the store and whatever else is needed; runs nothing yet.
    ///
    /// # Errors
    /// [`crate::Error`] if the data folder, the key or the database cannot be used.
    pub async fn open(config: Config, world: World) -> Result<Arc<Self>> {
        let address = config.store.address();
        // A path is an address too; another scheme must not become the name of a file.
        let known = ["sqlite:", "postgres:", "postgresql:"];
        if address.contains("://") && !known.iter().any(|it| address.starts_with(it)) {
            // The address is not shown: it may hold a password.
            let text = "the database cannot be used: jobs are kept in SQLite or PostgreSQL; give \
                        `sqlite://PATH` or `postgres://USER@HOST/DATABASE`, or leave out --store, \
                        store.url and DATABASE_URL";
            return Err(Error::Unavailable(text.to_owned()));
        }
        let folder: PathBuf = config.store.data_dir.clone();
        std::fs::create_dir_all(&folder).map_err(|error| {
            Error::Unavailable(format!(
                "cannot make the folder {}: {error}",
                folder.display()
            ))
        })?;
        let source = sealing::Source::of(&config);
        if config.store.is_shared() && matches!(source, sealing::Source::Own(_)) {
            let text = "engines on one database need the same sealing key, to go on with each other's \
                        jobs: give sealing.file, sealing.command or SE_SEALING__KEY (`openssl rand \
                        -hex 32` makes a key)";
            return Err(Error::Unavailable(text.to_owned()));
        }
        let keys = source.keys(&*world.random).await?;
        let announce = Announcer::new(&config, Arc::clone(&world.clock));
        let options = Options {
            keys: keys.clone(),
            announce: Arc::new(announce),
            clock: Arc::clone(&world.clock),
            random: Arc::clone(&world.random),
            objects: objects(&config)?,
            answer_within: se_store::ANSWER_WITHIN,
        };
        let store = Store::open(&address, options).await?;
        sealing::reseal(&store, &keys).await?;
        let root = folder.join(PACKAGES);
        // Others may be filling theirs.
        let age = world.clock.now().since(Timestamp::default());
        let long_ago = || SystemTime::UNIX_EPOCH + age.saturating_sub(ABANDONED);
        se_content::sweep(&root, store.is_shared().then(long_ago))?;
        Ok(Arc::new(Self {
            bucket: Bucket::of(&config),
            packages: Packages::new(root, config.content.limits()),
            registry: Registry::standard(),
            connectors: connectors(&store, &world),
            places: Places::new(config.jobs.max_concurrent),
            handed_over: HandedOver::default(),
            large: Arc::new(Semaphore::new(LARGE)),
            hub: Arc::default(),
            tasks: Tasks::new(),
            metrics: Arc::new(Metrics::default()),
            started_at: world.clock.now(),
            config,
            world,
            store,
        }))
    }

    /// Begins to run jobs, those first that an earlier engine left unfinished, and to send events.
    pub fn start(self: &Arc<Self>) {
        let tasks = &self.tasks;
        let dispatching = dispatch::run(Arc::clone(self));
        tasks.spawn_lasting(TaskKind::Dispatcher, "dispatcher", dispatching);
        let sending = sender::run(Arc::clone(self));
        tasks.spawn_lasting(TaskKind::Sender, "sender", sending);
        let saying = stream::run(Arc::clone(self));
        tasks.spawn_lasting(TaskKind::Streams, "streams", saying);
        if self.store.is_shared() {
            let living = lease::run(Arc::clone(self));
            tasks.spawn_lasting(TaskKind::Lease, "lease", living);
            let yielding = consoles::run(Arc::clone(self));
            tasks.spawn_lasting(TaskKind::Consoles, "consoles", yielding);
        }
        let tidying = housekeeping::run(Arc::clone(self));
        // Jobs run without it: a breakdown is logged and no more.
        tasks.spawn(TaskKind::Housekeeping, "housekeeping", tidying, |_| {});
    }

    /// Stops: no new jobs, running ones end their step, due events are sent, the store is closed.
    pub async fn stop(&self) {
        self.tasks.stop();
        self.places.drain();
        self.tasks.ended(self.config.drain_timeout() + FLUSH).await;
        self.store.close().await;
    }

    /// Where everything is kept.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What the numbers are right now.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        let (running, queued) = self.places.counts();
        let uptime = self.world.clock.now().since(self.started_at).as_secs_f64();
        Gauges {
            running,
            queued,
            uptime,
        }
    }
}

/// Consoles belong to one job at a time, also where other engines run jobs.
fn connectors(store: &Store, world: &World) -> Arc<Connectors> {
    let connectors = Connectors::new(Arc::clone(&world.clock));
    Arc::new(if store.is_shared() {
        connectors.with_leases(Arc::new(StoredLeases(store.clone())))
    } else {
        connectors
    })
}

/// Where events are kept that are too large for a row: in the bucket, if there is one; else in the data folder, if
/// no other engine needs them; else nowhere.
///
/// # Errors
/// [`Error::Unavailable`] if the place cannot be used.
pub(crate) fn objects(config: &Config) -> Result<Objects> {
    if let (Some(s3), Some(bucket)) = (config.s3.place(), &config.s3.bucket) {
        let store = s3.connect(bucket).map_err(|error| {
            Error::Unavailable(format!("the bucket of [s3] cannot be used: {error}"))
        })?;
        return Ok(Objects::new(Arc::from(store)));
    }
    if config.store.is_shared() {
        return Ok(Objects::default());
    }
    Ok(Objects::in_folder(&config.store.data_dir.join(OBJECTS))?)
}

/// The same, where they are only read: nothing is made.
///
/// # Errors
/// As [`objects`].
pub(crate) fn objects_there(config: &Config) -> Result<Objects> {
    let folder = config.store.data_dir.join(OBJECTS);
    if config.s3.bucket.is_some() || folder.is_dir() {
        objects(config)
    } else {
        Ok(Objects::default())
    }
}
