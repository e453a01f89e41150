//! Behaviour of the store. [`contract`] holds for every database, [`sqlite`] for files.

mod bench;
mod contract;
mod crash;
mod definitions;
mod outbox;
mod sqlite;
