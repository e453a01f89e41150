//! Behaviour of the store. [`every`] says what holds for every database, [`sqlite`] and [`audit`] look at files, [`disk`]
//! at what they lie on, [`objects`] at events that are kept outside, [`replicas`] at several engines on one server, [`lost`] at answers that do not arrive, [`keys`] at the keys of secrets,
//! [`transfer`] at the way from one database to another.

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
mod every;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod lost;
#[cfg(test)]
mod objects;
#[cfg(test)]
mod outbox;
#[cfg(test)]
mod pods;
#[cfg(test)]
mod replicas;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod sqlite;
#[cfg(test)]
mod transfer;
