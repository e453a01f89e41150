//! Commands over SSH, each in a channel of its own, with their exit status.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use russh::{Channel, ChannelMsg, Sig, client};
use se_runtime::{Fault, FaultKind};
use tokio::time::{Instant, timeout_at};

use super::files;
use super::place::Came;
use super::screen::Screen;
use super::ssh::Connection;
use crate::device::{Device, Fetched, Payload, Reply, Stored, Task, Wanted};
use crate::transcript::Transcript;

/// A command that prints more than this is stopped.
const LONGEST_OUTPUT: usize = 16 * 1024 * 1024;
/// What is kept of standard error for a message.
const LONGEST_ERROR: usize = 4 * 1024;
/// What a command started in the background may hold the channel open; after the exit status, this much
/// silence is the end.
const AFTER_EXIT: Duration = Duration::from_millis(500);
/// A question is one after this much silence.
const QUIET: Duration = Duration::from_millis(50);
const LINES_SHOWN: usize = 5;
/// Longer than any step.
const FOREVER: Duration = Duration::from_secs(24 * 3600);

/// A host that runs commands over SSH.
pub(crate) struct Commands {
    connection: Connection,
    transcript: Transcript,
    /// How long a command may say nothing.
    idle: Option<Duration>,
}

impl Commands {
    pub(crate) fn new(
        connection: Connection,
        transcript: Transcript,
        idle: Option<Duration>,
    ) -> Self {
        Self {
            connection,
            transcript,
            idle,
        }
    }

    async fn execute(&self, task: &Task, deadline: Instant) -> Result<Reply, Fault> {
        self.transcript.sent(&task.text);
        let channel = self.connection.channel(deadline).await?;
        let mut running = Running {
            channel,
            screen: Screen::default(),
            errors: Vec::new(),
            idle: self.idle.unwrap_or(FOREVER),
            ended: false,
        };
        let run = running.run(task, &self.transcript);
        let ended = match timeout_at(deadline, run).await {
            Ok(ended) => ended.map_err(|failed| self.failed(task, &running.screen, failed))?,
            Err(_) => return Err(self.failed(task, &running.screen, Failed::Deadline)),
        };
        running.ended = true;
        Ok(running.reply(&ended))
    }

    fn failed(&self, task: &Task, screen: &Screen, failed: Failed) -> Fault {
        let title = task.title();
        let lines = screen.tail(LINES_SHOWN);
        let (kind, tried, check) = match failed {
            Failed::Broken(error) => {
                return self
                    .connection
                    .broken(&format!("running `{title}`"), &error);
            }
            Failed::HungUp => (
                FaultKind::Communication,
                format!("the connection ended while `{title}` ran"),
                "check that the device is still up",
            ),
            Failed::Refused => (
                FaultKind::Validation,
                format!("the SSH server does not run commands: `{title}`"),
                "use a connector of class cisco_common for a device that has a command line only",
            ),
            Failed::TooMuch => (
                FaultKind::Validation,
                format!("`{title}` printed more than {} MiB", LONGEST_OUTPUT >> 20),
                "narrow the command (`head`, `grep`)",
            ),
            Failed::Silent(idle) => (
                FaultKind::Timeout,
                format!("`{title}` said nothing for {} s", idle.as_secs_f64()),
                "raise the connector's `idle_timeout` if it is slow; check that it waits for nothing (`answers`)",
            ),
            Failed::Deadline => (
                FaultKind::Timeout,
                format!("`{title}` did not end in time"),
                "raise the step's `timeout` if it is slow; check that it waits for nothing (`answers`)",
            ),
        };
        let place = self.connection.place();
        let fault = place.fault(kind, &tried, &Came::Lines(&lines), check);
        self.transcript.note(&fault.to_string());
        fault
    }
}

enum Failed {
    Broken(russh::Error),
    HungUp,
    Refused,
    TooMuch,
    /// It said nothing for so long.
    Silent(Duration),
    Deadline,
}

impl From<russh::Error> for Failed {
    fn from(error: russh::Error) -> Self {
        Self::Broken(error)
    }
}

/// How a command ended.
enum Ended {
    Exited(i32),
    /// By this signal.
    Killed(String),
}

/// A command that runs. Dropped before its end, it is stopped.
struct Running {
    channel: Channel<client::Msg>,
    screen: Screen,
    errors: Vec<u8>,
    idle: Duration,
    ended: bool,
}

impl Running {
    async fn run(&mut self, task: &Task, transcript: &Transcript) -> Result<Ended, Failed> {
        let mut answers = task.answers.iter().peekable();
        if answers.peek().is_some() {
            // Programs ask on a terminal only.
            let pty = self
                .channel
                .request_pty(false, "vt100", 512, 1000, 0, 0, &[]);
            pty.await?;
        }
        self.channel.exec(true, task.text.as_bytes()).await?;
        if answers.peek().is_none() {
            self.channel.eof().await?;
        }
        let mut ended = None;
        loop {
            let asked = answers
                .peek()
                .is_some_and(|it| it.prompt.is_asked(&self.screen.line()));
            let patience = match (&ended, asked) {
                (Some(_), _) => AFTER_EXIT,
                (None, true) => QUIET,
                (None, false) => self.idle,
            };
            match timeout_at(Instant::now() + patience, self.channel.wait()).await {
                Ok(Some(ChannelMsg::ExitStatus { exit_status })) => {
                    let status = i32::try_from(exit_status).unwrap_or(i32::MAX);
                    ended = Some(Ended::Exited(status));
                }
                Ok(Some(ChannelMsg::ExitSignal { signal_name, .. })) => {
                    ended = Some(Ended::Killed(format!("{signal_name:?}")));
                }
                Ok(Some(ChannelMsg::Failure)) => return Err(Failed::Refused),
                Ok(Some(ChannelMsg::Close) | None) => return ended.ok_or(Failed::HungUp),
                Ok(Some(message)) => self.take_in(message, transcript)?,
                Err(_) => match (ended.take(), asked) {
                    (Some(ended), _) => return Ok(ended),
                    (None, false) => return Err(Failed::Silent(self.idle)),
                    (None, true) => {
                        let reply = answers.next().map_or("", |it| it.reply.as_str());
                        transcript.sent(reply);
                        self.screen.feed(b"\n");
                        let reply = Bytes::from(format!("{reply}\n"));
                        self.channel.data_bytes(reply).await?;
                    }
                },
            }
        }
    }

