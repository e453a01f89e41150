//! The core against a small world of its own.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what a test needs and is not there fails it"
)]
#![cfg(test)]

mod drive;
mod grade;
mod laws;
mod log;
mod plan;
mod report;
mod world;
