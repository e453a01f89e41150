//! The ScenarioEngine service and command line
