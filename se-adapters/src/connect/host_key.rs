//! Which SSH servers are believed.

use std::sync::{Arc, OnceLock};

use russh::client;
use russh::keys::{HashAlg, PublicKeyOrCertificate};
use se_runtime::{Endpoint, Fault, FaultKind, SshPolicy};

use super::place::{Came, Place};

/// Looks at the key of a server before anything secret is sent.
///
/// Where no fingerprint is known, every key is accepted unless the connector says otherwise: lab nodes make
/// theirs anew whenever they are wiped, and the port that leads to one today leads to another one tomorrow,
/// so that a remembered key would say nothing.
pub(crate) struct Client {
    policy: SshPolicy,
    verdict: Arc<OnceLock<Verdict>>,
}

/// What a server's key came to.
#[derive(Clone)]
pub(crate) struct Verdict {
    found: String,
    algorithm: String,
    accepted: bool,
}

impl Client {
    pub(crate) fn new(policy: &SshPolicy) -> Self {
        Self {
            policy: policy.clone(),
            verdict: Arc::default(),
        }
    }

    /// Where the verdict will be.
    pub(crate) fn verdict(&self) -> Arc<OnceLock<Verdict>> {
        Arc::clone(&self.verdict)
    }
}

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        key: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let found = key.public_key().fingerprint(HashAlg::Sha256).to_string();
        let accepted = match &self.policy.host_key {
            Some(expected) => *expected == found,
            None => !self.policy.refuse_unknown,
        };
        let verdict = Verdict {
            algorithm: key.public_key().algorithm().to_string(),
            found,
            accepted,
        };
        // A later exchange of keys on the same connection must come to the same key.
        let first = self.verdict.get_or_init(|| verdict.clone());
        Ok(accepted && first.found == verdict.found)
    }
}

impl Verdict {
    /// The fingerprint that the server has.
    pub(crate) fn found(&self) -> &str {
        &self.found
    }

    /// Why there is no connection, if it is because of the key.
    pub(crate) fn fault(&self, place: &Place, endpoint: &Endpoint) -> Option<Fault> {
        if self.accepted {
            return None;
        }
        let Self {
            found, algorithm, ..
        } = self;
        let device = &endpoint.device;
        let write = format!(
            "`ssh: {{ host_key: \"{found}\" }}` in connector `{}`, or runtime_env.devices.{device}.host_key",
            endpoint.name
        );
        let (tried, came, check) = match &endpoint.ssh.host_key {
            Some(expected) => (
                "the server's key is not the one that is pinned",
                format!("its {algorithm} key is {found}, and {expected} is expected"),
                format!(
                    "somebody else may answer at this port; if the device has made its keys anew, write {write}"
                ),
            ),
            None => (
                "nobody says which key the server has, and the connector refuses unknown ones",
                format!("its {algorithm} key is {found}"),
                format!(
                    "compare that with the device's own (`ssh-keygen -lf`, on IOS `show ip ssh`), then write {write}"
                ),
            ),
        };
        let came = Came::Reason(&came);
        Some(place.fault(FaultKind::Authentication, tried, &came, &check))
    }
}
