//! Where a SQLite database is.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use percent_encoding::percent_decode_str;
use rusqlite::{Connection, OpenFlags};

use crate::error::{Error, Result};

/// Databases in memory are told apart by their names, which the whole process shares.
static MEMORIES: AtomicU64 = AtomicU64::new(1);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    File(PathBuf),
    /// In memory, under a name by which each connection finds it.
    Memory(String),
}

impl Place {
    /// From `sqlite:///var/lib/se/se.db`, `sqlite://se.db`, `sqlite:se.db` or `sqlite::memory:`; what
    /// cannot stand in a URL is written `%20`.
    pub(super) fn parse(url: &str) -> Result<Self> {
        let refused = |found: String| Error::Conflict {
            what: format!("the database URL `{url}`"),
            found,
        };
        let Some(rest) = url.strip_prefix("sqlite:") else {
            let found = "it begins neither with `sqlite:` nor with `postgres:`";
            return Err(refused(found.to_owned()));
        };
        if rest == ":memory:" {
            let number = MEMORIES.fetch_add(1, Ordering::Relaxed);
            return Ok(Self::Memory(format!("file:/se-{number}?vfs=memdb")));
        }
        let path = rest.strip_prefix("//").unwrap_or(rest);
        if let Some((_, parameters)) = path.split_once('?') {
            return Err(refused(format!(
                "a file takes no parameters, and `{parameters}` are some; write a `?` in a path as %3F"
            )));
        }
        let path = percent_decode_str(path).decode_utf8();
        match path {
            Ok(path) if !path.is_empty() => Ok(Self::File(PathBuf::from(path.as_ref()))),
            Ok(_) => Err(refused("it names no file".to_owned())),
            Err(_) => Err(refused("its path is not UTF-8".to_owned())),
        }
    }

    /// Connects; makes the database if there is none and `create` is set.
    pub(super) fn connect(&self, create: bool) -> rusqlite::Result<Connection> {
        // Each connection is used by one thread at a time.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        match self {
            Self::File(path) => {
                let flags = match create {
                    true => flags | OpenFlags::SQLITE_OPEN_CREATE,
                    false => flags,
                };
                Connection::open_with_flags(path, flags)
            }
            Self::Memory(uri) => {
                let flags = flags | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_URI;
                Connection::open_with_flags(uri, flags)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Place;

    #[test]
    fn urls_name_files() {
        for (url, path) in [
            ("sqlite:///var/lib/se/se.db", "/var/lib/se/se.db"),
            ("sqlite://se.db", "se.db"),
            ("sqlite:se.db", "se.db"),
            ("sqlite:///a%20b/%3F.db", "/a b/?.db"),
        ] {
            let place = Place::parse(url).unwrap();
            assert_eq!(place, Place::File(Path::new(path).to_owned()), "{url}");
        }
    }

    #[test]
    fn memories_are_told_apart() {
        let parse = || Place::parse("sqlite::memory:").unwrap();
        assert_ne!(parse(), parse());
    }

    #[test]
    fn other_urls_are_refused_with_the_reason() {
        for (url, why) in [
            ("mysql://db", "begins neither"),
            ("sqlite://", "names no file"),
            ("sqlite://se.db?mode=ro", "takes no parameters"),
            ("sqlite://%ff", "not UTF-8"),
        ] {
            let error = Place::parse(url).unwrap_err().to_string();
            assert!(error.contains(why), "{url}: {error}");
        }
    }
}
