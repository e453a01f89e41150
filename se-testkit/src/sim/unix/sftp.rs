//! A host's files over SFTP.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use russh_sftp::protocol::{
    Attrs, Data, File as Entry, FileAttributes, Handle, Name, OpenFlags, Status, StatusCode,
};
use russh_sftp::server::{Handler, StatusReply};

use super::Host;

/// The longest answer to one read.
const LONGEST: u32 = 128 * 1024;

/// One SFTP session.
pub(super) struct Files {
    host: Host,
    open: BTreeMap<String, Open>,
    opened: u64,
}

enum Open {
    File {
        file: File,
        path: String,
        written: bool,
    },
    Folder(Vec<Entry>),
}

impl Files {
    pub(super) fn new(host: Host) -> Self {
        Self {
            host,
            open: BTreeMap::new(),
            opened: 0,
        }
    }

    /// Where a path of the host is on this machine: `/home/<user>` and what is not absolute are the
    /// scratch folder, and nothing else can be reached.
    fn place(&self, path: &str) -> Result<PathBuf, StatusReply> {
        let home = self.host.home();
        let user = self.host.profile().credentials().map_or("user", |it| it.0);
        let path = Path::new(path);
        let inner = path
            .strip_prefix(&home)
            .or_else(|_| path.strip_prefix(format!("/home/{user}")))
            .unwrap_or(path);
        let escapes = inner.is_absolute()
            || inner
                .components()
                .any(|it| matches!(it, std::path::Component::ParentDir));
        if escapes {
            return Err(StatusCode::PermissionDenied.into());
        }
        Ok(home.join(inner))
    }

    fn keep(&mut self, id: u32, open: Open) -> Handle {
        self.opened += 1;
        let handle = self.opened.to_string();
        self.open.insert(handle.clone(), open);
        Handle { id, handle }
    }

    fn file(&mut self, handle: &str) -> Result<(&File, &mut bool), StatusReply> {
        match self.open.get_mut(handle) {
            Some(Open::File { file, written, .. }) => Ok((file, written)),
            Some(Open::Folder(_)) | None => Err(StatusCode::Failure.into()),
        }
    }
}

impl Handler for Files {
    type Error = StatusReply;

    fn unimplemented(&self) -> StatusReply {
        StatusCode::OpUnsupported.into()
    }

    async fn open(
        &mut self,
        id: u32,
        path: String,
        flags: OpenFlags,
        _: FileAttributes,
    ) -> Result<Handle, StatusReply> {
        let place = self.place(&path)?;
        let file = OpenOptions::from(flags).open(place).map_err(reply)?;
        let written = false;
        Ok(self.keep(
            id,
            Open::File {
                file,
                path,
                written,
            },
        ))
    }

    async fn close(&mut self, id: u32, handle: String) -> Result<Status, StatusReply> {
        match self.open.remove(&handle) {
            Some(Open::File {
                path,
                written: true,
                ..
            }) => self.host.journal("put", &path),
            Some(Open::File { path, .. }) => self.host.journal("get", &path),
            Some(Open::Folder(_)) => {}
            None => return Err(StatusCode::Failure.into()),
        }
        Ok(done(id))
    }

    async fn read(
        &mut self,
        id: u32,
        handle: String,
        offset: u64,
        length: u32,
    ) -> Result<Data, StatusReply> {
        let (file, _) = self.file(&handle)?;
        let mut data = vec![0; usize::try_from(length.min(LONGEST)).unwrap_or(0)];
        let read = file.read_at(&mut data, offset).map_err(reply)?;
        if read == 0 {
            return Err(StatusCode::Eof.into());
        }
        data.truncate(read);
        Ok(Data { id, data })
    }

    async fn write(
        &mut self,
        id: u32,
        handle: String,
        offset: u64,
        data: Vec<u8>,
    ) -> Result<Status, StatusReply> {
        let (file, written) = self.file(&handle)?;
        *written = true;
        file.write_all_at(&data, offset).map_err(reply)?;
        Ok(done(id))
    }

    async fn stat(&mut self, id: u32, path: String) -> Result<Attrs, StatusReply> {
        let attrs = (&fs::metadata(self.place(&path)?).map_err(reply)?).into();
        Ok(Attrs { id, attrs })
    }

