//! Devices: what a connector reaches, and the primitives that use one.

mod actions;
mod files;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::BoxFuture;
use regex::Regex;
use se_runtime::Fault;
use tokio::time::Instant;

pub use actions::{bounce, collect, exec};
pub(crate) use files::comes_from_device;
pub use files::{copy, fetch};

/// A session on a device, logged in and idle between calls.
///
/// # Contract
/// - Every method ends at its `deadline`, with a `timeout` fault that shows the last lines.
/// - A method that returned a fault leaves a session of unknown state: abandon it.
/// - After a fault or a dropped future, [`Device::stop`] and [`Device::abandon`] stop what runs (Ctrl-C, or a signal
///   over SSH).
/// - No fault shows the connector's username, password or enable password.
pub trait Device: Send {
    /// Makes sure that the device answers and stands at its command prompt, privileged where it can be.
    fn ready(&mut self, deadline: Instant) -> BoxFuture<'_, Result<(), Fault>>;

    /// Runs a command or several lines.
    fn run<'a>(
        &'a mut self,
        task: &'a Task,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Reply, Fault>>;

    /// Puts a file on the device.
    fn put<'a>(
        &'a mut self,
        file: &'a Payload,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Stored, Fault>>;

    /// Gets a file of the device.
    fn get<'a>(
        &'a mut self,
        file: &'a Wanted,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Fetched, Fault>>;

    /// Leaves the device as it was found, as far as that goes within `deadline`.
    fn close(self: Box<Self>, deadline: Instant) -> BoxFuture<'static, ()>;

    /// Stops what runs, after a fault or a dropped future; [`Device::ready`] says whether the session is of use still.
    fn stop(&mut self, deadline: Instant) -> BoxFuture<'_, ()>;

    /// Stops what runs and closes the connection, after a fault or a dropped future.
    fn abandon(self: Box<Self>, deadline: Instant) -> BoxFuture<'static, ()>;
}

/// Lines to run.
#[derive(Clone, Debug, Default)]
pub struct Task {
    /// One command, or several lines: in one shell (unix), or one after the other (everything else).
    pub text: String,
    /// What to reply when the device asks, in order.
    pub answers: Vec<Answer>,
    /// Send the lines after one that the device rejected. A shell decides that for itself (`set -e`).
    pub keep_going: bool,
}

impl Task {
    /// One command, or several lines, that ask for nothing.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// The command, or the first line of several and their number, for messages.
    pub(crate) fn title(&self) -> String {
        let first = self.text.lines().next().unwrap_or_default();
        match self
            .text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .count()
        {
            0 | 1 => first.to_owned(),
            count => format!("{first} … ({count} lines)"),
        }
    }
}

/// A question and its reply.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What the device asks, on the line where it waits.
    pub prompt: Question,
    /// What to type.
    pub reply: String,
}

/// How a question is recognised.
#[derive(Clone, Debug)]
pub enum Question {
    /// The line holds this text.
    Text(String),
    /// The line matches; written `~ regex`.
    Pattern(Regex),
}

impl Question {
    /// Whether `line` asks it.
    #[must_use]
    pub fn is_asked(&self, line: &str) -> bool {
        match self {
            Self::Text(text) => line.contains(text.as_str()),
            Self::Pattern(pattern) => pattern.is_match(line),
        }
    }
}

/// What a device said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// What it printed: lines end in `\n`, the last one has no end; no echo, no prompt, no control characters.
    pub text: String,
    /// Exit status, where the device has one.
    pub exit_code: Option<i32>,
    /// What the device said was wrong.
    pub error: Option<String>,
}

/// A file to put on a device.
#[derive(Clone, Debug)]
pub struct Payload {
    /// Where it is here.
    pub source: PathBuf,
    /// Where it goes on the device.
    pub dest: String,
    /// Permissions, where they are to be set.
    pub mode: Option<u32>,
    /// How much of it is there.
    pub moved: Arc<Moved>,
}

/// A file to get from a device.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Where it is on the device.
    pub source: String,
    /// Its bytes are kept if they are no more than these.
    pub keep: usize,
    /// How much of it is here.
    pub moved: Arc<Moved>,
}

/// How far a file is on its way: what moves it counts, and whoever wants to know looks.
#[derive(Debug, Default)]
pub struct Moved {
    done: AtomicU64,
    total: AtomicU64,
}

impl Moved {
    /// So many bytes there are.
    pub fn expect(&self, bytes: u64) {
        self.total.store(bytes, Ordering::Relaxed);
    }

    /// So many more have moved.
    pub fn add(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(0);
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes that have moved, and how many there are.
    #[must_use]
    pub fn so_far(&self) -> (u64, u64) {
        let done = self.done.load(Ordering::Relaxed);
        (done, self.total.load(Ordering::Relaxed))
    }
}

/// A file that is on a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its size.
    pub bytes: u64,
    /// Lower-case hex digest of what was sent, equal to the copy's where the device could tell.
    pub sha256: String,
}

/// A file that was got from a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Its size.
    pub bytes: u64,
    /// Lower-case hex digest of what came, equal to the file's where the device could tell.
    pub sha256: String,
    /// What is in it, unless it is larger than what was to be kept.
    pub content: Option<Vec<u8>>,
}
