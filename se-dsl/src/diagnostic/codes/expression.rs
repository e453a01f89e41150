//! SE14xx: expressions that do not compile.

use super::super::{Diagnostic, Edit};
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
            let found = Diagnostic::error(Code::EXPRESSION_NAME, span, message, help);
            // Anything but a word would have to be escaped in quotes.
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let word = near.chars().all(is_word).then(|| near.clone());
            Diagnostic {
                edits: word.map(|text| Edit { span, text }).into_iter().collect(),
                ..found
            }
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
