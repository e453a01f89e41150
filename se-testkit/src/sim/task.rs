//! Tasks of simulators: each ends with the value that owns it.

use std::future::Future;

use tokio::task::JoinHandle;

/// A running task; ends when dropped.
#[derive(Debug)]
pub(super) struct Task(JoinHandle<()>);

/// Starts a task.
pub(super) fn start(work: impl Future<Output = ()> + Send + 'static) -> Task {
    #[expect(clippy::disallowed_methods, reason = "a simulator owns its tasks")]
    Task(tokio::spawn(work))
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
