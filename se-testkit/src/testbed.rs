//! Real counterparts for device connectors: two FRRouting routers in network namespaces of their own, with
//! telnet command lines, serial consoles behind ser2net, and OpenSSH servers.
//!
//! Nothing is left behind: dropping the lab ends exactly the processes it started and removes its
//! namespaces and files.

mod config;
mod openssh;
mod process;

use std::fs::{File, OpenOptions};
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub use self::openssh::{HostKey, OpenSsh};
use self::process::{Processes, run, sweep, until};

/// What has to be installed, by Debian package: a file that it brings.
const NEEDS: [(&str, &str); 6] = [
    ("frr", "/usr/lib/frr/ospfd"),
    ("iproute2", "/usr/sbin/ip"),
    ("socat", "/usr/bin/socat"),
    ("ser2net", "/usr/sbin/ser2net"),
    ("openssh-server", "/usr/sbin/sshd"),
    ("openssh-client", "/usr/bin/ssh-keygen"),
];

/// `open(2)`: a terminal opened with it does not become ours.
const O_NOCTTY: i32 = 0o400;

/// Blocks of ports for labs: 10,000 to 30,000.
const FIRST_PORT: usize = 10_000;
const BLOCK: usize = 20;
const BLOCKS: usize = 1_000;

static LABS: AtomicU32 = AtomicU32::new(0);

/// Login on the Linux console.
pub const LINUX_LOGIN: (&str, &str) = ("student", "linux-pw");
/// Password and enable password of the routers' telnet command lines.
pub const ROUTER_PASSWORD: &str = "cisco";
/// User of the OpenSSH servers; it logs in with [`FrrLab::user_key`].
pub const SSH_USER: &str = "root";

/// Two routers that are OSPF neighbours (`R1` 192.0.2.1, `R2` 192.0.2.2, linked by `eth0`), and a Linux host.
#[derive(Debug)]
pub struct FrrLab {
    // In the order in which they have to go.
    processes: Processes,
    _terminals: Vec<File>,
    namespaces: Vec<String>,
    ports: Ports,
    user_key: String,
    folder: tempfile::TempDir,
}

/// TCP ports on 127.0.0.1.
#[derive(Clone, Debug)]
pub struct Ports {
    /// Telnet command line of R1's and R2's ospfd, behind a password.
    pub ospfd: [u16; 2],
    /// Telnet command line of R1's and R2's zebra, behind a password.
    pub zebra: [u16; 2],
    /// Serial consoles of R1 (telnet, RFC 2217; pages) and R2 (telnet): no login, state kept between users.
    pub console: [u16; 2],
    /// R1's serial console as raw TCP.
    pub raw_console: u16,
    /// A Linux host's serial console, behind [`LINUX_LOGIN`].
    pub linux_console: u16,
    /// OpenSSH on a Linux host: commands, files.
    pub ssh_linux: u16,
    /// OpenSSH without SFTP, as on old devices.
    pub ssh_without_sftp: u16,
    /// OpenSSH in front of the command lines of R1 and R2.
    pub ssh_router: [u16; 2],
}

