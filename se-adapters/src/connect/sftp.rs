//! Files over SFTP.

use std::path::Path;

use russh::ChannelMsg;
use russh_sftp::client::SftpSession;
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::protocol::{FileAttributes, OpenFlags, StatusCode};
use se_runtime::{Fault, FaultKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::files::{Arriving, Digesting, Digests, PIECE, Transfer, name};
use super::ssh::Connection;
use crate::device::Payload;

const DEFAULT_MODE: u32 = 0o644;

/// A session, and the connection that it lives on.
pub(super) struct Sftp {
    session: SftpSession,
    _lane: Connection,
}

/// Nothing where the server has no SFTP.
pub(super) async fn open(transfer: &Transfer<'_>) -> Result<Option<Sftp>, Fault> {
    let lane = transfer.lane().await?;
    let mut channel = lane.channel(transfer.deadline).await?;
    let asked = channel.request_subsystem(true, "sftp").await;
    asked.map_err(|error| transfer.broken(&error))?;
    loop {
        match channel.wait().await {
            Some(ChannelMsg::Success) => break,
            Some(ChannelMsg::Failure | ChannelMsg::Close | ChannelMsg::Eof) | None => {
                return Ok(None);
            }
            Some(_) => {}
        }
    }
    match SftpSession::new(channel.into_stream()).await {
        Ok(session) => Ok(Some(Sftp {
            session,
            _lane: lane,
        })),
        Err(error) => {
            tracing::debug!(%error, "no SFTP: trying SCP");
            Ok(None)
        }
    }
}

/// SFTP starts in the home folder and knows no `~`.
fn from_home(path: &str) -> &str {
    path.strip_prefix("~/").unwrap_or(path)
}

/// Puts a file, and says where it is.
pub(super) async fn put(
    transfer: &Transfer<'_>,
    Sftp { session: sftp, .. }: &Sftp,
    file: &Payload,
    source: &mut tokio::fs::File,
) -> Result<(Digests, String), Fault> {
    let unreadable = |error| transfer.unreadable(&file.source, &error);
    file.moved
        .expect(source.metadata().await.map_err(unreadable)?.len());
    let mut dest = from_home(&file.dest).to_owned();
    if sftp.metadata(&dest).await.is_ok_and(|it| it.is_dir()) {
        dest = format!("{}/{}", dest.trim_end_matches('/'), name(&file.source));
    }
    let failed = |error: &SftpError| not_written(transfer, &dest, error);
    let mode = FileAttributes {
        permissions: Some(file.mode.unwrap_or(DEFAULT_MODE)),
        ..FileAttributes::empty()
    };
    let flags = OpenFlags::CREATE | OpenFlags::TRUNCATE | OpenFlags::WRITE;
    let opened = sftp
        .open_with_flags_and_attributes(&dest, flags, mode.clone())
        .await;
    let mut target = opened.map_err(|error| failed(&error))?;
    let mut digesting = Digesting::default();
    let mut piece = vec![0; PIECE];
    loop {
        let length = source.read(&mut piece).await.map_err(unreadable)?;
        let Some(read) = piece.get(..length).filter(|it| !it.is_empty()) else {
            break;
        };
        digesting.add(read);
        let written = target.write_all(read).await;
        written.map_err(|error| failed(&error.into()))?;
        file.moved.add(read.len());
    }
    let closed = target.close().await;
    closed.map_err(|error| failed(&error.into()))?;
    let digests = digesting.end();
    if file.mode.is_some() {
        // A file that was there keeps its permissions through an open.
        let set = sftp.set_metadata(&dest, mode).await;
        set.map_err(|error| failed(&error))?;
    }
    let there = sftp.metadata(&dest).await.map_err(|error| failed(&error))?;
    if let Some(size) = there.size.filter(|it| *it != digests.bytes) {
        let reason = format!("sent {} bytes, the copy has {size}", digests.bytes);
        let check = "check the device's free space";
        return Err(transfer.fault(FaultKind::Validation, &reason, check));
    }
    close(sftp).await;
    Ok((digests, dest))
}

/// Gets a file.
pub(super) async fn get(
    transfer: &Transfer<'_>,
    Sftp { session: sftp, .. }: &Sftp,
    path: &str,
    arriving: &mut Arriving<'_>,
) -> Result<(), Fault> {
    let path = from_home(path);
    let failed = |error: &SftpError| not_read(transfer, error);
    let there = sftp.metadata(path).await.map_err(|error| failed(&error))?;
    if there.is_dir() {
        let check = "name a file in it, or pack it first (`tar`)";
        return Err(transfer.fault(FaultKind::Validation, "it is a folder", check));
    }
    arriving.expect(there.size.unwrap_or(0));
    let mut source = sftp.open(path).await.map_err(|error| failed(&error))?;
    let mut piece = vec![0; PIECE];
    loop {
        let length = source.read(&mut piece).await;
        let length = length.map_err(|error| failed(&error.into()))?;
        let Some(read) = piece.get(..length).filter(|it| !it.is_empty()) else {
            break;
        };
        arriving.add(read);
    }
    close(sftp).await;
    Ok(())
}

async fn close(sftp: &SftpSession) {
    if let Err(error) = sftp.close().await {
        tracing::debug!(%error, "closing SFTP");
    }
}

fn not_written(transfer: &Transfer<'_>, dest: &str, error: &SftpError) -> Fault {
    let folder = Path::new(dest).parent().unwrap_or(Path::new("/")).display();
    let (kind, check) = match status(error) {
        Some(StatusCode::NoSuchFile) => (
            FaultKind::NotFound,
            format!("make the folder `{folder}` first: exec `mkdir -p {folder}`"),
        ),
        Some(StatusCode::PermissionDenied) => (
            FaultKind::Validation,
            format!(
                "the user may not write `{dest}`: copy to its home folder, or change the owner"
            ),
        ),
        Some(_) => (
            FaultKind::Validation,
            format!("check that `{dest}` is a file path on the device and that its disk has space"),
        ),
        None => (
            FaultKind::Communication,
            "check that the device is still up".to_owned(),
        ),
    };
    transfer.fault(kind, &error.to_string(), &check)
}

fn not_read(transfer: &Transfer<'_>, error: &SftpError) -> Fault {
    let (kind, check) = match status(error) {
        Some(StatusCode::NoSuchFile) => (
            FaultKind::NotFound,
            "check the path: it is one on the device",
        ),
        Some(StatusCode::PermissionDenied) => {
            (FaultKind::Validation, "let the connector's user read it")
        }
        Some(_) => (FaultKind::Validation, "check that it is a plain file"),
        None => (
            FaultKind::Communication,
            "check that the device is still up",
        ),
    };
    transfer.fault(kind, &error.to_string(), check)
}

fn status(error: &SftpError) -> Option<StatusCode> {
    match error {
        SftpError::Status(status) => Some(status.status_code),
        _ => None,
    }
}
