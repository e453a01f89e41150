use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use se_dsl::Sources;
use sha2::{Digest, Sha256};

use crate::archive::{Archive, Entry, Metered, Stopped, Warning};
use crate::digest::{Contents, hex};
use crate::error::{Doing, Error, Refused, Result};
use crate::fetch::{FETCHED, Fetched};
use crate::limits::Limits;
use crate::name::{self, CONTENT};
use crate::package::open;

/// Begins the name of a folder that is being filled; never of one that is ready.
const INCOMING: &str = ".incoming-";

/// A package that is unpacked and checked as far as its bytes go.
#[derive(Clone, Debug)]
pub struct Ingested {
    /// Hash of what is in `PAv1/`: the same for the same content, however it was zipped.
    pub content_hash: String,
    /// SHA-256 of the zip.
    pub package_hash: String,
    /// Where it is unpacked; nothing in there ever changes.
    pub folder: PathBuf,
    /// Its documents, and the names and sizes of its payloads.
    pub sources: Sources,
    /// Every file of the zip, sorted, whether it is unpacked or not.
    pub listing: Vec<Entry>,
    /// What is odd about it.
    pub warnings: Vec<Warning>,
}

/// Unpacks `PAv1/`, and the documents beside it that say what the package is, to a folder under
/// `root` that is named by the content. Until everything has been looked at nothing appears there;
/// then it appears whole. Ingesting the same content again, even at the same time, is harmless.
///
/// Packages that differ only in the documents beside `PAv1/` have one content hash and a folder each.
///
/// Blocks: it reads and writes files.
///
/// # Errors
/// [`Error::Refused`] if the package breaks a rule, [`Error::Unavailable`] and its like if `root`
/// cannot be written.
pub fn ingest(fetched: &Fetched, limits: &Limits, root: &Path) -> Result<Ingested> {
    let zip = fetched.path();
    let size = fs::metadata(zip).doing("look at", zip)?.len();
    if size > limits.package_bytes {
        let limit = limits.package_bytes;
        return Err(Refused::PackageTooLarge { limit }.into());
    }
    let reader = || File::open(zip).doing("open", zip);
    let mut archive = Archive::open(io::BufReader::new(reader()?), limits)?;
    fs::create_dir_all(root).doing("make the folder", root)?;
    let incoming = tempfile::Builder::new()
        .prefix(INCOMING)
        .tempdir_in(root)
        .doing("make a folder in", root)?;
    let mut unpacked = Unpacked::new(incoming.path());
    let mut bytes = io::BufReader::new(reader()?);
    let outcome = archive.unpack(&mut bytes, |path, _, file| unpacked.write(path, file));
    outcome.map_err(|stopped| match stopped {
        Stopped::Refused(refused) => refused.into(),
        Stopped::Sink(error) => error,
    })?;
    unpacked.sync_folders()?;
    let content_hash = unpacked.content.hash();
    let folder = root.join(folder_name(&content_hash, &unpacked.beside));
    let is_whole = |folder: &Path| {
        let found = open(folder, limits).ok().and_then(|it| it.content_hash);
        found.as_ref() == Some(&content_hash)
    };
    publish(incoming, &folder, is_whole)?;
    let package = open(&folder, limits)?;
    if package.content_hash.as_ref() != Some(&content_hash) {
        let lost = io::Error::other("files are missing that were just written; send it again");
        return Err(Error::io("unpack the package to", &folder, lost));
    }
    Ok(Ingested {
        content_hash,
        package_hash: fetched.package_hash().to_owned(),
        folder,
        sources: package.sources,
        listing: archive.listing,
        warnings: archive.warnings,
    })
}

/// A folder with that content under `root`, if it was ingested there.
#[must_use]
pub fn locate(root: &Path, content_hash: &str) -> Option<PathBuf> {
    let is_hash = content_hash.len() == 64 && content_hash.bytes().all(|it| it.is_ascii_hexdigit());
    if !is_hash {
        return None;
    }
    let plain = root.join(content_hash);
    if plain.is_dir() {
        return Some(plain);
    }
    let with_documents = format!("{content_hash}-");
    let mut found: Vec<PathBuf> = fs::read_dir(root)
        .ok()?
        .filter_map(Result::<_, io::Error>::ok)
        .filter(|it| {
            it.file_name()
                .to_string_lossy()
                .starts_with(&with_documents)
        })
        .map(|it| it.path())
        .collect();
    found.sort();
    found.into_iter().next()
}

