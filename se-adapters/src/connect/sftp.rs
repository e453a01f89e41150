//! Files over SSH: SFTP, or the older SCP where a server has no SFTP.

use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;
use russh::{ChannelMsg, client};
use russh_sftp::client::SftpSession;
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::protocol::{FileAttributes, OpenFlags, StatusCode};
use se_runtime::{Fault, FaultKind};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::place::Came;
use super::ssh::Connection;
use crate::device::{Payload, Stored};
use crate::transcript::Transcript;

const PIECE: usize = 256 * 1024;
const DEFAULT_MODE: u32 = 0o644;

/// Puts a file where `file.dest` says; in a folder of that name, it keeps its own name.
pub(super) async fn put(
    connection: &Connection,
    transcript: &Transcript,
    file: &Payload,
    deadline: Instant,
) -> Result<Stored, Fault> {
    let put = Put { connection, file };
    let stored = match timeout_at(deadline, put.all(deadline)).await {
        Ok(stored) => stored,
        Err(_) => Err(connection.timed_out(&put.doing())),
    };
    match &stored {
        Ok(stored) => transcript.note(&format!(
            "copied {} bytes to {}, sha256 {}",
            stored.bytes, file.dest, stored.sha256
        )),
        Err(fault) => transcript.note(&fault.to_string()),
    }
    stored
}

struct Put<'a> {
    connection: &'a Connection,
    file: &'a Payload,
}

