//! Packages from the outside: hostile zips, ingest, folders, and where they are fetched from.

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod fetch;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod ingest;
#[cfg(test)]
mod packages;
#[cfg(test)]
mod s3;
#[cfg(test)]
mod zips;
