//! Labs of a simulated controller, and how their nodes come up and go down.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, json};
use tokio::time::Instant;

use super::CmlOptions;
use super::document::{self, Document, Interface};
use super::node::{Deed, Link, Node};
use crate::sim::journal::Journal;
use crate::sim::power::{NodeState, Power};

/// Every lab, in the order of import.
#[derive(Debug)]
pub(super) struct Labs {
    all: Vec<Lab>,
    next_id: u64,
    /// Ids of one run are not those of another: a lab that another run knew is not found.
    run: u32,
    boot: Duration,
    stuck: Vec<String>,
    queued: Vec<String>,
    power: Power,
    journal: Journal,
}

/// One lab.
#[derive(Debug)]
pub(super) struct Lab {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) notes: String,
    pub(super) created: String,
    pub(super) nodes: Vec<Node>,
    pub(super) links: Vec<Link>,
}

/// Why something is refused: the controller's status and description.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) u16, pub(super) String);

impl Labs {
    pub(super) fn new(options: &CmlOptions, power: Power, journal: Journal) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a simulator lives in real time")]
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            all: Vec::new(),
            next_id: 0,
            run: now.subsec_nanos() ^ u32::try_from(now.as_secs() & 0xffff_ffff).unwrap_or(0),
            boot: Duration::try_from_secs_f64(options.boot_seconds).unwrap_or_default(),
            stuck: options.stuck.clone(),
            queued: options.queued.clone(),
            power,
            journal,
        }
    }

    fn id(&mut self) -> String {
        self.next_id += 1;
        format!("{:08x}-51a0-4000-8000-{:012x}", self.run, self.next_id)
    }

    /// Lets time pass: nodes that started boot.
    pub(super) fn advance(&mut self) {
        let now = Instant::now();
        for node in self.all.iter_mut().flat_map(|it| &mut it.nodes) {
            let Some(started) = node.started else {
                continue;
            };
            let age = now.duration_since(started);
            let state = if node.definition == "external_connector" {
                NodeState::Booted
            } else if self.queued.contains(&node.label) || age < self.boot / 10 {
                NodeState::Queued
            } else if self.stuck.contains(&node.label) || age < self.boot {
                NodeState::Started
            } else {
                NodeState::Booted
            };
            if state != node.state {
                node.become_(state, age);
                self.power.set(&node.label, state);
            }
        }
    }

    /// Makes a lab of a document.
    pub(super) fn import(&mut self, document: &Document, title: Option<&str>) -> String {
        let id = self.id();
        let title = title.or(document.lab.title.as_deref());
        let title = title.map_or_else(|| format!("Lab {}", self.next_id), str::to_owned);
        let nodes: Vec<Node> = document.nodes.iter().map(|it| self.node(it)).collect();
        let links = document
            .links
            .iter()
            .filter_map(|link| {
                let end = |node, interface| {
                    let (node, interface) = document.interface(node, interface)?;
                    let node = nodes.get(node)?;
                    Some((node.id.clone(), node.interfaces.get(interface)?.id.clone()))
                };
                let (a, b) = (end(&link.n1, &link.i1)?, end(&link.n2, &link.i2)?);
                Some(Link {
                    id: self.id(),
                    label: link.label.clone().unwrap_or_default(),
                    nodes: (a.0, b.0),
                    interfaces: (a.1, b.1),
                })
            })
            .collect();
        self.journal.add("cml", "import", title.as_str());
        self.all.push(Lab {
            id: id.clone(),
            title,
            description: document.lab.description.clone(),
            notes: document.lab.notes.clone(),
            created: format!("2026-01-01T00:00:00.{:06}+00:00", self.next_id),
            nodes,
            links,
        });
        id
    }

    fn node(&mut self, node: &document::Node) -> Node {
        let interfaces = node.interfaces.iter().map(|it| Interface {
            id: self.id(),
            ..it.clone()
        });
        let interfaces = interfaces.collect();
        self.power.set(&node.label, NodeState::DefinedOnCore);
        let mut rest = Map::new();
        for (key, value) in [
            ("x", &node.x),
            ("y", &node.y),
            ("configuration", &node.configuration),
            ("tags", &json!(node.tags)),
        ] {
            rest.insert(key.to_owned(), value.clone());
        }
        Node {
            id: self.id(),
            label: node.label.clone(),
            definition: node.node_definition.clone(),
            rest,
            interfaces,
            state: NodeState::DefinedOnCore,
            started: None,
            log: Vec::new(),
        }
    }

    /// Id and title of each.
    pub(super) fn titles(&self) -> Vec<(String, String)> {
        let pair = |it: &Lab| (it.id.clone(), it.title.clone());
        self.all.iter().map(pair).collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Lab> {
        self.all.iter()
    }

    /// The label of a node that runs, by ids or by title and label.
    pub(super) fn running_label(&self, lab: &str, node: &str) -> Option<String> {
        let lab = self.all.iter().find(|it| it.id == lab || it.title == lab)?;
        let mut nodes = lab.nodes.iter();
        let node = nodes.find(|it| it.id == node || it.label == node)?;
        node.started.is_some().then(|| node.label.clone())
    }

    /// The lab and node of a console key.
    pub(super) fn of_key(&self, key: &str) -> Option<(String, String)> {
        let all = self.all.iter();
        let mut all = all.flat_map(|lab| lab.nodes.iter().map(move |node| (lab, node)));
        let (lab, node) = all.find(|(_, node)| node.console_key() == key)?;
        Some((lab.id.clone(), node.id.clone()))
    }

    /// How many nodes run.
    pub(super) fn running(&self) -> usize {
        let nodes = self.all.iter().flat_map(|it| &it.nodes);
        nodes.filter(|it| it.started.is_some()).count()
    }

    /// The lab of that id.
    ///
    /// # Errors
    /// 404 in the controller's words.
    pub(super) fn lab(&self, id: &str) -> Result<&Lab, Refusal> {
        let found = self.all.iter().find(|it| it.id == id);
        found.ok_or_else(|| Refusal(404, format!("Lab not found: {id}")))
    }

    /// Changes what a lab is called and what is noted about it.
    ///
    /// # Errors
    /// 404 if there is none, 400 if the title is none.
    pub(super) fn describe(
        &mut self,
        id: &str,
        title: Option<String>,
        notes: Option<String>,
    ) -> Result<(), Refusal> {
        if let Some(title) = &title {
            document::fits_a_title(title).map_err(|text| Refusal(400, text))?;
        }
        self.lab(id)?;
        for lab in self.all.iter_mut().filter(|it| it.id == id) {
            lab.title = title.clone().unwrap_or_else(|| lab.title.clone());
            lab.notes = notes.clone().unwrap_or_else(|| lab.notes.clone());
        }
        Ok(())
    }

    /// Does something to a node, or to every node.
    ///
    /// # Errors
    /// 404 if there is no such lab or node, 400 if it must be stopped first.
    pub(super) fn act(&mut self, lab: &str, node: Option<&str>, deed: Deed) -> Result<(), Refusal> {
        let found = self.lab(lab)?;
        if let Some(node) = node {
            found.node(node)?;
        }
        let title = found.title.clone();
        let chosen = |it: &Node| node.is_none_or(|id| it.id == id);
        let busy = found
            .nodes
            .iter()
            .find(|it| chosen(it) && it.started.is_some());
        if let Some(busy) = busy.filter(|_| deed == Deed::Wipe) {
            let text = format!("Node {} must be stopped before it is wiped", busy.label);
            return Err(Refusal(400, text));
        }
        if node.is_none() {
            self.journal.add("cml", deed.as_str(), title);
        }
        let all = self.all.iter_mut().filter(|it| it.id == lab);
        for one in all.flat_map(|it| &mut it.nodes).filter(|it| chosen(it)) {
            if one.act(deed) {
                self.journal.add(&one.label, deed.as_str(), "");
                self.power.set(&one.label, one.state);
            }
        }
        self.advance();
        Ok(())
    }

    fn node_mut(&mut self, lab: &str, node: &str) -> Result<&mut Node, Refusal> {
        self.lab(lab)?.node(node)?;
        let mut all = self.all.iter_mut().filter(|it| it.id == lab);
        let found = all.find_map(|it| it.nodes.iter_mut().find(|it| it.id == node));
        found.ok_or_else(|| Refusal(404, format!("Node not found: {node}")))
    }

    /// Gives a node these tags.
    ///
    /// # Errors
    /// 404 if there is no such lab or node.
    pub(super) fn tag(&mut self, lab: &str, node: &str, tags: Vec<String>) -> Result<(), Refusal> {
        let found = self.node_mut(lab, node)?;
        found.rest.insert("tags".to_owned(), json!(tags));
        let (label, tags) = (found.label.clone(), tags.join(" "));
        self.journal.add(&label, "tags", tags);
        Ok(())
    }

    /// Reads the configuration off a node and keeps it.
    ///
    /// # Errors
    /// 404 if there is no such lab or node, 400 if it is not up or has none.
    pub(super) fn extract(&mut self, lab: &str, node: &str) -> Result<(), Refusal> {
        let found = self.node_mut(lab, node)?;
        if found.state != NodeState::Booted {
            let text = format!("Node {} is not in a booted state", found.label);
            return Err(Refusal(400, text));
        }
        if found.definition == "external_connector" {
            let text = format!(
                "Node {} does not support configuration extraction",
                found.label
            );
            return Err(Refusal(400, text));
        }
        let label = found.label.clone();
        let content = format!("! read from {label}\nhostname {label}\nend\n");
        let files = json!([{"name": "running_config.txt", "content": content}]);
        found.rest.insert("configuration".to_owned(), files);
        self.journal.add(&label, "extract", "");
        Ok(())
    }

    /// Removes a lab.
    ///
    /// # Errors
    /// 404 if there is none, 400 unless it is stopped and wiped.
    pub(super) fn delete(&mut self, id: &str) -> Result<(), Refusal> {
        let lab = self.lab(id)?;
        let dirty = |it: &Node| it.state != NodeState::DefinedOnCore;
        if lab.nodes.iter().any(dirty) {
            let text = format!("Lab {id} must be stopped and wiped before it is deleted");
            return Err(Refusal(400, text));
        }
        self.journal.add("cml", "delete", lab.title.as_str());
        self.all.retain(|it| it.id != id);
        Ok(())
    }
}

impl Lab {
    pub(super) fn node(&self, id: &str) -> Result<&Node, Refusal> {
        let found = self.nodes.iter().find(|it| it.id == id);
        found.ok_or_else(|| Refusal(404, format!("Node not found: {id}")))
    }

    pub(super) fn state(&self) -> &'static str {
        let all = |state| self.nodes.iter().all(|it| it.state == state);
        if self.nodes.iter().any(|it| it.started.is_some()) {
            "STARTED"
        } else if all(NodeState::DefinedOnCore) {
            "DEFINED_ON_CORE"
        } else {
            "STOPPED"
        }
    }

    /// Whether nothing is on its way.
    pub(super) fn is_converged(&self) -> bool {
        let settled = |it: &Node| it.started.is_none() || it.state == NodeState::Booted;
        self.nodes.iter().all(settled)
    }
}
