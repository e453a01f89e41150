//! SE12xx: names that nothing answers to, and names used twice.

use super::super::{Diagnostic, Edit, Severity, listed, nearest};
use super::Code;
use crate::catalog::{Field, Primitive};
use crate::source::{Span, Spanned};

/// An unknown name, with the nearest known one as help and edit.
fn unknown<'a>(
    code: Code,
    name: &Spanned<String>,
    message: String,
    known: impl Iterator<Item = &'a str> + Clone,
    otherwise: &str,
) -> Diagnostic {
    let near = nearest(&name.value, known.clone());
    let all: Vec<&str> = known.collect();
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None if all.is_empty() => otherwise.to_owned(),
        None => format!("{otherwise}; there are {}", listed(all.into_iter())),
    };
    let edits = near.map(|near| Edit {
        span: name.span,
        text: near.to_owned(),
    });
    let found = Diagnostic::error(code, name.span, message, help);
    Diagnostic {
        edits: edits.into_iter().collect(),
        ..found
    }
}

pub(crate) fn unknown_job(name: &Spanned<String>, known: &[String]) -> Diagnostic {
    let message = format!("there is no job `{}`", name.value);
    let otherwise = "add `PAv1/jobs/<name>.yaml`, or name a built-in job or a primitive";
    unknown(
        Code::UNKNOWN_JOB,
        name,
        message,
        known.iter().map(String::as_str),
        otherwise,
    )
}

pub(crate) fn unknown_primitive(name: &Spanned<String>, known: &[String]) -> Diagnostic {
    let message = format!("there is no primitive `{}`", name.value);
    let known = known.iter().map(String::as_str);
    unknown(
        Code::UNKNOWN_PRIMITIVE,
        name,
        message,
        known,
        "use a primitive of the catalogue",
    )
}

/// `what` exists, at other versions only.
pub(crate) fn unknown_version(span: Span, what: &str, version: &str, known: &str) -> Diagnostic {
    let message = if version.is_empty() {
        format!("`{what}` stands without a version")
    } else {
        format!("`{what}` has no version `{version}`")
    };
    let fix = format!("{what}@{known}");
    let found = Diagnostic::error(
        Code::UNKNOWN_VERSION,
        span,
        message,
        format!("write `{fix}`"),
    );
    Diagnostic {
        edits: vec![Edit { span, text: fix }],
        ..found
    }
}

pub(crate) fn unknown_input(span: Span, key: &str, primitive: &Primitive) -> Diagnostic {
    let name = Spanned::new(key.to_owned(), span);
    let message = format!("`{}` takes no `{key}`", primitive.id());
    let known = primitive.inputs.iter().map(|field| field.name);
    unknown(Code::UNKNOWN_INPUT, &name, message, known, "remove it")
}

pub(crate) fn missing_input(span: Span, primitive: &Primitive, input: &str) -> Diagnostic {
    let message = format!("`{}` needs `{input}`", primitive.id());
    let help = format!("add `{input}` under `with`");
    Diagnostic::error(Code::MISSING_INPUT, span, message, help)
}

pub(crate) fn wrong_input(span: Span, field: &Field, found: &str) -> Diagnostic {
    let expected = field.kind.describe();
    let message = format!("`{}` must be {expected}, found {found}", field.name);
    let help = format!("write {expected}, or an expression that gives it");
    Diagnostic::error(Code::WRONG_INPUT, span, message, help)
}

pub(crate) fn unknown_output(key: &Spanned<String>, primitive: &Primitive) -> Diagnostic {
    let message = format!("`{}` has no output `{}`", primitive.id(), key.value);
    let known = primitive.outputs.iter().map(|field| field.name);
    unknown(
        Code::UNKNOWN_OUTPUT,
        key,
        message,
        known,
        "write `<output>: <variable>`",
    )
}

pub(crate) fn reversed_capture(span: Span, output: &str, path: &str) -> Diagnostic {
    let message = format!("`{path}: {output}` is read as `{output}: {path}`");
    let help = format!("write `{output}: {path}`: the output comes first");
    Diagnostic::new(
        Code::REVERSED_CAPTURE,
        Severity::Warning,
        span,
        message,
        help,
    )
}

pub(crate) fn unknown_connector(name: &Spanned<String>, known: &[&str]) -> Diagnostic {
    let message = format!("there is no connector `{}`", name.value);
    let otherwise = "add it to `PAv1/connectors.yaml`";
    unknown(
        Code::UNKNOWN_CONNECTOR,
        name,
        message,
        known.iter().copied(),
        otherwise,
    )
}

