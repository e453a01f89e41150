//! The service through its router: no socket, but for the receivers of events.
#![expect(clippy::unwrap_used, reason = "a test says what it needs by failing")]

mod again;
mod cli;
mod consoles;
mod content;
mod crash;
mod delivery;
mod editor;
mod examples;
mod frr;
mod guide;
mod handover;
mod harness;
mod http;
mod jobs;
mod keys;
mod large;
mod lds;
mod lifecycle;
mod process;
mod put_down;
mod released;
mod replicas;
mod retention;
mod secrets;
mod streams;
mod transcripts;
mod trouble;
