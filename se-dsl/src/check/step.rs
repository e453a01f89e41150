//! One step: what it uses exists and is used as it wants to be.

use std::sync::Arc;

use serde_json::Value;

use super::composite;
use super::inputs::known_ids;
use super::place::Place;
use super::spelled::places;
use crate::catalog::{self, Target};
use crate::checked::{Capture, CapturePath, Uses};
use crate::diagnostic::codes::{composites, document, names};
use crate::diagnostic::{Severity, nearest};
use crate::document::{Input, StepDoc};
use crate::expr::{Root, Template};
use crate::source::{Span, Spanned};
use crate::syntax::{Kind, Node};

/// Splits `name@version`.
pub(super) fn split_version(name: &str) -> Option<(&str, &str)> {
    let (name, version) = name.split_once('@')?;
    (!name.is_empty() && !version.is_empty()).then_some((name, version))
}

/// Names of the language that this version has no primitive for.
const LATER: &[&str] = &[
    "grade_item",
    "generate_phase_report",
    "lds_provision",
    "lds_deregister",
];

impl Place<'_, '_> {
    /// What a step uses; `None` if there is no such thing, or it cannot be used.
    pub(super) fn uses(&self, uses: &Spanned<String>) -> Option<Uses> {
        if let Some(name) = uses.value.strip_prefix(composite::PREFIX) {
            return self.composite(uses, name).map(Uses::Composite);
        }
        let Some((name, version)) = split_version(&uses.value) else {
            let found = match catalog::all().iter().find(|it| it.name == uses.value) {
                Some(known) => names::unknown_version(uses.span, known.name, "", known.version),
                None => names::unknown_primitive(uses, &known_ids()),
            };
            self.sink.push(found);
            return None;
        };
        if let Some(primitive) = catalog::find(name, version) {
            return Some(Uses::Primitive(primitive));
        }
        if LATER.contains(&name) {
            let help = "leave the step out";
            let what = format!("`{}`", uses.value);
            self.sink.push(document::not_supported(
                uses.span,
                &what,
                Severity::Error,
                help,
            ));
            return None;
        }
        self.sink
            .push(match catalog::all().iter().find(|it| it.name == name) {
                Some(known) => names::unknown_version(uses.span, name, version, known.version),
                None if self.composites.contains_key(name) => {
                    composites::without_prefix(uses.span, &uses.value)
                }
                None => names::unknown_primitive(uses, &known_ids()),
            });
        None
    }

    fn composite(
        &self,
        uses: &Spanned<String>,
        name: &str,
    ) -> Option<Arc<crate::checked::Composite>> {
        let (name, version) = match split_version(name) {
            Some((name, version)) => (name, version),
            None => (name, ""),
        };
        let Some(known) = self.composites.get(name) else {
            if self.tree.composites.contains_key(name) {
                // It calls this one, and a finding says so.
                return None;
            }
            let known: Vec<String> = self.composites.keys().map(|it| self.shown(it)).collect();
            self.sink.push(composites::unknown_composite(uses, &known));
            return None;
        };
        let known = known.as_ref()?;
        if known.version != version {
            let what = format!("{}{name}", composite::PREFIX);
            let found = names::unknown_version(uses.span, &what, version, &known.version);
            self.sink.push(found);
            return None;
        }
        Some(Arc::clone(known))
    }

    /// `composite:name@version`, as far as it is known.
    fn shown(&self, name: &str) -> String {
        let known = self.composites.get(name).and_then(Option::as_ref);
        known.map_or_else(|| format!("{}{name}@v1", composite::PREFIX), |it| it.id())
    }

    /// Whether a step names a connector that exists, if it must and only then. Inside a composite a step
    /// that names none works on the connector of the call.
    pub(super) fn target(&self, doc: &StepDoc, uses: &Uses, head: Span, may_inherit: bool) {
        match (&doc.target, uses.target()) {
            (None, Target::Required) if !may_inherit => {
                self.sink.push(names::missing_target(head, &uses.id()));
            }
            (Some(target), Target::Forbidden) => {
                self.sink
                    .push(names::needless_target(target.key_span, &uses.id()));
            }
            (Some(target), Target::Required) => {
                self.connector(target);
                self.elements_are_connectors(doc, target);
            }
            (None, Target::Required | Target::Forbidden) => {}
        }
    }

