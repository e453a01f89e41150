//! A network between a client and a device that does to their bytes what its seed says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{self, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// What the network does to what a device says. What the client says passes as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chaos {
    /// Nothing.
    None,
    /// Pieces of one to three bytes, each sent by itself, now and then after a pause.
    Fragment,
    /// Pauses of up to this many milliseconds before a piece.
    Delay(u64),
    /// Closes both ways after this many bytes.
    DropAt(u64),
    /// Resets the connection after this many bytes.
    ResetAt(u64),
    /// Closes the device's side after this many bytes, and still takes what the client says.
    HalfCloseAt(u64),
    /// Says nothing more after this many bytes.
    HangAt(u64),
    /// Says bytes that mean nothing after this many bytes, then goes on.
    GarbageAt(u64),
    /// Says so many bytes of text without end after this many bytes, then goes on.
    FloodAt {
        /// After how many bytes of the device.
        at: u64,
        /// How many bytes.
        bytes: u64,
    },
}

/// A listening proxy; ends, with its connections, when dropped.
#[derive(Debug)]
pub struct ChaosProxy {
    address: SocketAddr,
    said: Arc<AtomicU64>,
    _users: JoinSet<()>,
}

impl ChaosProxy {
    /// Between whoever connects and `device`, a port on 127.0.0.1. Each connection suffers the next of `chaos`;
    /// those that come after the last suffer nothing. The same seed gives the same pieces and pauses.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn start(device: u16, chaos: Vec<Chaos>, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let said = Arc::new(AtomicU64::new(0));
        let mut _users = JoinSet::new();
        _users.spawn(serve(listener, device, chaos, seed, Arc::clone(&said)));
        Ok(Self {
            address,
            said,
            _users,
        })
    }

    /// Where it listens on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many bytes clients have taken, on all connections together.
    #[must_use]
    pub fn said(&self) -> u64 {
        self.said.load(Ordering::Relaxed)
    }
}

async fn serve(
    listener: TcpListener,
    device: u16,
    chaos: Vec<Chaos>,
    seed: u64,
    said: Arc<AtomicU64>,
) {
    let mut chaos = chaos.into_iter();
    let mut users = JoinSet::new();
    let mut dice = Dice(seed | 1);
    while let Ok((client, _)) = listener.accept().await {
        let line = Line {
            chaos: chaos.next().unwrap_or(Chaos::None),
            dice: Dice(dice.next() | 1),
            passed: 0,
            said: Arc::clone(&said),
        };
        // How a connection ends concerns its two sides alone.
        users.spawn(async move { drop(line.carry(client, device).await) });
    }
}

/// Numbers that follow from a seed (xorshift, Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}

/// One connection.
struct Line {
    chaos: Chaos,
    dice: Dice,
    /// Bytes of the device that have been passed on.
    passed: u64,
    said: Arc<AtomicU64>,
}

/// What becomes of the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open,
    Closed,
    Reset,
    /// The client hears the end and may go on talking.
    HalfClosed,
    Hung,
}

impl Line {
    async fn carry(mut self, client: TcpStream, device: u16) -> io::Result<()> {
        client.set_nodelay(true)?;
        let device = TcpStream::connect(("127.0.0.1", device)).await?;
        device.set_nodelay(true)?;
        let (mut from_device, mut to_device) = device.into_split();
        let (mut from_client, mut to_client) = client.into_split();
        let mut up = JoinSet::new();
        up.spawn(async move {
            drop(io::copy(&mut from_client, &mut to_device).await);
            from_client
        });
        let mut buffer = vec![0; 16 * 1024];
        let mut fate = Fate::Open;
        while fate == Fate::Open {
            let read = tokio::select! {
                // Both are cancel safe; the client has left when its half has ended.
                read = from_device.read(&mut buffer) => read?,
                _ = up.join_next() => return Ok(()),
            };
            let piece = buffer.get(..read).unwrap_or_default();
            fate = match piece {
                [] => Fate::Closed,
                piece => self.pass(piece, &mut to_client).await?,
            };
        }
        match fate {
            Fate::Open | Fate::Closed => Ok(()),
            Fate::HalfClosed => {
                to_client.shutdown().await?;
                up.join_next().await;
                Ok(())
            }
            Fate::Hung => {
                up.join_next().await;
                Ok(())
            }
            Fate::Reset => {
                up.abort_all();
                up.join_next().await;
                to_client.as_ref().set_zero_linger()
            }
        }
    }

