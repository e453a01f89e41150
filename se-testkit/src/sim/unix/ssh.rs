//! A host's SSH server: commands, shells, files.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::server::{Auth, ChannelOpenHandle, Config, Handle, Handler, Msg, Session as Wire};
use russh::{Channel, ChannelId, Pty};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::ChildStdin;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::process::Group;
use super::serial::terminal;
use super::sftp::Files;
use super::{Host, Shell};
use crate::sim::power::NodeState;
use crate::sim::profile::{DeviceFaultKind, FaultPoint};
use crate::sim::task::{Task, start};

/// Extended data of this kind is standard error.
const STDERR: u32 = 1;

/// A listening SSH server; ends when dropped.
#[derive(Debug)]
pub(crate) struct Ssh {
    pub(crate) address: SocketAddr,
    _task: Task,
}

impl Ssh {
    pub(crate) fn start(listener: TcpListener, host: Host) -> io::Result<Self> {
        let address = listener.local_addr()?;
        // The same key in every run, another one for each host.
        let mut seed = [0x5e; 32];
        for (byte, name) in seed.iter_mut().zip(host.place().device.bytes()) {
            *byte ^= name;
        }
        let config = Config {
            keys: vec![PrivateKey::from(Ed25519Keypair::from_seed(&seed))],
            auth_rejection_time: Duration::from_millis(50),
            auth_rejection_time_initial: Some(Duration::ZERO),
            nodelay: true,
            ..Config::default()
        };
        let _task = start(accept(listener, Arc::new(config), host));
        Ok(Self { address, _task })
    }
}

async fn accept(listener: TcpListener, config: Arc<Config>, host: Host) {
    // Dropped with this task: no connection outlives its server.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // Both are cancel safe.
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream, Arc::clone(&config), host.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, config: Arc<Config>, host: Host) {
    host.journal("connect", "ssh");
    let place = host.place();
    if place.power.state(&place.node) != NodeState::Booted {
        return;
    }
    match place.script.fault(FaultPoint::Connect, "") {
        Some(DeviceFaultKind::Hang | DeviceFaultKind::HalfClose | DeviceFaultKind::Slow) => {
            // Held open, and nothing said, for as long as the pod is there.
            let _held = stream;
            std::future::pending::<()>().await;
        }
        Some(DeviceFaultKind::Garbage) => {
            let mut stream = stream;
            drop(stream.write_all(b"\x00\xff\xf8garbage\r\n").await);
        }
        Some(DeviceFaultKind::Refuse | DeviceFaultKind::Drop) => {}
        None => {
            let guest = Guest {
                host,
                channels: BTreeMap::new(),
            };
            // How a session ends concerns its client alone.
            if let Ok(session) = russh::server::run_stream(config, stream, guest).await {
                let closer = Closer(session.handle());
                drop(session.await);
                drop(closer);
            }
        }
    }
}

/// Tells the session's own task to end when the server does.
struct Closer(Handle);

impl Drop for Closer {
    fn drop(&mut self) {
        let handle = self.0.clone();
        let goodbye = async move {
            let reason = russh::Disconnect::ByApplication;
            drop(
                handle
                    .disconnect(reason, String::new(), String::new())
                    .await,
            );
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(goodbye);
        }
    }
}

/// One client.
struct Guest {
    host: Host,
    channels: BTreeMap<ChannelId, Opened>,
}

#[derive(Default)]
struct Opened {
    channel: Option<Channel<Msg>>,
    terminal: bool,
    /// It speaks SFTP.
    files: bool,
    /// Keys for what runs; `None` in it is the end of them.
    input: Option<mpsc::UnboundedSender<Option<Vec<u8>>>>,
    _running: Option<Task>,
}