    async fn lstat(&mut self, id: u32, path: String) -> Result<Attrs, StatusReply> {
        let attrs = (&fs::symlink_metadata(self.place(&path)?).map_err(reply)?).into();
        Ok(Attrs { id, attrs })
    }

    async fn fstat(&mut self, id: u32, handle: String) -> Result<Attrs, StatusReply> {
        let attrs = (&self.file(&handle)?.0.metadata().map_err(reply)?).into();
        Ok(Attrs { id, attrs })
    }

    async fn setstat(
        &mut self,
        id: u32,
        path: String,
        attrs: FileAttributes,
    ) -> Result<Status, StatusReply> {
        if let Some(mode) = attrs.permissions {
            let mode = fs::Permissions::from_mode(mode & 0o7777);
            fs::set_permissions(self.place(&path)?, mode).map_err(reply)?;
        }
        Ok(done(id))
    }

    async fn fsetstat(
        &mut self,
        id: u32,
        handle: String,
        attrs: FileAttributes,
    ) -> Result<Status, StatusReply> {
        let (file, _) = self.file(&handle)?;
        if let Some(mode) = attrs.permissions {
            file.set_permissions(fs::Permissions::from_mode(mode & 0o7777))
                .map_err(reply)?;
        }
        Ok(done(id))
    }

    async fn opendir(&mut self, id: u32, path: String) -> Result<Handle, StatusReply> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.place(&path)?).map_err(reply)? {
            let entry = entry.map_err(reply)?;
            let attrs = (&entry.metadata().map_err(reply)?).into();
            entries.push(Entry::new(entry.file_name().to_string_lossy(), attrs));
        }
        Ok(self.keep(id, Open::Folder(entries)))
    }

    async fn readdir(&mut self, id: u32, handle: String) -> Result<Name, StatusReply> {
        match self.open.get_mut(&handle) {
            Some(Open::Folder(entries)) if !entries.is_empty() => {
                let files = std::mem::take(entries);
                Ok(Name { id, files })
            }
            Some(Open::Folder(_)) => Err(StatusCode::Eof.into()),
            Some(Open::File { .. }) | None => Err(StatusCode::Failure.into()),
        }
    }

    async fn remove(&mut self, id: u32, path: String) -> Result<Status, StatusReply> {
        fs::remove_file(self.place(&path)?).map_err(reply)?;
        Ok(done(id))
    }

    async fn mkdir(
        &mut self,
        id: u32,
        path: String,
        _: FileAttributes,
    ) -> Result<Status, StatusReply> {
        fs::create_dir(self.place(&path)?).map_err(reply)?;
        Ok(done(id))
    }

    async fn rmdir(&mut self, id: u32, path: String) -> Result<Status, StatusReply> {
        fs::remove_dir(self.place(&path)?).map_err(reply)?;
        Ok(done(id))
    }

    async fn rename(&mut self, id: u32, from: String, to: String) -> Result<Status, StatusReply> {
        let to = self.place(&to)?;
        // As version 3 has it: never over another file.
        if to.exists() {
            return Err(StatusCode::Failure.into());
        }
        fs::rename(self.place(&from)?, to).map_err(reply)?;
        Ok(done(id))
    }

    async fn realpath(&mut self, id: u32, path: String) -> Result<Name, StatusReply> {
        let place = self.place(if path == "." { "" } else { &path })?;
        let files = vec![Entry::dummy(place.to_string_lossy().trim_end_matches('/'))];
        Ok(Name { id, files })
    }
}

fn done(id: u32) -> Status {
    Status {
        id,
        status_code: StatusCode::Ok,
        error_message: "Ok".to_owned(),
        language_tag: "en-US".to_owned(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is a mapper of errors")]
fn reply(error: io::Error) -> StatusReply {
    let code = match error.kind() {
        io::ErrorKind::NotFound => StatusCode::NoSuchFile,
        io::ErrorKind::PermissionDenied => StatusCode::PermissionDenied,
        _ => StatusCode::Failure,
    };
    code.with_message(error.to_string())
}
