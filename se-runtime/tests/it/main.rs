//! The core against a small world of its own.
#![cfg(test)]

mod corpus;
mod drive;
mod endpoints;
mod examples;
mod generated;
mod grade;
mod keep;
mod laws;
mod log;
mod nested;
mod plan;
mod released;
mod report;
mod sandbox;
mod world;
