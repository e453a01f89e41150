//! OpenSSH servers with algorithms and keys of the test's choice.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::process::run;

/// What a server signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostKey {
    /// Today's.
    Ed25519,
    /// What old devices have, with 2048 bits.
    Rsa,
}

/// One OpenSSH server on a port of its own; [`super::SSH_USER`] logs in with [`OpenSsh::user_key`]. Dropping it ends
/// exactly the processes it started.
///
/// It listens itself and gives each connection to an `sshd -i`: no port has to be guessed.
#[derive(Debug)]
pub struct OpenSsh {
    listening: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    port: u16,
    folder: tempfile::TempDir,
}

#[derive(Debug)]
struct Shared {
    config: PathBuf,
    stop: AtomicBool,
    children: Mutex<Vec<Child>>,
}

impl OpenSsh {
    /// Starts one; `lines` are added to its configuration.
    ///
    /// # Errors
    /// If something is missing on this machine, or the configuration is refused.
    pub fn start(key: HostKey, lines: &[&str]) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("se-sshd").tempdir()?;
        let path = folder.path();
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f"]);
        run(keygen.arg(path.join("userkey")))?;
        std::fs::copy(path.join("userkey.pub"), path.join("authorized_keys"))?;
        std::fs::create_dir_all("/run/sshd")?;
        let mut text = format!(
            "HostKey {0}/hostkey\nPidFile none\nAuthorizedKeysFile {0}/authorized_keys\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nPrintMotd no\n",
            path.display()
        );
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        let config = path.join("sshd_config");
        std::fs::write(&config, text)?;
        make_key(path, key)?;
        run(Command::new("/usr/sbin/sshd")
            .arg("-t")
            .arg("-f")
            .arg(&config))?;
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            config,
            stop: AtomicBool::new(false),
            children: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        let listening = std::thread::spawn(move || serve(&listener, &serving));
        Ok(Self {
            listening: Some(listening),
            shared,
            port,
            folder,
        })
    }

    /// Where it listens on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A folder that goes with the server.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The private key that lets the user in.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn user_key(&self) -> io::Result<String> {
        std::fs::read_to_string(self.folder.path().join("userkey"))
    }

    /// The fingerprint of its key, as `ssh-keygen -l` prints it.
    ///
    /// # Errors
    /// If it does not print it.
    pub fn fingerprint(&self) -> io::Result<String> {
        let mut keygen = Command::new("ssh-keygen");
        let said = keygen
            .arg("-lf")
            .arg(self.folder.path().join("hostkey.pub"))
            .output()?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let word = said.split_whitespace().nth(1).map(str::to_owned);
        word.ok_or_else(|| io::Error::other(said))
    }

    /// Gives it another key, as a device has that was wiped.
    ///
    /// # Errors
    /// If none can be made.
    pub fn change_key(&self, key: HostKey) -> io::Result<()> {
        make_key(self.folder.path(), key)
    }
}

fn make_key(folder: &Path, key: HostKey) -> io::Result<()> {
    let file = folder.join("hostkey");
    if file.exists() {
        std::fs::remove_file(&file)?;
    }
    let kind: &[&str] = match key {
        HostKey::Ed25519 => &["-t", "ed25519"],
        HostKey::Rsa => &["-t", "rsa", "-b", "2048"],
    };
    let mut keygen = Command::new("ssh-keygen");
    run(keygen
        .args(["-q", "-N", "", "-C", "host"])
        .args(kind)
        .arg("-f")
        .arg(file))
}

fn serve(listener: &TcpListener, shared: &Shared) {
    for stream in listener.incoming() {
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        match stream.and_then(|it| hand_over(it, &shared.config)) {
            Ok(child) => lock(&shared.children).push(child),
            Err(error) => tracing::warn!(%error, "an SSH connection was not served"),
        }
    }
}

/// To a server of its own, whose standard input and output it becomes.
fn hand_over(stream: TcpStream, config: &Path) -> io::Result<Child> {
    let output = OwnedFd::from(stream.try_clone()?);
    Command::new("/usr/sbin/sshd")
        .args(["-i", "-e", "-f"])
        .arg(config)
        .stdin(OwnedFd::from(stream))
        .stdout(output)
        .stderr(Stdio::null())
        .spawn()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for OpenSsh {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes it.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(listening) = self.listening.take()
            && listening.join().is_err()
        {
            tracing::warn!("an SSH server ended with a panic");
        }
        for mut child in lock(&self.shared.children).drain(..) {
            // It may have ended by itself.
            child.kill().ok();
            child.wait().ok();
        }
    }
}