    /// Whether a literal value names a connector.
    pub(super) fn connector(&self, input: &Input) {
        let Some(literal) = input.template.as_ref().and_then(|it| it.literal()) else {
            return;
        };
        let Value::String(name) = literal else {
            let (what, found) = ("a connector's name", input.node.kind.describe());
            self.sink
                .push(document::wrong_type(input.node.span, what, "text", found));
            return;
        };
        self.names_connector(&Spanned::new(name, input.node.span));
    }

    pub(super) fn names_connector(&self, name: &Spanned<String>) {
        let docs = self.tree.connectors.iter().flatten();
        let mut known = docs.map(|doc| &doc.name.value);
        let mut implied = self.connectors.iter().map(|it| &it.name);
        if known.any(|it| *it == name.value) || implied.any(|it| *it == name.value) {
            return;
        }
        if let Some(known) = self.connector_names() {
            self.sink.push(names::unknown_connector(name, &known));
        }
    }

    /// `target: "@dev"` over a list that is written out: each element is a connector.
    fn elements_are_connectors(&self, doc: &StepDoc, target: &Input) {
        let (Some(each), Some(Template::Expr(expr))) = (&doc.for_each, &target.template) else {
            return;
        };
        let Kind::Seq(items) = &each.list.node.kind else {
            return;
        };
        if expr.source().trim() != format!("vars.{}", each.var.value) {
            return;
        }
        for item in items {
            if let Kind::Str(text) = &item.kind
                && !text.value.contains("${")
            {
                self.names_connector(&Spanned::new(text.value.clone(), item.span));
            }
        }
    }

    /// What a step captures, each with its place.
    pub(super) fn captures(&self, doc: &StepDoc, uses: &Uses) -> Vec<(Capture, Span)> {
        let var = doc.for_each.as_ref().map(|it| it.var.value.as_str());
        let taken: Vec<&str> = doc.capture.iter().map(|it| it.key.value.as_str()).collect();
        let mut captures = Vec::new();
        for pair in &doc.capture {
            let (mut output, mut path) = (&pair.key, &pair.value);
            match (uses.has_output(&output.value), uses.has_output(&path.value)) {
                (true, _) => {}
                (false, true) => {
                    std::mem::swap(&mut output, &mut path);
                    self.sink
                        .push(names::reversed_capture(&pair.key, &pair.value));
                }
                (false, false) => self.sink.push(names::unknown_output(output, uses, &taken)),
            }
            let Some(parsed) = CapturePath::parse(&path.value, var) else {
                let grammar = "a name, or names with dots between them, as `sw01.show_vlan`";
                let what = "a captured variable";
                self.sink
                    .push(document::bad_name(path.span, what, &path.value, grammar));
                continue;
            };
            let capture = Capture {
                output: output.value.clone(),
                path: parsed,
            };
            captures.push((capture, path.span));
        }
        captures
    }

    /// Content files and devices that expressions name.
    pub(super) fn facts(&self, node: &Node, template: &Template) {
        for (root, path) in template.reads().iter() {
            match (root, path) {
                (Root::Content, [files, handle, ..]) if files == "files" => {
                    self.content_file(node, handle);
                }
                (Root::RuntimeEnv, [kind, name, ..])
                    if kind == "devices" || kind == "device_groups" =>
                {
                    self.fact(node, kind, name);
                }
                _ => {}
            }
        }
    }

    fn content_file(&self, node: &Node, handle: &str) {
        let files = &self.tree.files;
        if !files.contains_key(handle) {
            let at = places(node, &format!("content.files.{handle}"));
            let known: Vec<&str> = files.keys().map(String::as_str).collect();
            self.sink.push(names::unknown_file(&at, handle, &known));
        }
    }

    /// A worker may know more devices than the package: only what looks like a slip is told.
    fn fact(&self, node: &Node, kind: &str, name: &str) {
        let facts = self.tree.pod_facts[kind].as_object();
        let known: Vec<&str> = facts
            .into_iter()
            .flat_map(|facts| facts.keys().map(String::as_str))
            .collect();
        if !known.contains(&name) && nearest(name, known.iter().copied()).is_some() {
            let at = places(node, &format!("runtime_env.{kind}.{name}"));
            let found = names::unknown_pod_fact(&at, kind, name, &known);
            self.sink.push(found);
        }
    }
}