    fn take_in(&mut self, message: ChannelMsg, transcript: &Transcript) -> Result<(), Failed> {
        let data = match message {
            ChannelMsg::Data { data } => data,
            ChannelMsg::ExtendedData { data, .. } => {
                self.errors.extend_from_slice(&data);
                let excess = self.errors.len().saturating_sub(LONGEST_ERROR);
                self.errors.drain(..excess);
                data
            }
            _ => return Ok(()),
        };
        transcript.received(&data);
        self.screen.feed(&data);
        if self.screen.len() > LONGEST_OUTPUT {
            return Err(Failed::TooMuch);
        }
        Ok(())
    }

    fn reply(&self, ended: &Ended) -> Reply {
        let text = self.screen.whole();
        let errors = String::from_utf8_lossy(&self.errors);
        let said = errors.lines().rev().find(|it| !it.trim().is_empty());
        let said = said.map_or_else(String::new, |it| format!(": {}", it.trim()));
        let (exit_code, error) = match ended {
            Ended::Exited(0) => (Some(0), None),
            Ended::Exited(code) => (Some(*code), Some(format!("exit status {code}{said}"))),
            Ended::Killed(signal) => (None, Some(format!("ended by signal {signal}{said}"))),
        };
        Reply {
            text: text.trim_end_matches('\n').to_owned(),
            exit_code,
            error,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // Both are queued at once while the channel has room; the connection's own task sends them.
        let stopped = async {
            self.channel.signal(Sig::TERM).await?;
            self.channel.close().await
        };
        match stopped.now_or_never() {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::debug!(%error, "a command was not stopped"),
            None => tracing::debug!("a command was not stopped: its channel is full"),
        }
    }
}

/// OpenSSH passes no signals on to root's commands. All children of its process for this connection are
/// abandoned: the connection has one user, who has gone. The shell that runs this is a child, too. The process is
/// called `sshd-session` since OpenSSH 9.8.
const STOP_CHILDREN: &str = "case \"$(ps -o comm= -p $PPID)\" in sshd|sshd-session) \
    for child in $(pgrep -P $PPID); do [ \"$child\" = $$ ] || kill -TERM -- -\"$child\"; done;; esac";
async fn stop_children(connection: &Connection, deadline: Instant) {
    let stopping = async {
        let mut channel = connection.channel(deadline).await?;
        let asked = channel.exec(true, STOP_CHILDREN).await;
        asked.map_err(|error| connection.broken("stopping a command", &error))?;
        while channel.wait().await.is_some() {}
        Ok::<(), Fault>(())
    };
    match timeout_at(deadline, stopping).await {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => tracing::debug!(%fault, "a command may still run"),
        Err(_) => tracing::debug!("a command may still run"),
    }
}

impl Device for Commands {
    fn ready(&mut self, _: Instant) -> BoxFuture<'_, Result<(), Fault>> {
        let state = if self.connection.is_closed() {
            Err(self
                .connection
                .broken("using an open connection", &russh::Error::Disconnect))
        } else {
            Ok(())
        };
        Box::pin(std::future::ready(state))
    }

    fn run<'a>(
        &'a mut self,
        task: &'a Task,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Reply, Fault>> {
        Box::pin(self.execute(task, deadline))
    }

    fn put<'a>(
        &'a mut self,
        file: &'a Payload,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Stored, Fault>> {
        Box::pin(files::put(
            &self.connection,
            &self.transcript,
            file,
            deadline,
        ))
    }

    fn get<'a>(
        &'a mut self,
        file: &'a Wanted,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Fetched, Fault>> {
        Box::pin(files::get(
            &self.connection,
            &self.transcript,
            file,
            deadline,
        ))
    }

    fn close(self: Box<Self>, deadline: Instant) -> BoxFuture<'static, ()> {
        Box::pin(async move { self.connection.close(deadline).await })
    }

    fn stop(&mut self, deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(stop_children(&self.connection, deadline))
    }

    fn abandon(self: Box<Self>, deadline: Instant) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            stop_children(&self.connection, deadline).await;
            self.connection.close(deadline).await;
        })
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::STOP_CHILDREN;

    /// What is killed where the shell's parent is called that.
    fn killed(parent: &str) -> String {
        let around = "pgrep() { echo 4242 $$; }; kill() { echo \"$@\"; }";
        let script = format!("ps() {{ echo '{parent}'; }}; {around}; {STOP_CHILDREN}");
        let said = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(said.stderr.is_empty(), "{said:?}");
        String::from_utf8(said.stdout).unwrap()
    }

    #[test]
    fn children_of_the_ssh_server_are_stopped_whatever_it_is_called() {
        for parent in ["sshd", "sshd-session"] {
            assert_eq!(killed(parent), "-TERM -- -4242\n", "{parent}");
        }
        assert_eq!(killed("systemd"), "");
    }
}
