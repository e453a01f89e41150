//! Which connectors a step looks at, as far as that is known before it runs.

use std::collections::BTreeSet;
use std::fmt;

use se_dsl::catalog::{Effect, Target};
use se_dsl::checked::{Step, Uses};
use se_dsl::expr::Template;
use serde_json::Value;

use super::Node;

/// What a step that reads looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Looks {
    /// Only the run can tell: it may be any connector.
    Anywhere,
    /// These. Lab reads share one name.
    At(BTreeSet<String>),
}

/// The connector of the composite's call, inside of it.
const INHERITED: &str = "(the composite's target)";
const LAB: &str = "(lab)";

impl Looks {
    pub(super) fn of(node: &Node) -> Self {
        Self::of_step(node.step(), node.elements.as_deref())
    }

    fn of_step(step: &Step, elements: Option<&[Value]>) -> Self {
        match &step.uses {
            Uses::Primitive(it) => match (&step.target, it.target) {
                _ if it.effect == Effect::Pure => Self::At(BTreeSet::new()),
                (Some(target), _) => Self::named(step, target, elements),
                (None, Target::Required) => Self::only(INHERITED),
                (None, Target::Forbidden) => Self::only(LAB),
            },
            Uses::Composite(composite) => {
                let inside = composite.steps.iter();
                let inside = inside.map(|it| Self::of_step(it, None));
                let inside = inside.fold(Self::At(BTreeSet::new()), Self::and);
                inside.inherit(step, elements)
            }
        }
    }

    fn only(name: &str) -> Self {
        Self::At(BTreeSet::from([name.to_owned()]))
    }

    fn named(step: &Step, target: &Template, elements: Option<&[Value]>) -> Self {
        if let Some(literal) = target.literal() {
            return literal.as_str().map_or(Self::Anywhere, Self::only);
        }
        // `target: "@dev"` over elements that are known.
        let names = step.for_each.as_ref().and_then(|each| {
            let Template::Expr(expr) = target else {
                return None;
            };
            let is_element = expr.source().trim() == format!("vars.{}", each.var);
            let written = each.list.literal();
            let written = written.as_ref().and_then(Value::as_array);
            let elements = elements.or(written.map(Vec::as_slice));
            let elements = elements.filter(|_| is_element)?.iter();
            elements.map(|it| it.as_str().map(str::to_owned)).collect()
        });
        names.map_or(Self::Anywhere, Self::At)
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::At(mut own), Self::At(other)) => {
                own.extend(other);
                Self::At(own)
            }
            _ => Self::Anywhere,
        }
    }

    /// Puts the connector of the call in the place of the inherited one.
    fn inherit(self, call: &Step, elements: Option<&[Value]>) -> Self {
        let Self::At(mut names) = self else {
            return self;
        };
        match &call.target {
            Some(target) if names.remove(INHERITED) => {
                Self::At(names).and(Self::named(call, target, elements))
            }
            _ => Self::At(names),
        }
    }

    /// Whether two may look at the same.
    pub(super) fn may_meet(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::At(own), Self::At(other)) => !own.is_disjoint(other),
            _ => true,
        }
    }

    /// Whether whatever meets `other` meets this, too.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Anywhere, _) => true,
            (Self::At(own), Self::At(other)) => other.is_subset(own),
            (Self::At(_), Self::Anywhere) => false,
        }
    }
}

impl fmt::Display for Looks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anywhere => f.write_str("(decided when it runs)"),
            Self::At(names) => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                f.write_str(&names.join(", "))
            }
        }
    }
}
