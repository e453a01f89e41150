//! Workflow commands: `::error file=…,line=…::message`.

use super::super::{Diagnostics, Severity};
use crate::source::Sources;

pub(super) fn render(found: &Diagnostics, sources: &Sources) -> String {
    let mut text = String::new();
    for it in found.located(sources) {
        let command = match it.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let (file, title) = (property(&it.file), property(it.code));
        let message = data(&format!("{}\n{}", it.message, it.help));
        text.push_str(&format!(
            "::{command} file={file},line={},col={},endLine={},endColumn={},title={title}::{message}\n",
            it.line, it.column, it.end_line, it.end_column,
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
