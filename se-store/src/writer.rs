//! The one writer. All requests that wait go into one transaction, so that they share one fsync.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use crate::append::{self, Append, Appended};
use crate::changes::{Announced, News};
use crate::error::{Doing, Error, Result};
use crate::group::{commit, execute};
use crate::session::Session;
use crate::sql::Connection;

/// Requests that may wait before callers are held back: a few times what one group takes.
const QUEUE: usize = 1024;
/// The most requests in one transaction: bounds how long the first of them waits for its commit.
const GROUP: usize = 256;

/// What a request writes through.
pub(crate) struct Tx {
    pub(crate) conn: Connection,
    pub(crate) written: Written,
    /// Who writes.
    pub(crate) replica: i64,
    /// What the database calls the transaction, where it has names for them.
    pub(crate) transaction: Option<String>,
    /// How long a request may take, where the database may not answer.
    pub(crate) limit: Option<Duration>,
}

/// What others are told once it is committed.
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) events: Vec<Arc<News>>,
    pub(crate) deliveries: u64,
    /// Whether there may be something to drive.
    pub(crate) jobs: bool,
    /// Whether there may be something to stop.
    pub(crate) cancels: bool,
    /// Whether versions of pod definitions have changed.
    pub(crate) definitions: bool,
}

impl Written {
    /// Jobs may have lost who drove them: they are to be driven, or ended if that was wanted.
    pub(crate) fn freed(&mut self) {
        self.jobs = true;
        self.cancels = true;
    }
}

/// Where requests are handed in.
#[derive(Clone)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Message>,
}

enum Message {
    Work(Work),
    Close(oneshot::Sender<()>),
}

/// What a group consists of.
pub(crate) enum Work {
    Write(Box<dyn Request>),
    /// What nobody outside is told of: it need not be durable before what follows from it is.
    Ahead(Box<dyn Request>),
    Append(Box<Append>, oneshot::Sender<Result<Appended>>),
}

/// A request on its way; its type parameters are hidden from the queue.
pub(crate) trait Request: Send {
    fn apply<'t>(&'t mut self, tx: &'t mut Tx) -> BoxFuture<'t, bool>;
    fn answer(self: Box<Self>, commit: Result<()>);
}

struct Pending<T, W> {
    work: Option<W>,
    outcome: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, W> Request for Pending<T, W>
where
    T: Send + 'static,
    W: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send,
{
    fn apply<'t>(&'t mut self, tx: &'t mut Tx) -> BoxFuture<'t, bool> {
        Box::pin(async move {
            let Some(work) = self.work.take() else {
                return false;
            };
            let outcome = work(tx).await;
            let fine = outcome.is_ok();
            self.outcome = Some(outcome);
            fine
        })
    }

    fn answer(self: Box<Self>, commit: Result<()>) {
        let outcome = match (self.outcome, commit) {
            // Its own error says more than that of the group.
            (Some(Err(error)), _) | (_, Err(error)) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(Error::stopped("write")),
        };
        // The caller may have gone; what was written stays written.
        self.reply.send(outcome).ok();
    }
}

impl Writer {
    /// Starts the thread that owns the session and, as long as it runs, the lock on the database.
    pub(crate) fn start(
        session: Session,
        lock: Option<File>,
        announced: Announced,
    ) -> Result<Self> {
        let (queue, requests) = mpsc::channel(QUEUE);
        let failed = |error: std::io::Error| Error::Unavailable {
            doing: "start the writer thread",
            source: Some(Arc::new(error)),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        // A thread, not a task: a commit that has begun is not cut short by the end of a runtime.
        std::thread::Builder::new()
            .name("se-store-writer".to_owned())
            .spawn(move || {
                let closing = runtime.block_on(serve(session, requests, announced));
                drop(lock);
                if let Some(closing) = closing {
                    // Whoever asked for the end may no longer care.
                    closing.send(()).ok();
                }
            })
            .map_err(failed)?;
        Ok(Self { queue })
    }

    /// Does `work` in a transaction and returns once it is durable. Where `work` fails, nothing of it
    /// stays. Dropping the future does not stop a request that is already in the queue.
    pub(crate) async fn write<T, W>(&self, doing: &'static str, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + 'static,
    {
        let (request, answer) = request(work);
        self.hand_in(Work::Write(request), answer, doing).await
    }

    /// As [`Self::write`], but returns once it is committed. Whatever is durable later makes it durable too;
    /// where power fails before, it has not happened.
    pub(crate) async fn write_ahead<T, W>(&self, doing: &'static str, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + 'static,
    {
        let (request, answer) = request(work);
        self.hand_in(Work::Ahead(request), answer, doing).await
    }

    /// Appends to a log, together with whatever else waits.
    pub(crate) async fn append(&self, append: Append) -> Result<Appended> {
        const DOING: &str = "append to the log";
        if append.learns() {
            let alone = self.write(DOING, move |tx| Box::pin(append::store(tx, vec![append])));
            return alone.await?.pop().ok_or_else(|| Error::stopped(DOING));
        }
        let (reply, answer) = oneshot::channel();
        self.hand_in(Work::Append(Box::new(append), reply), answer, DOING)
            .await
    }

    async fn hand_in<T>(
        &self,
        work: Work,
        answer: oneshot::Receiver<Result<T>>,
        doing: &'static str,
    ) -> Result<T> {
        let sent = self.queue.send(Message::Work(work)).await;
        sent.map_err(|_| Error::stopped(doing))?;
        answer.await.map_err(|_| Error::stopped(doing))?
    }

    /// Ends after everything in the queue is durable and the database is closed.
    pub(crate) async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.queue.send(Message::Close(reply)).await.is_ok() {
            // An error means that the thread has ended, which is what is waited for.
            closed.await.ok();
        }
    }
}

/// A request and where its answer will come.
pub(crate) fn request<T, W>(work: W) -> (Box<dyn Request>, oneshot::Receiver<Result<T>>)
where
    T: Send + 'static,
    W: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    let pending = Pending {
        work: Some(work),
        outcome: None,
        reply,
    };
    (Box::new(pending), answer)
}

async fn serve(
    mut session: Session,
    mut requests: mpsc::Receiver<Message>,
    announced: Announced,
) -> Option<oneshot::Sender<()>> {
    let mut messages = Vec::new();
    let mut closing = None;
    while closing.is_none() && requests.recv_many(&mut messages, GROUP).await > 0 {
        let mut group = Vec::with_capacity(messages.len());
        for message in messages.drain(..) {
            match message {
                Message::Work(work) => group.push(work),
                Message::Close(reply) => closing = Some(reply),
            }
        }
        if !group.is_empty() {
            commit(&mut session, group, &announced).await;
        }
    }
    session.close().await;
    closing
}

/// Ends when the database answers.
pub(crate) async fn probe(tx: &mut Tx) -> Result<()> {
    execute(tx, "SELECT 1").await.doing("reach the database")
}
