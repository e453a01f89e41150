//! What ports.json says against itself and the topology.

use std::collections::BTreeMap;

use super::topology::{TopologyDoc, as_text, get};
use crate::decode::Sink;
use crate::diagnostic::codes::{lints, names};
use crate::source::{Span, Spanned};
use crate::syntax::{Kind, Node};

/// The name under which ports.json lists the pod's control node, which is no node of the topology.
const CONTROL_NODE: &str = "control_node";

/// Ports given twice, devices that are no nodes, and members of groups that are no devices.
pub(super) fn check(sink: &Sink<'_>, node: &Node, topology: Option<&TopologyDoc>) {
    let devices = get(node, "ports").map(items).unwrap_or_default();
    let mut ports = Ports {
        sink,
        first: BTreeMap::new(),
    };
    let mut known: Vec<&str> = Vec::new();
    for device in devices {
        ports.device(device);
        if let Some(name) = get(device, "device") {
            known.extend(as_text(name));
            self::node(sink, name, topology);
        }
    }
    let Some(Kind::Map(groups)) = get(node, "groups").map(|it| &it.kind) else {
        return;
    };
    known.extend(
        topology
            .iter()
            .flat_map(|it| it.topology.nodes.iter().map(String::as_str)),
    );
    for member in groups.iter().flat_map(|(_, entry)| items(&entry.value)) {
        if let Some(name) = as_text(member).filter(|it| !known.contains(it)) {
            let name = Spanned::new(name.to_owned(), member.span);
            sink.push(names::unknown_member(&name, &known));
        }
    }
}

/// A device is a node of the topology, where there is one.
fn node(sink: &Sink<'_>, name: &Node, topology: Option<&TopologyDoc>) {
    let Some(topology) = topology.filter(|it| !it.topology.nodes.is_empty()) else {
        return;
    };
    let nodes: Vec<&str> = topology.topology.nodes.iter().map(String::as_str).collect();
    let unknown = as_text(name).filter(|it| *it != CONTROL_NODE && !nodes.contains(it));
    if let Some(unknown) = unknown {
        let name = Spanned::new(unknown.to_owned(), name.span);
        sink.push(names::unknown_device(&name, &nodes));
    }
}

struct Ports<'k, 's> {
    sink: &'k Sink<'s>,
    /// Where each port is given first.
    first: BTreeMap<u64, Span>,
}

impl Ports<'_, '_> {
    fn device(&mut self, device: &Node) {
        for key in ["serial", "vnc"] {
            if let Some(node) = get(device, key)
                && let Kind::Int(port) = node.kind
            {
                self.port(u64::try_from(port).ok(), node.span);
            }
        }
        if let Some(Kind::Map(pat)) = get(device, "pat").map(|it| &it.kind) {
            for (outer, entry) in pat.iter() {
                self.port(outer.parse().ok(), entry.key_span);
            }
        }
    }

    fn port(&mut self, port: Option<u64>, span: Span) {
        let Some(port) = port else { return };
        if let Some(first) = self.first.get(&port) {
            self.sink.push(lints::same_port(span, *first, port));
        }
        self.first.entry(port).or_insert(span);
    }
}

fn items(node: &Node) -> &[Node] {
    match &node.kind {
        Kind::Seq(items) => items,
        _ => &[],
    }
}
