//! What an attempt of a step needs to know before it begins: `when`, `with` and `target`, evaluated.

use std::cell::Cell;
use std::fmt;
use std::time::Duration;

use se_dsl::catalog::{Primitive, Target};
use se_dsl::checked::{Composite, ForEach, Segment, Step, Uses};
use se_dsl::expr::{ExprError, Limits, Scopes, Template};
use serde_json::Value;

use crate::event::Map;
use crate::fault::{Fault, FaultKind};
use crate::machine::{Context, holds};
use crate::plan::StepIndex;
use crate::planted::{self, Bug};
use crate::port::Endpoints;
use crate::size;
use crate::state::{Kind, MAX_ELEMENTS, MAX_HELD, State, name_of};

/// What all expressions of a step, or of the connectors of a package or part, may take together: so long
/// may a job keep others, and its own cancel, waiting.
const TOGETHER: Duration = Duration::from_secs(1);

/// The evaluation of expressions that belong together.
pub(crate) struct Evaluation<'a> {
    pub(crate) scopes: &'a Scopes,
    limits: Limits,
    /// How large the values are that it gave.
    made: Cell<usize>,
}

/// What an attempt begins with.
pub(crate) struct Beginning {
    /// The evaluated `with`; of a loop, its list under `in`.
    pub(crate) inputs: Map,
    /// The connector it works on.
    pub(crate) target: Option<String>,
}

/// Evaluates all that an attempt needs; `None` if the step is to be skipped.
pub(crate) fn begin(
    context: Context<'_>,
    state: &State,
    index: StepIndex,
    first: bool,
) -> Result<Option<Beginning>, Fault> {
    let node = state.node(index);
    let step = node.step();
    let scopes = state.scopes_of(index);
    let read = Evaluation::new(&scopes);
    if first && asks(state, index) && !wanted(step, &read)? {
        return Ok(None);
    }
    if let (Kind::Loop, Some(binds)) = (state.kind(index), &step.for_each) {
        let list = elements(binds, &read)?;
        names_fit(state, index, &list)?;
        let inputs = [("in".to_owned(), Value::Array(list))];
        let is_empty = inputs[0].1.as_array().is_none_or(Vec::is_empty);
        return Ok((!is_empty).then(|| Beginning {
            inputs: inputs.into_iter().collect(),
            target: None,
        }));
    }
    let inputs = match &step.uses {
        Uses::Primitive(it) => inputs(it, step, &read)?,
        Uses::Composite(it) => parameters(it, step, &read)?,
    };
    let endpoints = context.endpoints_of(node);
    let inherited = state.inherited_target(index);
    let target = target(step, &read, &endpoints)?;
    let target = match (target, step.uses.target()) {
        (None, Target::Required) => inherited.map(str::to_owned),
        (target, _) => target,
    };
    Ok(Some(Beginning { inputs, target }))
}

/// Whether this run asks `when`: where it reads the element, each element does; else the loop, once.
fn asks(state: &State, index: StepIndex) -> bool {
    let step = state.node(index).step();
    let (Some(when), Some(binds)) = (&step.when, &step.for_each) else {
        return true;
    };
    let index_var = binds.index_var();
    let reads = when.reads();
    let by_element = reads.vars().any(|path| {
        path.first()
            .is_none_or(|first| *first == binds.var || *first == index_var)
    });
    by_element != (state.kind(index) == Kind::Loop)
}

/// The list of a loop.
fn elements(binds: &ForEach, read: &Evaluation<'_>) -> Result<Vec<Value>, Fault> {
    let list = read.value(&binds.list, &"for_each.in")?;
    let Value::Array(list) = list else {
        let detail = format!(
            "`for_each.in: {}` must give a list, and gave {}",
            source(&binds.list),
            brief(&list)
        );
        return Err(Fault::new(FaultKind::Validation, detail));
    };
    if list.len() > MAX_ELEMENTS {
        let detail = format!(
            "`for_each.in: {}` gave {} elements, and a loop takes {MAX_ELEMENTS} at most",
            source(&binds.list),
            list.len()
        );
        return Err(Fault::new(FaultKind::Validation, detail));
    }
    Ok(list)
}

/// Whether no element's captures would overwrite what something else is called.
fn names_fit(state: &State, index: StepIndex, list: &[Value]) -> Result<(), Fault> {
    let step = state.node(index).step();
    let mut captures = step.capture.iter();
    if !captures.any(|it| it.path.segments().first() == Some(&Segment::Element)) {
        return Ok(());
    }
    let mut names = list.iter().map(name_of);
    let Some(taken) = names.find(|it| state.block(index).is_reserved(it)) else {
        return Ok(());
    };
    let detail = format!(
        "an element of the loop is called `{taken}`, and so is a step or variable of this job: its \
         captures would be mixed up with that; rename the step or variable"
    );
    Err(Fault::new(FaultKind::Validation, detail))
}

