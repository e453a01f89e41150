//! Files over SSH, both ways: SFTP, or the older SCP where a server has no SFTP; then digests are compared.

use std::fmt::Write as _;
use std::path::Path;

use md5::Md5;
use russh::ChannelMsg;
use se_dsl::checked::ConnectorClass;
use se_runtime::{Fault, FaultKind};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout_at};

use super::place::Came;
use super::ssh::Connection;
use super::{scp, sftp};
use crate::device::{Fetched, Moved, Payload, Stored, Wanted};
use crate::transcript::Transcript;

/// What is read and sent in one go.
pub(super) const PIECE: usize = 256 * 1024;
/// What is kept of what a program says of a file.
const LONGEST_WORDS: usize = 16 * 1024;

/// Puts a file where `file.dest` says; in a folder of that name, it keeps its own name.
pub(super) async fn put(
    connection: &Connection,
    transcript: &Transcript,
    file: &Payload,
    deadline: Instant,
) -> Result<Stored, Fault> {
    let doing = format!("copying to `{}`", file.dest);
    let transfer = Transfer::new(connection, transcript, doing, deadline);
    let digests = transfer.in_time(transfer.put(file)).await?;
    transcript.note(&format!("copied {digests} to {}", file.dest));
    let Digests { bytes, sha256, .. } = digests;
    Ok(Stored { bytes, sha256 })
}

/// Gets a file.
pub(super) async fn get(
    connection: &Connection,
    transcript: &Transcript,
    file: &Wanted,
    deadline: Instant,
) -> Result<Fetched, Fault> {
    let doing = format!("fetching `{}`", file.source);
    let transfer = Transfer::new(connection, transcript, doing, deadline);
    let (digests, content) = transfer.in_time(transfer.get(file)).await?;
    transcript.note(&format!("fetched {digests} from {}", file.source));
    let Digests { bytes, sha256, .. } = digests;
    Ok(Fetched {
        bytes,
        sha256,
        content,
    })
}

/// One file on its way.
pub(super) struct Transfer<'a> {
    connection: &'a Connection,
    transcript: &'a Transcript,
    doing: String,
    pub(super) deadline: Instant,
}

impl<'a> Transfer<'a> {
    fn new(
        connection: &'a Connection,
        transcript: &'a Transcript,
        doing: String,
        deadline: Instant,
    ) -> Self {
        Self {
            connection,
            transcript,
            doing,
            deadline,
        }
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let done = match timeout_at(self.deadline, work).await {
            Ok(done) => done,
            Err(_) => Err(self.connection.timed_out(&self.doing)),
        };
        done.inspect_err(|fault| self.transcript.note(&fault.to_string()))
    }

    async fn put(&self, file: &Payload) -> Result<Digests, Fault> {
        let mut source = self.open(&file.source).await?;
        let (digests, dest) = match sftp::open(self).await? {
            Some(sftp) => sftp::put(self, &sftp, file, &mut source).await?,
            None => {
                let digests = scp::put(self, file, &mut source).await?;
                (digests, self.landed(file).await?)
            }
        };
        self.compare(&digests, &dest, "sent", "check the device's disk")
            .await?;
        Ok(digests)
    }

    /// Where SCP has put a file: in a folder of that name, it keeps its own.
    async fn landed(&self, file: &Payload) -> Result<String, Fault> {
        let dest = &file.dest;
        if self.connection.class() == ConnectorClass::CiscoCommon {
            return Ok(dest.clone());
        }
        let said = self
            .ask(format!("[ -d {} ] && echo folder", quoted(dest)))
            .await?;
        Ok(if said.trim() == "folder" {
            format!("{}/{}", dest.trim_end_matches('/'), name(&file.source))
        } else {
            dest.clone()
        })
    }

    async fn get(&self, file: &Wanted) -> Result<(Digests, Option<Vec<u8>>), Fault> {
        let mut arriving = Arriving::new(file);
        match sftp::open(self).await? {
            Some(sftp) => sftp::get(self, &sftp, &file.source, &mut arriving).await?,
            None => scp::get(self, &file.source, &mut arriving).await?,
        }
        let (digests, content) = arriving.end();
        let check =
            "fetch it again; a file that is being written has to be copied on the device first";
        self.compare(&digests, &file.source, "received", check)
            .await?;
        Ok((digests, content))
    }

    /// A connection to move a file on, or to ask a question. Routers give one channel to a connection, which their
    /// command line has.
    pub(super) async fn lane(&self) -> Result<Connection, Fault> {
        match self.connection.class() {
            ConnectorClass::CiscoCommon => {
                self.connection
                    .another(self.transcript, self.deadline)
                    .await
            }
            ConnectorClass::Unix | ConnectorClass::Control => Ok(self.connection.clone()),
        }
    }

    pub(super) fn fault(&self, kind: FaultKind, reason: &str, check: &str) -> Fault {
        let place = self.connection.place();
        place.fault(kind, &self.doing, &Came::Reason(reason), check)
    }

    pub(super) fn broken(&self, error: &russh::Error) -> Fault {
        self.connection.broken(&self.doing, error)
    }

    async fn open(&self, source: &Path) -> Result<tokio::fs::File, Fault> {
        tokio::fs::File::open(source).await.map_err(|error| {
            self.fault(
                FaultKind::NotFound,
                &format!("{}: {error}", source.display()),
                "check `source`: it is a handle of a file under PAv1/files",
            )
        })
    }

    pub(super) fn unreadable(&self, source: &Path, error: &std::io::Error) -> Fault {
        let reason = format!("{}: {error}", source.display());
        let check = "check the content store's disk";
        self.fault(FaultKind::Communication, &reason, check)
    }

