//! The bytes of one session: a telnet or raw TCP connection, or the shell channel of an SSH connection.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, SinkExt, StreamExt};
use russh::ChannelMsg;
use se_runtime::{Endpoint, Fault};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::codec::Framed;

use super::ssh::Connection;
use super::telnet::{Frame, Negotiation, Telnet};
use crate::lab::ConsoleStream;

/// The size of an SSH terminal: wide enough not to wrap, high enough not to page.
pub(crate) const COLUMNS: u32 = 511;
pub(crate) const ROWS: u32 = 1000;

/// How much of a console is read at a time.
const PIECE: usize = 16 * 1024;

pub(crate) struct Wire {
    line: Line,
    pace: Pace,
}

enum Line {
    Telnet(Box<TelnetWire>),
    Shell(Box<ShellWire>),
    /// A console that the controller leads to.
    Stream(Box<ConsoleStream>),
}

/// How fast the other side is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    /// Between two characters that are sent.
    typing_delay: Duration,
    /// How long it may say nothing while something is waited for.
    idle_timeout: Option<Duration>,
}

impl Pace {
    pub(crate) fn of(endpoint: &Endpoint) -> Self {
        Self {
            typing_delay: endpoint.typing_delay,
            idle_timeout: endpoint.idle_timeout,
        }
    }
}

struct TelnetWire {
    framed: Framed<TcpStream, Telnet>,
    negotiation: Negotiation,
    /// Answers that are not sent yet: they survive a dropped `receive`.
    answers: VecDeque<Frame>,
}

struct ShellWire {
    channel: russh::Channel<russh::client::Msg>,
    /// The channel lives as long as its connection.
    _connection: Connection,
}

impl Wire {
    pub(crate) fn telnet(stream: TcpStream, pace: Pace) -> Self {
        let line = Line::Telnet(Box::new(TelnetWire {
            framed: Framed::new(stream, Telnet::default()),
            negotiation: Negotiation::default(),
            answers: VecDeque::new(),
        }));
        Self { line, pace }
    }

    /// A console that the controller leads to.
    pub(crate) fn stream(stream: ConsoleStream, pace: Pace) -> Self {
        let line = Line::Stream(Box::new(stream));
        Self { line, pace }
    }

    /// A shell on a terminal.
    pub(crate) async fn shell(
        connection: Connection,
        pace: Pace,
        deadline: Instant,
    ) -> Result<Self, Fault> {
        let channel = connection.channel(deadline).await?;
        let asked = async {
            channel
                .request_pty(false, "vt100", COLUMNS, ROWS, 0, 0, &[])
                .await?;
            channel.request_shell(false).await
        };
        match timeout_at(deadline, asked).await {
            Ok(Ok(())) => {
                let line = Line::Shell(Box::new(ShellWire {
                    channel,
                    _connection: connection,
                }));
                Ok(Self { line, pace })
            }
            Ok(Err(error)) => Err(connection.broken("asking for a shell", &error)),
            Err(_) => Err(connection.timed_out("asking for a shell")),
        }
    }

    /// The next bytes; nothing when the other side has closed; an error of kind `TimedOut` after a silence that
    /// is too long. Cancel safe.
    pub(crate) async fn receive(&mut self) -> io::Result<Option<Bytes>> {
        let Some(idle) = self.pace.idle_timeout else {
            return self.line.receive().await;
        };
        let received = tokio::time::timeout(idle, self.line.receive()).await;
        received.unwrap_or_else(|_| {
            let why = format!("it said nothing for {} s", idle.as_secs_f64());
            Err(io::Error::new(io::ErrorKind::TimedOut, why))
        })
    }

    /// Sends everything, a character at a time where the line is slow.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let delay = self.pace.typing_delay;
        if delay.is_zero() {
            return self.line.send(bytes).await;
        }
        for byte in bytes {
            self.line.send(&[*byte]).await?;
            sleep(delay).await;
        }
        Ok(())
    }

    /// Stops what runs with these keys, as far as that goes without waiting: the connection is about to be dropped.
    pub(crate) fn interrupt(&mut self, keys: &'static [u8]) {
        let sent = match &mut self.line {
            Line::Telnet(wire) => wire.interrupt(keys),
            Line::Shell(wire) => {
                let interrupt = wire.channel.data_bytes(Bytes::from_static(keys));
                interrupt.now_or_never().is_some()
            }
            Line::Stream(stream) => {
                let interrupt = async {
                    stream.write_all(keys).await?;
                    stream.flush().await
                };
                matches!(interrupt.now_or_never(), Some(Ok(())))
            }
        };
        if !sent {
            tracing::debug!("no Ctrl-C before closing a session: it takes no more");
        }
    }
}

