//! Packages from the outside: hostile zips, ingest, folders, and where they are fetched from.

mod fetch;
mod hostile;
mod ingest;
mod packages;
mod s3;
mod zips;
