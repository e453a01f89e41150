//! Packages as zips.

use std::io::Write as _;

use se_content::Limits;

/// A package as a zip.
pub(crate) fn zip(bytes: &[u8]) {
    let limits = Limits {
        package_bytes: 1 << 20,
        unpacked_bytes: 4 << 20,
        ratio: 200,
        entries: 100,
        document_bytes: 1 << 18,
    };
    let mut file = tempfile::NamedTempFile::new().expect("there is room for a file");
    file.write_all(bytes).expect("there is room for the bytes");
    if let Ok(package) = se_content::from_zip(file.path(), &limits) {
        let _outcome = se_dsl::check(&package.sources, se_dsl::Options::default());
    }
}
