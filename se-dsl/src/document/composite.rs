//! `composites/<name>.yaml`: steps under a name, with typed parameters.

use serde_json::Value as Json;

use super::envelope::{self, DocumentKind, VERSIONED};
use super::step::{self, STEP, StepDoc};
use crate::catalog;
use crate::decode::shape::{Shape, Value, optional, required, words};
use crate::decode::{
    Fields, Sink, boolean, list, name_of, scalar_text, template, texts, unique, word,
};
use crate::diagnostic::codes::document;
use crate::source::{Span, Spanned};
use crate::syntax::{Kind, Node};

pub(crate) struct CompositeDoc {
    /// The file stem: steps use it by this name.
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) description: Option<String>,
    pub(crate) parameters: Vec<ParameterDoc>,
    /// What comes back to the step that uses it.
    pub(crate) export: Vec<Spanned<String>>,
    pub(crate) steps: Vec<StepDoc>,
    pub(crate) span: Span,
}

pub(crate) struct ParameterDoc {
    pub(crate) name: Spanned<String>,
    pub(crate) kind: catalog::Kind,
    pub(crate) required: bool,
    pub(crate) default: Option<Json>,
    /// The values it may have, where it names them.
    pub(crate) choices: Option<Vec<Json>>,
    pub(crate) description: Option<String>,
}

const TYPES: [(&str, catalog::Kind); 7] = [
    ("string", catalog::Kind::String),
    ("integer", catalog::Kind::Integer),
    ("number", catalog::Kind::Number),
    ("boolean", catalog::Kind::Boolean),
    ("array", catalog::Kind::Array),
    ("object", catalog::Kind::Object),
    ("any", catalog::Kind::Any),
];

/// What names of parameters look like.
const PARAMETER_NAME: &str = "^[A-Za-z_][A-Za-z0-9_]*$";

pub(super) static KIND: DocumentKind = DocumentKind {
    kind: "CompositeScenario",
    doc: "Steps under a name. PAv1/composites/<name>.yaml; steps use it as composite:<name>@<version>.",
    metadata: &VERSIONED,
    spec: &SPEC,
};

static SPEC: Shape = Shape::new(
    "the composite's spec",
    "The parameters, the steps, and what comes back.",
    &[
        optional("description", Value::Written, "What the composite does."),
        optional(
            "parameters",
            Value::Either(&[
                Value::Named(
                    PARAMETER_NAME,
                    &Value::Either(&[TYPE, Value::Shape(&PARAMETER)]),
                ),
                Value::List(&Value::Shape(&LISTED)),
            ]),
            "What `with` of a step gives: each name with a type, or with more about it. Steps read parameters.<name>.",
        ),
        optional(
            "export",
            Value::List(&Value::Text),
            "Captured variables that come back to the step that uses the composite.",
        ),
        required(
            "steps",
            Value::Items(&Value::Shape(&STEP)),
            "The steps; they see their own variables and the parameters.",
        ),
    ],
);

const TYPE: Value = Value::Words(&words(&TYPES));

static PARAMETER: Shape = Shape::new(
    "a parameter",
    "The type of a parameter, and more about it.",
    &[
        required("type", TYPE, "What its value is."),
        optional(
            "required",
            Value::Boolean,
            "Whether a step must give it; default: unless there is a default.",
        ),
        optional("default", Value::Any, "Its value where a step gives none."),
        optional("description", Value::Written, "What it is for."),
        optional("enum", Value::Items(&Value::Any), "The values it may have."),
    ],
);

static LISTED: Shape = Shape::new(
    "a parameter of a list",
    "A parameter with its name.",
    &[
        required("name", Value::Name(PARAMETER_NAME), "Its name."),
        required("type", TYPE, "What its value is."),
        optional(
            "required",
            Value::Boolean,
            "Whether a step must give it; default: unless there is a default.",
        ),
        optional("default", Value::Any, "Its value where a step gives none."),
        optional("description", Value::Written, "What it is for."),
        optional("enum", Value::Items(&Value::Any), "The values it may have."),
    ],
);

pub(super) fn decode(sink: &Sink<'_>, stem: &str, node: &Node) -> Option<CompositeDoc> {
    let envelope = envelope::open(sink, node, &[&KIND])?;
    let version = envelope.version();
    let fields = Fields::open(sink, envelope.spec, &SPEC)?;
    let description = fields
        .get("description")
        .and_then(|node| scalar_text(sink, node, "description"));
    let parameters = fields.get("parameters");
    let parameters = parameters.map_or(Some(Vec::new()), |node| self::parameters(sink, node));
    let export = fields
        .get("export")
        .map_or(Some(Vec::new()), |node| export(sink, node));
    let steps = fields.get("steps");
    fields.close();
    let steps = list(sink, steps?, "steps")?;
    if steps.is_empty() {
        let found = document::nothing_in_it(envelope.spec.span, "the composite", "step");
        sink.push(found);
        return None;
    }
    // All of them are read before anything is given up, for all their mistakes.
    let steps = steps.iter().map(|node| step::decode(sink, node)).collect();
    Some(CompositeDoc {
        name: stem.to_owned(),
        version,
        description,
        parameters: parameters?,
        export: export?,
        steps,
        span: node.span,
    })
}

