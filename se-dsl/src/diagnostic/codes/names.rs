//! SE12xx: names that nothing answers to, and names used twice.

use super::super::{Diagnostic, Edit, Severity, listed, nearest, rename, rename_in_paths};
use super::Code;
use crate::catalog::{Kind, Primitive};
use crate::checked::Uses;
use crate::source::{Span, Spanned};

/// An unknown name, with the nearest known one as help and edit.
pub(super) fn unknown<'a>(
    code: Code,
    name: &Spanned<String>,
    message: String,
    known: impl Iterator<Item = &'a str> + Clone,
    otherwise: &str,
) -> Diagnostic {
    let help = match nearest(&name.value, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.clone().next().is_none() => otherwise.to_owned(),
        None => format!("{otherwise}; there are {}", listed(known.clone())),
    };
    let edits = rename(name.span, &name.value, known);
    let found = Diagnostic::error(code, name.span, message, help);
    Diagnostic { edits, ..found }
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

/// An input that it does not take; those in `given` stand there already.
/// `meant` is the input that the key must stand for, though it is spelt otherwise.
pub(crate) fn unknown_input(
    key: &Spanned<String>,
    uses: &Uses,
    given: &[&str],
    meant: Option<&str>,
) -> Diagnostic {
    let message = format!("`{}` takes no `{}`", uses.id(), key.value);
    let known = uses.input_names();
    let known = known.into_iter().filter(|name| !given.contains(name));
    let otherwise = meant.map_or_else(
        || "remove it".to_owned(),
        |name| format!("did you mean `{name}`? `{}` needs it", uses.id()),
    );
    unknown(Code::UNKNOWN_INPUT, key, message, known, &otherwise)
}

pub(crate) fn missing_input(span: Span, uses: &str, input: &str) -> Diagnostic {
    let message = format!("`{uses}` needs `{input}`");
    let help = format!("add `{input}` under `with`");
    Diagnostic::error(Code::MISSING_INPUT, span, message, help)
}

pub(crate) fn wrong_input(span: Span, name: &str, kind: Kind, found: &str) -> Diagnostic {
    let expected = kind.describe();
    let message = format!("`{name}` must be {expected}, found {found}");
    let help = format!("write {expected}, or an expression that gives it");
    Diagnostic::error(Code::WRONG_INPUT, span, message, help)
}

/// A value of the right kind that says nothing that can be understood.
pub(crate) fn unfit_input(span: Span, name: &str, why: &str) -> Diagnostic {
    let message = format!("`{name}` cannot be read: {why}");
    let help = "write it as the message says, or as an expression that gives it";
    Diagnostic::error(Code::WRONG_INPUT, span, message, help)
}

/// A word that is none of those that an input may be.
pub(crate) fn wrong_word(span: Span, name: &str, word: &str, words: &[&str]) -> Diagnostic {
    let message = format!(
        "`{name}` must be one of {}, found `{word}`",
        words.join(", ")
    );
    let words = words.iter().copied();
    let help = match nearest(word, words.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "write one of them, or an expression that gives one".to_owned(),
    };
    Diagnostic {
        edits: rename(span, word, words),
        ..Diagnostic::error(Code::WRONG_INPUT, span, message, help)
    }
}

/// An output that it does not give; those in `taken` are captured already.
pub(crate) fn unknown_output(key: &Spanned<String>, uses: &Uses, taken: &[&str]) -> Diagnostic {
    let message = format!("`{}` has no output `{}`", uses.id(), key.value);
    let known = uses.output_names();
    let known = known.into_iter().filter(|name| !taken.contains(name));
    let otherwise = "write `<output>: <variable>`";
    unknown(Code::UNKNOWN_OUTPUT, key, message, known, otherwise)
}

/// `path: output`, which is read as `output: path`.
pub(crate) fn reversed_capture(path: &Spanned<String>, output: &Spanned<String>) -> Diagnostic {
    let (wrong, right) = (&path.value, &output.value);
    let message = format!("`{wrong}: {right}` is read as `{right}: {wrong}`");
    let help = format!("write `{right}: {wrong}`: the output comes first");
    let found = Diagnostic::new(
        Code::REVERSED_CAPTURE,
        Severity::Warning,
        path.span,
        message,
        help,
    );
    let swap = |from: &Spanned<String>, to: &Spanned<String>| Edit {
        span: from.span,
        text: to.value.clone(),
    };
    Diagnostic {
        edits: vec![swap(path, output), swap(output, path)],
        ..found
    }
}

pub(crate) fn unknown_connector(name: &Spanned<String>, known: &[&str]) -> Diagnostic {
    let message = format!("there is no connector `{}`", name.value);
    let otherwise =
        "add it to `PAv1/connectors.yaml`, or give the device a port in `topology/ports.json`";
    unknown(
        Code::UNKNOWN_CONNECTOR,
        name,
        message,
        known.iter().copied(),
        otherwise,
    )
}

pub(crate) fn missing_target(span: Span, uses: &str) -> Diagnostic {
    let message = format!("`{uses}` works on a device, and the step names none");
    Diagnostic::error(
        Code::MISSING_TARGET,
        span,
        message,
        "add `target: <connector>`",
    )
}

pub(crate) fn needless_target(span: Span, uses: &str) -> Diagnostic {
    let message = format!("`{uses}` takes no `target`");
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

/// A content file that is read at these places, of which the first is shown.
pub(crate) fn unknown_file(at: &[Span], handle: &str, known: &[&str]) -> Diagnostic {
    let message = format!("there is no content file `{handle}`");
    let otherwise = "put the file under `PAv1/files/`; its handle is its name up to the first dot";
    let name = Spanned::new(handle.to_owned(), at[0]);
    let known = known.iter().copied();
    let found = unknown(Code::UNKNOWN_FILE, &name, message, known.clone(), otherwise);
    Diagnostic {
        edits: rename_in_paths(at, "content.files.", handle, known),
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

/// A primitive that is a job if the session or the request gives what it needs.
pub(crate) fn asks_by_name(span: Span, primitive: &Primitive, inputs: &[&str]) -> Diagnostic {
    let inputs: Vec<String> = inputs.iter().map(|it| format!("`{it}`")).collect();
    let inputs = inputs.join(" and ");
    let message = format!(
        "`{}` takes {inputs} from the job's variables, the pod's facts or the session",
        primitive.id()
    );
    let help = "give them with the job, or write a JobDefinition with a step that has them";
    Diagnostic::new(Code::NO_JOB_BY_ITSELF, Severity::Note, span, message, help)
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

/// A member of a group that is no device.
pub(crate) fn unknown_member(name: &Spanned<String>, known: &[&str]) -> Diagnostic {
    let message = format!("the group's member `{}` is no device", name.value);
    let found = unknown(
        Code::UNKNOWN_DEVICE,
        name,
        message,
        known.iter().copied(),
        "write the name of a device",
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

/// A device, or a group of them, that is read at these places below `path`, of which the first is shown.
pub(crate) fn unknown_pod_fact(at: &[Span], path: &str, name: &str, known: &[&str]) -> Diagnostic {
    let what = if path == "devices" {
        "device"
    } else {
        "group of devices"
    };
    let message = format!("the pod has no {what} `{name}`");
    let otherwise = "write a name that the pod has";
    let path = format!("runtime_env.{path}.");
    let name = Spanned::new(name.to_owned(), at[0]);
    let known = known.iter().copied();
    let found = unknown(
        Code::UNKNOWN_DEVICE,
        &name,
        message,
        known.clone(),
        otherwise,
    );
    Diagnostic {
        severity: Severity::Warning,
        edits: rename_in_paths(at, &path, &name.value, known),
        ..found
    }
}

/// `@name` in a loop over something else.
pub(crate) fn unbound_element(name: &Spanned<String>, var: &str) -> Diagnostic {
    let message = format!("the loop binds no `{}`", name.value);
    let bound = format!("@{var}");
    let help = match nearest(&name.value, std::iter::once(bound.as_str())) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("write `{bound}` for the element, or an expression for anything else"),
    };
    Diagnostic::error(Code::UNBOUND_ELEMENT, name.span, message, help)
}

/// `@name` in a captured path of a step that is no loop.
pub(crate) fn element_without_loop(name: &Spanned<String>) -> Diagnostic {
    let message = format!(
        "`{}` stands for the element of a loop, and the step has none",
        name.value
    );
    let help = "add `for_each`, or write a name without `@`";
    Diagnostic::error(Code::UNBOUND_ELEMENT, name.span, message, help)
}

/// A scenario collects from a device that it does not list.
pub(crate) fn unlisted_device(name: &Spanned<String>, known: &[&str]) -> Diagnostic {
    let message = format!("`{}` is not one of the scenario's devices", name.value);
    let otherwise = "add it to `devices`";
    unknown(
        Code::UNKNOWN_DEVICE,
        name,
        message,
        known.iter().copied(),
        otherwise,
    )
}
