//! SE14xx: expressions that do not compile.

use super::super::Diagnostic;
use super::Code;
use crate::expr::ExprError;
use crate::source::Span;

pub(crate) fn invalid(span: Span, error: &ExprError) -> Diagnostic {
    match error {
        ExprError::Invalid {
            message,
            suggestion: Some(near),
            ..
        } => {
            let help = format!("did you mean `{near}`?");
            Diagnostic::error(Code::EXPRESSION_NAME, span, message, help)
        }
        ExprError::Invalid { message, .. } => {
            let help = "mend the expression between `${` and `}`; `$${` writes a literal `${`";
            Diagnostic::error(Code::EXPRESSION, span, message, help)
        }
        ExprError::Failed(_) | ExprError::Exceeded(_) => {
            let help = "mend the expression between `${` and `}`";
            Diagnostic::error(Code::EXPRESSION, span, error.to_string(), help)
        }
    }
}
