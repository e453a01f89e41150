//! Secrets at rest: XChaCha20-Poly1305 with a key that lives beside the database, not in it.

use std::fmt;
use std::io;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};
use se_runtime::Secret;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::error::{Error, Result};

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// Where unpredictable bytes come from: the system in production, a counter in a test.
pub trait Randomness: Send + Sync {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// The source of randomness does not work.
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()>;
}

/// A key that secrets at rest are sealed with.
#[derive(Clone)]
pub struct SealingKey {
    bytes: [u8; KEY_BYTES],
    id: String,
}

impl SealingKey {
    /// From its bytes.
    #[must_use]
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        let digest = Sha256::new()
            .chain_update(b"ScenarioEngine sealing key\0")
            .chain_update(bytes)
            .finalize();
        let id = hex(digest.get(..8).unwrap_or_default());
        Self { bytes, id }
    }

    /// From 64 hexadecimal digits.
    pub(crate) fn parse(digits: &str) -> Option<Self> {
        unhex(digits).map(Self::new)
    }

    /// One that nobody has.
    pub(crate) fn draw(random: &dyn Randomness) -> io::Result<Self> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        random.fill(bytes.as_mut())?;
        Ok(Self::new(*bytes))
    }

    /// As [`Self::parse`] reads it.
    pub(crate) fn digits(&self) -> Zeroizing<String> {
        Zeroizing::new(hex(&self.bytes))
    }

    /// Names the key without telling it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn seal(
        &self,
        job: &str,
        secrets: &[Secret],
        random: &dyn Randomness,
    ) -> Result<Sealed> {
        let texts: Vec<&str> = secrets.iter().map(Secret::expose).collect();
        let plain = serde_json::to_vec(&texts).expect("a list of texts is always JSON");
        let plain = Zeroizing::new(plain);
        let mut nonce = [0; NONCE_BYTES];
        let filled = random.fill(&mut nonce);
        filled.map_err(|error| Error::Unavailable {
            doing: "draw a nonce for the job's secrets",
            source: Some(std::sync::Arc::new(error)),
        })?;
        let payload = Payload {
            msg: &plain,
            aad: job.as_bytes(),
        };
        let sealed = self.cipher().encrypt(XNonce::from_slice(&nonce), payload);
        Ok(Sealed {
            key_id: self.id.clone(),
            nonce: nonce.to_vec(),
            sealed: sealed.expect("the secrets of a job are far smaller than the cipher's limit"),
        })
    }

    /// What this key has sealed.
    pub(crate) fn open(&self, job: &str, it: &Sealed) -> Result<Vec<Secret>> {
        let corrupt = |reason: &str| Error::corrupt("job_secrets", job, reason);
        if it.nonce.len() != NONCE_BYTES {
            return Err(corrupt("the nonce has a wrong length"));
        }
        let payload = Payload {
            msg: &it.sealed,
            aad: job.as_bytes(),
        };
        let plain = self
            .cipher()
            .decrypt(XNonce::from_slice(&it.nonce), payload);
        let plain = plain.map_err(|_| corrupt("it was altered, or belongs to another job"))?;
        let plain = Zeroizing::new(plain);
        let texts: Vec<String> =
            serde_json::from_slice(&plain).map_err(|_| corrupt("it is no list of texts"))?;
        Ok(texts.into_iter().map(Secret::new).collect())
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(Key::from_slice(&self.bytes))
    }
}

impl Drop for SealingKey {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({})", self.id)
    }
}

crate::sql::row! {
    /// The secrets of a job as they are stored.
    #[derive(Debug)]
    pub(crate) struct Sealed {
        pub(crate) key_id: String,
        pub(crate) nonce: Vec<u8>,
        pub(crate) sealed: Vec<u8>,
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 0x0f)]);
    let pairs = bytes.iter().flat_map(|it| [digit(it >> 4), digit(*it)]);
    pairs.collect()
}

fn unhex(text: &str) -> Option<[u8; KEY_BYTES]> {
    let digits: Vec<u8> = text
        .chars()
        .map(|it| it.to_digit(16).and_then(|it| u8::try_from(it).ok()))
        .collect::<Option<_>>()?;
    let pairs: Vec<u8> = digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(high << 4 | low),
            _ => None,
        })
        .collect::<Option<_>>()?;
    pairs.try_into().ok()
}
