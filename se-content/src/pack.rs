use std::fs::File;
use std::io::{self, Cursor};
use std::path::Path;

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::error::{Doing, Error, Refused, Result};
use crate::limits::Limits;
use crate::name::CONTENT;
use crate::package::{Folder, root_of};

/// Zips a package folder: the same bytes for the same content, whenever and wherever. Hidden files
/// and other zips at its top stay out.
///
/// # Errors
/// [`Error::Refused`] if the folder breaks a rule of packages, [`Error::NotFound`] and its like if it
/// cannot be read.
pub fn pack(folder: &Path, limits: &Limits) -> Result<Vec<u8>> {
    let root = root_of(folder)?;
    let files = Folder::walk(&root, limits)?.files;
    if !files.iter().any(|(name, _)| name.starts_with(CONTENT)) {
        return Err(Refused::NoContent {
            hint: String::new(),
        }
        .into());
    }
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    for (name, path) in files {
        if !name.contains('/') && name.to_lowercase().ends_with(".zip") {
            continue;
        }
        let mut file = File::open(&path).doing("open", &path)?;
        let size = file.metadata().doing("look at", &path)?.len();
        let options = options.large_file(size > u64::from(u32::MAX));
        let started = zip.start_file(name, options);
        started.map_err(|error| failed(&path, error))?;
        io::copy(&mut file, &mut zip).doing("pack", &path)?;
    }
    let packed = zip.finish().map_err(|error| failed(&root, error))?;
    Ok(packed.into_inner())
}

fn failed(path: &Path, error: ZipError) -> Error {
    Error::Unavailable {
        doing: "pack",
        at: path.display().to_string(),
        source: Box::new(error),
    }
}