pub(crate) fn missing_target(span: Span, primitive: &Primitive) -> Diagnostic {
    let message = format!(
        "`{}` works on a device, and the step names none",
        primitive.id()
    );
    Diagnostic::error(
        Code::MISSING_TARGET,
        span,
        message,
        "add `target: <connector>`",
    )
}

pub(crate) fn needless_target(span: Span, primitive: &Primitive) -> Diagnostic {
    let message = format!("`{}` takes no `target`", primitive.id());
    Diagnostic::error(Code::NEEDLESS_TARGET, span, message, "remove `target`")
}

pub(crate) fn duplicate(what: &str, name: &Spanned<String>, first: Span) -> Diagnostic {
    let message = format!("there are two of {what} `{}`", name.value);
    Diagnostic::error(
        Code::DUPLICATE_NAME,
        name.span,
        message,
        "rename one of the two",
    )
    .related(first, "first written here")
}

pub(crate) fn hides_built_in(span: Span, name: &str) -> Diagnostic {
    let message = format!("the job `{name}` hides what the engine has under that name");
    let help = "rename the job, unless that is what you want";
    Diagnostic::new(Code::HIDES_BUILT_IN, Severity::Warning, span, message, help)
}

pub(crate) fn unknown_rubric(name: &Spanned<String>, known: &[&str]) -> Diagnostic {
    let message = format!("there is no rubric `{}`", name.value);
    let otherwise = "add `PAv1/grading/<name>.yaml`";
    unknown(
        Code::UNKNOWN_RUBRIC,
        name,
        message,
        known.iter().copied(),
        otherwise,
    )
}

pub(crate) fn unknown_report(name: &Spanned<String>, known: &[&str]) -> Diagnostic {
    let message = format!("there is no report `{}`", name.value);
    let otherwise = "add `PAv1/reports/<name>.yaml`";
    unknown(
        Code::UNKNOWN_REPORT,
        name,
        message,
        known.iter().copied(),
        otherwise,
    )
}

pub(crate) fn unknown_file(name: &Spanned<String>, known: &[&str]) -> Diagnostic {
    let message = format!("there is no content file `{}`", name.value);
    let otherwise = "put the file under `PAv1/files/`; its handle is its name up to the first dot";
    // The place is that of the whole path, the suggestion one name of it.
    let found = unknown(
        Code::UNKNOWN_FILE,
        name,
        message,
        known.iter().copied(),
        otherwise,
    );
    Diagnostic {
        edits: Vec::new(),
        ..found
    }
}

pub(crate) fn unused_connector(name: &Spanned<String>) -> Diagnostic {
    let message = format!("no step targets the connector `{}`", name.value);
    let help = "nothing to do; readiness_check@v1 still looks at it";
    Diagnostic::new(
        Code::UNUSED_CONNECTOR,
        Severity::Note,
        name.span,
        message,
        help,
    )
}

pub(crate) fn no_job_by_itself(span: Span, primitive: &Primitive, needs: &str) -> Diagnostic {
    let message = format!(
        "`{}` cannot be a job by itself: it needs {needs}",
        primitive.id()
    );
    let help = "write a JobDefinition with a step that uses it";
    Diagnostic::error(Code::NO_JOB_BY_ITSELF, span, message, help)
}

pub(crate) fn unknown_device(name: &Spanned<String>, known: &[&str]) -> Diagnostic {
    let message = format!("the topology has no node `{}`", name.value);
    let otherwise = "write the label of a node";
    let found = unknown(
        Code::UNKNOWN_DEVICE,
        name,
        message,
        known.iter().copied(),
        otherwise,
    );
    Diagnostic {
        severity: Severity::Warning,
        ..found
    }
}

pub(crate) fn exclusive_inputs(span: Span, first: &str, second: &str) -> Diagnostic {
    let message = format!("`{first}` and `{second}` exclude each other");
    Diagnostic::error(Code::EXCLUSIVE_INPUTS, span, message, "keep one of the two")
}

pub(crate) fn unknown_pod_device(name: &Spanned<String>, known: &[&str]) -> Diagnostic {
    let message = format!("the pod has no device `{}`", name.value);
    let otherwise = "write the name of a device";
    let found = unknown(
        Code::UNKNOWN_DEVICE,
        name,
        message,
        known.iter().copied(),
        otherwise,
    );
    // The place is that of the whole path, the suggestion one name of it.
    Diagnostic {
        severity: Severity::Warning,
        edits: Vec::new(),
        ..found
    }
}