impl FrrLab {
    /// Starts the lab and waits until the routers are neighbours.
    ///
    /// # Panics
    /// If something is missing on this machine: the message says what to install.
    ///
    /// # Errors
    /// If a process could not be started or the routers do not find each other.
    pub fn up() -> io::Result<Self> {
        Self::require();
        if let Err(error) = sweep() {
            tracing::warn!(%error, "something of an earlier lab stays behind");
        }
        let number = LABS.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("se-{}-{number}", std::process::id());
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir()?;
        // The daemons run as another user.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        let mut lab = Self {
            processes: Processes::default(),
            _terminals: Vec::new(),
            namespaces: [1, 2].map(|it| format!("{prefix}-r{it}")).to_vec(),
            ports: Ports::free()?,
            user_key: String::new(),
            folder,
        };
        lab.start_network()?;
        lab.start_routers()?;
        lab.start_consoles()?;
        lab.start_ssh()?;
        lab.wait_for_neighbours()?;
        Ok(lab)
    }

    /// Whether everything the lab needs is here.
    ///
    /// # Panics
    /// If not: the message says what to install.
    #[expect(
        clippy::panic,
        reason = "a test that cannot run must fail, and say why"
    )]
    pub fn require() {
        let missing = NEEDS.iter().filter(|(_, file)| !Path::new(file).exists());
        let missing: Vec<&str> = missing.map(|(package, _)| *package).collect();
        if !missing.is_empty() {
            panic!(
                "the device tests need Debian packages that are not installed; run\n  \
                 apt-get install -y --no-install-recommends {}",
                missing.join(" ")
            );
        }
        let root = std::fs::read_to_string("/proc/self/status")
            .is_ok_and(|it| it.lines().any(|it| it.starts_with("Uid:\t0\t")));
        assert!(
            root,
            "the device tests make network namespaces: run them as root"
        );
    }

    /// Where everything listens.
    #[must_use]
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// The private key, in OpenSSH's format, that lets [`SSH_USER`] in.
    #[must_use]
    pub fn user_key(&self) -> &str {
        &self.user_key
    }

    /// A folder that goes with the lab.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn router(&self, at: usize) -> PathBuf {
        self.folder.path().join(format!("r{}", at + 1))
    }

    fn start_network(&self) -> io::Result<()> {
        for name in &self.namespaces {
            run(Command::new("ip").args(["netns", "add", name]))?;
            run(Command::new("ip").args(["-n", name, "link", "set", "lo", "up"]))?;
        }
        if let [one, two] = self.namespaces.as_slice() {
            let link = ["-n", one, "link", "add", "eth0", "type", "veth"];
            let peer = ["peer", "name", "eth0", "netns", two];
            run(Command::new("ip").args(link).args(peer))?;
        }
        for name in &self.namespaces {
            run(Command::new("ip").args(["-n", name, "link", "set", "eth0", "up"]))?;
        }
        Ok(())
    }

    fn start_routers(&mut self) -> io::Result<()> {
        for (at, name) in self.namespaces.iter().enumerate() {
            let folder = self.router(at);
            config::write_router(&folder, at + 1)?;
            run(Command::new("chown").args(["-R", "frr:frr"]).arg(&folder))?;
            for (daemon, port) in [("zebra", "2601"), ("ospfd", "2604")] {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", name]);
                command.arg(format!("/usr/lib/frr/{daemon}"));
                command.arg("-f").arg(folder.join(format!("{daemon}.conf")));
                command
                    .arg("-i")
                    .arg(folder.join(format!("run/{daemon}.pid")));
                command.arg("-z").arg(folder.join("run/zserv.api"));
                command.arg("--vty_socket").arg(folder.join("run"));
                command.args(["-A", "127.0.0.1", "-P", port, "-u", "frr", "-g", "frr"]);
                self.processes.start(&command)?;
                // ospfd gives up without zebra.
                let socket = folder.join(format!("run/{daemon}.vty"));
                until(&format!("{daemon} to start"), || socket.exists())?;
            }
            let outside = [self.ports.zebra, self.ports.ospfd];
            for (outer, inner) in outside.into_iter().zip(["2601", "2604"]) {
                let port = outer.get(at).copied().unwrap_or_default();
                let inner =
                    format!("EXEC:ip netns exec {name} socat STDIO TCP\\:127.0.0.1\\:{inner}");
                let outer = format!("TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork");
                self.processes
                    .start(Command::new("socat").args([outer, inner]))?;
            }
        }
        Ok(())
    }

    /// The command line of a router, with a pager or none.
    fn vtysh(&self, at: usize, pager: &str) -> String {
        let folder = self.router(at);
        let folder = folder.display();
        let namespace = self.namespaces.get(at).map_or("", String::as_str);
        format!(
            "ip netns exec {namespace} env VTYSH_PAGER={pager} vtysh --vty_socket {folder}/run --config_dir {folder}/etc"
        )
    }

    fn start_consoles(&mut self) -> io::Result<()> {
        let folder = self.folder.path().to_owned();
        let programs = folder.join("bin");
        std::fs::create_dir(&programs)?;
        config::write_program(&programs.join("ping"), config::PING)?;
        let scripts = [
            config::router_console(1, &self.vtysh(0, "more"), &programs),
            config::router_console(2, &self.vtysh(1, "cat"), &programs),
            config::linux_console(LINUX_LOGIN, &folder),
        ];
        let mut terminals = Vec::new();
        for (at, script) in scripts.iter().enumerate() {
            let program = folder.join(format!("console{at}.sh"));
            config::write_program(&program, script)?;
            let terminal = folder.join(format!("tty{at}"));
            self.processes.start(Command::new("socat").args([
                format!("PTY,link={},raw,echo=0", terminal.display()),
                format!("EXEC:{},pty,setsid,ctty,stderr,sane", program.display()),
            ]))?;
            until("a pseudo terminal", || terminal.exists())?;
            // socat ends when the last one closes the terminal, and ser2net closes it with its user.
            let mut held = OpenOptions::new();
            held.read(true).write(true).custom_flags(O_NOCTTY);
            self._terminals.push(held.open(&terminal)?);
            terminals.push(terminal);
        }
        let file = folder.join("ser2net.yaml");
        std::fs::write(&file, config::ser2net(&self.ports, &terminals))?;
        let mut ser2net = Command::new("ser2net");
        self.processes
            .start(ser2net.args(["-n", "-u", "-d", "-c"]).arg(&file))?;
        let port = self.ports.linux_console;
        until("ser2net to listen", || config::is_listening(port))
    }

    fn start_ssh(&mut self) -> io::Result<()> {
        let folder = self.folder.path().to_owned();
        for key in ["hostkey", "userkey"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f"]);
            run(keygen.arg(folder.join(key)))?;
        }
        std::fs::copy(folder.join("userkey.pub"), folder.join("authorized_keys"))?;
        self.user_key = std::fs::read_to_string(folder.join("userkey"))?;
        std::fs::create_dir_all("/run/sshd")?;
        let [one, two] = self.ports.ssh_router;
        let servers = [
            (self.ports.ssh_linux, None),
            (one, Some(self.vtysh(0, "cat"))),
            (two, Some(self.vtysh(1, "cat"))),
            (self.ports.ssh_without_sftp, None),
        ];
        for (port, command) in servers {
            let with_files = port != self.ports.ssh_without_sftp;
            let file = folder.join(format!("sshd_{port}"));
            std::fs::write(
                &file,
                config::sshd(port, &folder, command.as_deref(), with_files),
            )?;
            let mut sshd = Command::new("/usr/sbin/sshd");
            self.processes
                .start(sshd.args(["-D", "-e", "-f"]).arg(&file))?;
            until("sshd to listen", || config::is_listening(port))?;
        }
        Ok(())
    }

    fn wait_for_neighbours(&self) -> io::Result<()> {
        let command = format!("{} -c 'show ip ospf neighbor'", self.vtysh(0, "cat"));
        until("OSPF to become Full", || {
            let shown = Command::new("sh").args(["-c", &command]).output();
            shown.is_ok_and(|it| String::from_utf8_lossy(&it.stdout).contains("Full"))
        })
    }
}

