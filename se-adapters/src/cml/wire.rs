//! What the controller's API says, as it says it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::lab::{ConfigFile, End, Shape};

/// Body of `POST authenticate`.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Login<'a> {
    pub(super) username: &'a str,
    pub(super) password: &'a str,
}

/// `GET system_information`.
#[derive(Debug, Deserialize)]
pub(super) struct SystemInformation {
    pub(super) version: String,
    #[serde(default = "yes")]
    pub(super) ready: bool,
}

fn yes() -> bool {
    true
}

/// `GET populate_lab_tiles`.
#[derive(Debug, Deserialize)]
pub(super) struct LabTiles {
    pub(super) lab_tiles: BTreeMap<String, Lab>,
}

/// `GET labs/{id}`, and one of the tiles.
#[derive(Debug, Deserialize)]
pub(super) struct Lab {
    pub(super) id: String,
    pub(super) state: String,
    #[serde(default)]
    pub(super) lab_title: String,
    #[serde(default)]
    pub(super) lab_notes: Option<String>,
    #[serde(default)]
    pub(super) created: Value,
}

/// `POST import`.
#[derive(Debug, Deserialize)]
pub(super) struct Imported {
    pub(super) id: String,
    #[serde(default)]
    pub(super) warnings: Vec<String>,
}

/// One of `GET labs/{id}/nodes?data=true`.
#[derive(Debug, Deserialize)]
pub(super) struct Node {
    pub(super) id: String,
    pub(super) label: String,
    #[serde(default)]
    pub(super) node_definition: String,
    #[serde(default)]
    pub(super) tags: Option<Vec<String>>,
}

/// Body of `PATCH labs/{id}/nodes/{id}`.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Tags<'a> {
    pub(super) tags: &'a [String],
}

/// Body of `PATCH labs/{id}`.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Description<'a> {
    pub(super) title: &'a str,
    pub(super) notes: &'a str,
}

/// What `GET labs/{id}/nodes/{id}` says of a configuration.
#[derive(Debug, Deserialize)]
pub(super) struct NodeConfiguration {
    #[serde(default)]
    pub(super) configuration: Option<Configuration>,
}

/// One text, or, from 2.7 on, files.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Configuration {
    Text(String),
    Files(Vec<NamedFile>),
}

/// A file of a configuration.
#[derive(Debug, Deserialize)]
pub(super) struct NamedFile {
    #[serde(default)]
    name: String,
    #[serde(default)]
    content: Option<String>,
}

/// The files that say something.
pub(super) fn files(configuration: Configuration) -> Vec<ConfigFile> {
    let files = match configuration {
        Configuration::Text(content) => vec![(String::new(), content)],
        Configuration::Files(files) => {
            let file = |it: NamedFile| (it.name, it.content.unwrap_or_default());
            files.into_iter().map(file).collect()
        }
    };
    let file = |(name, content)| ConfigFile { name, content };
    let said = |it: &ConfigFile| !it.content.trim().is_empty();
    files.into_iter().map(file).filter(said).collect()
}

/// `GET labs/{id}/lab_element_state`.
#[derive(Debug, Deserialize)]
pub(super) struct ElementStates {
    pub(super) nodes: BTreeMap<String, String>,
}

/// `GET labs/{id}/simulation_stats`.
#[derive(Debug, Deserialize)]
pub(super) struct SimulationStats {
    #[serde(default)]
    pub(super) nodes: BTreeMap<String, NodeStats>,
}

/// What one node uses.
#[derive(Debug, Deserialize)]
pub(super) struct NodeStats {
    pub(super) cpu_usage: Option<f64>,
    pub(super) ram_usage: Option<f64>,
    pub(super) disk_usage: Option<f64>,
}

/// `GET system_stats`.
#[derive(Debug, Deserialize)]
pub(super) struct SystemStats {
    #[serde(default)]
    pub(super) computes: BTreeMap<String, Compute>,
    pub(super) all: Option<Usage>,
}

/// One compute host.
#[derive(Debug, Deserialize)]
pub(super) struct Compute {
    pub(super) stats: Option<ComputeStats>,
}

/// What runs on a compute host.
#[derive(Debug, Deserialize)]
pub(super) struct ComputeStats {
    pub(super) dominfo: Option<Domains>,
}

/// How many nodes run.
#[derive(Debug, Deserialize)]
pub(super) struct Domains {
    pub(super) running_nodes: Option<u64>,
}

/// What is in use.
#[derive(Debug, Deserialize)]
pub(super) struct Usage {
    pub(super) cpu: Option<Cpu>,
    pub(super) memory: Option<Space>,
    pub(super) disk: Option<Space>,
}

