//! Where candidates see the devices of pods.

use std::collections::BTreeMap;
use std::path::PathBuf;

use se_adapters::LdsService;
use se_runtime::Secret;
use serde::Deserialize;

use super::{ConfigError, is_http, secret};

/// An LDS, and how to log in there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lds {
    /// `https://lds.example`.
    pub url: String,
    /// Login.
    pub username: String,
    /// Password; default: the secret `lds.<region>.password`.
    #[serde(deserialize_with = "secret")]
    pub password: Option<Secret>,
    /// PEM file of the authority that vouches for its certificate.
    pub tls_ca_file: Option<PathBuf>,
}

impl Lds {
    pub(super) fn check(&self, region: &str) -> Result<(), ConfigError> {
        if !is_http(&self.url) {
            return Err(ConfigError::new(format!(
                "lds.{region}.url must be an address that begins with http:// or https:// and has no password in it"
            )));
        }
        if self.username.is_empty() {
            return Err(ConfigError::new(format!(
                "lds.{region}.username is missing: LDS asks everybody who they are"
            )));
        }
        Ok(())
    }

    /// As it is used; a password that is not in the configuration is among the secrets.
    pub(crate) fn service(&self, region: &str, secrets: &BTreeMap<String, Secret>) -> LdsService {
        let stored = || secrets.get(&format!("lds.{region}.password")).cloned();
        LdsService {
            url: self.url.clone(),
            username: self.username.clone(),
            password: self.password.clone().or_else(stored),
            ca_file: self.tls_ca_file.clone(),
        }
    }
}
