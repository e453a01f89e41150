use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::{Doing, Error, Result};

/// Where content may be fetched from.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// `file://` addresses must lie below this folder; without one there are none.
    pub file_root: Option<PathBuf>,
    /// How `s3://` addresses are reached; without it there are none.
    pub s3: Option<S3>,
}

/// An S3-compatible object store.
#[derive(Clone, Default)]
pub struct S3 {
    /// `https://minio.example:9000`; Amazon's own where there is none. `http://` is taken as well.
    pub endpoint: Option<String>,
    /// The region; `us-east-1` where there is none.
    pub region: Option<String>,
    /// Key id; without one the identity of the machine is used.
    pub access_key_id: Option<String>,
    /// Secret of the key.
    pub secret_access_key: Option<String>,
    /// Token that belongs to a temporary key.
    pub session_token: Option<String>,
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

/// An address that content is fetched from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file on this machine.
    File(PathBuf),
    /// An object in a bucket.
    S3 {
        /// The bucket.
        bucket: String,
        /// The key of the object.
        key: String,
    },
}

impl Origin {
    /// Reads `file:///path/to/lab.zip` or `s3://bucket/path/to/lab.zip`.
    ///
    /// # Errors
    /// [`Error::Address`] if it is neither.
    pub fn parse(address: &str) -> Result<Self> {
        let refused = |reason: &str| Error::Address {
            address: without_credentials(address),
            reason: reason.to_owned(),
        };
        let Some((scheme, rest)) = address.split_once("://") else {
            return Err(refused(
                "it has no scheme; give `s3://bucket/key` or `file:///path`",
            ));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "file" => {
                let path = rest.strip_prefix("localhost").unwrap_or(rest);
                if !path.starts_with('/') {
                    return Err(refused(
                        "a file address holds an absolute path: `file:///path/to/lab.zip`",
                    ));
                }
                let path = decode(path).ok_or_else(|| refused("it has a broken `%` escape"))?;
                Ok(Self::File(PathBuf::from(path)))
            }
            "s3" => match rest.split_once('/') {
                Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => Ok(Self::S3 {
                    bucket: bucket.to_owned(),
                    key: key.to_owned(),
                }),
                _ => Err(refused("it needs a bucket and a key: `s3://bucket/key`")),
            },
            "http" | "https" => Err(refused(
                "HTTP addresses are not supported; upload the package to the object store and give \
                 `s3://bucket/key`",
            )),
            _ => Err(refused(
                "its scheme is not known; give `s3://bucket/key` or `file:///path`",
            )),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file://{}", path.display()),
            Self::S3 { bucket, key } => write!(f, "s3://{bucket}/{key}"),
        }
    }
}

impl Places {
    /// The real path of a file address, proved to lie below the root whatever links there are.
    pub(crate) fn resolve(&self, path: &Path) -> Result<PathBuf> {
        let refused = |reason: &str| Error::Address {
            address: format!("file://{}", path.display()),
            reason: reason.to_owned(),
        };
        let Some(root) = &self.file_root else {
            return Err(refused(
                "file addresses are turned off; an operator can configure a root folder for them",
            ));
        };
        let root = root.canonicalize().doing("look at", root)?;
        // A path that leads out is refused before the disk is asked, so that nobody learns what is there.
        let outside = || refused("it does not lie below the configured root folder");
        let has_dots = path.components().any(|it| it.as_os_str() == "..");
        let roots = [Some(root.as_path()), self.file_root.as_deref()];
        if has_dots || !roots.into_iter().flatten().any(|it| path.starts_with(it)) {
            return Err(outside());
        }
        let real = path.canonicalize().doing("look at", path)?;
        if real.starts_with(&root) {
            Ok(real)
        } else {
            Err(outside())
        }
    }
}

fn decode(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            bytes.push(u8::try_from(high << 4 | low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn without_credentials(address: &str) -> String {
    let address = address.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    let authority_end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::Origin;

    #[test]
    fn addresses_are_read_or_refused_with_what_to_give_instead() {
        for (address, expected) in [
            ("s3://content/labs/a b.zip", "s3://content/labs/a b.zip"),
            ("file:///srv/lab.zip", "file:///srv/lab.zip"),
            ("FILE://localhost/srv/lab%201.zip", "file:///srv/lab 1.zip"),
            ("lab.zip", "no scheme"),
            ("file://srv/lab.zip", "absolute"),
            ("file:///srv/%zz", "escape"),
            ("s3://content", "bucket and a key"),
            ("s3:///key", "bucket and a key"),
            ("ftp://host/x", "not known"),
            (
                "https://user:hunter2@host/x.zip?token=t",
                "`https://host/x.zip`",
            ),
        ] {
            let said = match Origin::parse(address) {
                Ok(origin) => origin.to_string(),
                Err(error) => error.to_string(),
            };
            assert!(said.contains(expected), "{address}: {said}");
            assert!(
                !said.contains("hunter2") && !said.contains("token"),
                "{said}"
            );
        }
    }
}
