//! What a simulated controller shows of a lab.

use serde_json::{Map, Value, json};

use super::api::USER_ID;
use super::lab::{Lab, Refusal};
use super::node::{Link, Node};

impl Lab {
    /// As `GET labs/{id}` and the tiles show it.
    pub(super) fn value(&self) -> Value {
        json!({
            "id": self.id,
            "state": self.state(),
            "created": self.created,
            "modified": self.created,
            "lab_title": self.title,
            "lab_description": self.description,
            "lab_notes": self.notes,
            "owner": USER_ID,
            "owner_username": "admin",
            "node_count": self.nodes.len(),
            "link_count": self.links.len(),
            "groups": [],
        })
    }

    /// As `GET labs/{id}/topology` shows it.
    pub(super) fn topology(&self, with_configurations: bool) -> Value {
        let nodes = self.nodes.iter().map(|node| {
            let mut value = node.value(&self.id);
            if !with_configurations {
                value.remove("configuration");
            }
            let interfaces = node.interfaces.iter().map(|it| json!(it)).collect();
            value.insert("interfaces".to_owned(), interfaces);
            Value::Object(value)
        });
        let links = self.links.iter().map(|link| {
            json!({
                "id": link.id,
                "label": link.label,
                "node_a": link.nodes.0,
                "node_b": link.nodes.1,
                "interface_a": link.interfaces.0,
                "interface_b": link.interfaces.1,
            })
        });
        json!({
            "lab": {
                "title": self.title,
                "description": self.description,
                "notes": self.notes,
                "owner": USER_ID,
                "version": "0.3.0",
            },
            "nodes": nodes.collect::<Vec<_>>(),
            "links": links.collect::<Vec<_>>(),
            "annotations": [],
            "smart_annotations": [],
        })
    }

    /// The nodes with their facts, or only their ids.
    pub(super) fn nodes(&self, with_data: bool) -> Value {
        let node = |it: &Node| match with_data {
            true => Value::Object(it.value(&self.id)),
            false => json!(it.id),
        };
        self.nodes.iter().map(node).collect()
    }

    /// One node.
    ///
    /// # Errors
    /// 404 if there is none.
    pub(super) fn node_value(&self, id: &str) -> Result<Value, Refusal> {
        self.node(id).map(|it| Value::Object(it.value(&self.id)))
    }

    /// Its interfaces.
    ///
    /// # Errors
    /// 404 if there is none.
    pub(super) fn node_interfaces(&self, id: &str) -> Result<Value, Refusal> {
        self.node(id).map(|it| json!(it.interfaces))
    }

    /// The last lines of its console.
    ///
    /// # Errors
    /// 404 if there is none.
    pub(super) fn console_log(&self, id: &str, lines: usize) -> Result<Value, Refusal> {
        let node = self.node(id)?;
        let skip = node.log.len().saturating_sub(lines);
        let line = |(at, text): &(u128, String)| format!("|{at}|{text}\r\n");
        let text: String = node.log.iter().skip(skip).map(line).collect();
        Ok(json!(text))
    }

    /// Where it is on its way up.
    ///
    /// # Errors
    /// 404 if there is none.
    pub(super) fn node_state(&self, id: &str) -> Result<Value, Refusal> {
        let node = self.node(id)?;
        Ok(json!({"state": node.state.as_str(), "progress": node.progress()}))
    }

    /// As `GET labs/{id}/lab_element_state` shows it.
    pub(super) fn element_states(&self) -> Value {
        let nodes: Map<String, Value> = self
            .nodes
            .iter()
            .map(|it| (it.id.clone(), json!(it.state.as_str())))
            .collect();
        let interfaces: Map<String, Value> = self
            .nodes
            .iter()
            .flat_map(|node| {
                let state = node.element_state();
                let ids = node.interfaces.iter();
                ids.map(move |it| (it.id.clone(), json!(state)))
            })
            .collect();
        let links: Map<String, Value> = self
            .links
            .iter()
            .map(|it| {
                let state = self
                    .node(&it.nodes.0)
                    .map_or("STOPPED", Node::element_state);
                (it.id.clone(), json!(state))
            })
            .collect();
        json!({"nodes": nodes, "links": links, "interfaces": interfaces})
    }

    /// As `GET labs/{id}/simulation_stats` shows it.
    pub(super) fn stats(&self) -> Value {
        let node = |it: &Node| {
            let on = it.started.is_some();
            let stats = json!({
                "cpu_usage": if on { 12.5 } else { 0.0 },
                "ram_usage": if on { 512 } else { 0 },
                "disk_usage": 64,
                "block0_rd_bytes": 0,
                "block0_wr_bytes": 0,
                "is_running": on,
            });
            (it.id.clone(), stats)
        };
        let link = |it: &Link| {
            let stats = json!({"readbytes": 0, "readpackets": 0, "writebytes": 0, "writepackets": 0,
                               "drops": 0});
            (it.id.clone(), stats)
        };
        let nodes: Map<String, Value> = self.nodes.iter().map(node).collect();
        let links: Map<String, Value> = self.links.iter().map(link).collect();
        json!({"nodes": nodes, "links": links})
    }

    /// Ids of its links.
    pub(super) fn link_ids(&self) -> Value {
        self.links.iter().map(|it| json!(it.id)).collect()
    }

    /// A testbed as `GET labs/{id}/pyats_testbed` gives it.
    pub(super) fn testbed(&self) -> String {
        let mut text = format!("testbed:\n  name: {}\ndevices:\n", self.title);
        for node in &self.nodes {
            text += &format!(
                "  {}:\n    os: linux\n    type: {}\n",
                node.label, node.definition
            );
        }
        text
    }
}
