//! SE16xx: facts that do not belong in content.

use super::super::{Diagnostic, Severity};
use super::Code;
use crate::source::Span;

pub(crate) fn literal_secret(span: Span, key: &str, severity: Severity) -> Diagnostic {
    let message = format!("`{key}` is written out in the package");
    let help = format!("read it from the pod: `${{ runtime_env.devices.<device>.{key} }}`");
    Diagnostic::new(Code::LITERAL_SECRET, severity, span, message, help)
}

pub(crate) fn literal_port(span: Span, key: &str, severity: Severity) -> Diagnostic {
    let fact = if key == "port" {
        "serial_port"
    } else {
        "pat_port"
    };
    let message = format!("`{key}` is written out in the package; pods get their own ports");
    let help = format!("read it from the pod: `${{ runtime_env.devices.<device>.{fact} }}`");
    Diagnostic::new(Code::LITERAL_PORT, severity, span, message, help)
}
