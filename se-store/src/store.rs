use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use se_runtime::{Clock, Timestamp};
use sqlx::SqlitePool;
use tokio::sync::{broadcast, watch};

use crate::changes::{Announced, Changes, Stored};
use crate::error::{Doing, Result};
use crate::keyring::Keyring;
use crate::outbox::Announce;
use crate::seal::Randomness;
use crate::writer::{Tx, Writer, probe};
use crate::{Definitions, Outbox, sqlite};

/// What a store needs of the world.
#[derive(Clone)]
pub struct Options {
    /// Seal and open the secrets of jobs.
    pub keys: Keyring,
    /// Says what is to be delivered when something happens.
    pub announce: Arc<dyn Announce>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Where nonces come from.
    pub random: Arc<dyn Randomness>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("keys", &self.keys).finish()
    }
}

/// The database of one engine. Cheap to clone; the last clone that goes ends the writer.
#[derive(Clone)]
pub struct Store {
    pub(crate) readers: SqlitePool,
    pub(crate) options: Options,
    writer: Writer,
    announced: Announced,
}

impl Store {
    /// Opens the database at `url` (`sqlite:///var/lib/se/se.db`, `sqlite://se.db`,
    /// `sqlite::memory:`), makes it where there is none, and brings its schema up to date. Syncs that
    /// a former engine left unfinished are marked as failed.
    ///
    /// # Errors
    /// [`Error::InUse`](crate::Error::InUse) if another engine has it open,
    /// [`Error::NewerSchema`](crate::Error::NewerSchema) if a newer one wrote it,
    /// [`Error::Unavailable`](crate::Error::Unavailable) if it cannot be opened.
    pub async fn open(url: &str, options: Options) -> Result<Self> {
        let opened = sqlite::open(url).await?;
        let announced = Announced::new();
        let writer = Writer::start(opened.writer, opened.lock, announced.clone())?;
        let store = Self {
            readers: opened.readers,
            options,
            writer,
            announced,
        };
        store.definitions().abandon_syncs().await?;
        Ok(store)
    }

    /// The versions of pod definitions.
    #[must_use]
    pub fn definitions(&self) -> Definitions<'_> {
        Definitions { store: self }
    }

    /// The CloudEvents on their way out.
    #[must_use]
    pub fn outbox(&self) -> Outbox<'_> {
        Outbox { store: self }
    }

    /// Ticks whenever events or deliveries have been committed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Changes> {
        self.announced.changes()
    }

    /// Every event that is committed from here on, of all jobs. A listener that is told that it has
    /// lagged reads what it missed with [`Self::events`] or [`Self::events_since`].
    #[must_use]
    pub fn committed(&self) -> broadcast::Receiver<Arc<Stored>> {
        self.announced.events()
    }

    /// Ends when the database answers, readers and writer both.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable) if it does not.
    pub async fn ping(&self) -> Result<()> {
        let read = sqlx::query("SELECT 1").execute(&self.readers).await;
        read.doing("reach the database")?;
        self.write("reach the database", |tx| Box::pin(probe(tx)))
            .await
    }

    /// Makes everything durable, closes the database and gives up the lock on it. Other clones
    /// answer that the store is unavailable afterwards.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.options.clock.now()
    }

    pub(crate) async fn write<T, W>(&self, doing: &'static str, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + 'static,
    {
        self.writer.write(doing, work).await
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}
