//! SARIF 2.1.0.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::{Code, Diagnostic, Diagnostics, Edit, Severity, explain};
use super::Look;
use crate::source::{FileId, Sources, Span};

pub(super) fn render(found: &Diagnostics, sources: &Sources, look: &Look<'_>) -> String {
    let mut writer = Writer {
        sources,
        look,
        seen: BTreeMap::new(),
    };
    let mut worst: BTreeMap<Code, Severity> = BTreeMap::new();
    for it in found.iter() {
        let severity = worst.entry(it.code).or_insert(it.severity);
        *severity = (*severity).min(it.severity);
    }
    let index: BTreeMap<Code, usize> = worst.keys().copied().zip(0..).collect();
    let rules: Vec<Value> = worst
        .iter()
        .map(|(code, worst)| rule(*code, *worst))
        .collect();
    let results: Vec<Value> = found
        .iter()
        .map(|it| writer.result(it, index[&it.code]))
        .collect();
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

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// A rule of the run, with the worst severity that it has in the run.
fn rule(code: Code, worst: Severity) -> Value {
    let page = explain(code.as_str()).unwrap_or_default();
    let first = page.split("\n\n").nth(1).unwrap_or_default();
    json!({
        "id": code.as_str(),
        "shortDescription": {"text": code.title()},
        "fullDescription": {"text": first.replace('\n', " ")},
        "help": {"text": page, "markdown": page},
        "defaultConfiguration": {"level": level(worst)},
    })
}

struct Writer<'a> {
    sources: &'a Sources,
    look: &'a Look<'a>,
    /// How often a finding was there before, by what tells it from others.
    seen: BTreeMap<u64, u32>,
}

impl Writer<'_> {
    fn result(&mut self, it: &Diagnostic, rule: usize) -> Value {
        let mut result = json!({
            "ruleId": it.code.as_str(),
            "ruleIndex": rule,
            "level": level(it.severity),
            "message": {"text": format!("{}\nHelp: {}", sentence(&it.message), sentence(&it.help))},
            "locations": [self.location(it.span)],
            "partialFingerprints": {"scenarioEngine/v1": self.fingerprint(it)},
        });
        if !it.related.is_empty() {
            let others = it.related.iter().zip(1..).map(|(other, id)| {
                let mut location = self.location(other.span);
                location["id"] = Value::from(id);
                location["message"] = json!({"text": other.message});
                location
            });
            result["relatedLocations"] = others.collect();
        }
        if !it.edits.is_empty() {
            result["fixes"] = json!([self.fix(it)]);
        }
        result
    }

    fn fix(&self, it: &Diagnostic) -> Value {
        let mut files: BTreeMap<FileId, Vec<&Edit>> = BTreeMap::new();
        for edit in &it.edits {
            files.entry(edit.span.file).or_default().push(edit);
        }
        let changes = files.into_iter().map(|(file, edits)| {
            let replacements = edits.into_iter().map(|edit| {
                json!({
                    "deletedRegion": self.region(edit.span),
                    "insertedContent": {"text": edit.text},
                })
            });
            json!({
                "artifactLocation": {"uri": self.uri(file)},
                "replacements": replacements.collect::<Vec<_>>(),
            })
        });
        json!({
            "description": {"text": it.help},
            "artifactChanges": changes.collect::<Vec<_>>(),
        })
    }

    fn location(&self, span: Span) -> Value {
        json!({"physicalLocation": {
            "artifactLocation": {"uri": self.uri(span.file)},
            "region": self.region(span),
        }})
    }

    fn region(&self, span: Span) -> Value {
        let at = self.sources.position(span);
        json!({
            "startLine": at.line,
            "startColumn": at.column,
            "endLine": at.end_line,
            "endColumn": at.end_column,
        })
    }

    /// A relative reference, with everything else than letters of a path percent-encoded.
    fn uri(&self, file: FileId) -> String {
        let mut uri = String::new();
        for byte in self.look.path(self.sources, file).bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=@/".contains(&byte) {
                uri.push(char::from(byte));
            } else {
                uri.push_str(&format!("%{byte:02X}"));
            }
        }
        uri
    }

    /// The same for a finding wherever its lines move to: of the rule, the file and the message, and
    /// the how manieth of those it is.
    fn fingerprint(&mut self, it: &Diagnostic) -> String {
        let path = self.sources.path(it.span.file);
        let hash = hash(&[it.code.as_str(), path, &it.message]);
        let before = self.seen.entry(hash).or_default();
        *before += 1;
        format!("{hash:016x}:{before}")
    }
}

/// With a full stop, unless there is one.
fn sentence(text: &str) -> String {
    if text.ends_with(['.', '?', '!', '…']) {
        return text.to_owned();
    }
    format!("{text}.")
}

/// FNV-1a of some texts: the same on every machine and in every version.
fn hash(texts: &[&str]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for text in texts {
        for byte in text.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}
