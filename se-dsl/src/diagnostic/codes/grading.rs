//! SE15xx: rubrics, regular expressions and reports.

use std::ops::Range;

use super::super::{Diagnostic, Severity, nearest};
use super::Code;
use crate::checked::{Points, ProcessType, ReportClass};
use crate::source::{Span, Spanned};

pub(crate) fn regex(span: Span, source: &str, error: &str) -> Diagnostic {
    let reason = reason_of(error);
    let message = format!("the regular expression `{source}` does not compile: {reason}");
    let help = "mend it; `\\` before a character makes it stand for itself";
    Diagnostic::error(Code::REGEX, span, message, help)
}

/// The last line of the regex crate's message says what is wrong; those above draw it.
fn reason_of(error: &str) -> &str {
    let last = error.lines().last().unwrap_or(error).trim();
    last.strip_prefix("error: ").unwrap_or(last)
}

/// The bytes at fault: the regex crate draws carets below the pattern.
pub(crate) fn place_in_regex(source: &str, error: &str) -> Option<Range<usize>> {
    const INDENT: usize = 4;
    if source.contains('\n') {
        return None;
    }
    let carets = error.lines().find(|line| {
        let drawing = line.trim();
        !drawing.is_empty() && drawing.bytes().all(|byte| byte == b'^')
    })?;
    let from = carets.find('^')?.checked_sub(INDENT)?;
    let length = carets.trim().len();
    let byte = |at: usize| {
        source
            .char_indices()
            .nth(at)
            .map_or(source.len(), |(at, _)| at)
    };
    Some(byte(from)..byte(from + length))
}

pub(crate) fn flag(span: Span, flag: &str) -> Diagnostic {
    let message = format!("there is no flag `{flag}`");
    let help = "the flags are multiline (m), dotall (s), ignorecase (i), global (g)";
    Diagnostic::error(Code::FLAG, span, message, help)
}

pub(crate) fn points(span: Span, stated: Points, total: Points) -> Diagnostic {
    let message = format!("max_points is {stated}, and the items add up to {total}");
    let help = format!("write {total}, or change the items' points");
    Diagnostic::error(Code::POINTS, span, message, help)
}

pub(crate) fn uncaptured_source(
    source: &Spanned<Vec<String>>,
    job: &str,
    step: Span,
    known: &[String],
) -> Diagnostic {
    let name = source.value.join(".");
    let message = format!("job `{job}` is graded by `{name}`, and no step of it captures that");
    let help = match nearest(&name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("add a collect@v1 step with `capture: {{ output: {name} }}` before it"),
    };
    Diagnostic::error(Code::UNCAPTURED_SOURCE, source.span, message, help)
        .related(step, "the rubric is used here")
}

pub(crate) fn unknown_report_field(
    span: Span,
    what: &str,
    name: &str,
    known: &[&str],
) -> Diagnostic {
    let message = format!("reports have no {what} `{name}`");
    let help = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", known.join(", ")),
    };
    Diagnostic::error(Code::UNKNOWN_REPORT_FIELD, span, message, help)
}

pub(crate) fn report_class(
    span: Span,
    process: ProcessType,
    class: ReportClass,
    implied: ReportClass,
) -> Diagnostic {
    let (process, class, implied) = (process.as_str(), class.as_str(), implied.as_str());
    let message = format!("`{process}` gives a {implied}, and this is a {class}");
    let help = format!("write `{implied}`, or another process_type");
    Diagnostic::new(Code::REPORT_CLASS, Severity::Warning, span, message, help)
}

pub(crate) fn no_ruleset(span: Span) -> Diagnostic {
    let message = "`evaluate.regex@v1` has neither a rubric nor a source with a regex";
    let help = "add `ruleset`, or `source` and `regex`, or name a `rubric` in the phase";
    Diagnostic::error(Code::NO_RULESET, span, message, help)
}
