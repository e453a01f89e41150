//! Which devices a package has, and on which ports.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The device that is the control node.
pub(super) const CONTROL_NODE: &str = "control_node";

#[derive(Debug)]
pub(super) struct Layout {
    pub(super) devices: Vec<Ports>,
}

/// A device's ports, as the package numbers them.
#[derive(Debug)]
pub(super) struct Ports {
    pub(super) device: String,
    /// The node of the topology that it is.
    pub(super) node: String,
    pub(super) serial: Option<u16>,
    pub(super) vnc: Option<u16>,
    /// The outer port of SSH.
    pub(super) pat: Option<u16>,
}

#[derive(Deserialize)]
struct PortsFile {
    ports: Vec<PortsOf>,
}

#[derive(Deserialize)]
struct PortsOf {
    device: String,
    serial: Option<u16>,
    vnc: Option<u16>,
    #[serde(default)]
    pat: BTreeMap<String, u16>,
}

#[derive(Deserialize)]
struct Topology {
    #[serde(default)]
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    label: String,
    #[serde(default)]
    tags: Vec<String>,
}

impl Layout {
    /// The devices of a package; of a session, those of all its parts.
    pub(super) fn read(package: &Path) -> io::Result<Self> {
        let mut devices = Vec::new();
        for folder in folders(package)? {
            devices.extend(devices_in(&folder)?);
        }
        if devices.is_empty() {
            let text = format!(
                "{} names no device: it needs topology/ports.json, or topology/cml.yaml with \
                 `serial:` tags",
                package.join("PAv1").display()
            );
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        Ok(Self { devices })
    }
}

/// Where topologies lie: below the package, and below each of its parts, in order.
fn folders(package: &Path) -> io::Result<Vec<PathBuf>> {
    let root = package.join("PAv1");
    let parts = root.join("parts");
    let mut folders = Vec::new();
    if parts.is_dir() {
        for part in fs::read_dir(&parts).map_err(|error| unreadable(&parts, &error))? {
            let part = part.map_err(|error| unreadable(&parts, &error))?;
            folders.push(part.path().join("topology"));
        }
    }
    folders.sort();
    folders.insert(0, root.join("topology"));
    Ok(folders)
}

fn devices_in(folder: &Path) -> io::Result<Vec<Ports>> {
    let file = folder.join("cml.yaml");
    let nodes = match text(&file)? {
        Some(text) => {
            serde_saphyr::from_str::<Topology>(&text)
                .map_err(|error| unreadable(&file, &error))?
                .nodes
        }
        None => Vec::new(),
    };
    let file = folder.join("ports.json");
    Ok(match text(&file)? {
        Some(text) => {
            let all: PortsFile =
                serde_json::from_str(&text).map_err(|error| unreadable(&file, &error))?;
            all.ports.into_iter().map(|it| it.place(&nodes)).collect()
        }
        None => nodes.iter().filter_map(Node::ports).collect(),
    })
}

impl PortsOf {
    fn place(self, nodes: &[Node]) -> Ports {
        let tagged = |it: &&Node| it.serial().is_some() && it.serial() == self.serial;
        let node = nodes.iter().find(tagged).map(|it| it.label.clone());
        let inner = |number: u16| self.pat.iter().find(|(_, it)| **it == number);
        let pat = inner(22).or_else(|| self.pat.iter().next());
        Ports {
            node: node.unwrap_or_else(|| self.device.clone()),
            serial: self.serial,
            vnc: self.vnc,
            pat: pat.and_then(|(outer, _)| outer.parse().ok()),
            device: self.device,
        }
    }
}

impl Node {
    fn tag(&self, name: &str) -> Option<&str> {
        let mut tags = self.tags.iter().filter_map(|it| it.split_once(':'));
        tags.find(|(it, _)| *it == name).map(|it| it.1)
    }

    /// `serial:<port>[:<line>]`.
    fn serial(&self) -> Option<u16> {
        self.tag("serial")?.split(':').next()?.parse().ok()
    }

    fn ports(&self) -> Option<Ports> {
        let outer = self.tag("pat").map(|it| it.trim_start_matches("tcp:"));
        Some(Ports {
            device: self.label.clone(),
            node: self.label.clone(),
            serial: Some(self.serial()?),
            vnc: self.tag("vnc").and_then(|it| it.parse().ok()),
            pat: outer.and_then(|it| it.split(':').next()?.parse().ok()),
        })
    }
}

fn text(file: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(file, &error)),
    }
}

fn unreadable(file: &Path, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {error}", file.display()))
}
