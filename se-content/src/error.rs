use std::io;
use std::path::Path;

/// Why content cannot be had or used, by what can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The package breaks a rule: its author must mend it.
    #[error("the package is refused: {0}")]
    Refused(#[from] Refused),
    /// The address cannot be used: the caller must give another.
    #[error("`{address}` cannot be fetched: {reason}")]
    Address {
        /// The address, without credentials.
        address: String,
        /// Why not, and what to give instead.
        reason: String,
    },
    /// Nothing is there: check the address, or put the content there.
    #[error("there is nothing at {at}; check the address, or upload the package first")]
    NotFound {
        /// Where.
        at: String,
        /// What the system said.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The engine may not read it: an operator must grant that.
    #[error("reading {at} is not allowed; check the credentials and rights of the engine")]
    Denied {
        /// Where.
        at: String,
        /// What the system said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It does not answer, or broke off: try again, or look at the network and the disk.
    #[error("could not {doing} {at}; try again, and if it stays look at the network and the disk")]
    Unavailable {
        /// What was to be done.
        doing: &'static str,
        /// With what.
        at: String,
        /// What the system said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Which rule a package breaks. Every message names the entry and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no zip, or a broken one.
    #[error("it cannot be read as a zip: {reason}; make it again with `se pack`")]
    NotAZip {
        /// What is wrong.
        reason: String,
    },
    /// It is larger than may be.
    #[error("the zip is larger than {limit} bytes; move large files out of it, or raise the limit")]
    PackageTooLarge {
        /// The limit.
        limit: u64,
    },
    /// It becomes larger than may be.
    #[error(
        "`{entry}` brings the unpacked size over {limit} bytes; make it smaller, or raise the limit"
    )]
    UnpacksTooLarge {
        /// The entry that goes over.
        entry: String,
        /// The limit.
        limit: u64,
    },
    /// A file grows more than may be: a zip bomb.
    #[error(
        "`{entry}` unpacks to more than {limit} times its size in the zip; store it differently"
    )]
    Ratio {
        /// The entry.
        entry: String,
        /// The limit.
        limit: u64,
    },
    /// There are more entries than may be.
    #[error("it has {found} entries and {limit} are allowed; leave out what is not needed")]
    TooManyEntries {
        /// How many there are.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// A document is larger than may be.
    #[error("the document `{entry}` is larger than {limit} bytes; put large data into PAv1/files/")]
    DocumentTooLarge {
        /// The entry.
        entry: String,
        /// The limit.
        limit: u64,
    },
    /// A name that leads out of the package, or that not every system can hold.
    #[error("`{entry}` is no usable name: {reason}; rename it")]
    Name {
        /// The entry, made printable.
        entry: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A link or a device.
    #[error("`{entry}` is {kind}; a package holds plain files and folders only")]
    NotAFile {
        /// The entry.
        entry: String,
        /// What it is.
        kind: &'static str,
    },
    /// A name that stands twice, or as a file and as a folder.
    #[error("`{entry}` stands in the package twice; keep one")]
    Duplicate {
        /// The entry.
        entry: String,
    },
    /// Two names that are one on some systems.
    #[error("`{entry}` and `{other}` differ by case or Unicode form only; rename one")]
    Ambiguous {
        /// The entry.
        entry: String,
        /// The one before it.
        other: String,
    },
    /// An encrypted entry.
    #[error("`{entry}` is encrypted; pack it without a password")]
    Encrypted {
        /// The entry.
        entry: String,
    },
    /// The zip says another size than the entry has.
    #[error("`{entry}` does not have the {declared} bytes that the zip says; make the zip again")]
    SizeLies {
        /// The entry.
        entry: String,
        /// What the zip says.
        declared: u64,
    },
    /// The bytes of an entry cannot be read.
    #[error("`{entry}` is damaged: {reason}; make the zip again")]
    Damaged {
        /// The entry.
        entry: String,
        /// What is wrong.
        reason: String,
    },
    /// There is no `PAv1/`.
    #[error("it has no `PAv1/` folder at its top{hint}; pack the folder that holds `PAv1/`")]
    NoContent {
        /// What was found instead, after a comma, if anything near.
        hint: String,
    },
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether the same call may succeed later without anybody doing anything.
    #[must_use]
    pub fn retry(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    pub(crate) fn io(doing: &'static str, at: &Path, source: io::Error) -> Self {
        let at = at.display().to_string();
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound {
                at,
                source: Some(Box::new(source)),
            },
            io::ErrorKind::PermissionDenied => Self::Denied {
                at,
                source: Box::new(source),
            },
            _ => Self::Unavailable {
                doing,
                at,
                source: Box::new(source),
            },
        }
    }
}

/// Says what was being done, and with which file, when the system failed.
pub(crate) trait Doing<T> {
    fn doing(self, doing: &'static str, at: &Path) -> Result<T>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, doing: &'static str, at: &Path) -> Result<T> {
        self.map_err(|error| Error::io(doing, at, error))
    }
}
