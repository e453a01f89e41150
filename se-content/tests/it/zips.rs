//! Zips made byte by byte, so that they can lie.

use std::io::Write;
use std::path::{Path, PathBuf};

/// One entry, exactly as it will stand in the zip.
#[derive(Clone)]
pub(crate) struct Raw {
    pub(crate) name: Vec<u8>,
    /// The bytes after the local header.
    pub(crate) stored: Vec<u8>,
    pub(crate) declared: u32,
    pub(crate) crc: u32,
    pub(crate) method: u16,
    pub(crate) flags: u16,
    /// Unix mode; 0 says nothing.
    pub(crate) mode: u32,
}

/// A plain stored file.
pub(crate) fn file(name: &str, bytes: impl AsRef<[u8]>) -> Raw {
    let bytes = bytes.as_ref();
    Raw {
        name: name.as_bytes().to_vec(),
        stored: bytes.to_vec(),
        declared: u32::try_from(bytes.len()).unwrap(),
        crc: crc32(bytes),
        method: 0,
        flags: 0x0800,
        mode: 0o100_644,
    }
}

/// A folder's own entry.
pub(crate) fn folder(name: &str) -> Raw {
    Raw {
        mode: 0o040_755,
        ..file(name, "")
    }
}

/// The same bytes, deflated in the way that needs no compressor: stored blocks.
pub(crate) fn deflated(name: &str, bytes: &[u8]) -> Raw {
    let mut stored = Vec::new();
    let mut chunks = bytes.chunks(0xffff).peekable();
    while let Some(chunk) = chunks.next() {
        let length = u16::try_from(chunk.len()).unwrap();
        stored.push(u8::from(chunks.peek().is_none()));
        stored.extend(length.to_le_bytes());
        stored.extend((!length).to_le_bytes());
        stored.extend(chunk);
    }
    Raw {
        stored,
        method: 8,
        ..file(name, bytes)
    }
}

/// `size` zeros, deflated well.
pub(crate) fn zeros(name: &str, size: usize) -> Raw {
    let bytes = vec![0; size];
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file("x", options).unwrap();
    zip.write_all(&bytes).unwrap();
    let mut archive = zip.finish_into_readable().unwrap();
    let mut stored = Vec::new();
    let mut raw = archive.by_index_raw(0).unwrap();
    std::io::Read::read_to_end(&mut raw, &mut stored).unwrap();
    Raw {
        stored,
        method: 8,
        ..file(name, bytes)
    }
}

/// The smallest thing that is a package.
pub(crate) fn manifest() -> Raw {
    file("PAv1/manifest.yaml", "name: x\n")
}

/// Puts entries together, in this order.
pub(crate) fn zip(entries: &[Raw]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for it in entries {
        let at = u32::try_from(bytes.len()).unwrap();
        let stored = u32::try_from(it.stored.len()).unwrap();
        let name = u16::try_from(it.name.len()).unwrap();
        let mut common = Vec::new();
        for half in [20, it.flags, it.method, 0, 0x21] {
            common.extend(half.to_le_bytes());
        }
        for word in [it.crc, stored, it.declared] {
            common.extend(word.to_le_bytes());
        }
        common.extend(name.to_le_bytes());
        common.extend(0_u16.to_le_bytes());

        bytes.extend(b"PK\x03\x04");
        bytes.extend(&common);
        bytes.extend(&it.name);
        bytes.extend(&it.stored);

        directory.extend(b"PK\x01\x02");
        directory.extend((3_u16 << 8 | 20).to_le_bytes());
        directory.extend(&common);
        directory.extend([0; 6]);
        directory.extend((it.mode << 16).to_le_bytes());
        directory.extend(at.to_le_bytes());
        directory.extend(&it.name);
    }
    let start = u32::try_from(bytes.len()).unwrap();
    let size = u32::try_from(directory.len()).unwrap();
    let count = u16::try_from(entries.len()).unwrap();
    bytes.extend(directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(count.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(size.to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend(0_u16.to_le_bytes());
    bytes
}

/// Writes a zip to a folder.
pub(crate) fn write(folder: &Path, entries: &[Raw]) -> PathBuf {
    let path = folder.join("lab.zip");
    std::fs::write(&path, zip(entries)).unwrap();
    path
}

pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1))
        })
    };
    !bytes.iter().fold(!0, step)
}
