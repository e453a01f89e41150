//! SE13xx: the order of steps and what flows between them.

use super::super::{Diagnostic, Severity, listed, nearest, rename, rename_in_paths};
use super::Code;
use crate::source::{Span, Spanned};

/// A variable that is read at these places, of which the first is shown.
pub(crate) fn unknown_variable(at: &[Span], name: &str, known: &[String]) -> Diagnostic {
    let message = format!("no earlier step captures `{name}`");
    let known = known.iter().map(String::as_str);
    let help = match nearest(name, known.clone()) {
        Some(near) => format!("did you mean `vars.{near}`?"),
        None if known.clone().next().is_none() => "capture it in an earlier step".to_owned(),
        None => format!(
            "capture it in an earlier step; captured so far: {}",
            listed(known.clone())
        ),
    };
    let found = Diagnostic::error(Code::UNKNOWN_VARIABLE, at[0], message, help);
    Diagnostic {
        edits: rename_in_paths(at, "vars.", name, known),
        ..found
    }
}

pub(crate) fn maybe_variable(span: Span, name: &str, capture: Span) -> Diagnostic {
    let message = format!("`{name}` is null if the step that captures it is skipped");
    let help = "give this step the same `when`, or make it work with null";
    Diagnostic::new(Code::MAYBE_VARIABLE, Severity::Note, span, message, help)
        .related(capture, "captured here, under a `when`")
}

pub(crate) fn later_variable(span: Span, name: &str, capture: Span) -> Diagnostic {
    let message = format!("`{name}` is captured by a later step");
    let help = "move the step that captures it up, or this step down";
    Diagnostic::error(Code::LATER_VARIABLE, span, message, help).related(capture, "captured here")
}

/// A variable that a step reads and captures itself.
pub(crate) fn own_variable(span: Span, name: &str, capture: Span) -> Diagnostic {
    let message = format!("`{name}` is captured by this step itself, after it has run");
    let help = "read what an earlier step captures; a step cannot read its own result";
    Diagnostic::error(Code::LATER_VARIABLE, span, message, help).related(capture, "captured here")
}

pub(crate) fn shadowed_variable(span: Span, name: &str, first: Span) -> Diagnostic {
    let message = format!("`{name}` stands for two things; the later capture wins");
    let help = "give one of the two another name, or read `vars.<step>.<name>`";
    Diagnostic::new(
        Code::SHADOWED_VARIABLE,
        Severity::Warning,
        span,
        message,
        help,
    )
    .related(first, "this has that name, too")
}

pub(crate) fn unknown_need(need: &Spanned<String>, known: &[&str]) -> Diagnostic {
    let name = &need.value;
    let message = format!("this job has no step `{name}`");
    let help = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "remove it: there is no other step to wait for".to_owned(),
        None => format!("the steps are {}", listed(known.iter().copied())),
    };
    let found = Diagnostic::error(Code::UNKNOWN_NEED, need.span, message, help);
    Diagnostic {
        edits: rename(need.span, name, known.iter().copied()),
        ..found
    }
}

pub(crate) fn needs_cycle(span: Span, cycle: &[&str]) -> Diagnostic {
    let message = format!("steps wait for each other: {}", cycle.join(" → "));
    Diagnostic::error(
        Code::NEEDS_CYCLE,
        span,
        message,
        "remove one of these `needs`",
    )
}

pub(crate) fn process_types_differ(span: Span, here: &str, job: &str) -> Diagnostic {
    let message = format!("the phase says `{here}`, the job says `{job}`; the phase wins");
    let help = "state the process type in one place, or the same in both";
    Diagnostic::new(
        Code::PROCESS_TYPES_DIFFER,
        Severity::Warning,
        span,
        message,
        help,
    )
}
