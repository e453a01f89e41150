//! SE1230 to SE1239: composites, their parameters, and scenarios.

use super::super::{Diagnostic, Edit, Severity, listed, nearest};
use super::Code;
use super::names::unknown;
use crate::source::{Span, Spanned};

pub(crate) fn unknown_composite(name: &Spanned<String>, known: &[String]) -> Diagnostic {
    let message = format!("there is no composite `{}`", name.value);
    let known = known.iter().map(String::as_str);
    let otherwise = "add `PAv1/composites/<name>.yaml`";
    unknown(Code::UNKNOWN_COMPOSITE, name, message, known, otherwise)
}

pub(crate) fn without_prefix(span: Span, uses: &str) -> Diagnostic {
    let message = format!("`{uses}` is a composite, and not called as one");
    let fix = format!("composite:{uses}");
    let found = Diagnostic::error(
        Code::UNKNOWN_COMPOSITE,
        span,
        message,
        format!("write `{fix}`"),
    );
    Diagnostic {
        edits: vec![Edit { span, text: fix }],
        ..found
    }
}

pub(crate) fn cycle(span: Span, circle: &[&str]) -> Diagnostic {
    let message = format!("composites call each other: {}", circle.join(" → "));
    let help = "remove one of these calls";
    Diagnostic::error(Code::COMPOSITE_CYCLE, span, message, help)
}

pub(crate) fn too_deep(span: Span, chain: &[String], most: usize) -> Diagnostic {
    let message = format!(
        "composites are nested deeper than {most}: {}",
        chain.join(" → ")
    );
    let help = "write the steps of one of them out where it is called";
    Diagnostic::error(Code::COMPOSITE_DEPTH, span, message, help)
}

pub(crate) fn unknown_export(name: &Spanned<String>, known: &[String]) -> Diagnostic {
    let message = format!("no step of the composite captures `{}`", name.value);
    let known = known.iter().map(String::as_str);
    let otherwise = "capture it in a step of the composite";
    unknown(Code::UNKNOWN_EXPORT, name, message, known, otherwise)
}

pub(crate) fn unknown_parameter(name: &Spanned<String>, known: &[&str]) -> Diagnostic {
    let message = format!("the composite has no parameter `{}`", name.value);
    let help = match nearest(&name.value, known.iter().copied()) {
        Some(near) => format!("did you mean `parameters.{near}`?"),
        None if known.is_empty() => "add it under `parameters`".to_owned(),
        None => format!(
            "add it under `parameters`; there are {}",
            listed(known.iter().copied())
        ),
    };
    Diagnostic::error(Code::UNKNOWN_PARAMETER, name.span, message, help)
}

pub(crate) fn no_parameters(name: &Spanned<String>) -> Diagnostic {
    let message = format!("`parameters.{}` is read outside a composite", name.value);
    let help =
        "read `vars`, `session`, `content` or `runtime_env`; only composites have parameters";
    Diagnostic::error(Code::UNKNOWN_PARAMETER, name.span, message, help)
}

pub(crate) fn unknown_scenario(name: &Spanned<String>, known: &[&str]) -> Diagnostic {
    let message = format!("there is no scenario `{}`", name.value);
    let otherwise = "add `scenarios/<name>.yaml` to the package or to the part";
    let known = known.iter().copied();
    unknown(Code::UNKNOWN_SCENARIO, name, message, known, otherwise)
}

pub(crate) fn hides(span: Span, name: &str) -> Diagnostic {
    let message = format!("the part's composite `{name}` hides the package's of that name");
    let help = "rename one of the two, unless that is what you want";
    Diagnostic::new(Code::HIDES_BUILT_IN, Severity::Warning, span, message, help)
}

pub(crate) fn report_inside(span: Span) -> Diagnostic {
    let message = "a report tells of a whole job, and is made once";
    let help = "move the step to the job, outside of loops and composites";
    Diagnostic::error(Code::REPORT_INSIDE, span, message, help)
}
