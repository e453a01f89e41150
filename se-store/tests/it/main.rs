//! Behaviour of the store. [`contract`] holds for every database, [`sqlite`] and [`audit`] for files, [`disk`] for what they lie on; [`keys`] is about the keys of secrets.

#[cfg(test)]
mod audit;
#[cfg(test)]
mod bench;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod definitions;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod outbox;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod sqlite;
