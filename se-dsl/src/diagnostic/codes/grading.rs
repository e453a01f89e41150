//! SE15xx: rubrics, regular expressions and reports.

use std::ops::Range;

use super::super::{Diagnostic, Edit, Severity, nearest, rename};
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
    const FLAGS: [&str; 4] = ["multiline", "dotall", "ignorecase", "global"];
    let message = format!("there is no flag `{flag}`");
    let all = "the flags are multiline (m), dotall (s), ignorecase (i), global (g)";
    let help = match nearest(flag, FLAGS.into_iter()) {
        Some(near) => format!("did you mean `{near}`? {all}"),
        None => all.to_owned(),
    };
    let found = Diagnostic::error(Code::FLAG, span, message, help);
    Diagnostic {
        edits: rename(span, flag, FLAGS.into_iter()),
        ..found
    }
}

pub(crate) fn points(span: Span, stated: Points, total: Points) -> Diagnostic {
    let message = format!("max_points is {stated}, and the items add up to {total}");
    let help = format!("write {total}, or change the items' points");
    let found = Diagnostic::error(Code::POINTS, span, message, help);
    let text = total.to_string();
    Diagnostic {
        edits: vec![Edit { span, text }],
        ..found
    }
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
    let found = Diagnostic::error(Code::UNCAPTURED_SOURCE, source.span, message, help)
        .related(step, "the rubric is used here");
    Diagnostic {
        edits: rename(source.span, &name, known.iter().map(String::as_str)),
        ..found
    }
}

/// A source that is spelled as expressions read it.
pub(crate) fn source_below_vars(source: &Spanned<Vec<String>>) -> Diagnostic {
    let name = source.value.join(".");
    let plain = source.value[1..].join(".");
    let message = format!("`{name}` is a path below `vars` already");
    let help = format!("write `{plain}`");
    let found = Diagnostic::error(Code::UNCAPTURED_SOURCE, source.span, message, help);
    Diagnostic {
        edits: vec![Edit {
            span: source.span,
            text: plain,
        }],
        ..found
    }
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
    let found = Diagnostic::error(Code::UNKNOWN_REPORT_FIELD, span, message, help);
    Diagnostic {
        edits: rename(span, name, known.iter().copied()),
        ..found
    }
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