/// How busy the processors are.
#[derive(Debug, Deserialize)]
pub(super) struct Cpu {
    pub(super) percent: Option<f64>,
}

/// Bytes.
#[derive(Debug, Deserialize)]
pub(super) struct Space {
    pub(super) used: u64,
    pub(super) total: u64,
}

/// The sentence in the body of a refusal.
pub(super) fn description(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    Some(match value.get("description")? {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}

/// A topology, as files write it and as `GET labs/{id}/topology` does: they name the ends of a link
/// differently.
#[derive(Debug, Deserialize)]
struct Topology {
    #[serde(default)]
    nodes: Vec<TopologyNode>,
    #[serde(default)]
    links: Vec<TopologyLink>,
}

#[derive(Debug, Deserialize)]
struct TopologyNode {
    id: String,
    label: String,
    #[serde(default)]
    node_definition: String,
    #[serde(default)]
    interfaces: Vec<TopologyInterface>,
}

#[derive(Debug, Deserialize)]
struct TopologyInterface {
    id: String,
    #[serde(default)]
    label: String,
}

#[derive(Debug, Deserialize)]
struct TopologyLink {
    #[serde(alias = "node_a")]
    n1: Option<String>,
    #[serde(alias = "node_b")]
    n2: Option<String>,
    #[serde(alias = "interface_a")]
    i1: String,
    #[serde(alias = "interface_b")]
    i2: String,
}

/// The shape of a topology document.
///
/// # Errors
/// What about it cannot be read.
pub(crate) fn shape_of_document(document: &Value) -> Result<Shape, String> {
    let topology = Topology::deserialize(document).map_err(|error| error.to_string())?;
    let end = |node: Option<&str>, interface: &str| -> End {
        // Files number interfaces per node, the API gives them ids of their own.
        let owner = topology.nodes.iter().find(|it| match node {
            Some(id) => it.id == id,
            None => it.interfaces.iter().any(|it| it.id == interface),
        });
        let Some(owner) = owner else {
            return (String::new(), interface.to_owned());
        };
        let label = owner.interfaces.iter().find(|it| it.id == interface);
        let label = label.map_or(interface, |it| it.label.as_str());
        (owner.label.clone(), label.to_owned())
    };
    let links = topology.links.iter().map(|link| {
        (
            end(link.n1.as_deref(), &link.i1),
            end(link.n2.as_deref(), &link.i2),
        )
    });
    let nodes = topology
        .nodes
        .iter()
        .map(|it| (it.label.clone(), it.node_definition.clone()));
    Ok(Shape::new(nodes, links))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{description, shape_of_document};

    #[test]
    fn a_file_and_the_api_give_one_shape() {
        let file = json!({
            "lab": {"title": "t"},
            "nodes": [
                {"id": "n0", "label": "a", "node_definition": "iosv", "configuration": "x",
                 "interfaces": [{"id": "i0", "label": "Gi0/0"}]},
                {"id": "n1", "label": "b", "node_definition": "iosv",
                 "interfaces": [{"id": "i0", "label": "Gi0/1"}]},
            ],
            "links": [{"id": "l0", "n1": "n0", "n2": "n1", "i1": "i0", "i2": "i0"}],
        });
        let api = json!({
            "lab": {"title": "other", "owner": "u"},
            "nodes": [
                {"id": "7f", "label": "b", "node_definition": "iosv", "x": 1,
                 "interfaces": [{"id": "81", "label": "Gi0/1"}]},
                {"id": "7e", "label": "a", "node_definition": "iosv",
                 "interfaces": [{"id": "80", "label": "Gi0/0"}]},
            ],
            "links": [{"id": "90", "node_a": "7f", "node_b": "7e",
                       "interface_a": "81", "interface_b": "80"}],
        });
        assert_eq!(shape_of_document(&file), shape_of_document(&api));
        let mut changed = api.clone();
        changed["nodes"][0]["interfaces"][0]["label"] = json!("Gi0/2");
        assert_ne!(shape_of_document(&changed), shape_of_document(&api));
        let mut changed = api.clone();
        changed["nodes"][0]["node_definition"] = json!("iosvl2");
        assert_ne!(shape_of_document(&changed), shape_of_document(&api));
    }

    #[test]
    fn a_refusal_tells_its_reason() {
        let of = |text: &str| description(text.as_bytes());
        assert_eq!(
            of(r#"{"code": 404, "description": "Lab not found: x"}"#).as_deref(),
            Some("Lab not found: x")
        );
        assert_eq!(
            of(r#"{"code": 400, "description": {"Input validation failed": []}}"#).as_deref(),
            Some(r#"{"Input validation failed":[]}"#)
        );
        assert_eq!(of("<html>"), None);
    }
}
