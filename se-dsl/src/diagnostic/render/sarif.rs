//! SARIF 2.1.0.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::{Diagnostic, Diagnostics, Severity, explain};
use crate::source::{Sources, Span};

pub(super) fn render(found: &Diagnostics, sources: &Sources) -> String {
    let codes: BTreeSet<&str> = found.iter().map(|it| it.code.as_str()).collect();
    let rules: Vec<Value> = codes.into_iter().map(rule).collect();
    let results: Vec<Value> = found.iter().map(|it| result(it, sources)).collect();
    let object = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "ScenarioEngine",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{object:#}\n")
}

fn rule(code: &str) -> Value {
    let page = explain(code).unwrap_or_default();
    let title = page.lines().next().unwrap_or_default();
    let title = title.split_once(": ").map_or(title, |(_, title)| title);
    json!({
        "id": code,
        "shortDescription": {"text": title},
        "help": {"text": page, "markdown": page},
    })
}

fn result(it: &Diagnostic, sources: &Sources) -> Value {
    let related: Vec<Value> = it
        .related
        .iter()
        .map(|other| {
            let mut location = location(other.span, sources);
            location["message"] = json!({"text": other.message});
            location
        })
        .collect();
    let mut result = json!({
        "ruleId": it.code.as_str(),
        "level": match it.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        },
        "message": {"text": format!("{}. Help: {}.", it.message, it.help)},
        "locations": [location(it.span, sources)],
    });
    if !related.is_empty() {
        result["relatedLocations"] = Value::Array(related);
    }
    result
}

fn location(span: Span, sources: &Sources) -> Value {
    let at = sources.position(span);
    json!({"physicalLocation": {
        "artifactLocation": {"uri": sources.path(span.file)},
        "region": {
            "startLine": at.line,
            "startColumn": at.column,
            "endLine": at.end_line,
            "endColumn": at.end_column,
        },
    }})
}