    /// Compares with what the device says of its file, where it can tell.
    async fn compare(
        &self,
        digests: &Digests,
        path: &str,
        ours: &str,
        check: &str,
    ) -> Result<(), Fault> {
        let (command, ours_is, length) = match self.connection.class() {
            ConnectorClass::CiscoCommon => (format!("verify /md5 {path}"), &digests.md5, 32),
            ConnectorClass::Unix | ConnectorClass::Control => {
                (format!("sha256sum {}", quoted(path)), &digests.sha256, 64)
            }
        };
        let said = self.ask(command).await?;
        match digest_in(&said, length) {
            Some(theirs) if theirs.eq_ignore_ascii_case(ours_is) => {
                self.transcript.note("the device has the same digest");
                Ok(())
            }
            Some(theirs) => {
                let reason = format!("{ours} {ours_is}, and the device has {theirs}");
                let check = format!("{check}; something else may write this file");
                Err(self.fault(FaultKind::Validation, &reason, &check))
            }
            None => {
                self.transcript.note("the device cannot tell a digest");
                Ok(())
            }
        }
    }

    /// What a command prints.
    async fn ask(&self, command: String) -> Result<String, Fault> {
        let lane = self.lane().await?;
        let mut channel = lane.channel(self.deadline).await?;
        let asked = channel.exec(true, command).await;
        asked.map_err(|error| self.broken(&error))?;
        let mut said = Vec::new();
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Data { data } if said.len() < LONGEST_WORDS => {
                    said.extend_from_slice(&data);
                }
                ChannelMsg::Failure | ChannelMsg::Close => break,
                _ => {}
            }
        }
        Ok(String::from_utf8_lossy(&said).into_owned())
    }
}

/// The last word that is a digest of that many digits.
fn digest_in(said: &str, length: usize) -> Option<&str> {
    let mut words = said.split(|it: char| it.is_whitespace() || matches!(it, '=' | '\\'));
    let is_digest =
        |it: &&str| it.len() == length && it.bytes().all(|byte| byte.is_ascii_hexdigit());
    words.rfind(is_digest)
}

/// For a POSIX shell; a leading `~/` still means the home folder, and what needs no quotes gets none: command lines
/// of routers know none.
pub(super) fn quoted(path: &str) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "/._-:,+@%=".contains(it);
    match path.strip_prefix("~/") {
        Some(rest) => format!("~/{}", quoted(rest)),
        None if !path.is_empty() && path.chars().all(is_plain) => path.to_owned(),
        None => format!("'{}'", path.replace('\'', r"'\''")),
    }
}

/// The name of a file here.
pub(super) fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// What a file came to.
pub(super) struct Digests {
    pub(super) bytes: u64,
    pub(super) sha256: String,
    pub(super) md5: String,
}

impl std::fmt::Display for Digests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes, sha256 {},", self.bytes, self.sha256)
    }
}

/// Digests of what goes by.
#[derive(Default)]
pub(super) struct Digesting {
    bytes: u64,
    sha256: Sha256,
    /// All that IOS can tell of a file.
    md5: Md5,
}

impl Digesting {
    pub(super) fn add(&mut self, piece: &[u8]) {
        self.bytes += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.sha256.update(piece);
        self.md5.update(piece);
    }

    pub(super) fn end(self) -> Digests {
        Digests {
            bytes: self.bytes,
            sha256: hex(&self.sha256.finalize()),
            md5: hex(&self.md5.finalize()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
    }
    text
}

/// A file that comes: its digests, and its bytes as long as they are no more than wanted.
pub(super) struct Arriving<'a> {
    digesting: Digesting,
    kept: Option<Vec<u8>>,
    most: usize,
    moved: &'a Moved,
}

impl<'a> Arriving<'a> {
    fn new(file: &'a Wanted) -> Self {
        Self {
            digesting: Digesting::default(),
            kept: Some(Vec::new()),
            most: file.keep,
            moved: &file.moved,
        }
    }

    pub(super) fn expect(&self, bytes: u64) {
        self.moved.expect(bytes);
    }

    pub(super) fn add(&mut self, piece: &[u8]) {
        self.digesting.add(piece);
        self.moved.add(piece.len());
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(piece);
        }
        self.kept.take_if(|it| it.len() > self.most);
    }

    fn end(self) -> (Digests, Option<Vec<u8>>) {
        (self.digesting.end(), self.kept)
    }
}

#[cfg(test)]
mod tests {
    use super::{digest_in, quoted};

    #[test]
    fn paths_reach_the_shell_as_they_are() {
        assert_eq!(quoted("/tmp/a b"), "'/tmp/a b'");
        assert_eq!(quoted("~/it's"), r"~/'it'\''s'");
        assert_eq!(quoted("flash:/image.bin"), "flash:/image.bin");
        assert_eq!(quoted("$(reboot)"), "'$(reboot)'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn digests_are_found_among_what_devices_print() {
        let md5 = "d41d8cd98f00b204e9800998ecf8427e";
        for (said, expected) in [
            (
                format!("......Done!\r\nverify /md5 (flash:a) = {md5}\r\n"),
                Some(md5),
            ),
            (format!("{md5}  /tmp/a"), Some(md5)),
            // GNU marks names with a backslash in them.
            (format!("\\{md5}  /tmp/a\\\\b"), Some(md5)),
            ("% Invalid input detected".to_owned(), None),
            (format!("{md5}0"), None),
        ] {
            assert_eq!(digest_in(&said, 32), expected, "{said}");
        }
    }
}
