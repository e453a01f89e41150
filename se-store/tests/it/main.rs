//! Behaviour of the store. [`contract`] holds for every database, [`sqlite`] and [`audit`] for files.

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
mod outbox;
#[cfg(test)]
mod sqlite;
