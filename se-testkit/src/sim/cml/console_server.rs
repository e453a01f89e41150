//! A simulated controller's console server: SSH with the controller's login, and `open /lab/node/line`.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::server::{Auth, ChannelOpenHandle, Config, Handle, Handler, Msg, Session as Wire};
use russh::{Channel, ChannelId, Pty};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::World;
use super::bridge::Bridge;
use crate::sim::task::{Task, start};

/// What the real one says before it lets the console speak.
const GREETING: &str = "Connected to CML terminalserver.\r\nEscape character is '^]'.\r\n";

/// A listening console server; ends when dropped.
#[derive(Debug)]
pub(super) struct ConsoleServer {
    pub(super) address: SocketAddr,
    _task: Task,
}

impl ConsoleServer {
    pub(super) fn start(listener: TcpListener, world: Arc<World>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let config = Config {
            keys: vec![PrivateKey::from(Ed25519Keypair::from_seed(&[0xc5; 32]))],
            auth_rejection_time: Duration::from_millis(50),
            auth_rejection_time_initial: Some(Duration::ZERO),
            nodelay: true,
            ..Config::default()
        };
        let _task = start(accept(listener, Arc::new(config), world));
        Ok(Self { address, _task })
    }
}

async fn accept(listener: TcpListener, config: Arc<Config>, world: Arc<World>) {
    // Dropped with this task: no connection outlives its server.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // Both are cancel safe.
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream, Arc::clone(&config), Arc::clone(&world)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, config: Arc<Config>, world: Arc<World>) {
    let guest = Guest {
        world,
        open: BTreeMap::new(),
    };
    // How a session ends concerns its client alone.
    if let Ok(session) = russh::server::run_stream(config, stream, guest).await {
        drop(session.await);
    }
}

/// One client.
struct Guest {
    world: Arc<World>,
    open: BTreeMap<ChannelId, Open>,
}

struct Open {
    keys: mpsc::UnboundedSender<Bytes>,
    _task: Task,
}

impl Guest {
    /// The console that `open /lab/node/line` names.
    fn console(&self, command: &str) -> Result<SocketAddr, String> {
        let path = command.strip_prefix("open /").unwrap_or_default();
        let parts: Vec<&str> = path.split('/').collect();
        let [lab, node, "0"] = parts.as_slice() else {
            return Err(format!("Unknown command: {command}\r\n"));
        };
        let found = self.world.console(lab, node);
        found.ok_or_else(|| "The node is not available.\r\n".to_owned())
    }
}

impl Handler for Guest {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        let options = &self.world.options;
        let is_known = user == options.username && password == options.password;
        Ok(if is_known {
            Auth::Accept
        } else {
            Auth::reject()
        })
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Wire,
    ) -> Result<(), Self::Error> {
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
        wire.channel_success(id)
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        wire: &mut Wire,
    ) -> Result<(), Self::Error> {
        wire.channel_success(id)?;
        match self.console(&String::from_utf8_lossy(command)) {
            Err(text) => {
                wire.data(id, text.into_bytes())?;
                wire.exit_status_request(id, 1)?;
                wire.close(id)
            }
            Ok(address) => {
                self.world.journal.add("cml", "console", "ssh");
                let (keys, typed) = mpsc::unbounded_channel();
                let _task = start(carry(id, wire.handle(), address, typed));
                self.open.insert(id, Open { keys, _task });
                Ok(())
            }
        }
    }

    async fn data(&mut self, id: ChannelId, data: &[u8], _: &mut Wire) -> Result<(), Self::Error> {
        if let Some(console) = self.open.get(&id) {
            // A console that has hung up reads nothing.
            drop(console.keys.send(Bytes::copy_from_slice(data)));
        }
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut Wire) -> Result<(), Self::Error> {
        self.open.remove(&id);
        Ok(())
    }
}

async fn carry(
    id: ChannelId,
    handle: Handle,
    address: SocketAddr,
    mut typed: mpsc::UnboundedReceiver<Bytes>,
) {
    let mut goes_on = handle.data(id, GREETING.as_bytes()).await.is_ok();
    let mut bridge = Bridge::open(address).await;
    while let (true, Ok(bridge)) = (goes_on, &mut bridge) {
        goes_on = tokio::select! {
            said = bridge.say() => match said {
                Ok(Some(bytes)) => handle.data(id, bytes).await.is_ok(),
                Ok(None) | Err(_) => false,
            },
            keys = typed.recv() => match keys {
                Some(keys) => bridge.keys(keys).await.is_ok(),
                None => false,
            },
        };
    }
    // The client may have been faster.
    handle.close(id).await.ok();
}
