//! Programs that run beside a measurement.

use std::path::Path;
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// A running program. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub(crate) fn start(
        program: &Path,
        arguments: &[&str],
        environment: &[(&str, String)],
    ) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .envs(environment.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the program is built");
        let stdout = child.stdout.take().expect("it has an output");
        Self {
            child,
            lines: BufReader::new(stdout).lines(),
        }
    }

    /// This program in another of its roles.
    pub(crate) fn own(arguments: &[&str]) -> Self {
        let own = std::env::current_exe().expect("a program knows where it is");
        Self::start(&own, arguments, &[])
    }

    /// This program as a server that does only what must be done, and its host and port.
    pub(crate) async fn floor(folder: &Path) -> (Self, String) {
        let database = folder.join("floor.db");
        let mut process = Self::own(&["floor", "--database", &database.to_string_lossy()]);
        let line = process.line().await;
        let address = line.strip_prefix("listening on http://");
        (process, address.expect("it says so").to_owned())
    }

    /// The next line that it prints.
    pub(crate) async fn line(&mut self) -> String {
        let line = self.lines.next_line().await.expect("it can be read");
        line.expect("it says something before it ends")
    }

    /// The next line, which is a number.
    pub(crate) async fn number(&mut self) -> u64 {
        let line = self.line().await;
        line.parse().expect("it prints numbers")
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    pub(crate) async fn signal(&self, signal: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().await;
        assert!(sent.expect("kill runs").success(), "{signal} is sent");
    }

    /// Sends a signal that ends it, and waits for that.
    pub(crate) async fn end(mut self, signal: &str) {
        self.signal(signal).await;
        self.child.wait().await.expect("it ends");
    }

    /// Memory of its own and of files that it has in memory, in kB.
    pub(crate) fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.id());
        let status = std::fs::read_to_string(path).expect("it runs");
        let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
        let number = line.and_then(|it| it.split_whitespace().next());
        number
            .and_then(|it| it.parse().ok())
            .expect("Linux says how much")
    }

    /// Time on processors so far, in ticks of 10 ms.
    pub(crate) fn ticks(&self) -> u64 {
        let path = format!("/proc/{}/stat", self.id());
        let stat = std::fs::read_to_string(path).expect("it runs");
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let mut times = fields.split_whitespace().skip(11).take(2);
        let mut time = || times.next().and_then(|it| it.parse::<u64>().ok());
        let (user, system) = (time(), time());
        user.zip(system)
            .map(|(user, system)| user + system)
            .expect("Linux says how long")
    }
}

/// Microseconds since the epoch: a time that processes of one machine can compare.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = since.expect("the clock is right");
    u64::try_from(since.as_micros()).expect("it is not yet the end of time")
}
