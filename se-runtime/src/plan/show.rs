//! A plan for people and for tools: text, JSON, Graphviz, Mermaid.

use std::fmt::Write as _;

use se_dsl::checked::Step;
use serde_json::{Value, json};

use super::{Edge, Node, Plan, StepIndex};

impl Plan {
    /// Every step with its wave, what it waits for and why.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let steps: Vec<Value> = self
            .steps()
            .map(|(index, node)| self.step_json(index, node))
            .collect();
        let waves: Vec<Vec<&str>> = self.waves().iter().map(|wave| self.keys(wave)).collect();
        json!({"steps": steps, "waves": waves})
    }

    fn step_json(&self, index: StepIndex, node: &Node) -> Value {
        let step = node.step();
        let predecessors: Vec<Value> = node
            .predecessors()
            .iter()
            .map(|edge| json!({"step": self.node(edge.from).key, "why": reasons(edge)}))
            .collect();
        json!({
            "id": node.key,
            "job": format!("{}@{}", node.job().name, node.job().version),
            "uses": step.uses.id(),
            "target": target(step),
            "stage": step.stage,
            "effect": step.uses.effect,
            "repeatable": step.uses.repeatable,
            "timeout_seconds": step.timeout.unwrap_or_else(|| step.uses.timeout()).as_secs_f64(),
            "wave": self.wave(index) + 1,
            "predecessors": predecessors,
        })
    }

    /// Waves of steps; behind each step what it waits for.
    #[must_use]
    pub fn to_text(&self) -> String {
        let width = self
            .steps()
            .map(|(_, node)| node.key.chars().count())
            .max()
            .unwrap_or(0);
        let mut text = String::new();
        for (number, wave) in self.waves().iter().enumerate() {
            let count = wave.len();
            let plural = if count == 1 { "" } else { "s, together" };
            line(
                &mut text,
                format_args!("wave {}: {count} step{plural}", number + 1),
            );
            for index in wave {
                self.step_text(&mut text, self.node(*index), width);
            }
        }
        text
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

    /// Graphviz.
    #[must_use]
    pub fn to_dot(&self) -> String {
        let mut text =
            "digraph plan {\n  rankdir=LR;\n  node [shape=box, fontname=sans];\n".to_owned();
        for (_, node) in self.steps() {
            let label = format!("{}\\n{}", escape(&node.key), escape(&caption(node.step())));
            line(
                &mut text,
                format_args!("  \"{}\" [label=\"{label}\"];", escape(&node.key)),
            );
        }
        for (_, node) in self.steps() {
            for edge in node.predecessors() {
                let (from, to) = (escape(&self.node(edge.from).key), escape(&node.key));
                let why = escape(&reasons(edge).join("; "));
                line(
                    &mut text,
                    format_args!("  \"{from}\" -> \"{to}\" [tooltip=\"{why}\"];"),
                );
            }
        }
        text.push_str("}\n");
        text
    }

    /// Mermaid.
    #[must_use]
    pub fn to_mermaid(&self) -> String {
        let mut text = "flowchart LR\n".to_owned();
        for (index, node) in self.steps() {
            let label = format!("{}<br/>{}", node.key, caption(node.step())).replace('"', "#quot;");
            line(&mut text, format_args!("  s{}[\"{label}\"]", index.0));
        }
        for (index, node) in self.steps() {
            for edge in node.predecessors() {
                line(
                    &mut text,
                    format_args!("  s{} --> s{}", edge.from.0, index.0),
                );
            }
        }
        text
    }

    fn keys(&self, wave: &[StepIndex]) -> Vec<&str> {
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

/// The connector, or the expression that will name it.
pub(super) fn target(step: &Step) -> Option<String> {
    use se_dsl::expr::Template;
    match step.target.as_ref()? {
        Template::Literal(value) => Some(
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned),
        ),
        Template::Expr(expr) => Some(format!("${{ {} }}", expr.source().trim())),
        Template::Text(_) | Template::Array(_) | Template::Object(_) => {
            Some("(an expression)".to_owned())
        }
    }
}

pub(super) fn caption(step: &Step) -> String {
    let place = target(step)
        .map(|it| format!(" on {it}"))
        .unwrap_or_default();
    format!("{}{place}", step.uses.id())
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
