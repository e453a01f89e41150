//! A zip, looked at as a whole before a byte of it is unpacked.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{Read, Seek};

use zip::ZipReadOptions;
use zip::read::{Config, ZipFileEntry};
use zip::result::ZipError;
use zip::unstable::read::ZipIterable;

use crate::error::Refused;
use crate::limits::Limits;
use crate::name::{CONTENT, Names, Role, role};

/// Smaller files may shrink as they like: a page of blanks does no harm.
const RATIO_FROM: u64 = 1 << 20;

/// One file of a zip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Path from the root of the package, without a wrapping folder.
    pub path: String,
    /// Size in bytes, as the zip says.
    pub size: u64,
}

/// What is odd about a package without being fatal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Everything stands in one more folder.
    Wrapped {
        /// That folder.
        folder: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrapped { folder } => write!(
                f,
                "`PAv1/` stands in the folder `{folder}/`; pack what is in that folder instead"
            ),
        }
    }
}

/// A zip whose every name, kind and declared size keeps the rules.
pub(crate) struct Archive<R> {
    zip: ZipIterable<R>,
    limits: Limits,
    /// What stands before every path that counts: empty, or a folder with its `/`.
    prefix: String,
    pub(crate) listing: Vec<Entry>,
    pub(crate) warnings: Vec<Warning>,
}

/// Why the walk through an archive ended early.
pub(crate) enum Stopped<E> {
    Refused(Refused),
    Sink(E),
}

impl<R: Read + Seek> Archive<R> {
    pub(crate) fn open(reader: R, limits: &Limits) -> Result<Self, Refused> {
        let mut zip = ZipIterable::try_new(reader, Config::default()).map_err(not_a_zip)?;
        let found = zip.len();
        if found > limits.entries {
            return Err(Refused::TooManyEntries {
                found,
                limit: limits.entries,
            });
        }
        let mut names = Names::default();
        let mut listing = Vec::new();
        let mut total = 0_u64;
        for entry in zip.files().map_err(not_a_zip)? {
            let entry = entry.map_err(not_a_zip)?;
            let name = entry.name().map_err(not_a_zip)?.into_owned();
            names.take(&name)?;
            check(&entry, &name)?;
            if name.ends_with('/') {
                continue;
            }
            total = total.saturating_add(entry.size());
            if total > limits.unpacked_bytes {
                return Err(Refused::UnpacksTooLarge {
                    entry: name,
                    limit: limits.unpacked_bytes,
                });
            }
            listing.push(Entry {
                path: name,
                size: entry.size(),
            });
        }
        let (prefix, warnings) = find_content(&listing)?;
        for entry in &mut listing {
            if let Some(path) = entry.path.strip_prefix(&prefix) {
                entry.path = path.to_owned();
            }
        }
        listing.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self {
            zip,
            limits: *limits,
            prefix,
            listing,
            warnings,
        })
    }

    /// Gives `sink` each file that counts with its path and a reader that fails as soon as the file
    /// grows past what it may.
    pub(crate) fn unpack<E>(
        &mut self,
        reader: &mut R,
        mut sink: impl FnMut(&str, Role, &mut Metered<'_>) -> Result<(), E>,
    ) -> Result<(), Stopped<E>> {
        let mut left = self.limits.unpacked_bytes;
        let broken = |error| Stopped::Refused(not_a_zip(error));
        for entry in self.zip.files().map_err(broken)? {
            let entry = entry.map_err(broken)?;
            let name = entry.name().map_err(broken)?.into_owned();
            let Some(path) = name.strip_prefix(&self.prefix) else {
                continue;
            };
            let role = role(path);
            if name.ends_with('/') || role == Role::Other {
                continue;
            }
            let declared = entry.size();
            let compressed = entry.compressed_size();
            let damaged = |error: ZipError| {
                Stopped::Refused(Refused::Damaged {
                    entry: path.to_owned(),
                    reason: error.to_string(),
                })
            };
            let options = ZipReadOptions::new();
            let mut file = entry.with_reader(reader, options).map_err(damaged)?;
            let mut metered = Metered {
                inner: &mut file,
                entry: path,
                declared,
                read: 0,
                caps: caps(&self.limits, role, compressed, left),
                refused: None,
            };
            let outcome = sink(path, role, &mut metered);
            // The reader's reason comes first: the sink only saw that reading failed.
            if let Some(refused) = metered.refused.take() {
                return Err(Stopped::Refused(refused));
            }
            outcome.map_err(Stopped::Sink)?;
            left = left.saturating_sub(metered.read);
        }
        Ok(())
    }
}

/// The most bytes that a file may have, and which rule says so.
#[derive(Clone, Copy)]
struct Caps {
    left: u64,
    unpacked: u64,
    document: Option<u64>,
    grown: u64,
    ratio: u64,
}

