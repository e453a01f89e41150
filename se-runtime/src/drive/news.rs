//! What attempts say about how far they are.

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use futures_util::task::AtomicWaker;

use crate::port::Progress;

/// The latest progress that attempts report; older ones are replaced.
#[derive(Default)]
pub(super) struct News {
    latest: Mutex<Option<String>>,
    waker: AtomicWaker,
}

impl News {
    fn put(&self, message: String) {
        *self.latest() = Some(message);
        self.waker.wake();
    }

    pub(super) fn take(&self) -> Option<String> {
        self.latest().take()
    }

    pub(super) fn is_there(&self) -> bool {
        self.latest().is_some()
    }

    fn latest(&self) -> MutexGuard<'_, Option<String>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends when there is something to take, and not before `due`.
    pub(super) async fn wait(&self, due: Option<BoxFuture<'static, ()>>) {
        if let Some(due) = due {
            due.await;
        }
        std::future::poll_fn(|context| {
            self.waker.register(context.waker());
            if self.is_there() {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
    }
}

/// One attempt's way to tell how far it is.
pub(super) struct Voice<'a> {
    pub(super) news: &'a News,
    pub(super) step: String,
}

impl Progress for Voice<'_> {
    fn report(&self, percent: u8, message: &str) {
        self.news
            .put(format!("{}: {message} ({}%)", self.step, percent.min(100)));
    }
}
