//! Values with expressions in them.

use super::{Sink, to_json};
use crate::diagnostic::codes::{expression, names};
use crate::expr::Template;
use crate::source::{Span, Spanned};
use crate::syntax::{Kind, Node, Text};
use indexmap::IndexMap;

/// What an `@` name may stand for where a value is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loop<'l> {
    /// There is no loop: `@` is a character like any other.
    None,
    /// The element that this variable holds.
    Over(&'l str),
    /// There is a loop, and its variable could not be read.
    Unknown,
}

/// Compiles every expression in a value; `None` if one does not compile.
pub(crate) fn template(sink: &Sink<'_>, node: &Node) -> Option<Template> {
    template_in(sink, node, Loop::None)
}

/// Compiles a value in which texts that are wholly `@var` stand for the element of a loop.
pub(crate) fn template_in(sink: &Sink<'_>, node: &Node, each: Loop<'_>) -> Option<Template> {
    match &node.kind {
        Kind::Refused => None,
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) => {
            Some(Template::Literal(to_json(node)))
        }
        Kind::Str(text) => of_text(sink, text, node.span, each),
        Kind::Seq(items) => {
            // No short cut: every item is compiled, for all their mistakes.
            let all: Vec<_> = items
                .iter()
                .map(|item| template_in(sink, item, each))
                .collect();
            Some(Template::array(all.into_iter().collect::<Option<_>>()?))
        }
        Kind::Map(map) => {
            let all: Vec<_> = map
                .iter()
                .map(|(key, entry)| Some((key.to_owned(), template_in(sink, &entry.value, each)?)))
                .collect();
            let all: IndexMap<String, Template> = all.into_iter().collect::<Option<_>>()?;
            Some(Template::object(all))
        }
    }
}

fn of_text(sink: &Sink<'_>, text: &Text, span: Span, each: Loop<'_>) -> Option<Template> {
    let source = match (each, element(&text.value)) {
        (Loop::None, _) | (_, None) => None,
        (Loop::Unknown, Some(_)) => return None,
        (Loop::Over(var), Some(path)) if path[0] == var => Some(format!("${{ {} }}", read(&path))),
        (Loop::Over(var), Some(path)) => {
            let name = Spanned::new(format!("@{}", path[0]), span);
            sink.push(names::unbound_element(&name, var));
            return None;
        }
    };
    match Template::parse(source.as_deref().unwrap_or(&text.value)) {
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

/// The names of a text that is wholly `@name` or `@name.field.field`.
fn element(text: &str) -> Option<Vec<&str>> {
    let path: Vec<&str> = text.strip_prefix('@')?.split('.').collect();
    let is_name = |name: &&str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        !name.is_empty() && name.chars().all(fits)
    };
    path.iter().all(is_name).then_some(path)
}

/// The expression that reads a path of `vars`.
fn read(path: &[&str]) -> String {
    let mut source = "vars".to_owned();
    for name in path {
        let starts_well = !name.starts_with(|c: char| c.is_ascii_digit());
        if starts_well && !name.contains('-') {
            source.push('.');
            source.push_str(name);
        } else {
            source.push_str(&format!("[\"{name}\"]"));
        }
    }
    source
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{element, read};
    use crate::expr::{Limits, Root, Scopes, Template};

    #[test]
    fn only_a_whole_text_names_an_element() {
        assert_eq!(element("@dev"), Some(vec!["dev"]));
        assert_eq!(element("@dev.a.b-c.0"), Some(vec!["dev", "a", "b-c", "0"]));
        for text in [
            "dev",
            "@",
            "@dev.",
            "@dev x",
            "a@dev.com",
            "@dev.${ 1 }",
            "@dev@x",
            "@.a",
        ] {
            assert_eq!(element(text), None, "{text}");
        }
    }

    #[test]
    fn every_name_can_be_read() {
        let mut scopes = Scopes::new();
        let fields = json!({"and": 1, "b-c": 2, "0": 3, "plain": 4});
        scopes.set(Root::Vars, &json!({"if": fields, "dev": fields}));
        for dev in ["if", "dev"] {
            for (name, value) in [("and", 1), ("b-c", 2), ("0", 3), ("plain", 4)] {
                let source = format!("${{ {} }}", read(&[dev, name]));
                let read = Template::parse(&source).unwrap();
                let found = read.eval(&scopes, &Limits::default());
                assert_eq!(found, Ok(json!(value)), "{source}");
            }
        }
    }
}
