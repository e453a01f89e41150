//! Processes that end with the lab.

use std::io;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::PATIENCE;

const STEP: Duration = Duration::from_millis(50);

/// Processes, ended in the reverse order of their start.
#[derive(Debug, Default)]
pub(super) struct Processes(Vec<Child>);

impl Processes {
    /// Starts a process that stays in the foreground.
    pub(super) fn start(&mut self, command: &mut Command) -> io::Result<()> {
        command.stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn();
        let child = child.map_err(|error| io::Error::other(format!("{command:?}: {error}")))?;
        self.0.push(child);
        Ok(())
    }

    /// Asks each to end, and makes those that do not.
    pub(super) fn stop(&mut self) {
        for child in self.0.iter().rev() {
            let asked = run(Command::new("kill").arg(child.id().to_string()));
            if let Err(error) = asked {
                tracing::debug!(%error, "a process of the lab had ended already");
            }
        }
        for mut child in self.0.drain(..).rev() {
            let ended = until("it to end", || matches!(child.try_wait(), Ok(Some(_))));
            if ended.is_err() && child.kill().and_then(|()| child.wait()).is_err() {
                tracing::warn!(id = child.id(), "a process of the lab stays behind");
            }
        }
    }
}

/// Runs to the end; what it says on failure is in the error.
pub(super) fn run(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| io::Error::other(format!("{command:?}: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim();
    Err(io::Error::other(format!(
        "{command:?}: {}: {said}",
        output.status
    )))
}

/// Looks again and again until it is so.
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> bool) -> io::Result<()> {
    let tries = PATIENCE.as_millis() / STEP.as_millis();
    for _ in 0..tries {
        if is_so() {
            return Ok(());
        }
        std::thread::sleep(STEP);
    }
    let seconds = PATIENCE.as_secs();
    Err(io::Error::other(format!("waited {seconds} s for {what}")))
}
