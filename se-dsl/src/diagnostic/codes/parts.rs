//! SE1117 to SE1121: sessions whose manifest and parts do not agree.

use super::super::{Diagnostic, Edit, listed, nearest};
use super::Code;
use crate::source::{Span, Spanned};

pub(crate) fn no_session(span: Span) -> Diagnostic {
    let message = "the package has parts, and its manifest is no SessionDefinition";
    let help =
        "write the manifest as a SessionDefinition with `spec.parts`, or remove `PAv1/parts/`";
    Diagnostic::error(Code::NO_SESSION, span, message, help)
}

pub(crate) fn no_parts(span: Span) -> Diagnostic {
    let message = "the manifest requires parts, and the package has no folder below `PAv1/parts/`";
    let help = "add `PAv1/parts/<nn-name>/part.yaml` for each part, or write a LabletDefinition";
    Diagnostic::error(Code::NO_PARTS, span, message, help)
}

pub(crate) fn no_definition(span: Span, folder: &str) -> Diagnostic {
    let message = format!("the part `{folder}` has no `part.yaml`");
    let help = format!("add `PAv1/parts/{folder}/part.yaml`, or remove the folder");
    Diagnostic::error(Code::NO_PART_DEFINITION, span, message, help)
}

/// Gives also the part that was probably meant.
pub(crate) fn unknown_part(name: &Spanned<String>, known: &[&str]) -> (Diagnostic, Option<String>) {
    let message = format!("there is no part `{}`", name.value);
    let near = nearest(&name.value, known.iter().copied()).map(str::to_owned);
    let help = match &near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "write the `metadata.name` of a part; there are {}",
            listed(known.iter().copied())
        ),
    };
    let edits = near.iter().map(|near| Edit {
        span: name.span,
        text: near.clone(),
    });
    let found = Diagnostic {
        edits: edits.collect(),
        ..Diagnostic::error(Code::UNKNOWN_PART, name.span, message, help)
    };
    (found, near)
}

pub(crate) fn unused_part(name: &Spanned<String>) -> Diagnostic {
    let message = format!("the manifest requires no part `{}`", name.value);
    let help = "add it to `spec.parts` of the manifest, or remove its folder";
    Diagnostic::error(Code::UNUSED_PART, name.span, message, help)
}