/// Whether the step's `when` holds.
fn wanted(step: &Step, read: &Evaluation<'_>) -> Result<bool, Fault> {
    match &step.when {
        None => Ok(true),
        Some(_) if planted::is(Bug::WhenIgnored) => Ok(true),
        Some(when) => Ok(holds(&read.value(when, &"when")?)),
    }
}

/// The parameters of a composite: what is given, and defaults for what is not.
fn parameters(composite: &Composite, step: &Step, read: &Evaluation<'_>) -> Result<Map, Fault> {
    let mut inputs = Map::new();
    for parameter in &composite.parameters {
        let name = &parameter.name;
        let given = match step.with.get(name) {
            Some(template) => read.value(template, &format_args!("with.{name}"))?,
            None => Value::Null,
        };
        let value = match (&parameter.default, given) {
            (Some(default), Value::Null) => default.clone(),
            (_, given) => given,
        };
        let missing = value.is_null() && !parameter.required;
        if !missing && !parameter.kind.accepts(&value) {
            let detail = format!(
                "parameter `{name}` of {} must be {}, and is {}",
                composite.id(),
                parameter.kind.describe(),
                brief(&value),
            );
            return Err(Fault::new(FaultKind::Validation, detail));
        }
        if !missing && !parameter.choices.is_empty() && !parameter.choices.contains(&value) {
            let choices: Vec<String> = parameter.choices.iter().map(brief).collect();
            let detail = format!(
                "parameter `{name}` of {} must be one of {}, and is {}",
                composite.id(),
                choices.join(", "),
                brief(&value),
            );
            return Err(Fault::new(FaultKind::Validation, detail));
        }
        inputs.insert(name.clone(), value);
    }
    Ok(inputs)
}

/// The evaluated `with`, fit for the primitive. An optional input that is null is left out.
fn inputs(primitive: &Primitive, step: &Step, read: &Evaluation<'_>) -> Result<Map, Fault> {
    let mut inputs = Map::new();
    for (name, template) in &step.with {
        let value = read.value(template, &format_args!("with.{name}"))?;
        let Some(field) = primitive.input(name) else {
            continue;
        };
        // Where anything is welcome, null is a value: a text that is not there.
        if value.is_null() && !field.required && !field.kind.accepts(&value) {
            continue;
        }
        if !field.kind.accepts(&value) {
            let detail = format!(
                "input `{name}` of {} must be {}, and `{}` gave {}",
                primitive.id(),
                field.kind.describe(),
                source(template),
                brief(&value),
            );
            return Err(Fault::new(FaultKind::Validation, detail));
        }
        inputs.insert(name.clone(), value);
    }
    Ok(inputs)
}

/// The connector that `target` names, if it can be used.
fn target(
    step: &Step,
    read: &Evaluation<'_>,
    endpoints: &Endpoints,
) -> Result<Option<String>, Fault> {
    let Some(template) = &step.target else {
        return Ok(None);
    };
    let value = read.value(template, &"target")?;
    let Some(name) = value.as_str() else {
        let detail = format!(
            "`target: {}` must name a connector, and gave {}",
            source(template),
            brief(&value)
        );
        return Err(Fault::new(FaultKind::Validation, detail));
    };
    endpoints.get(name)?;
    Ok(Some(name.to_owned()))
}

impl<'a> Evaluation<'a> {
    /// Begins now.
    pub(crate) fn new(scopes: &'a Scopes) -> Self {
        Self {
            scopes,
            limits: Limits::default().together(TOGETHER),
            made: Cell::new(0),
        }
    }

    /// Evaluates, and says which key failed.
    pub(crate) fn value(
        &self,
        template: &Template,
        key: &dyn fmt::Display,
    ) -> Result<Value, Fault> {
        let failed = |problem: String| {
            let detail = format!("`{key}: {}`: {problem}", source(template));
            Fault::new(FaultKind::Expression, detail)
        };
        let value = template.eval(self.scopes, &self.limits);
        let value = value.map_err(|error| match error {
            ExprError::Invalid { message, .. } | ExprError::Failed(message) => failed(message),
            exceeded @ ExprError::Exceeded(_) => failed(exceeded.to_string()),
        })?;
        let made = self.made.get().saturating_add(size::of_value(&value));
        self.made.set(made);
        if made > MAX_HELD {
            let most = MAX_HELD >> 20;
            let problem = format!("with this, it would be given more than {most} MiB; keep less");
            return Err(failed(problem));
        }
        Ok(value)
    }
}

/// A template roughly as it was written.
fn source(template: &Template) -> String {
    match template {
        Template::Expr(expr) => format!("${{ {} }}", expr.source().trim()),
        Template::Literal(value) => brief(value),
        Template::Text(_) => "a text with expressions".to_owned(),
        Template::Array(_) => "a list with expressions".to_owned(),
        Template::Object(_) => "a mapping with expressions".to_owned(),
    }
}

/// A value in a few words: long ones are cut.
fn brief(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", text.get(..cut).unwrap_or_default()),
        None => text,
    }
}
