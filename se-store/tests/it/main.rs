//! Behaviour of the store. [`contract`] holds for every database, [`sqlite`] for files.

#[cfg(test)]
mod bench;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod definitions;
#[cfg(test)]
mod outbox;
#[cfg(test)]
mod sqlite;
