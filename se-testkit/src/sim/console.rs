//! A console port: one device behind telnet, as a virtual machine's serial port is.
//!
//! One client at a time: a second one is connected, and hears nothing until the first has left. What
//! the device is doing stays as it is between clients.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::journal::Journal;
use super::power::{NodeState, Power};
use super::profile::{DeviceFaultKind, FaultPoint};
use super::script::Script;
use super::task::{Task, start};
use super::telnet::{GREETING, Telnet, escape};

/// How often a console looks whether its node runs.
const TICK: Duration = Duration::from_millis(20);
/// One character at 9600 baud.
const SLOW: Duration = Duration::from_millis(1);

/// What a device does in answer to a key, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Say(Vec<u8>),
    /// At the speed of an old serial line.
    Trickle(Vec<u8>),
    Wait(Duration),
    Fail(DeviceFaultKind),
}

/// A device with a command line.
pub(super) trait Terminal: Send {
    /// A key was pressed.
    fn key(&mut self, key: u8, acts: &mut Vec<Act>);
    /// What it prints of itself; never ends for one that only answers. Cancel safe.
    fn output(&mut self) -> impl Future<Output = Vec<Act>> + Send;
    /// The node got power: its configuration is what it was when last saved.
    fn boot(&mut self, acts: &mut Vec<Act>);
    /// The node was wiped: what it learned is gone.
    fn forget(&mut self);
}

/// What every console knows of its surroundings.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The device, as the journal names it.
    pub(super) device: String,
    /// The node in the controller's lab.
    pub(super) node: String,
    pub(super) power: Power,
    pub(super) journal: Journal,
    pub(super) script: Script,
    /// How long the console stays silent after the node is up.
    pub(super) boot: Duration,
}

/// A listening console; ends when dropped.
#[derive(Debug)]
pub(super) struct Console {
    pub(super) address: SocketAddr,
    _task: Task,
}

impl Console {
    pub(super) fn start(
        listener: TcpListener,
        terminal: impl Terminal + 'static,
        place: Place,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let line = Line {
            feed: Feed::new(&place),
            terminal,
            place,
        };
        let _task = start(line.serve(listener));
        Ok(Self { address, _task })
    }
}

/// Whether the node has power, and whether it has come up.
#[derive(Debug)]
pub(super) struct Feed {
    seen: NodeState,
    generation: u64,
    up_at: Option<Instant>,
    pub(super) is_up: bool,
}

/// What a look at the power has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Booting,
    Up,
    Off,
    Wiped,
}

impl Feed {
    pub(super) fn new(place: &Place) -> Self {
        Self {
            seen: NodeState::Stopped,
            generation: place.power.generation(&place.node),
            up_at: None,
            is_up: false,
        }
    }

    pub(super) fn look(&mut self, place: &Place) -> Change {
        let generation = place.power.generation(&place.node);
        if generation != self.generation {
            self.generation = generation;
            self.is_up = false;
            self.up_at = None;
            self.seen = NodeState::Stopped;
            return Change::Wiped;
        }
        let state = place.power.state(&place.node);
        let before = std::mem::replace(&mut self.seen, state);
        if state != NodeState::Booted {
            self.up_at = None;
            let was_up = std::mem::replace(&mut self.is_up, false);
            return match state {
                NodeState::Started if before != state => Change::Booting,
                _ if was_up => Change::Off,
                _ => Change::None,
            };
        }
        let up_at = *self
            .up_at
            .get_or_insert_with(|| Instant::now() + place.boot);
        if !self.is_up && Instant::now() >= up_at {
            self.is_up = true;
            return Change::Up;
        }
        Change::None
    }
}

struct Line<T> {
    terminal: T,
    place: Place,
    feed: Feed,
}

/// What became of a connection.
#[derive(PartialEq, Eq)]
enum Flow {
    Open,
    /// Nothing is said any more, and nothing heard.
    Mute,
    Closed,
}

