//! Benchmarks of ScenarioEngine
