//! The adapter of Cisco Modeling Labs 2.6 to 2.10.

mod client;
mod config;
mod console;
mod lab;
mod tls;
mod trouble;
mod wire;

pub(crate) use lab::Cml;
pub(crate) use wire::shape_of_document;
