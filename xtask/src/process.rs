//! Programs of ours that run beside the demo or the soak and end with it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::command::Failure;

/// How long a program may take to say that it is ready.
const START: Duration = Duration::from_secs(20);
/// How long a program may take to end in order.
const END: Duration = Duration::from_secs(60);
/// No line for this long: there are no more.
const QUIET: Duration = Duration::from_secs(2);

/// A running program. Dropping it ends it.
pub(crate) struct Process {
    pub(crate) name: String,
    log: PathBuf,
    child: Child,
    lines: Mutex<Lines<BufReader<ChildStdout>>>,
    url: tokio::sync::OnceCell<String>,
}

impl Process {
    /// Starts a program; what it logs goes to a file.
    pub(crate) fn start(program: &str, arguments: &[&str], log: &Path) -> Result<Self, Failure> {
        Self::start_with(program, arguments, &[], log)
    }

    /// The same, with more in its environment.
    pub(crate) fn start_with(
        program: &str,
        arguments: &[&str],
        environment: &[(&str, String)],
        log: &Path,
    ) -> Result<Self, Failure> {
        let file =
            std::fs::File::create(log).map_err(|error| format!("{}: {error}", log.display()))?;
        let mut child = Command::new(program)
            .args(arguments)
            .envs(environment.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("cannot start {program}: {error}"))?;
        let stdout = child
            .stdout
            .take()
            .ok_or_else(|| format!("{program} has no output"))?;
        let name = format!("{program} {}", arguments.join(" "));
        let lines = Mutex::new(BufReader::new(stdout).lines());
        Ok(Self {
            name,
            log: log.to_owned(),
            child,
            lines,
            url: tokio::sync::OnceCell::new(),
        })
    }

    /// The next line it prints.
    pub(crate) async fn line(&self) -> Result<String, Failure> {
        let mut lines = self.lines.lock().await;
        match timeout(START, lines.next_line()).await {
            Ok(Ok(Some(line))) => Ok(line),
            Ok(Ok(None)) => {
                let said = std::fs::read_to_string(&self.log).unwrap_or_default();
                Err(format!("`{}` ended; it said:\n{said}", self.name))
            }
            Ok(Err(error)) => Err(format!("`{}`: {error}", self.name)),
            Err(_) => Err(format!(
                "`{}` said nothing for {} s",
                self.name,
                START.as_secs()
            )),
        }
    }

    /// Where it listens: it says so in its first line.
    pub(crate) async fn url(&self) -> Result<String, Failure> {
        let found = self.url.get_or_try_init(|| async {
            let line = self.line().await?;
            let url = line
                .split_whitespace()
                .find(|word| word.starts_with("http"));
            url.map(str::to_owned)
                .ok_or_else(|| format!("`{}` printed `{line}`", self.name))
        });
        found.await.cloned()
    }

    /// Every line from here on, until it falls silent.
    pub(crate) async fn lines_until_quiet(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut lines = self.lines.lock().await;
        while let Ok(Ok(Some(line))) = timeout(QUIET, lines.next_line()).await {
            all.push(line);
        }
        all
    }

    /// Reads what it prints and throws it away: a program whose output nobody reads stops.
    pub(crate) async fn discard(&self) {
        let mut lines = self.lines.lock().await;
        while let Ok(Some(_)) = lines.next_line().await {}
    }

    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Ends it with SIGTERM and waits for that.
    pub(crate) async fn end(mut self) -> Result<(), Failure> {
        let id = self.id().to_string();
        let told = Command::new("kill").arg(&id).status().await;
        told.map_err(|error| format!("kill {id}: {error}"))?;
        let ended = timeout(END, self.child.wait()).await;
        let status = ended.map_err(|_| format!("`{}` does not end", self.name))?;
        let status = status.map_err(|error| format!("`{}`: {error}", self.name))?;
        if status.success() {
            return Ok(());
        }
        let said = std::fs::read_to_string(&self.log).unwrap_or_default();
        Err(format!(
            "`{}` ended with {status}; it said:\n{said}",
            self.name
        ))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }
}
