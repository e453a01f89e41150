//! What is known of a pod before there is one: ports, groups, devices.

use serde_json::{Map, Value, json};

use super::ports;
use super::topology::{TopologyDoc, as_text, get};
use crate::decode::shape::{Shape, Value as Holds, optional, required};
use crate::decode::{Fields, Sink, count, list, mapping, name, texts, to_json};
use crate::diagnostic::codes::document;
use crate::syntax::{Kind, Mapping, Node};

/// The name under which ports.json lists the pod's control node.
const CONTROL_NODE: &str = "control_node";

/// `topology/ports.json`.
pub(crate) static PORTS: Shape = Shape::new(
    "ports.json",
    "The ports of a pod's devices, and its groups of devices. PAv1/topology/ports.json.",
    &[
        required(
            "ports",
            Holds::List(&Holds::Shape(&DEVICE)),
            "The devices and their ports; control_node is the pod's own node.",
        ),
        optional(
            "groups",
            Holds::Map(&Holds::List(&Holds::Text)),
            "Groups of devices by name: runtime_env.device_groups.",
        ),
    ],
);

static DEVICE: Shape = Shape::new(
    "a device of ports.json",
    "A device and its ports.",
    &[
        required("device", Holds::Text, "The device's name."),
        optional("serial", PORT, "The port of its serial console."),
        optional("vnc", PORT, "The port of its screen."),
        optional(
            "pat",
            Holds::Named("^[0-9]+$", &PORT),
            "Translated ports: each outer port with the inner one.",
        ),
    ],
);

const PORT: Holds = Holds::Count(1, 65_535);

/// Ports of one device.
#[derive(Default)]
struct Ports {
    serial: Option<u64>,
    vnc: Option<u64>,
    /// Outer and inner port of each translation.
    pat: Vec<(u64, u64)>,
}

pub(super) fn collect(
    sink: &Sink<'_>,
    ports: Option<&Node>,
    topology: Option<&TopologyDoc>,
    devices: Option<&Node>,
) -> Value {
    let mut facts = Facts::default();
    match ports {
        Some(node) => {
            facts.read_ports(sink, node);
            ports::check(sink, node, topology);
        }
        None => topology.iter().for_each(|doc| facts.read_tags(doc)),
    }
    if let Some(node) = devices {
        facts.read_devices(node);
    }
    let mut value = json!({
        "devices": facts.devices,
        "device_groups": facts.groups,
        CONTROL_NODE: facts.control_node,
    });
    if let Some(instance) = facts.instance {
        value["instance"] = instance;
    }
    value
}

impl Ports {
    /// `serial:5041`, `vnc:5044`, `pat:5052:22`; other tags mean something to somebody else.
    fn read_tag(&mut self, tag: &str) {
        let words: Vec<&str> = tag.split(':').collect();
        let number = |word: &str| word.parse().ok();
        match words.as_slice() {
            ["serial", port] => self.serial = number(port),
            ["vnc", port] => self.vnc = number(port),
            ["pat", outer, inner] => self.pat.extend(number(outer).zip(number(inner))),
            _ => {}
        }
    }
}

#[derive(Default)]
struct Facts {
    devices: Map<String, Value>,
    groups: Map<String, Value>,
    control_node: Map<String, Value>,
    instance: Option<Value>,
}

impl Facts {
    fn device(&mut self, name: &str) -> &mut Map<String, Value> {
        if name == CONTROL_NODE {
            return &mut self.control_node;
        }
        let device = self
            .devices
            .entry(name)
            .or_insert_with(|| Value::Object(Map::new()));
        device
            .as_object_mut()
            .expect("only objects are put into devices")
    }

    fn add(&mut self, name: &str, ports: &Ports) {
        let device = self.device(name);
        if let Some(port) = ports.serial {
            device.insert("serial_port".to_owned(), Value::from(port));
        }
        if let Some(port) = ports.vnc {
            device.insert("vnc_port".to_owned(), Value::from(port));
        }
        let ssh = ports.pat.iter().find(|(_, inner)| *inner == 22);
        let only = (ports.pat.len() == 1).then(|| &ports.pat[0]);
        if let Some((outer, _)) = ssh.or(only) {
            device.insert("pat_port".to_owned(), Value::from(*outer));
        }
    }

    /// `{ports: [{device, serial?, vnc?, pat?}], groups?}`.
    fn read_ports(&mut self, sink: &Sink<'_>, node: &Node) {
        let Some(fields) = Fields::open(sink, node, &PORTS) else {
            return;
        };
        let ports = fields
            .get("ports")
            .and_then(|node| list(sink, node, "ports"));
        let groups = fields.get("groups");
        fields.close();
        for item in ports.unwrap_or_default() {
            if let Some((name, ports)) = device_ports(sink, item) {
                self.add(&name, &ports);
            }
        }
        let groups = groups.and_then(|node| mapping(sink, node, "groups"));
        for (group, entry) in groups.into_iter().flat_map(Mapping::iter) {
            let names = texts(sink, &entry.value, "a group of devices").unwrap_or_default();
            let names = names
                .into_iter()
                .map(|name| Value::from(name.value))
                .collect();
            self.groups.insert(group.to_owned(), Value::Array(names));
        }
    }

    /// Tags of the topology's nodes.
    fn read_tags(&mut self, doc: &TopologyDoc) {
        for (label, tags) in &doc.tags {
            let mut ports = Ports::default();
            tags.iter().for_each(|tag| ports.read_tag(tag));
            self.add(label, &ports);
        }
    }

    /// An object holds facts of the instance; an array lists devices.
    fn read_devices(&mut self, node: &Node) {
        let Kind::Seq(items) = &node.kind else {
            self.instance = Some(to_json(node));
            return;
        };
        for item in items {
            let name = ["name", "device", "label"]
                .iter()
                .find_map(|key| get(item, key));
            let (Some(name), Value::Object(facts)) = (name.and_then(as_text), to_json(item)) else {
                continue;
            };
            let device = self.device(name);
            for (key, value) in facts {
                device.entry(key).or_insert(value);
            }
        }
    }
}

fn device_ports(sink: &Sink<'_>, node: &Node) -> Option<(String, Ports)> {
    let fields = Fields::open(sink, node, &DEVICE)?;
    let device = fields
        .get("device")
        .and_then(|node| name(sink, node, "device"));
    let mut ports = Ports {
        serial: fields
            .get("serial")
            .and_then(|node| port(sink, node, "serial")),
        vnc: fields.get("vnc").and_then(|node| port(sink, node, "vnc")),
        pat: Vec::new(),
    };
    let pat = fields
        .get("pat")
        .and_then(|node| mapping(sink, node, "pat"));
    if let Some(pat) = pat {
        for (outer, entry) in pat.iter() {
            let inner = port(sink, &entry.value, "an inner port");
            let outer = outer
                .parse()
                .ok()
                .filter(|port| (1..=65_535).contains(port));
            if outer.is_none() {
                let must = "a port from 1 to 65535";
                sink.push(document::out_of_range(
                    entry.key_span,
                    "an outer port",
                    must,
                ));
            }
            ports.pat.extend(outer.zip(inner));
        }
    }
    fields.close();
    Some((device?.value, ports))
}

fn port(sink: &Sink<'_>, node: &Node, what: &str) -> Option<u64> {
    let port = count(sink, node, what)?;
    if !(1..=65_535).contains(&port) {
        sink.push(document::out_of_range(
            node.span,
            what,
            "a port from 1 to 65535",
        ));
        return None;
    }
    Some(port)
}
