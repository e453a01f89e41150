//! Keys in a file: made once, for its owner only, and replaced whole.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::keyring::Keyring;
use crate::seal::{Randomness, SealingKey};

/// A file that holds a [`Keyring`], a key a line.
#[derive(Clone, Debug)]
pub struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// The file of that name; it need not be there yet.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The keys in it.
    ///
    /// # Errors
    /// [`Error::KeyFile`] if it cannot be read or understood.
    pub fn read(&self) -> Result<Keyring> {
        let text = fs::read_to_string(&self.path).map(Zeroizing::new);
        let text = text.map_err(|error| self.failed("it cannot be read", Some(error)))?;
        warn_if_open_to_others(&self.path);
        Keyring::parse(&text).map_err(|error| self.failed(&error.to_string(), None))
    }

    /// The keys in it; where there is no file, one is made with a key that nobody has.
    ///
    /// # Errors
    /// [`Error::KeyFile`] if it cannot be read, understood or made.
    pub fn read_or_make(&self, random: &dyn Randomness) -> Result<Keyring> {
        if !self.path.exists() {
            let made = SealingKey::draw(random).and_then(|key| self.make(&key.into()));
            made.map_err(|error| self.failed("it cannot be made", Some(error)))?;
        }
        self.read()
    }

    /// Puts a new key in front, which seals from now on; the others go on opening. Whoever reads the
    /// file finds all of the former keys in it, or these with the new one.
    ///
    /// # Errors
    /// [`Error::KeyFile`] if it cannot be read, understood or replaced.
    pub fn rotate(&self, random: &dyn Randomness) -> Result<Keyring> {
        let first = SealingKey::draw(random);
        let first = first.map_err(|error| self.failed("no key can be drawn", Some(error)))?;
        let keys = self.read()?.behind(first);
        self.replace(&keys)?;
        Ok(keys)
    }

    /// Takes out every key but the one that seals.
    ///
    /// # Errors
    /// [`Error::KeyFile`] if it cannot be read, understood or replaced.
    pub fn retire_others(&self) -> Result<Keyring> {
        let keys = self.read()?.only_first();
        self.replace(&keys)?;
        Ok(keys)
    }

    /// The file appears under its name in one step, and never over another.
    fn make(&self, keys: &Keyring) -> io::Result<()> {
        let folder = folder(&self.path);
        fs::create_dir_all(folder)?;
        match written(folder, keys)?.persist_noclobber(&self.path) {
            Ok(_) => sync(folder),
            // Another engine was quicker; its key is as good.
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error.error),
        }
    }

    /// The file stays under its name, with all of its former content or all of the new.
    fn replace(&self, keys: &Keyring) -> Result<()> {
        let replace = || {
            // Behind a link lies the file that is meant.
            let path = fs::canonicalize(&self.path)?;
            let folder = folder(&path);
            let file = written(folder, keys)?;
            same_owner(file.as_file(), &path)?;
            file.persist(&path).map_err(|error| error.error)?;
            sync(folder)
        };
        replace().map_err(|error| self.failed("it cannot be replaced", Some(error)))
    }

    fn failed(&self, reason: &str, source: Option<io::Error>) -> Error {
        Error::KeyFile {
            path: self.path.display().to_string(),
            reason: reason.to_owned(),
            source,
        }
    }
}

/// A file with the keys that has no lasting name yet; its mode is 0600.
fn written(folder: &Path, keys: &Keyring) -> io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(keys.text().as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Makes the name of a file as durable as its content.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Whoever could read the former file can read this one, whoever makes it.
#[cfg(unix)]
fn same_owner(file: &File, former: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let former = fs::metadata(former)?;
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (former.uid(), former.gid()) {
        fchown(file, Some(former.uid()), Some(former.gid()))?;
    }
    file.set_permissions(former.permissions())
}

#[cfg(not(unix))]
fn same_owner(_file: &File, _former: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn warn_if_open_to_others(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path).map(|it| it.permissions().mode());
    if mode.is_ok_and(|mode| mode & 0o007 != 0) {
        tracing::warn!(path = %path.display(), "the sealing key is open to everybody; chmod 600 it");
    }
}

#[cfg(not(unix))]
fn warn_if_open_to_others(_path: &Path) {}
