//! A plan for people and for tools: text, JSON, Graphviz, Mermaid.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use se_dsl::checked::Step;
use se_dsl::expr::Template;
use serde_json::{Value, json};

use super::{Block, Edge, Node, Plan, StepIndex};
use crate::event::Map;

/// Steps that are shown together, and what they are called.
pub(super) struct Section<'a> {
    /// `composite:read@v1`; none for the steps of the phase.
    pub(super) name: Option<String>,
    pub(super) block: &'a Block,
}

impl Plan {
    /// The steps of the phase, then those of each composite, in the order of the first calls.
    pub(super) fn sections(&self) -> Vec<Section<'_>> {
        let mut sections = vec![Section {
            name: None,
            block: self.block(),
        }];
        let mut shown = BTreeSet::new();
        let mut at = 0;
        while let Some(block) = sections.get(at).map(|it| it.block) {
            let calls = block.steps().filter_map(|(_, node)| {
                let name = Some(node.step().uses.id());
                let block = node.body()?;
                Some(Section { name, block })
            });
            let mut new: Vec<Section<'_>> = calls.collect();
            new.retain(|called| shown.insert(called.name.clone()));
            sections.append(&mut new);
            at += 1;
        }
        sections
    }

    /// Every step with its wave, what it waits for and why; those of composites under their names.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut plan = self.block().to_json();
        let inside = self.sections();
        let inside = inside
            .iter()
            .filter_map(|it| Some((it.name.clone()?, it.block.to_json())));
        let composites: Map = inside.collect();
        if !composites.is_empty() {
            plan["composites"] = Value::Object(composites);
        }
        plan
    }

    /// Waves of steps; behind each step what it waits for.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for section in self.sections() {
            if let Some(name) = &section.name {
                line(&mut text, format_args!("\n{name}:"));
            }
            section.block.text(&mut text);
        }
        text
    }

    /// Graphviz.
    #[must_use]
    pub fn to_dot(&self) -> String {
        let mut text =
            "digraph plan {\n  rankdir=LR;\n  node [shape=box, fontname=sans];\n".to_owned();
        let sections = self.sections();
        for (at, section) in sections.iter().enumerate() {
            let names = Names { at, of: &sections };
            match &section.name {
                None => section.block.dot(&mut text, &names),
                Some(name) => {
                    let name = escape(name);
                    let head = format_args!("  subgraph cluster{at} {{\n  label=\"{name}\";");
                    line(&mut text, head);
                    section.block.dot(&mut text, &names);
                    text.push_str("  }\n");
                }
            }
        }
        text.push_str("}\n");
        text
    }

    /// Mermaid.
    #[must_use]
    pub fn to_mermaid(&self) -> String {
        let mut text = "flowchart LR\n".to_owned();
        let sections = self.sections();
        for (at, section) in sections.iter().enumerate() {
            let names = Names { at, of: &sections };
            match &section.name {
                None => section.block.mermaid(&mut text, &names),
                Some(name) => {
                    line(&mut text, format_args!("  subgraph c{at}[\"{name}\"]"));
                    section.block.mermaid(&mut text, &names);
                    text.push_str("  end\n");
                }
            }
        }
        text
    }
}

/// Names of steps that are unique over all sections.
struct Names<'a> {
    at: usize,
    of: &'a [Section<'a>],
}

impl Names<'_> {
    fn prefix(&self) -> String {
        let name = self.of.get(self.at).and_then(|it| it.name.as_deref());
        name.map_or_else(String::new, |it| format!("{it}/"))
    }

    /// The section that a step calls.
    fn called(&self, node: &Node) -> Option<usize> {
        node.body()?;
        let name = node.step().uses.id();
        let mut all = self.of.iter();
        all.position(|it| it.name.as_deref() == Some(&name))
    }
}

impl Block {
    fn to_json(&self) -> Value {
        let steps: Vec<Value> = self
            .steps()
            .map(|(index, node)| self.step_json(index, node))
            .collect();
        let waves: Vec<Vec<&str>> = self.waves().iter().map(|wave| self.names(wave)).collect();
        json!({"steps": steps, "waves": waves})
    }

    fn step_json(&self, index: StepIndex, node: &Node) -> Value {
        let step = node.step();
        let predecessors: Vec<Value> = node
            .predecessors()
            .iter()
            .map(|edge| json!({"step": self.node(edge.from).key, "why": reasons(edge)}))
            .collect();
        let mut shown = json!({
            "id": node.key,
            "job": format!("{}@{}", node.job().name, node.job().version),
            "uses": step.uses.id(),
            "target": target(step),
            "stage": step.stage,
            "effect": step.uses.effect(),
            "repeatable": step.uses.repeatable(),
            "timeout_seconds": timeout(step),
            "wave": self.wave(index) + 1,
            "predecessors": predecessors,
        });
        if let Some(each) = &step.for_each {
            shown["for_each"] = json!({
                "var": each.var,
                "in": source(&each.list),
                "stop_on_fail": each.stop_on_fail,
                "mode": if each.concurrent { "concurrent" } else { "sequential" },
            });
        }
        shown
    }

