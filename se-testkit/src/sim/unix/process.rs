//! Processes of a host: each shell leads a group, and the group ends with its owner.

use std::io;
use std::process::{Command as Now, Stdio};

use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

/// A shell and everything it started.
#[derive(Debug)]
pub(super) struct Group {
    leader: u32,
    child: Child,
}

impl Group {
    pub(super) fn start(mut command: Command, stderr: Stdio) -> io::Result<Self> {
        let child = command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()?;
        let leader = child.id().unwrap_or_default();
        Ok(Self { leader, child })
    }

    /// What is typed, printed and complained; once.
    pub(super) fn pipes(&mut self) -> Option<(ChildStdin, ChildStdout, Option<ChildStderr>)> {
        let child = &mut self.child;
        Some((
            child.stdin.take()?,
            child.stdout.take()?,
            child.stderr.take(),
        ))
    }

    /// The exit code, when it has ended; 128 and the signal, as shells say it.
    pub(super) async fn wait(&mut self) -> u32 {
        use std::os::unix::process::ExitStatusExt as _;
        let Ok(status) = self.child.wait().await else {
            return 255;
        };
        let code = status.code().or_else(|| status.signal().map(|it| 128 + it));
        code.and_then(|it| u32::try_from(it).ok()).unwrap_or(255)
    }

    /// Ctrl-C.
    pub(super) fn interrupt(&self) {
        self.signal("INT");
    }

    fn signal(&self, signal: &str) {
        // Zero would be our own group.
        if self.leader == 0 {
            return;
        }
        let kill = format!("kill -{signal} -- -{}", self.leader);
        let mut command = Now::new("/bin/bash");
        command.args(["-c", &kill]).stderr(Stdio::null());
        if let Err(error) = command.status() {
            tracing::warn!(%error, group = self.leader, signal, "no signal was sent");
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal("KILL");
    }
}
