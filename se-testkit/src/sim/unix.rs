//! A simulated host: a real shell in a scratch folder of its own, behind a serial console and SSH.
//! What its profile scripts is answered in the shell itself, wherever the command stands: on a line
//! of a pasted script, in a pipe, in a file that is run.

mod process;
mod rc;
mod serial;
mod sftp;
mod ssh;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::sleep;

use self::process::Group;
pub(super) use self::serial::Serial;
pub(super) use self::ssh::Ssh;
use super::console::Place;
use super::profile::DeviceProfile;
use super::script::Script;
use super::task::{Task, start};

/// A host; its processes and files go with it.
#[derive(Clone, Debug)]
pub(super) struct Host {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    place: Place,
    profile: DeviceProfile,
    folder: TempDir,
    _asked: Task,
}

/// How a shell is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shell<'a> {
    /// With prompts.
    Interactive,
    /// Reads commands, shows no prompt.
    Quiet,
    /// Runs this.
    Run(&'a str),
}

impl Host {
    pub(super) async fn start(place: Place, profile: DeviceProfile) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("se-sim-").tempdir()?;
        fs::create_dir(folder.path().join("home"))?;
        fs::create_dir(folder.path().join("bin"))?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let asked = (!profile.commands.0.is_empty()).then_some(listener.local_addr()?.port());
        let user = profile.credentials().map_or("user", |it| it.0);
        fs::write(
            folder.path().join("rc"),
            rc::text(user, &place.device, asked),
        )?;
        // A plain `sh` would not know what is scripted.
        let sh = folder.path().join("bin/sh");
        fs::write(&sh, "#!/bin/bash\nexec /bin/bash \"$@\"\n")?;
        fs::set_permissions(&sh, fs::Permissions::from_mode(0o755))?;
        let _asked = start(answer_all(listener, place.script.clone()));
        let shared = Shared {
            place,
            profile,
            folder,
            _asked,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    pub(super) fn place(&self) -> &Place {
        &self.shared.place
    }

    pub(super) fn profile(&self) -> &DeviceProfile {
        &self.shared.profile
    }

    /// The user's folder.
    pub(super) fn home(&self) -> PathBuf {
        self.shared.folder.path().join("home")
    }

    fn journal(&self, action: &str, detail: &str) {
        let place = self.place();
        place.journal.add(&place.device, action, detail);
    }

    /// Starts a shell with pipes; the whole of it ends with the answer.
    fn shell(&self, shell: Shell<'_>) -> io::Result<Group> {
        let folder = self.shared.folder.path();
        let rc = folder.join("rc");
        let user = self.profile().credentials().map_or("user", |it| it.0);
        let mut command = Command::new("/bin/bash");
        match shell {
            Shell::Interactive => {
                command.arg("--rcfile").arg(&rc).args(["--noediting", "-i"]);
            }
            Shell::Quiet => {
                command.arg("-s");
            }
            Shell::Run(text) => {
                command.args(["-c", text]);
            }
        }
        command
            .env_clear()
            .env(
                "PATH",
                format!("{}/bin:/usr/local/bin:/usr/bin:/bin", folder.display()),
            )
            .env("BASH_ENV", &rc)
            .env("HOME", self.home())
            .env("USER", user)
            .env("LOGNAME", user)
            .env("SHELL", "/bin/bash")
            .env("TERM", "dumb")
            .env("LANG", "C.UTF-8")
            .current_dir(self.home());
        let stderr = match shell {
            Shell::Interactive => Stdio::null(),
            Shell::Quiet | Shell::Run(_) => Stdio::piped(),
        };
        Group::start(command, stderr)
    }

    /// Whether these are the right ones.
    fn knows(&self, username: &str, password: &str) -> bool {
        match self.profile().credentials() {
            None => true,
            Some(known) => known == (username, password),
        }
    }

    /// Everything the node's disk held is gone.
    fn wipe(&self) {
        let emptied = fs::remove_dir_all(self.home()).and_then(|()| fs::create_dir(self.home()));
        if let Err(error) = emptied {
            tracing::warn!(%error, device = self.place().device, "a wiped host keeps files");
        }
    }
}

/// Shells ask before each command whether it is scripted.
async fn answer_all(listener: TcpListener, script: Script) {
    let mut asking = JoinSet::new();
    loop {
        tokio::select! {
            // Both are cancel safe.
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    let script = script.clone();
                    asking.spawn(async move { drop(answer(stream, &script).await) });
                }
            }
            Some(_) = asking.join_next() => {}
        }
    }
}

/// A question ends with a NUL; the answer is the body of a shell function, or nothing.
async fn answer(mut stream: TcpStream, script: &Script) -> io::Result<()> {
    let mut question = Vec::new();
    let mut buffer = [0; 4096];
    while !question.contains(&0) {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        question.extend_from_slice(buffer.get(..read).unwrap_or_default());
    }
    question.retain(|it| *it != 0);
    let question = String::from_utf8_lossy(&question);
    let mut body = String::new();
    if let Some(answer) = script.answer(&question, false) {
        sleep(answer.delay).await;
        body = format!(
            "printf %s {}; return {}",
            quoted(&answer.output),
            answer.exit_code
        );
    }
    stream.write_all(body.as_bytes()).await?;
    stream.write_all(&[0]).await
}

/// Text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
