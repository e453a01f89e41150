//! Packages as authors and restarts read them: from folders, zips and single documents.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use se_dsl::Sources;

use crate::archive::{Archive, Stopped, Warning};
use crate::digest::{Contents, of_reader};
use crate::error::{Doing, Error, Refused, Result};
use crate::limits::Limits;
use crate::name::{self, CONTENT, Role, role};

/// A package that was read.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its documents, and the names and sizes of its payloads.
    pub sources: Sources,
    /// Hash of what is in `PAv1/`; none for a single document.
    pub content_hash: Option<String>,
    /// What is odd about it.
    pub warnings: Vec<Warning>,
}

/// Reads whatever is at `path`: a package folder, its `PAv1` folder, a zip, or one document.
///
/// # Errors
/// [`Error::Refused`] if it breaks a rule, [`Error::NotFound`] and its like if it cannot be read.
pub fn read(path: &Path, limits: &Limits) -> Result<Package> {
    let metadata = fs::metadata(path).doing("look at", path)?;
    if metadata.is_dir() {
        return from_dir(path, limits);
    }
    if path
        .extension()
        .is_some_and(|it| it.eq_ignore_ascii_case("zip"))
    {
        return from_zip(path, limits);
    }
    one_document(path, metadata.len(), limits)
}

/// Reads a package folder, or its `PAv1` folder. Hidden files are not part of a package.
///
/// # Errors
/// [`Error::Refused`] if it breaks a rule, [`Error::NotFound`] and its like if it cannot be read.
pub fn from_dir(path: &Path, limits: &Limits) -> Result<Package> {
    let files = Folder::walk(&root_of(path)?, limits)?;
    let mut sources = Sources::new();
    let mut contents = Contents::default();
    for (name, file) in &files.files {
        let role = role(name);
        if role == Role::Other {
            continue;
        }
        let opened = File::open(file).doing("open", file)?;
        let (sha256, size) = if role == Role::Document {
            let bytes = document(opened, name, limits, file)?;
            let digest = of_reader(bytes.as_slice()).doing("read", file)?;
            sources.add(name.as_str(), bytes);
            digest
        } else {
            let digest = of_reader(opened).doing("read", file)?;
            sources.add_asset(name.as_str(), digest.1);
            digest
        };
        if name.starts_with(CONTENT) {
            contents.add(name.clone(), size, sha256);
        }
    }
    if contents.is_empty() {
        return Err(Refused::NoContent {
            hint: String::new(),
        }
        .into());
    }
    Ok(Package {
        sources,
        content_hash: Some(contents.hash()),
        warnings: Vec::new(),
    })
}

/// Reads the folder of an ingested package again, after a restart say.
///
/// # Errors
/// As [`from_dir`].
pub fn open(folder: &Path, limits: &Limits) -> Result<Package> {
    from_dir(folder, limits)
}

/// Reads a zip without unpacking it.
///
/// # Errors
/// [`Error::Refused`] if it breaks a rule, [`Error::NotFound`] and its like if it cannot be read.
pub fn from_zip(path: &Path, limits: &Limits) -> Result<Package> {
    let size = fs::metadata(path).doing("look at", path)?.len();
    if size > limits.package_bytes {
        let limit = limits.package_bytes;
        return Err(Refused::PackageTooLarge { limit }.into());
    }
    let open = || File::open(path).doing("open", path).map(io::BufReader::new);
    let mut archive = Archive::open(open()?, limits)?;
    let mut documents: Vec<(String, Vec<u8>)> = Vec::new();
    let mut assets: Vec<(String, u64)> = Vec::new();
    let mut contents = Contents::default();
    let outcome = archive.unpack(&mut open()?, |name, role, file| -> io::Result<()> {
        let digest = if role == Role::Document {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            let digest = of_reader(bytes.as_slice())?;
            documents.push((name.to_owned(), bytes));
            digest
        } else {
            let digest = of_reader(file)?;
            assets.push((name.to_owned(), digest.1));
            digest
        };
        if name.starts_with(CONTENT) {
            contents.add(name.to_owned(), digest.1, digest.0);
        }
        Ok(())
    });
    outcome.map_err(|stopped| match stopped {
        Stopped::Refused(refused) => refused.into(),
        Stopped::Sink(error) => Error::io("read", path, error),
    })?;
    documents.sort();
    let mut sources = Sources::new();
    for (name, bytes) in documents {
        sources.add(name, bytes);
    }
    for (name, size) in assets {
        sources.add_asset(name, size);
    }
    Ok(Package {
        sources,
        content_hash: Some(contents.hash()),
        warnings: archive.warnings,
    })
}