impl Guest {
    fn run(
        &mut self,
        id: ChannelId,
        command: Option<&str>,
        wire: &mut Wire,
    ) -> Result<(), russh::Error> {
        let Some(opened) = self.channels.get_mut(&id) else {
            return wire.channel_failure(id);
        };
        let shell = match command {
            Some(text) => Shell::Run(text),
            None if opened.terminal => Shell::Interactive,
            None => Shell::Quiet,
        };
        self.host.journal("command", command.unwrap_or("(shell)"));
        let fault = self
            .host
            .place()
            .script
            .fault(FaultPoint::Command, command.unwrap_or(""));
        match fault {
            Some(DeviceFaultKind::Refuse) => return wire.channel_failure(id),
            Some(DeviceFaultKind::Drop | DeviceFaultKind::HalfClose) => {
                return Err(russh::Error::Disconnect);
            }
            Some(DeviceFaultKind::Hang) => return wire.channel_success(id),
            Some(DeviceFaultKind::Garbage) => wire.data(id, &b"\xf8\x00\x86\xfe\x78"[..])?,
            Some(DeviceFaultKind::Slow) | None => {}
        }
        let mut group = match self.host.shell(shell) {
            Ok(group) => group,
            Err(error) => {
                tracing::warn!(%error, "no shell");
                return wire.channel_failure(id);
            }
        };
        let Some((stdin, stdout, stderr)) = group.pipes() else {
            return wire.channel_failure(id);
        };
        wire.channel_success(id)?;
        let (input, typed) = mpsc::unbounded_channel();
        let running = Running {
            id,
            handle: wire.handle(),
            group,
            terminal: opened.terminal,
        };
        opened.input = Some(input);
        opened._running = Some(start(running.until_ended(typed, stdin, stdout, stderr)));
        Ok(())
    }

    fn type_keys(&mut self, id: ChannelId, keys: Option<Vec<u8>>) {
        let opened = self.channels.get(&id);
        if let Some(input) = opened.and_then(|it| it.input.as_ref()) {
            // What has ended reads nothing.
            drop(input.send(keys));
        }
    }
}

impl Handler for Guest {
    type Error = russh::Error;

    async fn auth_none(&mut self, _: &str) -> Result<Auth, Self::Error> {
        Ok(match self.host.profile().credentials() {
            None => Auth::Accept,
            Some(_) => Auth::reject(),
        })
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        let fault = self.host.place().script.fault(FaultPoint::Login, user);
        match fault {
            Some(DeviceFaultKind::Drop | DeviceFaultKind::HalfClose) => {
                return Err(russh::Error::Disconnect);
            }
            Some(DeviceFaultKind::Hang) => std::future::pending().await,
            Some(DeviceFaultKind::Slow) => tokio::time::sleep(Duration::from_secs(1)).await,
            Some(DeviceFaultKind::Refuse | DeviceFaultKind::Garbage) | None => {}
        }
        if self.host.knows(user, password) && fault != Some(DeviceFaultKind::Refuse) {
            self.host.journal("login", user);
            return Ok(Auth::Accept);
        }
        self.host.journal("login", &format!("{user} refused"));
        Ok(Auth::reject())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Wire,
    ) -> Result<(), Self::Error> {
        let id = channel.id();
        let opened = Opened {
            channel: Some(channel),
            ..Opened::default()
        };
        self.channels.insert(id, opened);
        reply.accept().await;
        Ok(())
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(Pty, u32)],
        wire: &mut Wire,
    ) -> Result<(), Self::Error> {
        if let Some(opened) = self.channels.get_mut(&id) {
            opened.terminal = true;
        }
        wire.channel_success(id)
    }

    async fn shell_request(&mut self, id: ChannelId, wire: &mut Wire) -> Result<(), Self::Error> {
        self.drop_channel(id);
        self.run(id, None, wire)
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        wire: &mut Wire,
    ) -> Result<(), Self::Error> {
        self.drop_channel(id);
        self.run(id, Some(&String::from_utf8_lossy(command)), wire)
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        name: &str,
        wire: &mut Wire,
    ) -> Result<(), Self::Error> {
        let opened = self.channels.get_mut(&id);
        let channel = opened.and_then(|it| {
            it.files = true;
            it.channel.take()
        });
        match channel {
            Some(channel) if name == "sftp" => {
                wire.channel_success(id)?;
                russh_sftp::server::run(channel.into_stream(), Files::new(self.host.clone())).await;
                Ok(())
            }
            _ => wire.channel_failure(id),
        }
    }

    async fn data(&mut self, id: ChannelId, data: &[u8], _: &mut Wire) -> Result<(), Self::Error> {
        self.type_keys(id, Some(data.to_vec()));
        Ok(())
    }

    async fn channel_eof(&mut self, id: ChannelId, wire: &mut Wire) -> Result<(), Self::Error> {
        if self.channels.get(&id).is_some_and(|it| it.files) {
            wire.exit_status_request(id, 0)?;
            return wire.close(id);
        }
        self.type_keys(id, None);
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut Wire) -> Result<(), Self::Error> {
        self.channels.remove(&id);
        Ok(())
    }
}

