//! The core against a small world of its own.

mod drive;
mod laws;
mod plan;
mod world;
