//! What an expression sees.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::value::{Map, Object, Val};

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
///
/// They are kept in the form that programs compute with, so an evaluation converts nothing but its
/// result, and a write converts nothing but what is written.
#[derive(Clone)]
pub struct Scopes {
    roots: [Val; Root::ALL.len()],
    /// The object of all roots, which is the input of every program.
    all: Val,
}

impl Default for Scopes {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows no values: passwords are among them.
impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scopes").finish_non_exhaustive()
    }
}

impl Scopes {
    /// All roots are empty objects.
    #[must_use]
    pub fn new() -> Self {
        let roots = Root::ALL.map(|_| Val::empty_object());
        let all = all_of(&roots);
        Self { roots, all }
    }

    /// Replaces a root.
    pub fn set(&mut self, root: Root, value: &Value) {
        self.roots[root as usize] = Val::from_json(value);
        self.all = all_of(&self.roots);
    }

    /// A root as JSON.
    #[must_use]
    pub fn get(&self, root: Root) -> Value {
        self.value(root).to_json()
    }

    /// The value at a path below a root, or null.
    #[must_use]
    pub fn at(&self, root: Root, path: &[String]) -> Value {
        let found = path
            .iter()
            .try_fold(self.value(root), |value, key| value.get(key));
        found.map_or(Value::Null, Val::to_json)
    }

    /// Writes below `vars`, making objects on the way; what is in the way and is no object is replaced.
    ///
    /// Names come in their own order, not in that of the writes: that is up to the schedule, and texts
    /// and lists made of an object would show it.
    pub fn write_var(&mut self, path: &[String], value: &Value) {
        let vars = &mut self.roots[Root::Vars as usize];
        // The object of all roots holds on to the old tree, which would make every write a copy.
        self.all = Val::Null;
        let old = std::mem::take(vars);
        *vars = written(old, path, Val::from_json(value));
        self.all = all_of(&self.roots);
    }

    pub(super) fn value(&self, root: Root) -> &Val {
        &self.roots[root as usize]
    }

    pub(super) fn all(&self) -> &Val {
        &self.all
    }
}

fn all_of(roots: &[Val; Root::ALL.len()]) -> Val {
    let names = Root::ALL.map(|root| Arc::new(root.as_str().to_owned()));
    let entries: Map = names.into_iter().zip(roots.iter().cloned()).collect();
    Val::Obj(Arc::new(Object::new(entries)))
}

/// `old` with `value` at `path`; only what leads there is copied, and only if it is shared.
fn written(old: Val, path: &[String], value: Val) -> Val {
    let Some((key, rest)) = path.split_first() else {
        return value;
    };
    let mut object = match old {
        Val::Obj(object) => object,
        Val::Null | Val::Bool(_) | Val::Int(_) | Val::Float(_) | Val::Str(_) | Val::Arr(_) => {
            Arc::new(Object::new(Map::new()))
        }
    };
    let place = Arc::make_mut(&mut object);
    let name = Arc::new(key.clone());
    match place.take(key) {
        Some(below) => place.insert(name, written(below, rest, value)),
        None => place.insert_sorted(name, written(Val::Null, rest, value)),
    }
    Val::Obj(object)
}
