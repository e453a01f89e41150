//! Cisco's own simulated command lines: the mock devices of Unicon, each on a terminal behind a TCP port.
//!
//! `cargo xtask test` installs them. What they say and which states they know is in the YAML files that come
//! with Unicon (`unicon/plugins/tests/mock_data`).

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const INSTALL: &str = "needs Unicon and socat: `python3 -m venv target/unicon && \
    target/unicon/bin/pip install unicon==26.9 unicon.plugins==26.9`, `apt-get install socat`";

/// From the root of the repository: socat splits its commands at blanks, so no path may have any.
const PYTHON: &str = "target/unicon/bin/python";
const LAUNCHER: &str = "se-testkit/src/unicon/mock_device.py";

/// A simulated device. Every connection finds a new one, in its first state. Dropping this ends it.
#[derive(Debug)]
pub struct MockDevice {
    server: Child,
    port: u16,
}

impl MockDevice {
    /// A device of an operating system (`ios`, `iosxe`, `nxos`, `iosxr`, `asa`) in one of the states that
    /// Unicon has for it.
    ///
    /// # Errors
    /// If something is not installed, or does not start; the message says how to install it.
    pub fn start(os: &str, state: &str, hostname: &str) -> io::Result<Self> {
        let failed = |why: String| io::Error::other(format!("{INSTALL}: {why}"));
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        if !root.join(PYTHON).exists() {
            return Err(failed(format!("there is no {PYTHON}")));
        }
        let device = format!(
            "EXEC:{PYTHON} {LAUNCHER} --os {os} --state {state} --hostname {hostname},pty,setsid,ctty,stderr,sane"
        );
        let mut server = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "--", "socat", "-d", "-d"])
            .args(["TCP-LISTEN:0,bind=127.0.0.1,fork", &device])
            .current_dir(root)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let said = server.stderr.take();
        let said = said.ok_or_else(|| failed("socat has no standard error".to_owned()))?;
        let mut device = Self { server, port: 0 };
        let mut lines = BufReader::new(said).lines().map_while(Result::ok);
        let port = lines.find_map(|it| {
            it.split_once(" listening on ")?
                .1
                .rsplit_once(':')?
                .1
                .parse()
                .ok()
        });
        // Keeps the pipe open and empty as long as socat writes.
        std::thread::spawn(move || lines.for_each(drop));
        device.port =
            port.ok_or_else(|| failed("socat does not say where it listens".to_owned()))?;
        Ok(device)
    }

    /// Where it listens on 127.0.0.1, as a raw TCP console.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for MockDevice {
    fn drop(&mut self) {
        // A device whose user is still there ends with its own socat.
        for user in children(self.server.id()) {
            end(user);
        }
        // It may have ended by itself.
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

/// The processes that this one has started.
fn children(of: u32) -> Vec<u32> {
    let path = PathBuf::from(format!("/proc/{of}/task/{of}/children"));
    let listed = fs::read_to_string(path).unwrap_or_default();
    listed
        .split_whitespace()
        .filter_map(|it| it.parse().ok())
        .collect()
}

fn end(process: u32) {
    let ended = Command::new("kill").arg(process.to_string()).output();
    if let Err(error) = ended {
        tracing::warn!(%error, process, "a simulated device stays behind");
    }
}