impl<T: Terminal> Line<T> {
    async fn serve(mut self, listener: TcpListener) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                // Both are cancel safe.
                accepted = listener.accept() => {
                    if let Ok((stream, _)) = accepted {
                        // How a connection ends concerns its client alone.
                        drop(self.session(stream).await);
                    }
                }
                _ = ticks.tick() => drop(self.tick()),
            }
        }
    }

    async fn session(&mut self, mut stream: TcpStream) -> io::Result<()> {
        self.place
            .journal
            .add(&self.place.device, "connect", "serial");
        stream.set_nodelay(true)?;
        let mut flow = Flow::Open;
        if let Some(fault) = self.place.script.fault(FaultPoint::Connect, "") {
            flow = perform(Act::Fail(fault), &mut stream).await?;
        }
        if flow == Flow::Open {
            stream.write_all(&GREETING).await?;
        }
        // A node that is up hears the first key.
        let acts = self.tick();
        if flow == Flow::Open {
            flow = perform_all(acts, &mut stream).await?;
        }
        let mut telnet = Telnet::default();
        let mut ticks = interval(TICK);
        let mut buffer = [0; 1024];
        while flow != Flow::Closed {
            let acts = tokio::select! {
                // All are cancel safe.
                read = stream.read(&mut buffer) => {
                    let read = buffer.get(..read?).unwrap_or_default();
                    if read.is_empty() {
                        return Ok(());
                    }
                    let (keys, reply) = telnet.take(read);
                    if flow == Flow::Open {
                        stream.write_all(&reply).await?;
                    }
                    self.keys(&keys, &flow)
                }
                acts = self.terminal.output() => acts,
                _ = ticks.tick() => self.tick(),
            };
            if flow == Flow::Open {
                flow = perform_all(acts, &mut stream).await?;
            }
        }
        Ok(())
    }

    fn keys(&mut self, keys: &[u8], flow: &Flow) -> Vec<Act> {
        let mut acts = Vec::new();
        if self.feed.is_up && *flow == Flow::Open {
            for key in keys {
                self.terminal.key(*key, &mut acts);
            }
        }
        acts
    }

    fn tick(&mut self) -> Vec<Act> {
        let mut acts = Vec::new();
        match self.feed.look(&self.place) {
            Change::None | Change::Off => {}
            Change::Wiped => self.terminal.forget(),
            Change::Booting => acts.push(Act::Say(boot_messages(&self.place.device))),
            Change::Up => self.terminal.boot(&mut acts),
        }
        acts
    }
}

fn boot_messages(device: &str) -> Vec<u8> {
    format!("\r\nBooting `{device}`\r\n\r\nLoading kernel image...OK\r\n").into_bytes()
}

async fn perform_all(acts: Vec<Act>, stream: &mut TcpStream) -> io::Result<Flow> {
    for act in acts {
        let flow = perform(act, stream).await?;
        if flow != Flow::Open {
            return Ok(flow);
        }
    }
    Ok(Flow::Open)
}

async fn perform(act: Act, stream: &mut TcpStream) -> io::Result<Flow> {
    match act {
        Act::Say(bytes) => stream.write_all(&escape(&bytes)).await?,
        Act::Trickle(bytes) => {
            for byte in bytes {
                stream.write_all(&escape(&[byte])).await?;
                sleep(SLOW).await;
            }
        }
        Act::Wait(time) => sleep(time).await,
        Act::Fail(DeviceFaultKind::Hang) => return Ok(Flow::Mute),
        Act::Fail(DeviceFaultKind::Drop | DeviceFaultKind::Refuse) => return Ok(Flow::Closed),
        Act::Fail(DeviceFaultKind::HalfClose) => {
            stream.shutdown().await?;
            return Ok(Flow::Mute);
        }
        Act::Fail(DeviceFaultKind::Garbage) => stream.write_all(&escape(&GARBAGE)).await?,
        Act::Fail(DeviceFaultKind::Slow) => sleep(Duration::from_secs(1)).await,
    }
    Ok(Flow::Open)
}

/// Bytes of a line at the wrong speed: no text in any encoding.
const GARBAGE: [u8; 16] = [
    0xf8, 0x00, 0x86, 0xfe, 0x78, 0x80, 0xe6, 0x1b, 0x98, 0x06, 0xff, 0x9e, 0x00, 0xe0, 0x18, 0xfc,
];
