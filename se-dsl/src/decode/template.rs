//! Values with expressions in them.

use indexmap::IndexMap;
use serde_json::Value;

use super::{Sink, to_json};
use crate::diagnostic::codes::expression;
use crate::expr::Template;
use crate::source::Span;
use crate::syntax::{Kind, Node, Text};

/// Compiles every expression in a value; `None` if one does not compile.
pub(crate) fn template(sink: &Sink<'_>, node: &Node) -> Option<Template> {
    match &node.kind {
        Kind::Refused => None,
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) => {
            Some(Template::Literal(to_json(node)))
        }
        Kind::Str(text) => of_text(sink, text, node.span),
        Kind::Seq(items) => {
            // No short cut: every item is compiled, for all their mistakes.
            let all: Vec<_> = items.iter().map(|item| template(sink, item)).collect();
            let all: Vec<Template> = all.into_iter().collect::<Option<_>>()?;
            let literals: Option<Value> = all.iter().map(Template::literal).collect();
            Some(literals.map_or(Template::Array(all), Template::Literal))
        }
        Kind::Map(map) => {
            let all: Vec<_> = map
                .iter()
                .map(|(key, entry)| Some((key.to_owned(), template(sink, &entry.value)?)))
                .collect();
            let all: IndexMap<String, Template> = all.into_iter().collect::<Option<_>>()?;
            let literals = all
                .iter()
                .map(|(key, value)| Some((key.clone(), value.literal()?)))
                .collect::<Option<serde_json::Map<String, Value>>>();
            Some(match literals {
                Some(map) => Template::Literal(Value::Object(map)),
                None => Template::Object(all),
            })
        }
    }
}

fn of_text(sink: &Sink<'_>, text: &Text, span: Span) -> Option<Template> {
    match Template::parse(&text.value) {
        Ok(template) => Some(template),
        Err(errors) => {
            for error in errors {
                let at = text.span_of(&error.at, span);
                sink.push(expression::invalid(at, &error.error));
            }
            None
        }
    }
}