impl Ports {
    /// Ports that are free.
    ///
    /// Labs run side by side, and the programs in one open their ports later: so each process looks in a
    /// block of its own, below the ports that the system gives away.
    fn free() -> io::Result<Self> {
        let first = usize::try_from(std::process::id()).unwrap_or(0) % BLOCKS;
        let blocks = (first..BLOCKS).chain(0..first);
        let bases = blocks.filter_map(|it| u16::try_from(FIRST_PORT + it * BLOCK).ok());
        for base in bases {
            let held: Vec<TcpListener> = (base..base + 12)
                .map_while(|it| TcpListener::bind(("127.0.0.1", it)).ok())
                .collect();
            if held.len() == 12 {
                return Ok(Self::from_base(base));
            }
        }
        Err(io::Error::other("no twelve free ports in a row"))
    }

    fn from_base(base: u16) -> Self {
        Self {
            ospfd: [base, base + 1],
            zebra: [base + 2, base + 3],
            console: [base + 4, base + 5],
            raw_console: base + 6,
            linux_console: base + 7,
            ssh_linux: base + 8,
            ssh_without_sftp: base + 9,
            ssh_router: [base + 10, base + 11],
        }
    }
}

impl Drop for FrrLab {
    fn drop(&mut self) {
        self.processes.stop();
        for name in &self.namespaces {
            if let Err(error) = run(Command::new("ip").args(["netns", "delete", name])) {
                tracing::warn!(%error, name, "a network namespace stays behind");
            }
        }
    }
}

/// How long anything in the lab may take to come up.
const PATIENCE: Duration = Duration::from_secs(30);