    fn text(&self, text: &mut String) {
        let width = self
            .steps()
            .map(|(_, node)| node.key.chars().count())
            .max()
            .unwrap_or(0);
        for (number, wave) in self.waves().iter().enumerate() {
            let count = wave.len();
            let plural = if count == 1 { "" } else { "s, together" };
            line(
                text,
                format_args!("wave {}: {count} step{plural}", number + 1),
            );
            for index in wave {
                self.step_text(text, self.node(*index), width);
            }
        }
    }

    fn step_text(&self, text: &mut String, node: &Node, width: usize) {
        let step = node.step();
        line(
            text,
            format_args!("  {:width$}  {}", node.key, caption(step)),
        );
        for edge in node.predecessors() {
            let (from, why) = (&self.node(edge.from).key, reasons(edge).join("; "));
            line(text, format_args!("  {:width$}    after {from}: {why}", ""));
        }
    }

    fn dot(&self, text: &mut String, names: &Names<'_>) {
        let prefix = escape(&names.prefix());
        for (_, node) in self.steps() {
            let key = escape(&node.key);
            let label = format!("{key}\\n{}", escape(&caption(node.step())));
            line(
                text,
                format_args!("  \"{prefix}{key}\" [label=\"{label}\"];"),
            );
            if let Some(called) = names.called(node) {
                let inside = Names {
                    at: called,
                    of: names.of,
                };
                let first = names.of.get(called).and_then(|it| it.block.steps().next());
                let first = first.map_or_else(String::new, |(_, it)| escape(&it.key));
                let inside = escape(&inside.prefix());
                line(
                    text,
                    format_args!("  \"{prefix}{key}\" -> \"{inside}{first}\" [style=dotted];"),
                );
            }
        }
        for (_, node) in self.steps() {
            for edge in node.predecessors() {
                let (from, to) = (escape(&self.node(edge.from).key), escape(&node.key));
                let why = escape(&reasons(edge).join("; "));
                line(
                    text,
                    format_args!("  \"{prefix}{from}\" -> \"{prefix}{to}\" [tooltip=\"{why}\"];"),
                );
            }
        }
    }

    fn mermaid(&self, text: &mut String, names: &Names<'_>) {
        let id = |index: StepIndex| match names.at {
            0 => format!("s{}", index.0),
            at => format!("s{at}_{}", index.0),
        };
        for (index, node) in self.steps() {
            let label = format!("{}<br/>{}", node.key, caption(node.step())).replace('"', "#quot;");
            line(text, format_args!("  {}[\"{label}\"]", id(index)));
        }
        for (index, node) in self.steps() {
            for edge in node.predecessors() {
                line(text, format_args!("  {} --> {}", id(edge.from), id(index)));
            }
            if let Some(called) = names.called(node) {
                line(text, format_args!("  {} -.-> c{called}", id(index)));
            }
        }
    }

    fn names(&self, wave: &[StepIndex]) -> Vec<&str> {
        wave.iter()
            .map(|index| self.node(*index).key.as_str())
            .collect()
    }

    /// The wave a step is in, from 0.
    fn wave(&self, index: StepIndex) -> usize {
        self.waves()
            .iter()
            .position(|wave| wave.binary_search(&index).is_ok())
            .unwrap_or(0)
    }
}

fn timeout(step: &Step) -> Option<f64> {
    let timeout = step.timeout.or_else(|| step.uses.timeout());
    timeout.map(|it| it.as_secs_f64())
}

/// The connector, or the expression that will name it.
pub(super) fn target(step: &Step) -> Option<String> {
    step.target.as_ref().map(source)
}

/// A value roughly as it was written.
fn source(template: &Template) -> String {
    match template {
        Template::Literal(value) => value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned),
        Template::Expr(expr) => format!("${{ {} }}", expr.source().trim()),
        Template::Text(_) | Template::Array(_) | Template::Object(_) => {
            "(with expressions)".to_owned()
        }
    }
}

pub(super) fn caption(step: &Step) -> String {
    let place = target(step)
        .map(|it| format!(" on {it}"))
        .unwrap_or_default();
    let each = step.for_each.as_ref().map(|each| {
        let together = if each.concurrent { ", together" } else { "" };
        format!(" for each {} in {}{together}", each.var, source(&each.list))
    });
    format!("{}{place}{}", step.uses.id(), each.unwrap_or_default())
}

pub(super) fn reasons(edge: &Edge) -> Vec<String> {
    edge.why.iter().map(ToString::to_string).collect()
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    if writeln!(text, "{arguments}").is_err() {
        text.push('\n');
    }
}