fn export(sink: &Sink<'_>, node: &Node) -> Option<Vec<Spanned<String>>> {
    let export = texts(sink, node, "export")?;
    unique(sink, "exported variable", export.iter());
    for name in &export {
        if name.value.split('.').any(str::is_empty) {
            let grammar = "the name of a captured variable";
            let found = document::bad_name(name.span, "exported", &name.value, grammar);
            sink.push(found);
        }
    }
    Some(export)
}

/// `{name: type}`, `{name: {type, …}}`, or a list of `{name, type, …}`; `None` if one cannot be read.
fn parameters(sink: &Sink<'_>, node: &Node) -> Option<Vec<ParameterDoc>> {
    let all: Vec<Option<ParameterDoc>> = match &node.kind {
        Kind::Map(map) => map
            .iter()
            .map(|(key, entry)| {
                let name = Spanned::new(key.to_owned(), entry.key_span);
                named(sink, name, &entry.value)
            })
            .collect(),
        Kind::Seq(items) => items.iter().map(|item| listed(sink, item)).collect(),
        Kind::Refused => return None,
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Str(_) => {
            let found = node.kind.describe();
            let expected = "a mapping from names to types";
            sink.push(document::wrong_type(
                node.span,
                "parameters",
                expected,
                found,
            ));
            return None;
        }
    };
    let all: Vec<ParameterDoc> = all.into_iter().collect::<Option<_>>()?;
    unique(sink, "parameter", all.iter().map(|it| &it.name));
    Some(all)
}

fn named(sink: &Sink<'_>, name: Spanned<String>, node: &Node) -> Option<ParameterDoc> {
    let fits = is_name(&name.value);
    if !fits {
        let found = document::bad_name(name.span, WHAT, &name.value, GRAMMAR);
        sink.push(found);
    }
    let parameter = if let Kind::Map(_) = &node.kind {
        let fields = Fields::open(sink, node, &PARAMETER)?;
        read(sink, fields, name)
    } else {
        Some(ParameterDoc {
            name,
            kind: word(sink, node, "a parameter's type", &TYPES)?,
            required: true,
            default: None,
            choices: None,
            description: None,
        })
    };
    parameter.filter(|_| fits)
}

fn listed(sink: &Sink<'_>, node: &Node) -> Option<ParameterDoc> {
    let fields = Fields::open(sink, node, &LISTED)?;
    let name = fields.get("name");
    let name = name.and_then(|node| name_of(sink, node, WHAT, is_name, GRAMMAR));
    let is_named = name.is_some();
    let name = name.unwrap_or_else(|| Spanned::new(String::new(), node.span));
    read(sink, fields, name).filter(|_| is_named)
}

const WHAT: &str = "a parameter's name";
/// [`PARAMETER_NAME`] in words.
const GRAMMAR: &str = "a name of letters, digits and `_` that starts with no digit";

fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(fits) && name.starts_with(|c: char| !c.is_ascii_digit())
}

/// What a parameter states, its name aside.
fn read(
    sink: &Sink<'_>,
    fields: Fields<'_, '_, '_>,
    name: Spanned<String>,
) -> Option<ParameterDoc> {
    let kind = fields
        .get("type")
        .and_then(|node| word(sink, node, "a parameter's type", &TYPES));
    let required = fields
        .get("required")
        .and_then(|node| boolean(sink, node, "required"));
    let default = fields.get("default");
    let description = fields
        .get("description")
        .and_then(|node| scalar_text(sink, node, "description"));
    let choices = fields.get("enum");
    fields.close();
    let kind = kind?;
    let choices = choices.map(|node| self::choices(sink, node, kind));
    let value = default.map(|node| literal(sink, node, "a default", kind));
    if let (Some(node), Some(Some(value)), Some(Some(choices))) = (default, &value, &choices)
        && !choices.contains(value)
    {
        let words: Vec<String> = choices.iter().map(shown).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let found = document::not_one_of(node.span, "a default", &shown(value), &words);
        sink.push(found);
        return None;
    }
    Some(ParameterDoc {
        name,
        kind,
        required: required.unwrap_or(default.is_none()),
        default: all_or_none(value)?,
        choices: all_or_none(choices)?,
        description,
    })
}

/// `None` only for something that is there and cannot be read.
fn all_or_none<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some(value) => value.map(Some),
    }
}

/// A value as messages show it.
fn shown(value: &Json) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn choices(sink: &Sink<'_>, node: &Node, kind: catalog::Kind) -> Option<Vec<Json>> {
    let items = list(sink, node, "enum")?;
    if items.is_empty() {
        sink.push(document::nothing_in_it(node.span, "the enum", "value"));
        return None;
    }
    let all: Vec<_> = items
        .iter()
        .map(|item| literal(sink, item, "a value of the enum", kind))
        .collect();
    all.into_iter().collect()
}

/// A value of a type, without expressions.
fn literal(sink: &Sink<'_>, node: &Node, what: &str, kind: catalog::Kind) -> Option<Json> {
    let template = template(sink, node)?;
    let expected = kind.describe();
    let Some(value) = template.literal() else {
        let found = "an expression, which is not read here";
        sink.push(document::wrong_type(node.span, what, &expected, found));
        return None;
    };
    if !kind.accepts(&value) {
        let found = node.kind.describe();
        sink.push(document::wrong_type(node.span, what, &expected, found));
        return None;
    }
    Some(value)
}
