//! What an expression sees.

use serde_json::Value;

/// The names an expression may start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Root {
    /// The session's metadata.
    Session,
    /// The package.
    Content,
    /// The pod's facts.
    RuntimeEnv,
    /// What earlier steps captured.
    Vars,
    /// A composite's parameters.
    Parameters,
}

impl Root {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Session,
        Self::Content,
        Self::RuntimeEnv,
        Self::Vars,
        Self::Parameters,
    ];

    /// The name as expressions write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Content => "content",
            Self::RuntimeEnv => "runtime_env",
            Self::Vars => "vars",
            Self::Parameters => "parameters",
        }
    }
}

/// The values of the scopes. Cloning is cheap; values are shared.
#[derive(Clone, Debug, Default)]
pub struct Scopes {
    // Owned by the expression engine's value type; see `eval`.
    roots: std::collections::BTreeMap<Root, Value>,
}

impl Scopes {
    /// All roots are empty objects.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces a root.
    pub fn set(&mut self, root: Root, value: &Value) {
        self.roots.insert(root, value.clone());
    }

    /// A root as JSON.
    #[must_use]
    pub fn get(&self, root: Root) -> Value {
        self.roots
            .get(&root)
            .cloned()
            .unwrap_or_else(|| Value::Object(serde_json::Map::new()))
    }

    /// The value at a path below a root, or null.
    #[must_use]
    pub fn at(&self, root: Root, path: &[String]) -> Value {
        let mut value = self.get(root);
        for key in path {
            value = value.get_mut(key.as_str()).map_or(Value::Null, Value::take);
        }
        value
    }

    /// Writes below `vars`, making objects on the way; what is in the way and is no object is replaced.
    pub fn write_var(&mut self, path: &[String], value: &Value) {
        let vars = self
            .roots
            .entry(Root::Vars)
            .or_insert_with(|| Value::Object(serde_json::Map::new()));
        let mut place = vars;
        for key in path {
            if !place.is_object() {
                *place = Value::Object(serde_json::Map::new());
            }
            place = &mut place[key.as_str()];
        }
        *place = value.clone();
    }
}
