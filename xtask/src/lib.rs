//! Automation of the ScenarioEngine repository
