//! SE11xx: documents that do not have the shape they should.

use super::super::{Diagnostic, Severity, listed, nearest, rename};
use super::Code;
use crate::source::Span;

pub(crate) fn wrong_type(span: Span, what: &str, expected: &str, found: &str) -> Diagnostic {
    let message = format!("{what} must be {expected}, found {found}");
    Diagnostic::error(
        Code::WRONG_TYPE,
        span,
        message,
        format!("write {expected} here"),
    )
}

pub(crate) fn missing_field(span: Span, what: &str, field: &str) -> Diagnostic {
    let message = format!("{what} has no `{field}`");
    Diagnostic::error(
        Code::MISSING_FIELD,
        span,
        message,
        format!("add `{field}:`"),
    )
}

pub(crate) fn unknown_key(span: Span, what: &str, key: &str, known: &[&str]) -> Diagnostic {
    let message = format!("{what} has no key `{key}`");
    let known = known.iter().copied();
    let help = match nearest(key, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("remove it; the keys are {}", listed(known.clone())),
    };
    let found = Diagnostic::error(Code::UNKNOWN_KEY, span, message, help);
    Diagnostic {
        edits: rename(span, key, known),
        ..found
    }
}

pub(crate) fn not_one_of(span: Span, what: &str, word: &str, words: &[&str]) -> Diagnostic {
    let message = format!("{what} cannot be `{word}`");
    let help = match nearest(word, words.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? It is one of {}", words.join(", ")),
        None => format!("write one of {}", words.join(", ")),
    };
    let found = Diagnostic::error(Code::NOT_ONE_OF, span, message, help);
    Diagnostic {
        edits: rename(span, word, words.iter().copied()),
        ..found
    }
}

pub(crate) fn unknown_kind(span: Span, kind: &str, kinds: &[&str]) -> Diagnostic {
    let message = format!("there is no kind of document called `{kind}`");
    let help = match nearest(kind, kinds.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the kinds are {}", kinds.join(", ")),
    };
    let found = Diagnostic::error(Code::UNKNOWN_KIND, span, message, help);
    Diagnostic {
        edits: rename(span, kind, kinds.iter().copied()),
        ..found
    }
}

pub(crate) fn wrong_place(span: Span, kind: &str, expected: &str) -> Diagnostic {
    let message = format!("a {kind} stands where a {expected} is read from");
    let help = format!("write a {expected} here, or move the document to where a {kind} belongs");
    Diagnostic::error(Code::WRONG_PLACE, span, message, help)
}

pub(crate) fn format_version(span: Span, what: &str, found: &str, supported: &str) -> Diagnostic {
    let message = format!("{what} `{found}` is not supported");
    Diagnostic::error(
        Code::FORMAT_VERSION,
        span,
        message,
        format!("write `{supported}`"),
    )
}

/// Something of the language that this version does not run; an error if the package cannot do without.
pub(crate) fn not_supported(span: Span, what: &str, severity: Severity, help: &str) -> Diagnostic {
    let message = format!("{what} is not supported by this version");
    Diagnostic::new(Code::NOT_SUPPORTED, severity, span, message, help)
}

pub(crate) fn no_manifest(span: Span) -> Diagnostic {
    let help = "add `PAv1/manifest.yaml` with at least a name, a version and a pod_type";
    let message = "the package has no `PAv1/manifest.yaml`";
    Diagnostic::error(Code::NO_MANIFEST, span, message, help)
}

pub(crate) fn no_lifecycle(span: Span) -> Diagnostic {
    let help = "add `PAv1/lifecycle.yaml` with `spec.phases`";
    let message = "the package has no `PAv1/lifecycle.yaml`: no phase can be run";
    Diagnostic::error(Code::NO_LIFECYCLE, span, message, help)
}

pub(crate) fn no_pod_type(span: Span, signals: &[String]) -> Diagnostic {
    let message = format!("the pod type cannot be told: {}", signals.join("; "));
    Diagnostic::error(
        Code::NO_POD_TYPE,
        span,
        message,
        "state `pod_type` in the manifest",
    )
}

pub(crate) fn pod_type_contradicted(span: Span, stated: &str, by: &str) -> Diagnostic {
    let message = format!("the manifest says `{stated}`, and the package has `{by}`");
    let help = "state the pod_type that the topology is for, or remove the topology";
    Diagnostic::new(
        Code::POD_TYPE_CONTRADICTED,
        Severity::Warning,
        span,
        message,
        help,
    )
}

pub(crate) fn out_of_range(span: Span, what: &str, must: &str) -> Diagnostic {
    let message = format!("{what} must be {must}");
    Diagnostic::error(
        Code::OUT_OF_RANGE,
        span,
        message,
        format!("write a value that is {must}"),
    )
}

pub(crate) fn nothing_in_it(span: Span, what: &str, item: &str) -> Diagnostic {
    let message = format!("{what} has no {item}");
    Diagnostic::error(
        Code::NOTHING_IN_IT,
        span,
        message,
        format!("add at least one {item}"),
    )
}

pub(crate) fn bad_name(span: Span, what: &str, name: &str, grammar: &str) -> Diagnostic {
    let message = format!("`{name}` cannot be {what}");
    Diagnostic::error(Code::BAD_NAME, span, message, format!("write {grammar}"))
}

pub(crate) fn not_read(span: Span, path: &str) -> Diagnostic {
    let message = format!("no document is read from `{path}`");
    let help = "move it to where its kind belongs, or remove it";
    Diagnostic::new(Code::NOT_READ, Severity::Note, span, message, help)
}