impl Line {
    async fn receive(&mut self) -> io::Result<Option<Bytes>> {
        match self {
            Self::Telnet(wire) => wire.receive().await,
            Self::Shell(wire) => Ok(wire.receive().await),
            Self::Stream(stream) => {
                let mut bytes = BytesMut::with_capacity(PIECE);
                let length = stream.read_buf(&mut bytes).await?;
                Ok((length > 0).then(|| bytes.freeze()))
            }
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let bytes = Bytes::copy_from_slice(bytes);
        match self {
            Self::Telnet(wire) => wire.framed.send(Frame::Data(bytes)).await,
            Self::Shell(wire) => {
                let sent = wire.channel.data_bytes(bytes).await;
                sent.map_err(|error| io::Error::new(io::ErrorKind::BrokenPipe, error))
            }
            Self::Stream(stream) => {
                stream.write_all(&bytes).await?;
                stream.flush().await
            }
        }
    }
}

impl TelnetWire {
    /// Whether it could be sent at once; else it goes with what is sent next. What the other side has not taken yet
    /// is not to be typed any more.
    fn interrupt(&mut self, keys: &[u8]) -> bool {
        self.framed.write_buffer_mut().clear();
        let stream = self.framed.get_ref();
        // Unread bytes would turn the close into a reset, and the Ctrl-C could be lost with it.
        let mut unread = [0; 16 * 1024];
        let mut reads = 0..64;
        while reads.next().is_some() && stream.try_read(&mut unread).is_ok_and(|length| length > 0)
        {
        }
        let sent = stream.try_write(keys).unwrap_or(0);
        let rest = keys.get(sent..).unwrap_or_default();
        self.framed.write_buffer_mut().extend_from_slice(rest);
        rest.is_empty()
    }

    /// What was typed is answered in several small pieces, each of which the other side may hold back until the one
    /// before is acknowledged: it shall not wait for that.
    fn acknowledge_at_once(&self) {
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::net::sockopt::set_tcp_quickack(self.framed.get_ref(), true) {
            tracing::trace!(%error, "acknowledgements may come late");
        }
    }

    async fn receive(&mut self) -> io::Result<Option<Bytes>> {
        self.acknowledge_at_once();
        loop {
            while let Some(answer) = self.answers.front() {
                self.framed.feed(answer.clone()).await?;
                self.answers.pop_front();
            }
            self.framed.flush().await?;
            match self.framed.next().await.transpose()? {
                Some(Frame::Data(data)) => return Ok(Some(data)),
                Some(other) => self.answers.extend(self.negotiation.answer(&other)),
                None => return Ok(None),
            }
        }
    }
}

impl ShellWire {
    async fn receive(&mut self) -> Option<Bytes> {
        loop {
            match self.channel.wait().await {
                Some(ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. }) => {
                    return Some(data);
                }
                Some(ChannelMsg::Eof | ChannelMsg::Close) | None => return None,
                Some(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    use super::{Pace, Wire};

    async fn read_to_ctrl_c(device: &mut TcpStream, typed: &mut Vec<u8>) {
        while typed.last() != Some(&3) {
            device.read_buf(typed).await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_a_stalled_device_has_not_taken_is_not_typed_after_ctrl_c() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await;
        let (mut device, _) = listener.accept().await.unwrap();
        let mut wire = Wire::telnet(stream.unwrap(), Pace::default());
        let script = vec![b'x'; 32 << 20];
        let typing = timeout(Duration::from_millis(200), wire.send(&script)).await;
        assert!(typing.is_err(), "the device has taken it all");
        wire.interrupt(b"\x03");
        let mut typed = Vec::new();
        let reading = read_to_ctrl_c(&mut device, &mut typed);
        let reading = timeout(Duration::from_secs(20), reading);
        // It sends what waits to be sent.
        let (read, _) = tokio::join!(reading, timeout(Duration::from_secs(1), wire.receive()));
        read.unwrap();
        assert!(typed.len() < script.len(), "{}", typed.len());
        drop(wire);
        assert_eq!(device.read_buf(&mut typed).await.unwrap(), 0);
    }
}