impl Put<'_> {
    fn doing(&self) -> String {
        format!("copying to `{}`", self.file.dest)
    }

    fn fault(&self, kind: FaultKind, reason: &str, check: &str) -> Fault {
        let place = self.connection.place();
        place.fault(kind, &self.doing(), &Came::Reason(reason), check)
    }

    async fn all(&self, deadline: Instant) -> Result<Stored, Fault> {
        let mut source = self.open_source().await?;
        let (stored, dest) = match self.open_sftp(deadline).await? {
            Some(sftp) => self.over_sftp(&sftp, &mut source).await?,
            None => {
                let stored = self.over_scp(&mut source, deadline).await?;
                (stored, self.file.dest.clone())
            }
        };
        self.verify(&stored, &dest, deadline).await?;
        Ok(stored)
    }

    /// Nothing where the server has no SFTP.
    async fn open_sftp(&self, deadline: Instant) -> Result<Option<SftpSession>, Fault> {
        let mut channel = self.connection.channel(deadline).await?;
        let asked = channel.request_subsystem(true, "sftp").await;
        asked.map_err(|error| self.connection.broken(&self.doing(), &error))?;
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
            Ok(sftp) => Ok(Some(sftp)),
            Err(error) => {
                tracing::debug!(%error, "no SFTP: trying SCP");
                Ok(None)
            }
        }
    }

    async fn open_source(&self) -> Result<tokio::fs::File, Fault> {
        let source = &self.file.source;
        tokio::fs::File::open(source).await.map_err(|error| {
            self.fault(
                FaultKind::NotFound,
                &format!("{}: {error}", source.display()),
                "check `source`: it is a handle of a file under PAv1/files",
            )
        })
    }

    fn unreadable(&self, error: &std::io::Error) -> Fault {
        let reason = format!("{}: {error}", self.file.source.display());
        self.fault(
            FaultKind::Communication,
            &reason,
            "check the content store's disk",
        )
    }

    async fn over_sftp(
        &self,
        sftp: &SftpSession,
        source: &mut tokio::fs::File,
    ) -> Result<(Stored, String), Fault> {
        // SFTP starts in the home folder and knows no `~`.
        let dest = self.file.dest.strip_prefix("~/").unwrap_or(&self.file.dest);
        let mut dest = dest.to_owned();
        if sftp.metadata(&dest).await.is_ok_and(|it| it.is_dir()) {
            dest = format!("{}/{}", dest.trim_end_matches('/'), name(&self.file.source));
        }
        let mode = FileAttributes {
            permissions: Some(self.file.mode.unwrap_or(DEFAULT_MODE)),
            ..FileAttributes::empty()
        };
        let flags = OpenFlags::CREATE | OpenFlags::TRUNCATE | OpenFlags::WRITE;
        let opened = sftp
            .open_with_flags_and_attributes(&dest, flags, mode.clone())
            .await;
        let mut target = opened.map_err(|error| self.sftp_failed(&dest, &error))?;
        let mut digest = Digesting::default();
        let mut piece = vec![0; PIECE];
        loop {
            let length = source.read(&mut piece).await;
            let length = length.map_err(|error| self.unreadable(&error))?;
            let Some(read) = piece.get(..length).filter(|it| !it.is_empty()) else {
                break;
            };
            digest.add(read);
            let written = target.write_all(read).await;
            written.map_err(|error| self.sftp_failed(&dest, &error.into()))?;
        }
        let closed = target.close().await;
        closed.map_err(|error| self.sftp_failed(&dest, &error.into()))?;
        let stored = digest.stored();
        if self.file.mode.is_some() {
            // A file that was there keeps its permissions through an open.
            let set = sftp.set_metadata(&dest, mode).await;
            set.map_err(|error| self.sftp_failed(&dest, &error))?;
        }
        let there = sftp.metadata(&dest).await;
        let size = there.map_err(|error| self.sftp_failed(&dest, &error))?.size;
        if size.is_some_and(|it| it != stored.bytes) {
            let reason = format!(
                "sent {} bytes, the copy has {}",
                stored.bytes,
                size.unwrap_or(0)
            );
            return Err(self.fault(
                FaultKind::Validation,
                &reason,
                "check the device's free space",
            ));
        }
        if let Err(error) = sftp.close().await {
            tracing::debug!(%error, "closing SFTP");
        }
        Ok((stored, dest))
    }

    fn sftp_failed(&self, dest: &str, error: &SftpError) -> Fault {
        let folder = Path::new(dest).parent().unwrap_or(Path::new("/")).display();
        let (kind, check) = match error {
            SftpError::Status(status) => match status.status_code {
                StatusCode::NoSuchFile => (
                    FaultKind::NotFound,
                    format!("make the folder `{folder}` first: exec `mkdir -p {folder}`"),
                ),
                StatusCode::PermissionDenied => (
                    FaultKind::Validation,
                    format!(
                        "the user may not write `{dest}`: copy to its home folder, or change the owner"
                    ),
                ),
                _ => (
                    FaultKind::Validation,
                    format!(
                        "check that `{dest}` is a file path on the device and that its disk has space"
                    ),
                ),
            },
            _ => (
                FaultKind::Communication,
                "check that the device is still up".to_owned(),
            ),
        };
        self.fault(kind, &error.to_string(), &check)
    }

    /// The protocol of `scp -t`: a header, the bytes, and a NUL, each acknowledged with a NUL.
    async fn over_scp(
        &self,
        source: &mut tokio::fs::File,
        deadline: Instant,
    ) -> Result<Stored, Fault> {
        let broken = |error: russh::Error| self.connection.broken(&self.doing(), &error);
        let size = source
            .metadata()
            .await
            .map_err(|it| self.unreadable(&it))?
            .len();
        let mut channel = self.connection.channel(deadline).await?;
        let command = format!("scp -t {}", quoted(&self.file.dest));
        channel.exec(true, command).await.map_err(broken)?;
        self.acknowledged(&mut channel).await?;
        let mode = self.file.mode.unwrap_or(DEFAULT_MODE);
        let header = format!("C{mode:04o} {size} {}\n", name(&self.file.source));
        channel
            .data_bytes(Bytes::from(header))
            .await
            .map_err(broken)?;
        self.acknowledged(&mut channel).await?;
        let mut digest = Digesting::default();
        let mut piece = vec![0; PIECE];
        loop {
            let length = source.read(&mut piece).await;
            let length = length.map_err(|error| self.unreadable(&error))?;
            let Some(read) = piece.get(..length).filter(|it| !it.is_empty()) else {
                break;
            };
            digest.add(read);
            let read = Bytes::copy_from_slice(read);
            channel.data_bytes(read).await.map_err(broken)?;
        }
        let end = Bytes::from_static(&[0]);
        channel.data_bytes(end).await.map_err(broken)?;
        self.acknowledged(&mut channel).await?;
        channel.eof().await.map_err(broken)?;
        Ok(digest.stored())
    }

    async fn acknowledged(&self, channel: &mut russh::Channel<client::Msg>) -> Result<(), Fault> {
        let mut said = Vec::new();
        loop {
            match channel.wait().await {
                Some(ChannelMsg::Data { data }) if said.is_empty() && data.first() == Some(&0) => {
                    return Ok(());
                }
                Some(ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. }) => {
                    said.extend_from_slice(&data);
                }
                Some(ChannelMsg::Close | ChannelMsg::Failure) | None => break,
                Some(_) => {}
            }
            // 1 or 2 and a line: it says what is wrong, and waits for another file.
            if matches!(said.first(), Some(1 | 2)) && said.ends_with(b"\n") {
                break;
            }
        }
        let said = String::from_utf8_lossy(&said);
        let said = said.trim_matches(|it: char| it.is_control() || it.is_whitespace());
        let kind = if said.contains("No such file") {
            FaultKind::NotFound
        } else {
            FaultKind::Validation
        };
        let check = "check the path; on IOS, `ip scp server enable` must be configured";
        Err(self.fault(kind, &format!("no SFTP, and SCP said: {said}"), check))
    }

    /// Compares digests where the device has a program for it.
    async fn verify(&self, stored: &Stored, dest: &str, deadline: Instant) -> Result<(), Fault> {
        let mut channel = self.connection.channel(deadline).await?;
        let command = format!("sha256sum {}", quoted(dest));
        let asked = channel.exec(true, command).await;
        asked.map_err(|error| self.connection.broken(&self.doing(), &error))?;
        let mut said = Vec::new();
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Data { data } => said.extend_from_slice(&data),
                ChannelMsg::Failure | ChannelMsg::Close => break,
                _ => {}
            }
        }
        let said = String::from_utf8_lossy(&said);
        let word = said.split_whitespace().next().unwrap_or_default();
        let word = word.trim_start_matches('\\');
        let is_digest = word.len() == 64 && word.bytes().all(|it| it.is_ascii_hexdigit());
        if is_digest && !word.eq_ignore_ascii_case(&stored.sha256) {
            let reason = format!("sent sha256 {}, the copy has {word}", stored.sha256);
            return Err(self.fault(
                FaultKind::Validation,
                &reason,
                "check the device's disk and whether something else writes this file",
            ));
        }
        Ok(())
    }
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// For a POSIX shell; a leading `~/` still means the home folder.
fn quoted(path: &str) -> String {
    match path.strip_prefix("~/") {
        Some(rest) => format!("~/{}", quoted(rest)),
        None => format!("'{}'", path.replace('\'', r"'\''")),
    }
}

#[derive(Default)]
struct Digesting {
    bytes: u64,
    sha256: Sha256,
}

impl Digesting {
    fn add(&mut self, piece: &[u8]) {
        self.bytes += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.sha256.update(piece);
    }

    fn stored(self) -> Stored {
        let mut sha256 = String::with_capacity(64);
        for byte in self.sha256.finalize() {
            write!(sha256, "{byte:02x}").expect("writing to a string cannot fail");
        }
        Stored {
            bytes: self.bytes,
            sha256,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn paths_reach_the_shell_as_they_are() {
        assert_eq!(quoted("/tmp/a b"), "'/tmp/a b'");
        assert_eq!(quoted("~/it's"), r"~/'it'\''s'");
    }
}
