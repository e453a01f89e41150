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
    let fact = if key == "via_port" {
        "pat_port"
    } else {
        "serial_port"
    };
    let message = format!("`{key}` is written out in the package; pods get their own ports");
    let help = format!("read it from the pod: `${{ runtime_env.devices.<device>.{fact} }}`");
    Diagnostic::new(Code::LITERAL_PORT, severity, span, message, help)
}

/// A secret inside a command; the place is that of the secret.
pub(crate) fn secret_in_command(span: Span, severity: Severity) -> Diagnostic {
    let message = "a secret is written out in a command";
    let help = "read it from the pod: `${ runtime_env.devices.<device>.<fact> }`";
    Diagnostic::new(Code::LITERAL_SECRET, severity, span, message, help)
}