impl Guest {
    /// Bytes of this channel come through [`Handler::data`]: nobody reads the channel itself.
    fn drop_channel(&mut self, id: ChannelId) {
        if let Some(opened) = self.channels.get_mut(&id) {
            opened.channel = None;
        }
    }
}

/// A command or shell on a channel.
struct Running {
    id: ChannelId,
    handle: Handle,
    group: Group,
    terminal: bool,
}

impl Running {
    async fn until_ended(
        mut self,
        typed: mpsc::UnboundedReceiver<Option<Vec<u8>>>,
        stdin: ChildStdin,
        stdout: impl AsyncRead + Unpin,
        stderr: Option<impl AsyncRead + Unpin>,
    ) {
        let error_stream = if self.terminal { None } else { Some(STDERR) };
        let complaining = async {
            if let Some(stderr) = stderr {
                self.copy(stderr, error_stream).await;
            }
        };
        let printing = async {
            tokio::join!(self.copy(stdout, None), complaining);
        };
        tokio::select! {
            // What is dropped here is the keyboard, of no use to a shell that has ended.
            () = printing => {}
            () = self.keyboard(typed, stdin) => {}
        }
        let code = self.group.wait().await;
        if self.handle.exit_status_request(self.id, code).await.is_ok()
            && self.handle.eof(self.id).await.is_ok()
            && self.handle.close(self.id).await.is_err()
        {
            tracing::debug!("a client left before its command had ended");
        }
    }

    async fn copy(&self, mut from: impl AsyncRead + Unpin, stream: Option<u32>) {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            let bytes = buffer.get(..read).unwrap_or_default();
            let bytes = if self.terminal {
                terminal(bytes)
            } else {
                bytes.to_vec()
            };
            let sent = match stream {
                None => self.handle.data(self.id, bytes).await,
                Some(kind) => self.handle.extended_data(self.id, kind, bytes).await,
            };
            if sent.is_err() {
                return;
            }
        }
    }

    /// Never ends: the command does.
    async fn keyboard(
        &self,
        mut typed: mpsc::UnboundedReceiver<Option<Vec<u8>>>,
        mut stdin: ChildStdin,
    ) {
        while let Some(Some(keys)) = typed.recv().await {
            let keys = match self.terminal {
                false => keys,
                true => self.cook(keys).await,
            };
            if stdin.write_all(&keys).await.is_err() {
                break;
            }
        }
        drop(stdin);
        std::future::pending::<()>().await;
    }

    /// What a terminal driver does: echo, Return, Ctrl-C.
    async fn cook(&self, keys: Vec<u8>) -> Vec<u8> {
        let mut cooked = Vec::new();
        for key in keys {
            match key {
                b'\r' => cooked.push(b'\n'),
                0x03 => self.group.interrupt(),
                _ => cooked.push(key),
            }
        }
        drop(self.handle.data(self.id, terminal(&cooked)).await);
        cooked
    }
}
