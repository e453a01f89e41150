//! Packages that can be read and hardly do what their author wants.

use super::super::{Diagnostic, Edit, Severity, nearest, rename, rename_in_paths};
use super::Code;
use crate::checked::{CheckMode, PodType, ReportClass};
use crate::source::{Span, Spanned};

fn warning(code: Code, span: Span, message: String, help: &str) -> Diagnostic {
    Diagnostic::new(code, Severity::Warning, span, message, help)
}

fn note(code: Code, span: Span, message: String, help: &str) -> Diagnostic {
    Diagnostic::new(code, Severity::Note, span, message, help)
}

/// Two files of one name: `grade.yaml` and `grade.yml`.
pub(crate) fn two_files(second: Span, first: Span, name: &str) -> Diagnostic {
    let message = format!("two documents are called `{name}`");
    let help = "remove one of the two: which one counts would be chance";
    Diagnostic::error(Code::TWO_FILES, second, message, help).related(first, "the other one")
}

pub(crate) fn adapter_version(span: Span, text: &str) -> Diagnostic {
    let message = format!("`{text}` is no range of versions");
    let help = "write comparisons with commas between them, as `>=1.0.0, <2`";
    warning(Code::ADAPTER_VERSION, span, message, help)
}

/// Two content files of one handle; `span` is where the package begins.
pub(crate) fn same_handle(span: Span, handle: &str, first: &str, second: &str) -> Diagnostic {
    let message = format!("`content.files.{handle}` is `{first}`; `{second}` cannot be reached");
    let help = "rename one of the two: a handle is a file's name up to its first dot";
    warning(Code::SAME_HANDLE, span, message, help)
}

/// What the manifest says is in the package, and is not.
pub(crate) fn names_nothing(name: &Spanned<String>, what: &str, known: &[&str]) -> Diagnostic {
    let message = format!("the package has no {what} `{}`", name.value);
    let help = match nearest(&name.value, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "add it, or take it out of the manifest".to_owned(),
    };
    let found = warning(Code::NAMES_NOTHING, name.span, message, &help);
    Diagnostic {
        edits: rename(name.span, &name.value, known.iter().copied()),
        ..found
    }
}

pub(crate) fn same_port(second: Span, first: Span, port: u64) -> Diagnostic {
    let message = format!("port {port} is given twice");
    let help = "give each console, screen and translation a port of its own";
    warning(Code::SAME_PORT, second, message, help).related(first, "given here first")
}

pub(crate) fn not_on_pod(span: Span, primitive: &str, pod_type: PodType) -> Diagnostic {
    let message = format!("`{primitive}` manages labs, and a `{pod_type}` pod is none");
    let help = "leave it out, or state the pod_type that the content is for";
    Diagnostic::error(Code::NOT_ON_POD, span, message, help)
}

/// A step that is always skipped, because of the condition or list at `span`.
pub(crate) fn never_runs(span: Span, why: &str) -> Diagnostic {
    let message = format!("this step never runs: {why}");
    warning(
        Code::NEVER_RUNS,
        span,
        message,
        "remove the step, or mend what keeps it from running",
    )
}

pub(crate) fn unjudged_evidence(span: Span, path: &str, job: &str) -> Diagnostic {
    let message = format!("job `{job}` judges by a rubric, and nothing reads `{path}`");
    let help = "add a check of the rubric with this source, or leave the step out";
    note(Code::UNUSED_CAPTURE, span, message, help)
}

pub(crate) fn lost_capture(span: Span, path: &str) -> Diagnostic {
    let message = format!("nothing reads `{path}`, and it ends with the composite");
    let help = "export it, or leave the capture out";
    note(Code::UNUSED_CAPTURE, span, message, help)
}

pub(crate) fn after_report(span: Span, report: Span) -> Diagnostic {
    let message = "this is captured after the report, which cannot show it".to_owned();
    let help = "move the report to the end of the job";
    warning(Code::AFTER_REPORT, span, message, help).related(report, "the last report")
}

pub(crate) fn pause_too_long(span: Span, seconds: f64, timeout: f64) -> Diagnostic {
    let message = format!("a pause of {seconds} s always ends by its timeout of {timeout} s");
    let help = "make the timeout longer, or leave it out";
    warning(Code::TIMEOUT, span, message, help)
}

