//! Steps that stand too late, and times that do not fit together.

use super::super::inputs::get;
use super::super::job::DraftedStep;
use super::super::place::Place;
use crate::catalog::{Action, Primitive};
use crate::checked::{CheckMode, ReportClass, Uses};
use crate::diagnostic::codes::lints;
use crate::document::Input;
use crate::pattern::{Flags, Pattern};
use crate::syntax::Kind;

impl Place<'_, '_> {
    /// Evidence and judgements that stand behind the last report.
    pub(super) fn after_report(&self, steps: &[DraftedStep<'_>]) {
        let is_report = |step: &DraftedStep<'_>| matches!(step.action(), Some(Action::Report(_)));
        let Some(last) = steps.iter().rposition(is_report) else {
            return;
        };
        let report = steps[last].doc;
        let Some(at) = report.uses.as_ref().map(|it| it.span) else {
            return;
        };
        // A report that says what it waits for may stand anywhere.
        if report.needs.is_some() {
            return;
        }
        for step in &steps[last + 1..] {
            let shows = match step.action() {
                Some(Action::Collect) => !step.captures.is_empty(),
                Some(Action::EvaluateRegex) => true,
                _ => false,
            };
            if let Some(uses) = step.doc.uses.as_ref().filter(|_| shows) {
                self.sink.push(lints::after_report(uses.span, at));
            }
        }
    }

    /// A pause that outlasts its timeout; a connector that waits longer than the step.
    pub(super) fn times(&self, step: &DraftedStep<'_>) {
        let primitive = step.uses.as_ref().and_then(Uses::primitive);
        let longest = primitive.map(Primitive::timeout);
        if step.action() == Some(Action::Pause)
            && let Some(timeout) = step.doc.timeout.or(longest)
            && let Some(input) = get(step.doc, "seconds")
            && let Some(seconds) = literal(input).and_then(|it| it.as_f64())
            && seconds > timeout.as_secs_f64()
        {
            let found = lints::pause_too_long(input.node.span, seconds, timeout.as_secs_f64());
            self.sink.push(found);
        }
        let Some(timeout) = step.doc.timeout else {
            return;
        };
        let Some(target) = &step.doc.target else {
            return;
        };
        let name = literal(target);
        let name = name.as_ref().and_then(|it| it.as_str());
        let connector = self
            .connectors
            .iter()
            .find(|it| Some(it.name.as_str()) == name);
        if let Some(connector) = connector
            && let Some(longest) = connector.timeout
            && longest > timeout
        {
            let limits = [longest.as_secs_f64(), timeout.as_secs_f64()];
            let at = target.node.span;
            let found = lints::connector_waits_longer(at, &connector.name, limits);
            self.sink.push(found);
        }
    }

    /// Patterns of steps that match anything; the class that a report says it is.
    pub(super) fn patterns(&self, step: &DraftedStep<'_>) {
        match step.action() {
            Some(Action::EvaluateRegex) => {
                let mode = match get(step.doc, "mode").map(literal) {
                    None => Some(CheckMode::Positive),
                    Some(Some(mode)) if mode == "positive" => Some(CheckMode::Positive),
                    Some(Some(mode)) if mode == "negative" => Some(CheckMode::Negative),
                    Some(_) => return,
                };
                let Some(flags) = flags_of(get(step.doc, "flags")) else {
                    return;
                };
                self.pattern(get(step.doc, "regex"), flags, mode);
            }
            Some(Action::Collect) => {
                self.pattern(get(step.doc, "match"), Flags::default(), None);
            }
            Some(Action::Report(class)) => self.report_class(step, class),
            _ => {}
        }
    }

    fn pattern(&self, input: Option<&Input>, flags: Flags, mode: Option<CheckMode>) {
        let Some(input) = input else { return };
        let literal = literal(input);
        let pattern = literal.as_ref().and_then(|it| it.as_str());
        let pattern = pattern.and_then(|it| Pattern::compile(it, flags).ok());
        if pattern.is_some_and(|it| it.matches_anything()) {
            self.sink
                .push(lints::matches_anything(input.node.span, mode));
        }
    }

    fn report_class(&self, step: &DraftedStep<'_>, made: ReportClass) {
        let Some(input) = get(step.doc, "report_class") else {
            return;
        };
        if let Some(named) = literal(input).as_ref().and_then(|it| it.as_str())
            && named != made.as_str()
        {
            let found = lints::other_class(input.node.span, named, made);
            self.sink.push(found);
        }
    }
}

fn literal(input: &Input) -> Option<serde_json::Value> {
    input.template.as_ref()?.literal()
}

/// Literal flags; `None` if they cannot be told.
fn flags_of(input: Option<&Input>) -> Option<Flags> {
    let Some(input) = input else {
        return Some(Flags::default());
    };
    let Kind::Seq(items) = &input.node.kind else {
        return None;
    };
    let mut flags = Flags::none();
    for item in items {
        match &item.kind {
            Kind::Str(text) if flags.set(&text.value) => {}
            _ => return None,
        }
    }
    Some(flags)
}
