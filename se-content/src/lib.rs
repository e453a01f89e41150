//! Where content comes from and how it becomes a package: fetch with limits, look at everything before
//! unpacking anything, hash, publish in one rename. Trusts nothing.
//!
//! [`fetch`] (async) → [`ingest`] (blocking) → a folder that never changes, opened again with [`open`].
//! Authors read folders, zips and single documents with [`read`] and make zips with [`pack`].

mod archive;
mod digest;
mod error;
mod fetch;
mod ingest;
mod limits;
mod name;
mod origin;
mod pack;
mod package;
mod shelf;

pub use archive::{Entry, Warning};
pub use error::{Error, Refused, Result};
pub use fetch::{Fetched, fetch};
pub use ingest::{Ingested, file_in, ingest, locate, sweep};
pub use limits::Limits;
pub use origin::{Origin, Places, S3};
pub use pack::pack;
pub use package::{Package, from_dir, from_zip, open, read};
pub use shelf::Shelf;
