//! Simulators, in-memory ports and contract suites for ScenarioEngine. Never part of a product build.

pub mod sim;
pub mod testbed;
