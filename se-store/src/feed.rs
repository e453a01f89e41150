//! What other engines commit to the same database. PostgreSQL says when; what it was is read.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgNotification};
use tokio::sync::{mpsc, watch};

use crate::changes::{Announced, News};
use crate::error::{Error, Result};
use crate::log;
use crate::postgres::{CHANNEL, Server};
use crate::session::Replica;
use crate::sql::{self, Pool};

/// A notification may be lost with its connection: so often it is looked whether anything was committed.
const LOOK: Duration = Duration::from_secs(1);
/// Wait before the server is asked for a connection again.
const WAIT: Duration = Duration::from_secs(1);
/// Commits of this engine that may wait to be told.
const OWN: usize = 1024;
/// Events read in one go.
const PAGE: i64 = 500;

/// The thread that listens. Ends when the last clone is gone.
#[derive(Clone)]
pub(crate) struct Feed {
    /// Closed when the feed shall end.
    end: Arc<watch::Sender<bool>>,
    ended: Arc<tokio::sync::Mutex<mpsc::Receiver<()>>>,
}

impl Feed {
    /// Starts to listen for what is committed after position `newest`.
    pub(crate) fn start(
        server: &Server,
        replica: &Replica,
        newest: i64,
    ) -> Result<(Self, Announced)> {
        let failed = |error: std::io::Error| Error::Unavailable {
            doing: "start the thread that listens to the database",
            source: Some(Arc::new(error)),
        };
        let (own, committed) = mpsc::channel(OWN);
        let announced = Announced::new(Some(own));
        let (end, ending) = watch::channel(false);
        let (running, ended) = mpsc::channel(1);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let (server, replica, told) = (server.clone(), Arc::clone(replica), announced.clone());
        std::thread::Builder::new()
            .name("se-store-feed".to_owned())
            .spawn(move || {
                let pool = runtime.block_on(async { server.listeners() });
                let listening = Listening {
                    pool,
                    replica,
                    announced: told,
                    committed,
                    newest,
                    horizon: None,
                };
                runtime.block_on(listening.until_ended(ending));
                drop(running);
            })
            .map_err(failed)?;
        let feed = Self {
            end: Arc::new(end),
            ended: Arc::new(tokio::sync::Mutex::new(ended)),
        };
        Ok((feed, announced))
    }

    /// Ends it, and waits until it has closed its connections.
    pub(crate) async fn close(&self) {
        self.end.send_replace(true);
        // Nothing is ever sent: it ends when the thread does.
        self.ended.lock().await.recv().await;
    }
}

struct Listening {
    pool: PgPool,
    replica: Replica,
    announced: Announced,
    /// What this engine commits.
    committed: mpsc::Receiver<Vec<Arc<News>>>,
    /// Position of the newest event that was told.
    newest: i64,
    /// Grows with every transaction of the server that writes.
    horizon: Option<String>,
}

impl Listening {
    async fn until_ended(mut self, mut ending: watch::Receiver<bool>) {
        tokio::select! {
            // Both an end that was said and a store that is gone.
            _ = ending.wait_for(|it| *it) => {}
            () = self.run() => {}
        }
        self.pool.close().await;
    }

    async fn run(&mut self) {
        loop {
            if let Err(error) = self.listen().await {
                tracing::warn!(%error, "not listening to the database; trying again");
            }
            tokio::time::sleep(WAIT).await;
        }
    }

    async fn listen(&mut self) -> sql::Result<()> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(CHANNEL).await?;
        self.look().await?;
        loop {
            // Each can be dropped and made again: whatever was committed is looked for afterwards.
            let is_news = tokio::select! {
                news = listener.try_recv() => self.is_foreign(news?),
                Some(events) = self.committed.recv() => !self.tell_own(events),
                () = tokio::time::sleep(LOOK) => true,
            };
            if is_news {
                self.look().await?;
            }
        }
    }

    /// Whether another engine has committed something; that connections were lost may hide it.
    fn is_foreign(&self, news: Option<PgNotification>) -> bool {
        let own = self.replica.load(Ordering::SeqCst).to_string();
        let foreign = news.is_none_or(|it| it.payload() != own);
        if foreign {
            self.announced.tell_foreign();
        }
        foreign
    }

    /// Tells of events of this engine; `false` if those of others may come before them. A few numbers
    /// that nobody got (a transaction was undone) look the same.
    fn tell_own(&mut self, events: Vec<Arc<News>>) -> bool {
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return true;
        };
        if last.position <= self.newest {
            // A look has found them.
            return true;
        }
        if first.position != self.newest + 1 {
            return false;
        }
        self.newest = last.position;
        self.announced.tell_events(events);
        true
    }

    /// Tells of the events since the last look.
    async fn look(&mut self) -> sql::Result<()> {
        let pool = Pool::Postgres(self.pool.clone());
        let (horizon, newest): (String, Option<i64>) = sql::query(
            "SELECT CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT), \
             (SELECT max(position) FROM events)",
        )
        .fetch_one(&pool)
        .await?;
        let newest = newest.unwrap_or(0);
        let before = self.horizon.replace(horizon);
        if before.is_some() && before != self.horizon && self.newest == newest {
            self.announced.tell_foreign();
        }
        // Asked after the newest was: who listens from now on reads what there is.
        if !self.announced.has_listeners() {
            self.newest = newest;
        }
        while self.newest < newest {
            let (last, events) = page(&pool, self.newest).await?;
            // None if they were deleted meanwhile.
            self.newest = last.unwrap_or(newest);
            self.announced.tell_events(events);
        }
        Ok(())
    }
}

/// The next events that can be told, and the position of the last that was read, whether it can be told or not.
async fn page(pool: &Pool, after: i64) -> sql::Result<(Option<i64>, Vec<Arc<News>>)> {
    let told = |row: log::Row| {
        row.news()
            .inspect_err(|error| tracing::error!(%error, "an event cannot be told"))
            .ok()
            .map(Arc::new)
    };
    let rows = log::rows_since(pool, after, PAGE).await?;
    let last = rows.last().map(log::Row::position);
    Ok((last, rows.into_iter().filter_map(told).collect()))
}
