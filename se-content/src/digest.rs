use std::collections::BTreeMap;
use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// Lower-case hex of a SHA-256.
pub(crate) fn hex(digest: Sha256) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 0x0f)]);
    let bytes = digest.finalize();
    bytes
        .iter()
        .flat_map(|it| [digit(it >> 4), digit(*it)])
        .collect()
}

/// SHA-256 of everything that `reader` still gives.
pub(crate) fn of_reader(mut reader: impl Read) -> io::Result<(String, u64)> {
    let mut digest = Sha256::new();
    let mut size = 0;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = reader.read(&mut buffer)?;
        let Some(read) = buffer.get(..count).filter(|it| !it.is_empty()) else {
            return Ok((hex(digest), size));
        };
        digest.update(read);
        size += count as u64;
    }
}

/// Size and SHA-256 of files, by path. Their hash does not depend on the order they were added in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contents {
    files: BTreeMap<String, (u64, String)>,
}

impl Contents {
    pub(crate) fn add(&mut self, path: String, size: u64, sha256: String) {
        self.files.insert(path, (size, sha256));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// SHA-256 over the sorted files, each as `<path>\0<size>\0<sha256>\n`.
    pub(crate) fn hash(&self) -> String {
        let mut digest = Sha256::new();
        for (path, (size, sha256)) in &self.files {
            digest.update(format!("{path}\0{size}\0{sha256}\n"));
        }
        hex(digest)
    }
}