fn one_document(path: &Path, size: u64, limits: &Limits) -> Result<Package> {
    let name = name_in_package(path);
    if size > limits.document_bytes {
        return Err(too_large(&name, limits).into());
    }
    let file = File::open(path).doing("open", path)?;
    let bytes = document(file, &name, limits, path)?;
    let mut sources = Sources::new();
    sources.add(name, bytes);
    Ok(Package {
        sources,
        content_hash: None,
        warnings: Vec::new(),
    })
}

/// From the last `PAv1` on, else the file's name alone.
fn name_in_package(path: &Path) -> String {
    let absolute = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let text = absolute.to_string_lossy().replace('\\', "/");
    let inside = text.rfind("/PAv1/").and_then(|at| text.get(at + 1..));
    let last = || text.rsplit('/').next().unwrap_or(&text);
    inside.unwrap_or_else(last).to_owned()
}

fn document(file: File, name: &str, limits: &Limits, at: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = limits.document_bytes;
    let read = file.take(most.saturating_add(1)).read_to_end(&mut bytes);
    if read.doing("read", at)? as u64 > most {
        return Err(too_large(name, limits).into());
    }
    Ok(bytes)
}

fn too_large(name: &str, limits: &Limits) -> Refused {
    Refused::DocumentTooLarge {
        entry: name.to_owned(),
        limit: limits.document_bytes,
    }
}

/// The folder that holds `PAv1`.
pub(crate) fn root_of(path: &Path) -> Result<PathBuf> {
    let absolute = fs::canonicalize(path).doing("look at", path)?;
    match absolute.parent() {
        Some(parent) if absolute.ends_with("PAv1") => Ok(parent.to_path_buf()),
        _ => Ok(absolute),
    }
}

/// Every plain file below a folder that is not hidden, by its path from there, sorted.
#[derive(Default)]
pub(crate) struct Folder {
    pub(crate) files: Vec<(String, PathBuf)>,
    names: name::Names,
}

impl Folder {
    pub(crate) fn walk(root: &Path, limits: &Limits) -> Result<Self> {
        let mut all = Self::default();
        let mut folders = vec![(String::new(), root.to_path_buf())];
        while let Some((prefix, folder)) = folders.pop() {
            let (below, files): (Vec<_>, Vec<_>) = visible(&prefix, &folder)?
                .into_iter()
                .partition(|(_, _, kind)| kind.is_dir());
            for (name, path, kind) in files {
                all.take(name, kind, path, limits)?;
            }
            folders.extend(below.into_iter().map(|it| (format!("{}/", it.0), it.1)));
        }
        all.files.sort();
        Ok(all)
    }

    fn take(
        &mut self,
        name: String,
        kind: fs::FileType,
        path: PathBuf,
        limits: &Limits,
    ) -> Result<(), Refused> {
        self.names.take(&name)?;
        if !kind.is_file() {
            let kind = if kind.is_symlink() {
                "a symbolic link"
            } else {
                "a device"
            };
            return Err(Refused::NotAFile { entry: name, kind });
        }
        self.files.push((name, path));
        if self.files.len() > limits.entries {
            return Err(Refused::TooManyEntries {
                found: self.files.len(),
                limit: limits.entries,
            });
        }
        Ok(())
    }
}

/// What stands in a folder and is not hidden.
fn visible(prefix: &str, folder: &Path) -> Result<Vec<(String, PathBuf, fs::FileType)>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).doing("read the folder", folder)? {
        let entry = entry.doing("read the folder", folder)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().doing("look at", &entry.path())?;
        if !name.starts_with('.') {
            all.push((format!("{prefix}{name}"), entry.path(), kind));
        }
    }
    Ok(all)
}