    /// Passes a piece on, whole or up to where the connection's fate meets it.
    async fn pass(
        &mut self,
        piece: &[u8],
        client: &mut (impl io::AsyncWrite + Unpin),
    ) -> io::Result<Fate> {
        let left = |at: u64| usize::try_from(at.saturating_sub(self.passed)).unwrap_or(usize::MAX);
        let (at, fate) = match self.chaos {
            Chaos::None | Chaos::Fragment | Chaos::Delay(_) => (usize::MAX, Fate::Open),
            Chaos::DropAt(at) => (left(at), Fate::Closed),
            Chaos::ResetAt(at) => (left(at), Fate::Reset),
            Chaos::HalfCloseAt(at) => (left(at), Fate::HalfClosed),
            Chaos::HangAt(at) => (left(at), Fate::Hung),
            Chaos::GarbageAt(at) | Chaos::FloodAt { at, .. } => (left(at), Fate::Open),
        };
        let Some((before, after)) = piece.split_at_checked(at).filter(|(_, it)| !it.is_empty())
        else {
            self.say(piece, client).await?;
            return Ok(Fate::Open);
        };
        self.say(before, client).await?;
        if fate != Fate::Open {
            return Ok(fate);
        }
        match std::mem::replace(&mut self.chaos, Chaos::None) {
            Chaos::FloodAt { bytes, .. } => self.flood(bytes, client).await?,
            _ => self.say(&GARBAGE, client).await?,
        }
        self.say(after, client).await?;
        Ok(Fate::Open)
    }

    async fn say(
        &mut self,
        bytes: &[u8],
        client: &mut (impl io::AsyncWrite + Unpin),
    ) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (length, pause) = self.piece();
            let length = usize::try_from(length)
                .unwrap_or(usize::MAX)
                .min(rest.len());
            let (piece, after) = rest.split_at(length);
            if pause > 0 {
                sleep(Duration::from_millis(pause)).await;
            }
            client.write_all(piece).await?;
            client.flush().await?;
            // Pieces that are written at once may arrive as one.
            tokio::task::yield_now().await;
            self.said
                .fetch_add(u64::try_from(length).unwrap_or(0), Ordering::Relaxed);
            rest = after;
        }
        self.passed += u64::try_from(bytes.len()).unwrap_or(0);
        Ok(())
    }

    /// How long the next piece is, and how many milliseconds to wait before it.
    fn piece(&mut self) -> (u64, u64) {
        match self.chaos {
            Chaos::Fragment => (
                1 + self.dice.below(3),
                3 * u64::from(self.dice.below(64) == 0),
            ),
            Chaos::Delay(longest) => (1 + self.dice.below(1024), self.dice.below(longest)),
            _ => (u64::MAX, 0),
        }
    }

    async fn flood(
        &mut self,
        bytes: u64,
        client: &mut (impl io::AsyncWrite + Unpin),
    ) -> io::Result<()> {
        let block = b"the same words again and again, without a prompt\r\n".repeat(1024);
        let mut left = usize::try_from(bytes).unwrap_or(usize::MAX);
        while left > 0 {
            let piece = block.get(..left.min(block.len())).unwrap_or(&block);
            client.write_all(piece).await?;
            self.said
                .fetch_add(u64::try_from(piece.len()).unwrap_or(0), Ordering::Relaxed);
            left -= piece.len();
        }
        Ok(())
    }
}

/// No text in any encoding, no telnet command that anybody knows, half a control sequence.
const GARBAGE: [u8; 14] = [
    0xf8, 0x00, 0x86, 0xfe, 0x78, 0x80, 0xe6, 0x98, 0x06, 0x9e, 0x00, 0xe0, 0x18, 0xfc,
];
