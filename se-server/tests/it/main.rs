//! The service through its router: no socket, but for the receivers of events.

mod content;
mod delivery;
mod harness;
mod http;
mod jobs;
mod lifecycle;
mod secrets;
mod streams;
