//! Real PostgreSQL: a cluster of its own on a socket in a folder of its own, and databases in the one that
//! `SE_TEST_POSTGRES` names, which `cargo xtask test` starts.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The variable that names the server for tests, as a URL of its maintenance database.
pub const SERVER: &str = "SE_TEST_POSTGRES";

static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A server with nothing in it. Dropping it stops exactly this one and removes its files.
#[derive(Debug)]
pub struct Cluster {
    programs: PathBuf,
    folder: tempfile::TempDir,
    /// The server refuses to run as root.
    as_root: bool,
    /// Whether a commit waits for the disk.
    durable: bool,
}

impl Cluster {
    /// Makes and starts one. It does not wait for disks: a killed process loses nothing by that.
    ///
    /// # Errors
    /// If PostgreSQL is not installed (Debian's package `postgresql`), or does not start: the message
    /// says what it said.
    pub fn start() -> io::Result<Self> {
        Self::make(false)
    }

    /// The same, but a commit waits for the disk, as on a server that is used: for benchmarks.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_durable() -> io::Result<Self> {
        Self::make(true)
    }

    fn make(durable: bool) -> io::Result<Self> {
        let programs = programs()?;
        // The name of a socket may have about a hundred characters.
        let folder = tempfile::Builder::new()
            .prefix("se-pg-")
            .tempdir_in("/tmp")?;
        let whoami = Command::new("id").arg("-u").output()?;
        let as_root = String::from_utf8_lossy(&whoami.stdout).trim() == "0";
        let cluster = Self {
            programs,
            folder,
            as_root,
            durable,
        };
        if as_root {
            let path = cluster.folder.path().display().to_string();
            said(Command::new("chown").args(["postgres", &path]))?;
        }
        let data = cluster.data();
        let data = data.to_string_lossy();
        let options = ["--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8"];
        cluster.run("initdb", &[&["-D", &data], &options[..]].concat())?;
        cluster.start_again()?;
        Ok(cluster)
    }

    /// Where it is: the URL of its maintenance database.
    #[must_use]
    pub fn url(&self) -> String {
        let socket = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{socket}/postgres")
    }

    /// Starts it after [`Self::kill`].
    ///
    /// # Errors
    /// If it does not start.
    pub fn start_again(&self) -> io::Result<()> {
        let socket = self.folder.path().display();
        let fsync = if self.durable { "on" } else { "off" };
        let options = format!(
            "-c listen_addresses='' -k {socket} -c fsync={fsync} -c max_connections=400 \
             -c shared_buffers=64MB"
        );
        let data = self.data();
        let log = self.folder.path().join("log");
        let (data, log) = (data.to_string_lossy(), log.to_string_lossy());
        let arguments = ["-D", &data, "-l", &log, "-o", &options, "-w", "start"];
        self.run("pg_ctl", &arguments)
    }

    /// Ends it as a crash would: every connection breaks, and nothing is written down.
    ///
    /// # Errors
    /// If it does not run.
    pub fn kill(&self) -> io::Result<()> {
        let data = self.data();
        let arguments = ["-D", &data.to_string_lossy(), "-m", "immediate", "stop"];
        self.run("pg_ctl", &arguments)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn run(&self, program: &str, arguments: &[&str]) -> io::Result<()> {
        let program = self.programs.join(program);
        let mut command = if self.as_root {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        // What it starts goes on after it, and must not keep our output open.
        let log = std::fs::File::create(self.folder.path().join("said"))?;
        command.args(arguments).current_dir("/");
        command.stdin(Stdio::null()).stdout(log.try_clone()?);
        let status = command.stderr(log).status()?;
        if status.success() {
            return Ok(());
        }
        let text = |name| std::fs::read_to_string(self.folder.path().join(name));
        let (said, log) = (text("said")?, text("log").unwrap_or_default());
        Err(io::Error::other(format!("{command:?}: {said}{log}")))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Fails where it was killed already.
        self.kill().ok();
    }
}

/// An empty database on the server for tests. Dropping it drops the database.
#[derive(Debug)]
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    /// On the server that [`SERVER`] names.
    ///
    /// # Panics
    /// If it names none: the message says what to do.
    #[must_use]
    #[expect(
        clippy::panic,
        clippy::disallowed_methods,
        reason = "a test that cannot run must fail and say why"
    )]
    pub fn create() -> Self {
        let Ok(server) = std::env::var(SERVER) else {
            panic!(
                "this test needs PostgreSQL: run `cargo xtask test`, or set {SERVER} to the URL of a \
                 server where databases may be made (`se-sim postgres` starts one)"
            );
        };
        Self::create_on(&server).unwrap_or_else(|error| panic!("{SERVER}: {error}"))
    }

    /// On the server at `url`.
    ///
    /// # Errors
    /// If the server does not make it.
    pub fn create_on(url: &str) -> io::Result<Self> {
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let name = format!("se_{}_{number}", std::process::id());
        let (server, name) = (url.to_owned(), name);
        let database = Self { server, name };
        database.statement(&format!(
            "DROP DATABASE IF EXISTS {} WITH (FORCE)",
            database.name
        ))?;
        database.statement(&format!("CREATE DATABASE {}", database.name))?;
        Ok(database)
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        let (rest, options) = match self.server.split_once('?') {
            Some((rest, options)) => (rest, format!("?{options}")),
            None => (self.server.as_str(), String::new()),
        };
        let server = rest.rsplit_once('/').map_or(rest, |(server, _)| server);
        format!("{server}/{}{options}", self.name)
    }

    /// Runs a statement in it, beside whoever uses it; gives what it prints.
    ///
    /// # Errors
    /// What the server says against it.
    pub fn run(&self, sql: &str) -> io::Result<String> {
        psql(&self.url(), sql)
    }

    /// Everything that is stored in it, as text.
    ///
    /// # Errors
    /// What the program says against it.
    pub fn dump(&self) -> io::Result<String> {
        let url = self.url();
        let output = said(Command::new("pg_dump").args(["--inserts", &url]))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Breaks every connection to it, as a network would.
    ///
    /// # Errors
    /// If the server does not answer.
    pub fn break_connections(&self) -> io::Result<()> {
        self.statement(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
            self.name
        ))
        .map(drop)
    }

    fn statement(&self, sql: &str) -> io::Result<String> {
        psql(&self.server, sql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Where the server has gone, so has the database.
        self.statement(&format!(
            "DROP DATABASE IF EXISTS {} WITH (FORCE)",
            self.name
        ))
        .ok();
    }
}

fn psql(url: &str, sql: &str) -> io::Result<String> {
    let mut command = Command::new("psql");
    command.args([
        "-X",
        "-q",
        "-A",
        "-t",
        "-v",
        "ON_ERROR_STOP=1",
        "-c",
        sql,
        url,
    ]);
    let output = said(&mut command)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn said(command: &mut Command) -> io::Result<Output> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{command:?}: {said}")))
}

/// Where Debian puts the server's programs; the newest version there.
fn programs() -> io::Result<PathBuf> {
    let missing = || io::Error::other("PostgreSQL is not installed: apt-get install postgresql");
    let versions = std::fs::read_dir("/usr/lib/postgresql").map_err(|_| missing())?;
    let number = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let programs = versions
        .filter_map(Result::ok)
        .map(|it| it.path())
        .filter(|it| it.join("bin/initdb").exists())
        .max_by_key(|it| number(it));
    programs.map(|it| it.join("bin")).ok_or_else(missing)
}
