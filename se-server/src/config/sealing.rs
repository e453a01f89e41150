use std::path::PathBuf;

use se_runtime::Secret;
use serde::Deserialize;

use super::{ConfigError, secret};

/// Where the keys come from that seal secrets at rest; by default from `sealing.key` in the data folder.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sealing {
    /// A file with a key a line; the first seals, the others only open.
    pub file: Option<PathBuf>,
    /// The keys themselves, with white space between them.
    #[serde(deserialize_with = "secret")]
    pub key: Option<Secret>,
    /// A program and its arguments; it prints the keys.
    pub command: Vec<String>,
}

impl Sealing {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let named = [
            ("sealing.file", self.file.is_some()),
            ("sealing.key", self.key.is_some()),
            ("sealing.command", !self.command.is_empty()),
        ];
        let named: Vec<&str> = named.iter().filter(|it| it.1).map(|it| it.0).collect();
        if named.len() > 1 {
            return Err(ConfigError::new(format!(
                "{} all say where the sealing keys come from; keep one of them",
                named.join(" and ")
            )));
        }
        if self.command.first().is_some_and(String::is_empty) {
            return Err(ConfigError::new(
                "sealing.command begins with an empty text; begin it with the program",
            ));
        }
        Ok(())
    }
}
