//! The topology file. It belongs to the lab software: only what is needed is looked at.

use super::paths::Paths;
use crate::checked::Topology;
use crate::decode::{Sink, mapping};
use crate::diagnostic::codes::document;
use crate::syntax::{self, Kind, Node};

/// A topology and what its nodes' tags say.
pub(super) struct TopologyDoc {
    pub(super) topology: Topology,
    /// Label and tags of each node.
    pub(super) tags: Vec<(String, Vec<String>)>,
}

const PATHS: &[&str] = &[
    "topology/cml.yaml",
    "topology/cml.yml",
    "cml.yaml",
    "cml.yml",
    "topology/radkit.yaml",
    "topology/proxmox.yaml",
    "topology/vmware.yaml",
    "radkit.yaml",
];

/// The topology below `root`.
pub(super) fn read(sink: &Sink<'_>, paths: &Paths<'_>, root: &str) -> Option<TopologyDoc> {
    let file = PATHS
        .iter()
        .find_map(|path| paths.find(&format!("{root}{path}")))?;
    let root = syntax::read(sink, file)?;
    mapping(sink, &root, "the topology")?;
    let name = sink.sources.path(file).rsplit('/').next();
    let is_cml = name.is_some_and(|it| it.starts_with("cml."));
    if is_cml && get(&root, "nodes").is_none() {
        let found = document::missing_field(root.span, "the topology", "nodes");
        sink.push(found);
        return None;
    }
    let title = get(&root, "lab")
        .and_then(|lab| get(lab, "title"))
        .and_then(as_text);
    let mut nodes = Vec::new();
    let mut all_tags = Vec::new();
    for node in get(&root, "nodes").map(items).unwrap_or_default() {
        let Some(label) = get(node, "label").and_then(as_text) else {
            continue;
        };
        let tags = get(node, "tags").map(items).unwrap_or_default();
        let tags = tags.iter().filter_map(as_text).map(str::to_owned).collect();
        nodes.push(label.to_owned());
        all_tags.push((label.to_owned(), tags));
    }
    Some(TopologyDoc {
        topology: Topology {
            path: sink.sources.path(file).to_owned(),
            text: sink.sources.text(file).to_owned(),
            title: title.map(str::to_owned),
            nodes,
        },
        tags: all_tags,
    })
}

pub(super) fn get<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    match &node.kind {
        Kind::Map(map) => map.get(key).map(|entry| &entry.value),
        Kind::Refused
        | Kind::Null
        | Kind::Bool(_)
        | Kind::Int(_)
        | Kind::Float(_)
        | Kind::Str(_)
        | Kind::Seq(_) => None,
    }
}

fn items(node: &Node) -> &[Node] {
    match &node.kind {
        Kind::Seq(items) => items,
        Kind::Refused
        | Kind::Null
        | Kind::Bool(_)
        | Kind::Int(_)
        | Kind::Float(_)
        | Kind::Str(_)
        | Kind::Map(_) => &[],
    }
}

pub(super) fn as_text(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Str(text) => Some(&text.value),
        Kind::Refused
        | Kind::Null
        | Kind::Bool(_)
        | Kind::Int(_)
        | Kind::Float(_)
        | Kind::Seq(_)
        | Kind::Map(_) => None,
    }
}