fn caps(limits: &Limits, role: Role, compressed: u64, left: u64) -> Caps {
    Caps {
        left,
        unpacked: limits.unpacked_bytes,
        document: (role == Role::Document).then_some(limits.document_bytes),
        grown: compressed.saturating_mul(limits.ratio).max(RATIO_FROM),
        ratio: limits.ratio,
    }
}

/// Counts the real bytes of a file and remembers which rule it broke.
pub(crate) struct Metered<'a> {
    inner: &'a mut dyn Read,
    entry: &'a str,
    declared: u64,
    read: u64,
    caps: Caps,
    refused: Option<Refused>,
}

impl Metered<'_> {
    pub(crate) fn size(&self) -> u64 {
        self.read
    }

    fn broken_rule(&self) -> Option<Refused> {
        let entry = self.entry.to_owned();
        let caps = self.caps;
        if let Some(limit) = caps.document.filter(|limit| self.read > *limit) {
            return Some(Refused::DocumentTooLarge { entry, limit });
        }
        if self.read > caps.left {
            let limit = caps.unpacked;
            return Some(Refused::UnpacksTooLarge { entry, limit });
        }
        if self.read > caps.grown {
            let limit = caps.ratio;
            return Some(Refused::Ratio { entry, limit });
        }
        (self.read > self.declared).then_some(Refused::SizeLies {
            entry,
            declared: self.declared,
        })
    }

    fn stop(&mut self, refused: Refused) -> std::io::Error {
        let error = std::io::Error::new(std::io::ErrorKind::InvalidData, refused.to_string());
        self.refused = Some(refused);
        error
    }

    fn failed(&mut self, error: &std::io::Error) -> std::io::Error {
        let entry = self.entry.to_owned();
        let refused = if error.to_string().contains("declared uncompressed size") {
            Refused::SizeLies {
                entry,
                declared: self.declared,
            }
        } else {
            Refused::Damaged {
                entry,
                reason: error.to_string(),
            }
        };
        self.stop(refused)
    }
}

impl Read for Metered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = match self.inner.read(buffer) {
            Ok(count) => count,
            Err(error) => return Err(self.failed(&error)),
        };
        self.read += count as u64;
        if let Some(refused) = self.broken_rule() {
            return Err(self.stop(refused));
        }
        if count == 0 && !buffer.is_empty() && self.read < self.declared {
            let refused = Refused::SizeLies {
                entry: self.entry.to_owned(),
                declared: self.declared,
            };
            return Err(self.stop(refused));
        }
        Ok(count)
    }
}

fn check(entry: &ZipFileEntry<'_>, name: &str) -> Result<(), Refused> {
    const KIND: u32 = 0o170_000;
    let kind = match entry.unix_mode().unwrap_or_default() & KIND {
        0 | 0o040_000 | 0o100_000 => None,
        0o120_000 => Some("a symbolic link"),
        0o010_000 => Some("a pipe"),
        0o140_000 => Some("a socket"),
        _ => Some("a device"),
    };
    let entry_name = || name.to_owned();
    if let Some(kind) = kind {
        return Err(Refused::NotAFile {
            entry: entry_name(),
            kind,
        });
    }
    if entry.encrypted() {
        return Err(Refused::Encrypted {
            entry: entry_name(),
        });
    }
    Ok(())
}

/// What stands before `PAv1/`, at most one folder.
fn find_content(listing: &[Entry]) -> Result<(String, Vec<Warning>), Refused> {
    if listing.iter().any(|it| it.path.starts_with(CONTENT)) {
        return Ok((String::new(), Vec::new()));
    }
    let wrappers: BTreeSet<&str> = listing
        .iter()
        .filter_map(|it| it.path.split_once('/'))
        .filter(|(_, rest)| rest.starts_with(CONTENT))
        .map(|(wrapper, _)| wrapper)
        .filter(|it| *it != "__MACOSX")
        .collect();
    let mut all = wrappers.iter();
    match (all.next(), all.next()) {
        (Some(folder), None) => {
            let warning = Warning::Wrapped {
                folder: (*folder).to_owned(),
            };
            Ok((format!("{folder}/"), vec![warning]))
        }
        (Some(one), Some(other)) => Err(Refused::NoContent {
            hint: format!(", and both `{one}/` and `{other}/` have one"),
        }),
        (None, _) => Err(Refused::NoContent {
            hint: near_miss(listing),
        }),
    }
}

fn near_miss(listing: &[Entry]) -> String {
    let folders = |it: &Entry| {
        let parts = it.path.split('/').take(4);
        let near = parts.filter(|it| it.eq_ignore_ascii_case("pav1"));
        near.map(str::to_owned).next()
    };
    match listing.iter().find_map(folders) {
        Some(found) if found == "PAv1" => ", but one deeper down".to_owned(),
        Some(found) => format!(", but one spelled `{found}/`"),
        None => String::new(),
    }
}

fn not_a_zip(error: ZipError) -> Refused {
    Refused::NotAZip {
        reason: error.to_string(),
    }
}
