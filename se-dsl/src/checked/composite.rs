//! Steps under one name: typed parameters in, exports out, and variables of its own in between.

use std::sync::Arc;

use serde_json::Value;

use super::Step;
use crate::catalog::{Effect, Kind, Stage, Target};
use crate::source::Span;

/// A `CompositeScenario`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Composite {
    /// Name, without version.
    pub name: String,
    /// Version, as `v1`.
    pub version: String,
    /// What it is for.
    pub description: Option<String>,
    /// What `with` takes.
    pub parameters: Vec<Parameter>,
    /// The variables that come back; all others end with it.
    pub export: Vec<String>,
    /// The steps, in document order; at least one.
    pub steps: Vec<Arc<Step>>,
    /// What its steps do to the world, taken together.
    pub effect: Effect,
    /// Whether a step of it works on the connector that the call names.
    pub target: Target,
    /// Where it is declared.
    pub span: Span,
}

/// One input of a [`Composite`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Parameter {
    /// Its key.
    pub name: String,
    /// What it may be.
    pub kind: Kind,
    /// Whether it must be given.
    pub required: bool,
    /// What it is where it is not given.
    pub default: Option<Value>,
    /// What it is for.
    pub description: Option<String>,
    /// The values it may have; any, if there are none here.
    pub choices: Vec<Value>,
}

impl Composite {
    /// `composite:name@version`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("composite:{}@{}", self.name, self.version)
    }

    /// The parameter of that name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|it| it.name == name)
    }

    /// The stage of a call that names none: that of its first step.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.steps.first().map_or(Stage::default(), |it| it.stage)
    }
}
