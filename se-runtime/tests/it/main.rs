//! The core against a small world of its own.
#![cfg(test)]

mod drive;
mod grade;
mod laws;
mod log;
mod plan;
mod report;
mod world;
