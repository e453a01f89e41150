//! Names below the frozen scopes that are never there.

use super::super::place::Place;
use super::super::spelled::places;
use super::inputs;
use crate::diagnostic::codes::lints;
use crate::diagnostic::nearest;
use crate::document::StepDoc;
use crate::expr::{Reads, Root, Template};
use crate::syntax::Node;

/// All that `content` has.
const CONTENT: &[&str] = &[
    "definition_id",
    "name",
    "part",
    "form_fqn",
    "version",
    "content_version",
    "content_hash",
    "pod_type",
    "lab_root",
    "files",
];

/// What `runtime_env` usually has.
const RUNTIME_ENV: &[&str] = &[
    "worker_ip",
    "region",
    "lab_id",
    "cml_url",
    "cml_username",
    "cml_password",
    "devices",
    "device_groups",
    "control_node",
    "instance",
];

/// What is usually known of a device.
const DEVICE: &[&str] = &[
    "serial_port",
    "vnc_port",
    "pat_port",
    "prompt",
    "username",
    "password",
    "enable_password",
    "host",
    "host_key",
    "ssh_legacy",
];

/// What a session usually says of itself.
const SESSION: &[&str] = &[
    "session_id",
    "track",
    "exam",
    "form",
    "candidate_id",
    "timeslot",
];

/// Whether names that are not known may be there all the same.
#[derive(Clone, Copy, PartialEq)]
enum Others {
    /// A caller gives more: only what looks like a slip is told.
    Possible,
    Impossible,
}

impl Place<'_, '_> {
    pub(super) fn never_there(&self, doc: &StepDoc) {
        for input in inputs(doc) {
            if let Some(template) = &input.template {
                self.never_there_in(&input.node, template);
            }
        }
    }

    /// Names in one value.
    pub(in super::super) fn never_there_in(&self, node: &Node, template: &Template) {
        let reads = template.reads();
        for (root, path) in Reads::iter(&reads) {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            self.name(node, root, &path);
        }
    }

    fn name(&self, node: &Node, root: Root, path: &[&str]) {
        let facts = &self.tree.pod_facts;
        let keys = |facts: &serde_json::Value| -> Vec<String> {
            let map = facts.as_object();
            map.map(|it| it.keys().cloned().collect())
                .unwrap_or_default()
        };
        let (above, name, common, own, others) = match (root, path) {
            (Root::Content, [name, ..]) => {
                let no_more = Vec::new();
                (String::new(), name, CONTENT, no_more, Others::Impossible)
            }
            (Root::RuntimeEnv, ["devices", device, name, ..]) => {
                let own = keys(&facts["devices"][device]);
                let above = format!("devices.{device}.");
                (above, name, DEVICE, own, Others::Possible)
            }
            (Root::RuntimeEnv, ["control_node", name, ..]) => {
                let own = keys(&facts["control_node"]);
                let above = "control_node.".to_owned();
                (above, name, DEVICE, own, Others::Possible)
            }
            (Root::RuntimeEnv, ["device_groups", name, ..]) => {
                let own = keys(&facts["device_groups"]);
                let above = "device_groups.".to_owned();
                (above, name, &[][..], own, Others::Possible)
            }
            (Root::RuntimeEnv, [name, ..]) => {
                let own = keys(facts);
                (String::new(), name, RUNTIME_ENV, own, Others::Possible)
            }
            (Root::Session, [name, ..]) => {
                let own = Vec::new();
                (String::new(), name, SESSION, own, Others::Possible)
            }
            _ => return,
        };
        let known: Vec<&str> = common
            .iter()
            .copied()
            .chain(own.iter().map(String::as_str))
            .collect();
        if known.contains(name) {
            return;
        }
        let is_slip = nearest(name, known.iter().copied()).is_some();
        if others == Others::Impossible || is_slip {
            let above = format!("{}.{above}", root.as_str());
            let at = places(node, &format!("{above}{name}"));
            self.sink
                .push(lints::never_there(&at, &above, name, &known));
        }
    }
}