pub(crate) fn connector_waits_longer(span: Span, connector: &str, limits: [f64; 2]) -> Diagnostic {
    let [connector_limit, step] = limits;
    let message = format!(
        "connector `{connector}` may wait {connector_limit} s for one prompt, and the step ends after {step} s"
    );
    let help = "make the step's timeout longer than the connector's";
    note(Code::TIMEOUT, span, message, help)
}

pub(crate) fn no_effect(span: Span, key: &str) -> Diagnostic {
    let message = format!("`{key}` has no effect where `action` is not `retry`");
    let help = "write `action: retry`, or leave the key out";
    warning(Code::NO_EFFECT, span, message, help)
}

/// A key of a connector that says something about what it does not use.
pub(crate) fn only_with(span: Span, key: &str, what: &str) -> Diagnostic {
    let message = format!("`{key}` has no effect without {what}");
    warning(Code::NO_EFFECT, span, message, "leave the key out")
}

/// A name below a scope that is never there; `root` is the path above it, with a dot.
pub(crate) fn never_there(at: &[Span], root: &str, name: &str, known: &[&str]) -> Diagnostic {
    let scope = root.trim_end_matches('.');
    let message = format!("`{scope}` has no `{name}`: this is always null");
    let help = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{root}{near}`?"),
        None => format!("there are {}", known.join(", ")),
    };
    let found = warning(Code::ALWAYS_NULL, at[0], message, &help);
    Diagnostic {
        edits: rename_in_paths(at, root, name, known.iter().copied()),
        ..found
    }
}

pub(crate) fn always_null(span: Span, skipped: Span) -> Diagnostic {
    let message = "this is always null: the step that captures it never runs".to_owned();
    let help = "mend what keeps that step from running";
    warning(Code::ALWAYS_NULL, span, message, help).related(skipped, "captured here")
}

/// A pattern that matches any text; `mode` is what it is for, `None` where it cuts text out.
pub(crate) fn matches_anything(span: Span, mode: Option<CheckMode>) -> Diagnostic {
    let (severity, so) = match mode {
        Some(CheckMode::Positive) => (Severity::Warning, "the check always passes"),
        Some(CheckMode::Negative) => (Severity::Warning, "the check never passes"),
        None => (Severity::Note, "it may keep nothing"),
    };
    let message = format!("this matches any text, even none: {so}");
    let help = "ask for text that must be there: `+` in place of `*`, say";
    Diagnostic::new(Code::MATCHES_ANYTHING, severity, span, message, help)
}

pub(crate) fn no_points(span: Span) -> Diagnostic {
    let message = "this item is worth nothing".to_owned();
    note(
        Code::NO_POINTS,
        span,
        message,
        "give it points, unless it is there to be seen only",
    )
}

pub(crate) fn duplicate_check(second: Span, first: Span) -> Diagnostic {
    let message = "this check stands in the item twice".to_owned();
    warning(
        Code::DUPLICATE_CHECK,
        second,
        message,
        "change or remove one of the two",
    )
    .related(first, "first written here")
}

pub(crate) fn maybe_source(span: Span, source: &str, capture: Span) -> Diagnostic {
    let message =
        format!("`{source}` is captured under a `when` only: where it is skipped, the check fails");
    let help = "capture it always, unless that is what you want";
    note(Code::MAYBE_SOURCE, span, message, help).related(capture, "captured here")
}

/// A group that a report of this class never has.
pub(crate) fn empty_group(span: Span, group: &str, class: ReportClass) -> Diagnostic {
    let message = format!("a {} has no group `{group}`", class.as_str());
    let help = "remove it, or choose the class of report that has it";
    warning(Code::EMPTY_GROUP, span, message, help)
}

/// A report step that names a class which it does not make.
pub(crate) fn other_class(span: Span, named: &str, made: ReportClass) -> Diagnostic {
    let made = made.as_str();
    let message = format!("this step makes a {made}, and says `{named}`");
    let found = warning(
        Code::REPORT_CLASS,
        span,
        message,
        &format!("write `{made}`, or leave `report_class` out"),
    );
    let text = made.to_owned();
    Diagnostic {
        edits: vec![Edit { span, text }],
        ..found
    }
}
