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
    /// Starts a process that stays in the foreground, and ends with this one even where nothing is dropped.
    pub(super) fn start(&mut self, program: &Command) -> io::Result<()> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--"]);
        command.arg(program.get_program()).args(program.get_args());
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

/// Removes what labs of processes that were killed have left: their namespaces, with what runs in them.
pub(super) fn sweep() -> io::Result<()> {
    let listed = Command::new("ip").args(["netns", "list"]).output()?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let names = listed.lines().filter_map(|it| it.split_whitespace().next());
    for name in names.filter(|it| is_orphan(it)) {
        let inside = Command::new("ip").args(["netns", "pids", name]).output()?;
        for id in String::from_utf8_lossy(&inside.stdout).split_whitespace() {
            run(Command::new("kill").arg(id))?;
        }
        run(Command::new("ip").args(["netns", "delete", name]))?;
    }
    Ok(())
}

/// Whether this is the namespace of a lab (`se-<process>-…`) whose process is gone.
fn is_orphan(name: &str) -> bool {
    let id = name.strip_prefix("se-").and_then(|it| it.split('-').next());
    let id = id.filter(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()));
    id.is_some_and(|it| !std::path::Path::new("/proc").join(it).exists())
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
