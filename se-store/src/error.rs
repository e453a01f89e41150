use std::sync::Arc;

use se_runtime::LogError;

/// Why the store did not do what it was asked, by what can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else was first: read again, then decide.
    #[error("{what} is not as expected: {found}; read it again")]
    Conflict {
        /// On what.
        what: String,
        /// What is there instead.
        found: String,
    },
    /// Nothing has that name.
    #[error("there is no {what}")]
    NotFound {
        /// What was looked for.
        what: String,
    },
    /// Somebody else is at it: wait until they have ended.
    #[error("{what} is being worked on; wait until that has ended")]
    Busy {
        /// What is being worked on.
        what: String,
    },
    /// A stored row makes no sense: an operator must look at it.
    #[error(
        "row {row} of table `{table}` cannot be read: {reason}; restore it from a backup or delete it"
    )]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The row, by its key.
        row: String,
        /// What is wrong with it.
        reason: String,
    },
    /// This engine was silent for so long that others have taken over what it worked on.
    #[error(
        "this engine has lost its lease: others go on with its jobs; it joins again by itself, so try \
         again, and look at its connection to the database"
    )]
    Fenced,
    /// The secrets of a job cannot be opened with the keys at hand: give the former key back.
    #[error(
        "the secrets of job {job} are sealed with key {sealed_with}, and at hand is {at_hand}; put the \
         former key back, behind the one that seals, or cancel the job"
    )]
    WrongKey {
        /// The job.
        job: String,
        /// Id of the key that is needed.
        sealed_with: String,
        /// Ids of the keys there are.
        at_hand: String,
    },
    /// The key file cannot be used or made.
    #[error("cannot use the sealing key {path}: {reason}")]
    KeyFile {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
        /// What the system said.
        #[source]
        source: Option<std::io::Error>,
    },
    /// The database was written by a newer engine.
    #[error(
        "the database has schema {found} and this engine knows schemas up to {known}; \
         start the newer engine again, or restore a backup from before the upgrade"
    )]
    NewerSchema {
        /// Schema of the database.
        found: i64,
        /// Newest schema that this engine knows.
        known: i64,
    },
    /// An event was written by a newer engine: it is fine, and nothing may be done with its job here.
    #[error(
        "event {seq} of job {job} cannot be read here, because a newer engine wrote it: {reason}; start \
         the newer engine again: this one leaves the job as it is"
    )]
    NewerEvent {
        /// The job.
        job: String,
        /// The event.
        seq: i64,
        /// What is not known of it.
        reason: String,
    },
    /// The database was written by an older engine, and this one has not opened it yet.
    #[error(
        "the database has schema {found} and schema {known} is needed; start this engine on it once, \
         which brings it up to date, or use the engine that wrote it"
    )]
    OlderSchema {
        /// Schema of the database.
        found: i64,
        /// Schema that is needed.
        known: i64,
    },
    /// A file is not what an export wrote: export again.
    #[error("line {line} of the export: {reason}")]
    BadExport {
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A file cannot be read or written.
    #[error("could not {doing}")]
    File {
        /// What was to be done.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Another engine has the database open.
    #[error("{path} is in use by another engine; stop it, or give this one a database of its own")]
    InUse {
        /// The database.
        path: String,
    },
    /// The database does not answer; nothing was written. Try again, or look at the disk.
    #[error("could not {doing}: the database is unavailable")]
    Unavailable {
        /// What was to be done.
        doing: &'static str,
        /// What the database said.
        #[source]
        source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    },
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether the same call may succeed later without anybody doing anything.
    #[must_use]
    pub fn retry(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. } | Self::Busy { .. } | Self::Fenced
        )
    }

    pub(crate) fn not_found(what: impl Into<String>) -> Self {
        Self::NotFound { what: what.into() }
    }

    pub(crate) fn corrupt(table: &'static str, row: impl ToString, reason: impl ToString) -> Self {
        Self::Corrupt {
            table,
            row: row.to_string(),
            reason: reason.to_string(),
        }
    }

    pub(crate) fn stopped(doing: &'static str) -> Self {
        Self::Unavailable {
            doing,
            source: None,
        }
    }

    /// As the port of the log says it.
    pub(crate) fn for_log(self, job: &str, seq: u64) -> LogError {
        match self {
            Self::Corrupt { reason, .. } => LogError::Corrupt {
                job: job.to_owned(),
                seq,
                reason,
            },
            Self::Fenced => LogError::Fenced {
                job: job.to_owned(),
            },
            other => LogError::Unavailable(chain(&other)),
        }
    }
}

/// Says what was being done when the database failed.
pub(crate) trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T>;
}

impl<T, E: std::error::Error + Send + Sync + 'static> Doing<T> for Result<T, E> {
    fn doing(self, doing: &'static str) -> Result<T> {
        self.map_err(|error| Error::Unavailable {
            doing,
            source: Some(Arc::new(error)),
        })
    }
}

/// What it says and why.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}
