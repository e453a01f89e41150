//! Steps as they are written.

use se_dsl::catalog::Stage;
use se_dsl::checked::OnError;
use se_dsl::expr::Root;
use serde_json::{Value, json};

use super::super::model::{Capture, ELEMENT, Each, Expr, Input, Piece, Step, Uses};

pub(super) fn step(step: &Step) -> Value {
    let mut value = json!({"id": step.id, "uses": step.uses.id()});
    let mut set = |key: &str, it: Value| value[key] = it;
    if let Some(target) = &step.target {
        set("target", input(target));
    }
    if let Some(each) = &step.each {
        set("for_each", for_each(each));
    }
    if !step.with.is_empty() || matches!(step.uses, Uses::Pause) {
        let with = step.with.iter().map(|(key, it)| (key.clone(), input(it)));
        set("with", with.collect());
    }
    if !step.capture.is_empty() {
        let var = step.each.as_ref().map(|it| it.var.as_str());
        let all = step.capture.iter().map(|it| capture(it, var));
        set("capture", all.collect());
    }
    if let Some(when) = &step.when {
        set("when", json!(template(when)));
    }
    match &step.on_error {
        OnError::Fail => {}
        OnError::Continue => set("on_error", json!({"action": "continue"})),
        OnError::Retry { retries, backoff } => {
            let backoff = backoff.as_secs_f64();
            let retry = json!({"action": "retry", "retries": retries, "backoff": backoff});
            set("on_error", retry);
        }
    }
    if let Some(timeout) = step.timeout {
        set("timeout", json!(timeout.as_secs_f64()));
    }
    if let Some(stage) = step.stage {
        set("stage", json!(stage_word(stage)));
    }
    if let Some(needs) = &step.needs {
        set("needs", json!(needs));
    }
    value
}

fn stage_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Setup => "setup",
        Stage::Collect => "collect",
        Stage::Evaluate => "evaluate",
        Stage::Report => "report",
    }
}

fn for_each(each: &Each) -> Value {
    let mut value = json!({"var": each.var, "in": input(&each.list)});
    if !each.stop_on_fail {
        value["stop_on_fail"] = json!(false);
    }
    if each.concurrent {
        value["mode"] = json!("concurrent");
    }
    value
}

fn capture(capture: &Capture, var: Option<&str>) -> (String, Value) {
    let name = |it: &String| match var {
        Some(var) if it == ELEMENT => format!("@{var}"),
        _ => it.clone(),
    };
    let path: Vec<String> = capture.path.iter().map(name).collect();
    let (output, path) = (capture.output.clone(), path.join("."));
    if capture.reversed {
        (path, json!(output))
    } else {
        (output, json!(path))
    }
}

/// A value as it is written.
fn input(input: &Input) -> Value {
    match input {
        Input::Literal(value) => escaped(value),
        Input::Expr(Expr::Element(var, path)) => {
            let names = std::iter::once(var).chain(path);
            let names: Vec<&str> = names.map(String::as_str).collect();
            json!(format!("@{}", names.join(".")))
        }
        Input::Expr(expr) => json!(template(expr)),
        Input::Text(pieces) => {
            let piece = |it: &Piece| match it {
                Piece::Plain(text) => text.replace("${", "$${"),
                Piece::Expr(expr) => template(expr),
            };
            json!(pieces.iter().map(piece).collect::<String>())
        }
        Input::List(items) => items.iter().map(self::input).collect(),
        Input::Map(entries) => {
            let entries = entries
                .iter()
                .map(|(key, it)| (key.clone(), self::input(it)));
            entries.collect()
        }
    }
}

/// A value in whose texts nothing is an expression.
pub(super) fn escaped(value: &Value) -> Value {
    match value {
        Value::String(text) => json!(text.replace("${", "$${")),
        Value::Array(items) => items.iter().map(escaped).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, it)| (key.clone(), escaped(it)))
            .collect(),
        other => other.clone(),
    }
}

pub(super) fn template(expr: &Expr) -> String {
    format!("${{ {} }}", expr.source())
}

impl Expr {
    /// In jq.
    pub(crate) fn source(&self) -> String {
        match self {
            Self::Read(root, path) => path_source(*root, path),
            Self::Not(root, path) => format!("{} | not", path_source(*root, path)),
            Self::Equals(root, path, value) => format!("{} == {value}", path_source(*root, path)),
            Self::Has(name) => format!("vars | has({})", json!(name)),
            Self::Names => "vars | keys_unsorted | join(\",\")".to_owned(),
            Self::Element(var, path) => {
                let path: Vec<String> = std::iter::once(var).chain(path).cloned().collect();
                path_source(Root::Vars, &path)
            }
            Self::Range(count) => format!("[range({count})]"),
        }
    }
}

fn path_source(root: Root, path: &[String]) -> String {
    let mut source = root.as_str().to_owned();
    for name in path {
        let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !name.starts_with(|c: char| c.is_ascii_digit());
        if is_plain {
            source.push_str(&format!(".{name}"));
        } else {
            source.push_str(&format!("[{}]", json!(name)));
        }
    }
    source
}
