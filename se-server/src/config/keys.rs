//! The names of all options, for messages and for values that come as text.

/// What the text of an option stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// As it is.
    Text,
    /// A whole number.
    Integer,
    /// A number, with a fraction or without.
    Number,
    /// `true` or `false`.
    Boolean,
    /// Texts.
    List,
}

use Kind::{Boolean, Integer, List, Number, Text};

/// Section, key, kind. Sections that hold named entries (`workers`, `lds`) have their own lists.
pub(super) const KEYS: &[(&str, &str, Kind)] = &[
    ("server", "listen", Text),
    ("server", "insecure", Boolean),
    ("server", "public_url", Text),
    ("server", "body_limit", Integer),
    ("server", "package_limit", Integer),
    ("server", "drain_timeout", Integer),
    ("store", "data_dir", Text),
    ("store", "url", Text),
    ("store", "keep_days", Number),
    ("store", "lease", Integer),
    ("store", "keep_completed_days", Number),
    ("store", "keep_faulted_days", Number),
    ("store", "keep_cancelled_days", Number),
    ("store", "keep_delivered_days", Number),
    ("store", "keep_dead_days", Number),
    ("sealing", "file", Text),
    ("sealing", "key", Text),
    ("sealing", "command", List),
    ("content", "root", Text),
    ("content", "sync_wait", Integer),
    ("content", "max_package", Integer),
    ("content", "max_unpacked", Integer),
    ("content", "max_entries", Integer),
    ("content", "max_document", Integer),
    ("s3", "endpoint", Text),
    ("s3", "bucket", Text),
    ("s3", "access_key", Text),
    ("s3", "secret_key", Text),
    ("s3", "region", Text),
    ("events", "profile", Text),
    ("events", "sink", Text),
    ("events", "timeout", Integer),
    ("jobs", "max_concurrent", Integer),
    ("jobs", "max_queued", Integer),
    ("jobs", "max_per_worker", Integer),
    ("jobs", "max_per_definition", Integer),
    ("jobs", "default_timeout", Integer),
    ("jobs", "progress_interval", Integer),
    ("secrets", "dir", Text),
    ("secrets", "file", Text),
    ("log", "format", Text),
    ("log", "level", Text),
];

/// Keys of `[workers.<name>]`.
pub(super) const WORKER_KEYS: &[&str] = &[
    "ip",
    "region",
    "cml_url",
    "cml_username",
    "cml_password",
    "tls_verify",
    "tls_ca_file",
    "tls_fingerprint",
];

/// Keys of `[lds.<region>]`.
pub(super) const LDS_KEYS: &[&str] = &["url", "username", "password", "tls_ca_file"];

/// Sections that hold named entries, and the keys of each entry.
pub(super) const NAMED: &[(&str, &[&str])] = &[("workers", WORKER_KEYS), ("lds", LDS_KEYS)];

/// The keys of the entries of a section; nothing for one that has no entries.
pub(super) fn of_entries(section: &str) -> Option<&'static [&'static str]> {
    NAMED.iter().find(|it| it.0 == section).map(|it| it.1)
}

/// Names that deployments set, and the option each stands for.
pub(super) const DEPLOYMENT: &[(&str, &str, &str)] = &[
    ("S3_ENDPOINT", "s3", "endpoint"),
    ("S3_BUCKET", "s3", "bucket"),
    ("S3_ACCESS_KEY", "s3", "access_key"),
    ("S3_SECRET_KEY", "s3", "secret_key"),
    ("CLOUD_EVENT_SINK", "events", "sink"),
    ("MAX_CONCURRENT_JOBS", "jobs", "max_concurrent"),
    ("JOB_DEFAULT_TIMEOUT", "jobs", "default_timeout"),
    ("JOB_PROGRESS_INTERVAL", "jobs", "progress_interval"),
    ("DATABASE_URL", "store", "url"),
];

/// What the text of that option stands for; nothing for an unknown one.
pub(super) fn kind(section: &str, key: &str) -> Option<Kind> {
    KEYS.iter()
        .find(|it| it.0 == section && it.1 == key)
        .map(|it| it.2)
}

/// The known name that is most like `name`.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|it| (strsim::jaro_winkler(name, it), it))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|it| it.0 > 0.75)
        .map(|it| it.1)
}
