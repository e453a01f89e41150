//! Values of inputs: what expressions give, by the definition of jq.

use se_dsl::catalog::{self, Kind};
use se_dsl::expr::Root;
use se_runtime::FaultKind;
use se_runtime::event::Map;
use serde_json::{Value, json};

use crate::generated::model::{Expr, Input, Piece};

/// What expressions see.
#[derive(Clone, Debug)]
pub(super) struct Scopes {
    pub(super) vars: Value,
    pub(super) parameters: Value,
    pub(super) session: Value,
    pub(super) runtime_env: Value,
}

/// Why a value cannot be had.
pub(super) type Refused = FaultKind;

impl Scopes {
    /// Writes below `vars`. The names of what is written into are in their own order.
    pub(super) fn write(&mut self, path: &[String], value: Value) {
        let mut place = &mut self.vars;
        for name in path {
            if !place.is_object() {
                *place = json!({});
            }
            let map = place.as_object_mut().expect("it is an object by now");
            if !map.contains_key(name) {
                let names: Vec<&String> = map.keys().collect();
                let at = names.binary_search(&name).unwrap_or_else(|at| at);
                map.shift_insert(at, name.clone(), Value::Null);
            }
            place = map
                .get_mut(name)
                .expect("it was there, or was just put there");
        }
        *place = value;
    }

    fn read(&self, root: Root, path: &[String]) -> Result<Value, Refused> {
        let empty = json!({});
        let mut here = match root {
            Root::Vars => &self.vars,
            Root::Parameters => &self.parameters,
            Root::Session => &self.session,
            Root::RuntimeEnv => &self.runtime_env,
            Root::Content => &empty,
        };
        for name in path {
            here = match here {
                Value::Null => &Value::Null,
                Value::Object(map) => map.get(name).unwrap_or(&Value::Null),
                Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                    return Err(FaultKind::Expression);
                }
            };
        }
        Ok(here.clone())
    }

    pub(super) fn eval(&self, expr: &Expr) -> Result<Value, Refused> {
        match expr {
            Expr::Read(root, path) => self.read(*root, path),
            Expr::Not(root, path) => Ok(json!(!holds(&self.read(*root, path)?))),
            Expr::Equals(root, path, value) => Ok(json!(self.read(*root, path)? == *value)),
            Expr::Has(name) => Ok(json!(self.vars.get(name).is_some())),
            Expr::Names => {
                let names = self.vars.as_object().into_iter().flat_map(Map::keys);
                Ok(json!(names.cloned().collect::<Vec<_>>().join(",")))
            }
            Expr::Element(var, path) => {
                let path: Vec<String> = std::iter::once(var).chain(path).cloned().collect();
                self.read(Root::Vars, &path)
            }
            Expr::Range(count) => Ok((0..*count).map(Value::from).collect()),
        }
    }

    pub(super) fn value(&self, input: &Input) -> Result<Value, Refused> {
        match input {
            Input::Literal(value) => Ok(value.clone()),
            Input::Expr(expr) => self.eval(expr),
            Input::Text(pieces) => {
                let mut text = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Plain(plain) => text.push_str(plain),
                        Piece::Expr(expr) => match self.eval(expr)? {
                            Value::String(it) => text.push_str(&it),
                            other => text.push_str(&other.to_string()),
                        },
                    }
                }
                Ok(json!(text))
            }
            Input::List(items) => items.iter().map(|it| self.value(it)).collect(),
            Input::Map(entries) => {
                let entries = entries.iter();
                let entries = entries.map(|(key, it)| Ok((key.clone(), self.value(it)?)));
                entries.collect::<Result<Map, _>>().map(Value::Object)
            }
        }
    }

    /// What a primitive is given.
    pub(super) fn inputs(&self, uses: &str, with: &[(String, Input)]) -> Result<Map, Refused> {
        let (name, version) = uses.split_once('@').unwrap_or((uses, ""));
        let primitive = catalog::find(name, version).expect("steps use what there is");
        let mut inputs = Map::new();
        for (key, input) in with {
            let value = self.value(input)?;
            let field = primitive.input(key).expect("steps give what is taken");
            let is_left_out = value.is_null() && !field.required && field.kind != Kind::Any;
            if !is_left_out && !field.kind.accepts(&value) {
                return Err(FaultKind::Validation);
            }
            if !is_left_out {
                inputs.insert(key.clone(), value);
            }
        }
        Ok(inputs)
    }
}

pub(super) fn holds(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false))
}
