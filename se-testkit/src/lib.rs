//! Simulators, in-memory ports and contract suites for ScenarioEngine. Never part of a product build.

pub mod actions;
pub mod chaos;
pub mod clock;
pub mod log;
pub mod postgres;
pub mod s3;
pub mod sim;
pub mod testbed;
pub mod unicon;
