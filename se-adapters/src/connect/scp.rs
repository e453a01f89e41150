//! Files over the protocol of `scp`: a header, the bytes, and a NUL, each acknowledged with a NUL.

use bytes::{Buf, Bytes, BytesMut};
use russh::{Channel, ChannelMsg, client};
use se_runtime::{Fault, FaultKind};
use tokio::io::AsyncReadExt;

use super::files::{Arriving, Digesting, Digests, PIECE, Transfer, name, quoted};
use super::ssh::Connection;
use crate::device::Payload;

const DEFAULT_MODE: u32 = 0o644;
/// No header and no message is longer.
const LONGEST_LINE: usize = 4 * 1024;
const OK: Bytes = Bytes::from_static(&[0]);
const CHECK: &str = "check the path; on IOS, `ip scp server enable` must be configured";

/// Puts a file.
pub(super) async fn put(
    transfer: &Transfer<'_>,
    file: &Payload,
    source: &mut tokio::fs::File,
) -> Result<Digests, Fault> {
    let unreadable = |error| transfer.unreadable(&file.source, &error);
    let size = source.metadata().await.map_err(unreadable)?.len();
    file.moved.expect(size);
    let mut line = Line::open(transfer, format!("scp -t {}", quoted(&file.dest))).await?;
    line.acknowledged().await?;
    let mode = file.mode.unwrap_or(DEFAULT_MODE);
    let header = format!("C{mode:04o} {size} {}\n", name(&file.source));
    line.send(Bytes::from(header)).await?;
    line.acknowledged().await?;
    let mut digesting = Digesting::default();
    let mut piece = vec![0; PIECE];
    loop {
        let length = source.read(&mut piece).await.map_err(unreadable)?;
        let Some(read) = piece.get(..length).filter(|it| !it.is_empty()) else {
            break;
        };
        digesting.add(read);
        line.send(Bytes::copy_from_slice(read)).await?;
        file.moved.add(read.len());
    }
    line.send(OK).await?;
    line.acknowledged().await?;
    let ended = line.channel.eof().await;
    ended.map_err(|error| transfer.broken(&error))?;
    Ok(digesting.end())
}

/// Gets a file.
pub(super) async fn get(
    transfer: &Transfer<'_>,
    path: &str,
    arriving: &mut Arriving<'_>,
) -> Result<(), Fault> {
    let mut line = Line::open(transfer, format!("scp -f {}", quoted(path))).await?;
    line.send(OK).await?;
    let size = line.header().await?;
    arriving.expect(size);
    line.send(OK).await?;
    let mut left = size;
    while left > 0 {
        if line.received.is_empty() && !line.more().await? {
            let reason = format!("it ended {left} bytes too early");
            return Err(transfer.fault(FaultKind::Communication, &reason, CHECK));
        }
        let length = usize::try_from(left).unwrap_or(usize::MAX);
        let piece = line.received.split_to(length.min(line.received.len()));
        left -= u64::try_from(piece.len()).unwrap_or(left);
        arriving.add(&piece);
    }
    line.acknowledged().await?;
    line.send(OK).await
}

/// The other end of a running `scp`.
struct Line<'a> {
    transfer: &'a Transfer<'a>,
    channel: Channel<client::Msg>,
    /// What came and was not read yet.
    received: BytesMut,
    /// What it said beside that.
    said: Vec<u8>,
    _lane: Connection,
}

impl<'a> Line<'a> {
    async fn open(transfer: &'a Transfer<'a>, command: String) -> Result<Self, Fault> {
        let lane = transfer.lane().await?;
        let channel = lane.channel(transfer.deadline).await?;
        let asked = channel.exec(true, command).await;
        asked.map_err(|error| transfer.broken(&error))?;
        Ok(Self {
            transfer,
            channel,
            received: BytesMut::new(),
            said: Vec::new(),
            _lane: lane,
        })
    }

    async fn send(&self, bytes: Bytes) -> Result<(), Fault> {
        let sent = self.channel.data_bytes(bytes).await;
        sent.map_err(|error| self.transfer.broken(&error))
    }

    /// Waits for more; false at the end.
    async fn more(&mut self) -> Result<bool, Fault> {
        loop {
            match self.channel.wait().await {
                Some(ChannelMsg::Data { data }) if !data.is_empty() => {
                    self.received.extend_from_slice(&data);
                    return Ok(true);
                }
                Some(ChannelMsg::ExtendedData { data, .. }) => {
                    let room = LONGEST_LINE.saturating_sub(self.said.len());
                    self.said.extend(data.iter().take(room));
                }
                Some(ChannelMsg::Close | ChannelMsg::Failure) | None => return Ok(false),
                Some(_) => {}
            }
        }
    }

    async fn byte(&mut self) -> Result<Option<u8>, Fault> {
        if self.received.is_empty() && !self.more().await? {
            return Ok(None);
        }
        Ok(Some(self.received.get_u8()))
    }

    /// The rest of a line, or what there is of it.
    async fn rest(&mut self) -> Result<String, Fault> {
        let mut line = Vec::new();
        while line.len() < LONGEST_LINE {
            match self.byte().await? {
                Some(b'\n') | None => break,
                Some(byte) => line.push(byte),
            }
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    async fn acknowledged(&mut self) -> Result<(), Fault> {
        match self.byte().await? {
            Some(0) => Ok(()),
            other => Err(self.refused(other).await?),
        }
    }

    /// The size of the file that comes.
    async fn header(&mut self) -> Result<u64, Fault> {
        loop {
            match self.byte().await? {
                Some(b'C') => break,
                // Times, which were not asked for.
                Some(b'T') => {
                    self.rest().await?;
                    self.send(OK).await?;
                }
                other => return Err(self.refused(other).await?),
            }
        }
        let line = self.rest().await?;
        let size = line.split(' ').nth(1).and_then(|it| it.parse().ok());
        size.ok_or_else(|| {
            let reason = format!("it sent `C{line}`, which announces no file");
            self.transfer.fault(FaultKind::Validation, &reason, CHECK)
        })
    }

    /// After 1 or 2 comes what is wrong; anything else is no SCP, and says so in words.
    async fn refused(&mut self, first: Option<u8>) -> Result<Fault, Fault> {
        let mut said = match first {
            None | Some(1 | 2) => String::new(),
            Some(other) => char::from(other).to_string(),
        };
        if first.is_some() {
            said.push_str(&self.rest().await?);
        }
        if said.trim().is_empty() {
            said = String::from_utf8_lossy(&self.said).into_owned();
        }
        let said = said.trim_matches(|it: char| it.is_control() || it.is_whitespace());
        let kind = if said.contains("No such file") {
            FaultKind::NotFound
        } else {
            FaultKind::Validation
        };
        let reason = format!("no SFTP, and SCP said: {said}");
        Ok(self.transfer.fault(kind, &reason, CHECK))
    }
}
