//! SSH connections: logging in, and running commands with their exit status.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{Disconnect, Preferred, cipher, kex, mac};
use se_runtime::{Endpoint, Fault, FaultKind};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::place::{Came, Place};

/// Key exchanges that old devices are limited to; offered last, so that nobody else uses them.
const OLD_KEX: [kex::Name; 3] = [kex::DH_G14_SHA1, kex::DH_GEX_SHA1, kex::DH_G1_SHA1];
/// Ciphers that old devices are limited to; offered last.
const OLD_CIPHERS: [cipher::Name; 3] = [
    cipher::AES_256_CBC,
    cipher::AES_192_CBC,
    cipher::AES_128_CBC,
];
/// Message digests that old devices are limited to; offered last.
const OLD_MACS: [mac::Name; 2] = [mac::HMAC_SHA1, mac::HMAC_SHA1_ETM];

/// A connection that is logged in. Clones share it; it ends with the last one.
#[derive(Clone)]
pub(crate) struct Connection {
    handle: Arc<Handle<Client>>,
}

/// Accepts every host key: lab nodes make theirs anew whenever they are wiped, and are reached through
/// ports that belong to another lab tomorrow, so that a remembered key would say nothing.
pub(crate) struct Client;

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}
