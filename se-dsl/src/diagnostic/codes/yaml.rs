//! SE10xx: text that is no YAML document, or one that says two things at once.

use super::super::{Diagnostic, Edit, Severity};
use super::Code;
use crate::source::{FileId, Sources, Span};
use crate::syntax::{MAX_ALIAS_NODES, MAX_DEPTH, MAX_NODES};

pub(crate) fn syntax(sources: &Sources, file: FileId, at: usize, what: &str) -> Diagnostic {
    let text = sources.text(file);
    let at = at.min(text.len());
    let end = text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
    let start = text[..at].rfind('\n').map_or(0, |n| n + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    let indent = &line[..line.len() - line.trim_start().len()];
    let help = if indent.contains('\t') {
        "indent with spaces; YAML does not allow tabs there"
    } else if what.contains("unknown escape character") {
        "write the text in single quotes, where a backslash is a backslash, or double it"
    } else if line.contains(": ") && line.matches(": ").count() > 1 {
        "put the value in quotes: a value with `: ` in it cannot stand without"
    } else {
        "mend the line, or one just above it: look at indentation, quotes and brackets"
    };
    let message = format!("this is not valid YAML: {what}");
    Diagnostic::error(Code::YAML, Span::new(file, at, end), message, help)
}

pub(crate) fn not_utf8(span: Span) -> Diagnostic {
    let message = "the file is not UTF-8 text from here on";
    Diagnostic::error(
        Code::UTF8,
        span,
        message,
        "save it as UTF-8 text (no UTF-16, no NUL bytes)",
    )
}

pub(crate) fn utf16(span: Span) -> Diagnostic {
    let message = "the file is UTF-16 text, not UTF-8";
    Diagnostic::error(Code::UTF8, span, message, "save it as UTF-8")
}

pub(crate) fn nul(span: Span) -> Diagnostic {
    let message = "the file holds a NUL byte";
    Diagnostic::error(Code::UTF8, span, message, "remove it; documents are text")
}

pub(crate) fn duplicate_key(span: Span, key: &str, first: Span) -> Diagnostic {
    let message = format!("the key `{key}` stands twice in this mapping");
    Diagnostic::error(
        Code::DUPLICATE_KEY,
        span,
        message,
        "remove or rename one of the two",
    )
    .related(first, "first written here")
}

pub(crate) fn too_deep(span: Span) -> Diagnostic {
    let message = format!("nested deeper than {MAX_DEPTH} levels");
    Diagnostic::error(Code::TOO_DEEP, span, message, "make the document flatter")
}

pub(crate) fn too_many_nodes(span: Span) -> Diagnostic {
    let message = format!("the document holds more than {MAX_NODES} values");
    Diagnostic::error(
        Code::TOO_MANY,
        span,
        message,
        "split it, or leave out what no job needs",
    )
}

pub(crate) fn too_many_alias_nodes(span: Span) -> Diagnostic {
    let message = format!("the aliases up to here stand for more than {MAX_ALIAS_NODES} values");
    Diagnostic::error(
        Code::ALIASES,
        span,
        message,
        "write the values out, or use fewer aliases",
    )
}

pub(crate) fn self_alias(span: Span) -> Diagnostic {
    let message = "an alias stands inside the value it is short for";
    Diagnostic::error(Code::ALIASES, span, message, "write out what is meant here")
}

pub(crate) fn merge_key(span: Span) -> Diagnostic {
    let message = "merge keys (`<<`) are not read";
    Diagnostic::error(Code::MERGE_KEY, span, message, "write the merged keys out")
}

pub(crate) fn tag(span: Span, tag: &str) -> Diagnostic {
    let message = format!("the tag `{tag}` is not read");
    Diagnostic::error(
        Code::TAG,
        span,
        message,
        "remove the tag; quote a value to make it text",
    )
}

pub(crate) fn number(span: Span, raw: &str) -> Diagnostic {
    let message = format!("the number `{raw}` cannot be held exactly");
    let help = "use a finite number below 2^63, or put it in quotes if it is text";
    Diagnostic::error(Code::NUMBER, span, message, help)
}

pub(crate) fn unquoted_expression(span: Span, raw: &str) -> Diagnostic {
    let quoted = if raw.contains('"') || raw.contains('\\') {
        format!("'{}'", raw.replace('\'', "''"))
    } else {
        format!("\"{raw}\"")
    };
    let help = format!("write {quoted}");
    let message = "an expression without quotes is not valid YAML; it is read as if quoted";
    let edits = vec![Edit { span, text: quoted }];
    let found = Diagnostic::new(Code::UNQUOTED, Severity::Warning, span, message, help);
    Diagnostic { edits, ..found }
}

pub(crate) fn empty(file: FileId) -> Diagnostic {
    let help = "write the document, or remove the file";
    Diagnostic::error(Code::EMPTY, Span::file(file), "the document is empty", help)
}

pub(crate) fn several_documents(span: Span) -> Diagnostic {
    let message = "a second document starts here; a file holds one";
    let help = "move it to a file of its own, or remove the `---`";
    Diagnostic::error(Code::SEVERAL_DOCUMENTS, span, message, help)
}

pub(crate) fn key(span: Span) -> Diagnostic {
    let message = "a key must be text";
    Diagnostic::error(
        Code::KEY,
        span,
        message,
        "write a word, in quotes if it is unusual",
    )
}
