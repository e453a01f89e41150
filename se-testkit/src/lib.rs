//! Simulators, in-memory ports and contract suites for ScenarioEngine