/// Removes what engines that were killed left half fetched or unpacked under `root`: all of it, or what was last changed
/// before then. Without a time it must not run beside [`ingest`].
///
/// # Errors
/// [`Error::Unavailable`] and its like if `root` cannot be read or written.
pub fn sweep(root: &Path, before: Option<SystemTime>) -> Result<()> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io("read the folder", root, error)),
    };
    for entry in entries {
        let path = entry.doing("read the folder", root)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with(INCOMING) && !name.starts_with(FETCHED) {
            continue;
        }
        match remove(&path, before) {
            // Whoever fills it is done with it, or another engine sweeps as well.
            Err(error) if is_of_others(&error) => {}
            other => other.doing("remove", &path)?,
        }
    }
    Ok(())
}

fn remove(path: &Path, before: Option<SystemTime>) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    let changed = found.modified()?;
    match before {
        Some(before) if changed >= before => Ok(()),
        _ if found.is_dir() => fs::remove_dir_all(path),
        _ => fs::remove_file(path),
    }
}

fn is_of_others(error: &io::Error) -> bool {
    use io::ErrorKind::{DirectoryNotEmpty, NotFound};
    matches!(error.kind(), NotFound | DirectoryNotEmpty)
}

/// The file at `path` (from the root of the package) in an ingested folder.
///
/// # Errors
/// [`Error::Refused`] if the path leads elsewhere, [`Error::NotFound`] if no file is there.
pub fn file_in(folder: &Path, path: &str) -> Result<PathBuf> {
    name::check(path)?;
    let file = folder.join(path);
    let found = fs::symlink_metadata(&file).doing("look at", &file)?;
    if found.is_file() {
        return Ok(file);
    }
    Err(Error::NotFound {
        at: file.display().to_string(),
        source: None,
    })
}

/// Named by the content, and by the documents beside it where there are any.
fn folder_name(content_hash: &str, beside: &Contents) -> String {
    if beside.is_empty() {
        return content_hash.to_owned();
    }
    let documents = beside.hash();
    let short = documents.get(..16).unwrap_or(&documents);
    format!("{content_hash}-{short}")
}

/// What has been written so far.
struct Unpacked<'a> {
    folder: &'a Path,
    content: Contents,
    beside: Contents,
    folders: std::collections::BTreeSet<PathBuf>,
}

impl<'a> Unpacked<'a> {
    fn new(folder: &'a Path) -> Self {
        Self {
            folder,
            content: Contents::default(),
            beside: Contents::default(),
            folders: std::iter::once(folder.to_path_buf()).collect(),
        }
    }

    fn write(&mut self, path: &str, file: &mut Metered<'_>) -> Result<()> {
        let target = self.folder.join(path);
        let parent = target.parent().unwrap_or(self.folder);
        fs::create_dir_all(parent).doing("make the folder", parent)?;
        let inside = parent.ancestors().take_while(|it| *it != self.folder);
        self.folders.extend(inside.map(Path::to_path_buf));
        let sha256 = copy(file, &target).doing("write", &target)?;
        let contents = if path.starts_with(CONTENT) {
            &mut self.content
        } else {
            &mut self.beside
        };
        contents.add(path.to_owned(), file.size(), sha256);
        Ok(())
    }

    fn sync_folders(&self) -> Result<()> {
        for folder in &self.folders {
            sync_folder(folder)?;
        }
        Ok(())
    }
}

fn copy(from: &mut impl Read, to: &Path) -> io::Result<String> {
    let mut file = File::create_new(to)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = from.read(&mut buffer)?;
        let Some(read) = buffer.get(..count).filter(|it| !it.is_empty()) else {
            break;
        };
        digest.update(read);
        file.write_all(read)?;
    }
    file.sync_all()?;
    Ok(hex(digest))
}

/// Moves a filled folder into place. Where the same content is there already, that stays, unless it
/// has been damaged since.
fn publish(
    incoming: tempfile::TempDir,
    folder: &Path,
    is_whole: impl Fn(&Path) -> bool,
) -> Result<()> {
    let root = folder.parent().unwrap_or(folder);
    let mut moved = fs::rename(incoming.path(), folder);
    if moved.is_err() && folder.is_dir() {
        if is_whole(folder) {
            return Ok(());
        }
        let aside = incoming.path().with_extension("damaged");
        fs::rename(folder, &aside).doing("move aside", folder)?;
        moved = fs::rename(incoming.path(), folder);
        fs::remove_dir_all(&aside).doing("remove", &aside)?;
    }
    moved.doing("move the package to", folder)?;
    // It is at its place: nothing is left to be removed.
    let _moved = incoming.keep();
    sync_folder(root)
}

fn sync_folder(folder: &Path) -> Result<()> {
    let opened = File::open(folder).doing("open the folder", folder)?;
    opened.sync_all().doing("sync the folder", folder)
}
