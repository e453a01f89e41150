//! One step: what it uses exists and is used as it wants to be.

use serde_json::Value;

use super::Package;
use super::inputs::known_ids;
use crate::catalog::{self, Primitive, Target};
use crate::checked::Capture;
use crate::diagnostic::codes::{document, names};
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
    "ports_alloc",
    "ports_release",
    "tags_sync",
    "grade_item",
    "generate_phase_report",
    "lds_provision",
    "lds_deregister",
    "capture_configs",
];

impl Package<'_, '_> {
    /// The primitive that a step uses.
    pub(super) fn uses(&self, uses: &Spanned<String>) -> Option<&'static Primitive> {
        if uses.value.starts_with("composite:") {
            let help = "write the composite's steps out";
            let what = "`composite:` in `uses`";
            self.sink.push(document::not_supported(
                uses.span,
                what,
                Severity::Error,
                help,
            ));
            return None;
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
            return Some(primitive);
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
                None => names::unknown_primitive(uses, &known_ids()),
            });
        None
    }

    /// Whether a step names a connector that exists, if it must and only then.
    pub(super) fn target(&self, doc: &StepDoc, primitive: &Primitive, head: Span) {
        match (&doc.target, primitive.target) {
            (None, Target::Required) => self.sink.push(names::missing_target(head, primitive)),
            (Some(target), Target::Forbidden) => {
                self.sink
                    .push(names::needless_target(target.key_span, primitive));
            }
            (Some(target), Target::Required) => self.connector(target),
            (None, Target::Forbidden) => {}
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
        let Some(known) = self.connector_names() else {
            return;
        };
        if !known.contains(&name.as_str()) {
            let name = Spanned::new(name, input.node.span);
            self.sink.push(names::unknown_connector(&name, &known));
        }
    }

    /// What a step captures, each with its place.
    pub(super) fn captures(&self, doc: &StepDoc, primitive: &Primitive) -> Vec<(Capture, Span)> {
        let mut captures = Vec::new();
        for pair in &doc.capture {
            let (mut output, mut path) = (&pair.key, &pair.value);
            let is_output = |name: &str| primitive.output(name).is_some();
            match (is_output(&output.value), is_output(&path.value)) {
                (true, _) => {}
                (false, true) => {
                    std::mem::swap(&mut output, &mut path);
                    let at = pair.key.span;
                    let found = names::reversed_capture(at, &output.value, &path.value);
                    self.sink.push(found);
                }
                (false, false) => self.sink.push(names::unknown_output(output, primitive)),
            }
            let parts: Vec<String> = path.value.split('.').map(str::to_owned).collect();
            if parts.iter().any(String::is_empty) {
                let grammar = "a name, or names with dots between them, as `sw01.show_vlan`";
                let what = "a captured variable";
                self.sink
                    .push(document::bad_name(path.span, what, &path.value, grammar));
                continue;
            }
            let capture = Capture {
                output: output.value.clone(),
                path: parts,
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
                (Root::RuntimeEnv, [devices, device, ..]) if devices == "devices" => {
                    self.device(node, device);
                }
                _ => {}
            }
        }
    }

    fn content_file(&self, node: &Node, handle: &str) {
        let files = &self.documents.files;
        if !files.contains_key(handle) {
            let at = place(node, &format!("content.files.{handle}"));
            let known: Vec<&str> = files.keys().map(String::as_str).collect();
            let name = Spanned::new(handle.to_owned(), at);
            self.sink.push(names::unknown_file(&name, &known));
        }
    }

    /// A worker may know more devices than the package: only what looks like a slip is told.
    fn device(&self, node: &Node, device: &str) {
        let facts = self.documents.pod_facts["devices"].as_object();
        let known: Vec<&str> = facts
            .into_iter()
            .flat_map(|facts| facts.keys().map(String::as_str))
            .collect();
        if !known.contains(&device) && nearest(device, known.iter().copied()).is_some() {
            let at = place(node, &format!("runtime_env.devices.{device}"));
            let name = Spanned::new(device.to_owned(), at);
            self.sink.push(names::unknown_pod_device(&name, &known));
        }
    }
}

/// Where `needle` stands in the texts of a node, or the node.
pub(super) fn place(node: &Node, needle: &str) -> Span {
    find(node, needle).unwrap_or(node.span)
}

fn find(node: &Node, needle: &str) -> Option<Span> {
    match &node.kind {
        Kind::Str(text) => {
            let at = text.value.find(needle)?;
            Some(text.span_of(&(at..at + needle.len()), node.span))
        }
        Kind::Seq(items) => items.iter().find_map(|item| find(item, needle)),
        Kind::Map(map) => map.iter().find_map(|(_, entry)| find(&entry.value, needle)),
        Kind::Refused | Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) => None,
    }
}
