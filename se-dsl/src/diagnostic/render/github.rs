//! Workflow commands: `::error file=…,line=…::message`.

use super::super::{Diagnostics, Severity};
use super::Look;
use crate::source::Sources;

pub(super) fn render(found: &Diagnostics, sources: &Sources, look: &Look<'_>) -> String {
    let mut text = String::new();
    for it in found.iter() {
        let command = match it.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let at = sources.position(it.span);
        let file = property(&look.path(sources, it.span.file));
        let title = property(it.code.as_str());
        let message = data(&format!("{}\n{}", it.message, it.help));
        // Columns are shown for a range within one line only.
        let columns = if at.line == at.end_line {
            format!(",col={},endColumn={}", at.column, at.end_column)
        } else {
            String::new()
        };
        text.push_str(&format!(
            "::{command} file={file},line={},endLine={}{columns},title={title}::{message}\n",
            at.line, at.end_line,
        ));
    }
    text
}

fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
