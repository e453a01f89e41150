//! Documents, expressions and rubrics from any bytes.

use se_dsl::diagnostic::{Format, render};
use se_dsl::expr::{Expr, Limits, Root, Scopes, Template};
use se_dsl::{Options, Outcome, Sources, check, check_documents};
use se_runtime::grade::{self, Evidence};

/// A small sound package, in which any one file is replaced.
const PACKAGE: &[(&str, &str)] = &[
    (
        "PAv1/manifest.yaml",
        include_str!("../package/manifest.yaml"),
    ),
    (
        "PAv1/lifecycle.yaml",
        include_str!("../package/lifecycle.yaml"),
    ),
    (
        "PAv1/connectors.yaml",
        include_str!("../package/connectors.yaml"),
    ),
    (
        "PAv1/jobs/grade.yaml",
        include_str!("../package/grade.yaml"),
    ),
    (
        "PAv1/composites/look.yaml",
        include_str!("../package/look.yaml"),
    ),
    (
        "PAv1/grading/rubric.yaml",
        include_str!("../package/rubric.yaml"),
    ),
    (
        "PAv1/topology/cml.yaml",
        include_str!("../package/cml.yaml"),
    ),
];

/// The package with `bytes` as the file at `index`.
fn package(index: usize, bytes: &[u8]) -> Sources {
    let mut sources = Sources::new();
    for (at, (path, text)) in PACKAGE.iter().enumerate() {
        if at == index {
            sources.add(*path, bytes);
        } else {
            sources.add(*path, *text);
        }
    }
    sources
}

/// Checks, and shows what is found in every format.
fn answered(sources: &Sources) -> Outcome {
    let outcome = check(sources, Options::default());
    assert_eq!(outcome.checked.is_some(), !outcome.diagnostics.has_errors());
    for format in Format::ALL {
        let _text = render(&outcome.diagnostics, sources, format, false);
    }
    outcome
}

/// A document: by itself, and as one file of a package, which the first byte selects.
pub(crate) fn yaml(bytes: &[u8]) {
    let Some((first, text)) = bytes.split_first() else {
        return;
    };
    let mut alone = Sources::new();
    alone.add("document.yaml", text);
    let _found = check_documents(&alone, Options::default());
    let outcome = answered(&package(usize::from(*first) % PACKAGE.len(), text));
    if let Some(checked) = outcome.checked {
        let checked = std::sync::Arc::new(checked);
        let _plan = se_runtime::Plan::of_phase(checked, "grade");
    }
}

/// An expression: alone, and in a text.
pub(crate) fn expression(bytes: &[u8]) {
    let Ok(source) = std::str::from_utf8(bytes) else {
        return;
    };
    let limits = Limits::default();
    let scopes = scopes();
    if let Ok(template) = Template::parse(source) {
        let _value = template.eval(&scopes, &limits);
    }
    let Ok(expr) = Expr::compile(source) else {
        return;
    };
    let value = expr.eval(&scopes, &limits);
    if expr.is_constant()
        && let (Ok(value), Ok(other)) = (value, expr.eval(&Scopes::new(), &limits))
    {
        assert_eq!(value, other, "it reads nothing and depends on the scopes");
    }
}

fn scopes() -> Scopes {
    let mut scopes = Scopes::new();
    let vars = serde_json::json!({
        "a": {"b": [1, 2.5, "x", null, true], "c": "Vlan10 up\nVlan20 down"},
        "n": -3, "s": "é\u{1F600}", "list": [{"k": "a", "v": 1}, {"k": "b", "v": 2}],
    });
    scopes.set(Root::Vars, &vars);
    let session = serde_json::json!({"track": "t", "time": "2026-11-23T10:00:00Z"});
    scopes.set(Root::Session, &session);
    scopes
}

/// What separates a rubric from the evidence it is applied to.
const EVIDENCE: &[u8] = b"\n=====\n";

/// A rubric and, after a line of `=`, the text that every check looks at.
pub(crate) fn rubric(bytes: &[u8]) {
    const RUBRIC: usize = 5;
    let middle = bytes.windows(EVIDENCE.len()).position(|it| it == EVIDENCE);
    let (text, evidence) = match middle {
        Some(at) => (&bytes[..at], &bytes[at + EVIDENCE.len()..]),
        None => (bytes, &b"80   LAB80   active\n"[..]),
    };
    let Some(checked) = answered(&package(RUBRIC, text)).checked else {
        return;
    };
    let evidence = String::from_utf8_lossy(evidence).into_owned();
    for rubric in checked.content.rubrics.values() {
        let items = grade::rubric(rubric, &|_| Evidence::Text(evidence.clone()));
        assert_eq!(items.len(), rubric.items.len());
    }
}
