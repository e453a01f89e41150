//! Topology documents as a controller accepts them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Versions of the topology schema that controllers up to 2.10 read.
const VERSIONS: [&str; 11] = [
    "0.0.1", "0.0.2", "0.0.3", "0.0.4", "0.0.5", "0.1.0", "0.2.0", "0.2.1", "0.2.2", "0.3.0",
    "0.3.1",
];

/// A whole topology.
#[derive(Debug, Deserialize)]
pub(super) struct Document {
    pub(super) lab: Head,
    pub(super) nodes: Vec<Node>,
    pub(super) links: Vec<Link>,
}

/// About the lab.
#[derive(Debug, Deserialize)]
pub(super) struct Head {
    #[serde(default)]
    pub(super) title: Option<String>,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) notes: String,
    version: Value,
}

/// A node.
#[derive(Debug, Deserialize)]
pub(super) struct Node {
    pub(super) id: String,
    pub(super) label: String,
    pub(super) node_definition: String,
    #[serde(default)]
    pub(super) x: Value,
    #[serde(default)]
    pub(super) y: Value,
    #[serde(default)]
    pub(super) configuration: Value,
    #[serde(default)]
    pub(super) tags: Vec<String>,
    #[serde(default)]
    pub(super) interfaces: Vec<Interface>,
}

/// An interface of a node.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Interface {
    pub(super) id: String,
    pub(super) label: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) slot: Option<u32>,
}

/// A link between interfaces of two nodes.
#[derive(Debug, Deserialize)]
pub(super) struct Link {
    pub(super) n1: String,
    pub(super) n2: String,
    pub(super) i1: String,
    pub(super) i2: String,
    #[serde(default)]
    pub(super) label: Option<String>,
}

/// Reads a topology in YAML or JSON.
///
/// # Errors
/// The description of the refusal.
pub(super) fn read(text: &str) -> Result<Document, String> {
    let value: Value = serde_saphyr::from_str(text)
        .map_err(|error| invalid(&["body"], format!("not valid YAML: {error}")))?;
    let document =
        Document::deserialize(&value).map_err(|it| invalid(&["body"], it.to_string()))?;
    let version = document.lab.version.as_str().unwrap_or_default();
    if !VERSIONS.contains(&version) {
        let message = format!("{} is not a known schema version", document.lab.version);
        return Err(invalid(&["body", "lab", "version"], message));
    }
    if let Some(title) = &document.lab.title {
        fits_a_title(title)?;
    }
    let mut seen = BTreeSet::new();
    for node in &document.nodes {
        if !seen.insert(("id", &node.id)) || !seen.insert(("label", &node.label)) {
            let message = format!("node `{}` is there twice", node.label);
            return Err(invalid(&["body", "nodes"], message));
        }
    }
    for link in &document.links {
        for (node, interface) in [(&link.n1, &link.i1), (&link.n2, &link.i2)] {
            if document.interface(node, interface).is_none() {
                let message = format!("link to {node}/{interface}, which is not there");
                return Err(invalid(&["body", "links"], message));
            }
        }
    }
    Ok(document)
}

fn invalid(place: &[&str], message: String) -> String {
    let problem = json!({"location": place, "type": "value_error", "message": message});
    json!({"Input validation failed": [problem]}).to_string()
}

/// Whether a lab may be called so.
///
/// # Errors
/// The description of the refusal.
pub(super) fn fits_a_title(title: &str) -> Result<(), String> {
    if (1..=64).contains(&title.chars().count()) {
        return Ok(());
    }
    let message = "String should have 1 to 64 characters".to_owned();
    Err(invalid(&["body", "lab", "title"], message))
}

impl Document {
    /// The interface of that id on the node of that id, by their places.
    pub(super) fn interface(&self, node: &str, interface: &str) -> Option<(usize, usize)> {
        let node = self.nodes.iter().position(|it| it.id == node)?;
        let interfaces = &self.nodes.get(node)?.interfaces;
        let interface = interfaces.iter().position(|it| it.id == interface)?;
        Some((node, interface))
    }
}
