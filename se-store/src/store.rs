use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use se_runtime::{Clock, Timestamp};
use tokio::sync::{broadcast, watch};

use crate::append::{Append, Appended};
use crate::changes::{Announced, Changes, News};
use crate::definitions::{Kept, UnderWay};
use crate::error::{Doing, Result};
use crate::feed::Feed;
use crate::keyring::Keyring;
use crate::objects::Objects;
use crate::outbox::Announce;
use crate::postgres::{self, Server};
use crate::seal::Randomness;
use crate::session::{Replica, Session};
use crate::sql::{self, Connection, Pool};
use crate::writer::{Tx, Writer, probe};
use crate::{Definitions, Outbox, sqlite};

/// How long a database server may take for an answer: longer than any turn to write, and shorter than anybody
/// wants to wait for a server that is not there any more.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(30);

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
    /// Where large events are kept.
    pub objects: Objects,
    /// How long a database server may take for an answer, [`ANSWER_WITHIN`]. Then its connection is given up, and
    /// over another it is found out what became of what it was asked for.
    pub answer_within: Duration,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("keys", &self.keys).finish()
    }
}

/// The database of one engine. Cheap to clone; the last clone that goes ends the writer.
#[derive(Clone)]
pub struct Store {
    pub(crate) readers: Pool,
    pub(crate) options: Options,
    pub(crate) replica: Replica,
    /// Where the database is, if it is not a file of this engine alone.
    pub(crate) server: Option<Server>,
    writer: Writer,
    announced: Announced,
    /// Versions that were read.
    pub(crate) kept: Arc<Kept>,
    pub(crate) syncs: Arc<UnderWay>,
    /// Tells of what other engines commit; ends with the last clone.
    feed: Option<Feed>,
}

impl Store {
    /// Opens the database at `url` (`sqlite:///var/lib/se/se.db`, `sqlite://se.db`,
    /// `sqlite::memory:`, `postgres://user@host/database`), makes it where there is no file, brings its
    /// schema up to date and joins whoever works on it. Syncs that a former engine left unfinished are
    /// marked as failed.
    ///
    /// # Errors
    /// [`Error::InUse`](crate::Error::InUse) if another engine has it open,
    /// [`Error::NewerSchema`](crate::Error::NewerSchema) if a newer one wrote it,
    /// [`Error::Unavailable`](crate::Error::Unavailable) if it cannot be opened.
    pub async fn open(url: &str, options: Options) -> Result<Self> {
        let store = if postgres::is_meant(url) {
            Self::open_postgres(url, options).await?
        } else {
            Self::open_sqlite(url, options).await?
        };
        store.join().await?;
        Ok(store)
    }

    async fn open_sqlite(url: &str, options: Options) -> Result<Self> {
        let opened = sqlite::open(url)?;
        let (replica, announced) = (Replica::default(), Announced::new(None));
        let conn = Connection::Sqlite(opened.writer);
        let session = Session::new(conn, Arc::clone(&replica));
        Ok(Self {
            readers: Pool::Sqlite(opened.readers),
            options,
            replica,
            server: None,
            writer: Writer::start(session, opened.lock, announced.clone())?,
            announced,
            kept: Arc::default(),
            syncs: Arc::default(),
            feed: None,
        })
    }

    async fn open_postgres(url: &str, options: Options) -> Result<Self> {
        let server = Server::parse(url)?;
        let mut conn = server.migrate().await?;
        let newest: (Option<i64>,) = sql::query("SELECT max(position) FROM events")
            .fetch_one(sql::On::Postgres(&mut conn))
            .await
            .doing("read the newest event")?;
        let replica = Replica::default();
        let limit = options.answer_within;
        let session = Session::on_server(conn, server.clone(), Arc::clone(&replica), limit).await;
        let session = session.doing("reach the database server")?;
        let (feed, announced) = Feed::start(&server, &replica, newest.0.unwrap_or(0))?;
        Ok(Self {
            readers: Pool::Postgres(server.readers()),
            options,
            replica,
            server: Some(server),
            writer: Writer::start(session, None, announced.clone())?,
            announced,
            kept: Arc::default(),
            syncs: Arc::default(),
            feed: Some(feed),
        })
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
    pub fn committed(&self) -> broadcast::Receiver<Arc<News>> {
        self.announced.events()
    }

    /// Ends when the database answers, readers and writer both.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable) if it does not.
    pub async fn ping(&self) -> Result<()> {
        let read = sql::query("SELECT 1").within(self.options.answer_within);
        read.execute(&self.readers)
            .await
            .doing("reach the database")?;
        self.write("reach the database", |tx| Box::pin(probe(tx)))
            .await
    }

    /// Makes everything durable, leaves the engines on the database, closes it and gives up the lock on
    /// it. Other clones answer that the store is unavailable afterwards.
    pub async fn close(&self) {
        if let Err(error) = self.leave().await {
            tracing::warn!(%error, "others see only after a lease that this engine is gone");
        }
        if let Some(feed) = &self.feed {
            feed.close().await;
        }
        self.readers.close().await;
        self.writer.close().await;
    }

    pub(crate) fn changed_definitions(&self) -> u64 {
        self.announced.changed_definitions()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.options.clock.now()
    }

    pub(crate) async fn write_ahead<T, W>(&self, doing: &'static str, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + 'static,
    {
        self.writer.write_ahead(doing, work).await
    }

    pub(crate) async fn append(&self, append: Append) -> Result<Appended> {
        self.writer.append(append).await
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
