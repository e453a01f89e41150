//! The operations of [`PodAdapter`], as requests.

use futures_util::future::{FutureExt as _, try_join_all};
use futures_util::try_join;
use reqwest::Method;
use se_dsl::catalog::Needs;
use se_dsl::checked::PodType;
use se_runtime::port::Progress;
use se_runtime::{Fault, FaultKind};
use serde_json::Value;

use super::client::{Body, Client, Request};
use super::config::Config;
use super::console;
use super::wire;
use crate::deadline::Deadline;
use crate::lab::power;
use crate::lab::watch::Attempt;
use crate::lab::{
    Answer, ConfigFile, ConsoleStream, ImportedLab, LabId, LabState, LabStatus, LabSummary, NodeAt,
    NodeId, NodeState, NodeStatus, NodeTelemetry, PodAdapter, Shape, SystemInfo, SystemStats,
    Transfer,
};
use crate::worker::{ConsoleWay, Worker};

/// A controller's labs.
#[derive(Debug)]
pub(crate) struct Cml {
    client: Client,
}

impl Cml {
    /// For a worker; contacts nothing.
    ///
    /// # Errors
    /// `validation` if the worker's facts cannot be used.
    pub(crate) fn new(worker: &Worker) -> Result<Self, Fault> {
        let client = Client::new(Config::new(worker)?)?;
        Ok(Self { client })
    }

    async fn act(&self, request: Request<'_>, deadline: &Deadline) -> Result<(), Fault> {
        self.client.call(&request, deadline).await.map(drop)
    }

    async fn on_node(&self, at: NodeAt<'_>, what: &str, deadline: &Deadline) -> Result<(), Fault> {
        let path = format!("labs/{}/nodes/{}/{what}", at.lab, at.node);
        self.act(Request::put(path), deadline).await
    }

    async fn summaries(&self, deadline: &Deadline) -> Result<Vec<LabSummary>, Fault> {
        let tiles = Request::get("populate_lab_tiles");
        let labs: Vec<wire::Lab> = match self.client.fetch(&tiles, deadline).await {
            Ok(wire::LabTiles { lab_tiles }) => lab_tiles.into_values().collect(),
            // Not every version has tiles; every one has the list of ids.
            Err(fault) if fault.kind == FaultKind::NotFound => {
                let all = Request::get("labs").with("show_all", "true");
                let ids: Vec<String> = self.client.fetch(&all, deadline).await?;
                let one = async |id: &String| self.lab(&LabId::parse(id)?, deadline).await;
                try_join_all(ids.iter().map(one)).await?
            }
            Err(fault) => return Err(fault),
        };
        labs.into_iter().map(summary).collect()
    }

    async fn lab(&self, lab: &LabId, deadline: &Deadline) -> Result<wire::Lab, Fault> {
        let request = Request::get(format!("labs/{lab}"));
        self.client.fetch(&request, deadline).await
    }

    async fn status(&self, lab: &LabId, deadline: &Deadline) -> Result<LabStatus, Fault> {
        // The lab by itself first: if it is gone, one request tells.
        let found = self.lab(lab, deadline).await?;
        let nodes = Request::get(format!("labs/{lab}/nodes"))
            .with("data", "true")
            .with("exclude_configurations", "true");
        let states = Request::get(format!("labs/{lab}/lab_element_state"));
        let converged = Request::get(format!("labs/{lab}/check_if_converged"));
        let (nodes, states, converged): (Vec<wire::Node>, wire::ElementStates, bool) = try_join!(
            self.client.fetch(&nodes, deadline),
            self.client.fetch(&states, deadline),
            self.client.fetch(&converged, deadline),
        )?;
        let mut nodes: Vec<NodeStatus> = nodes
            .into_iter()
            .map(|node| {
                let state = states.nodes.get(&node.id).map_or("", String::as_str);
                Ok(NodeStatus {
                    state: NodeState::parse(state),
                    id: NodeId::parse(&node.id)?,
                    label: node.label,
                    definition: node.node_definition,
                    tags: node.tags.unwrap_or_default(),
                })
            })
            .collect::<Result<_, Fault>>()?;
        nodes.sort_by(|a, b| a.label.cmp(&b.label));
        Ok(LabStatus {
            id: lab.clone(),
            title: found.lab_title,
            state: LabState::parse(&found.state),
            converged,
            nodes,
        })
    }

    async fn shape(&self, lab: &LabId, deadline: &Deadline) -> Result<Shape, Fault> {
        let request =
            Request::get(format!("labs/{lab}/topology")).with("exclude_configurations", "true");
        let document: Value = self.client.fetch(&request, deadline).await?;
        wire::shape_of_document(&document).map_err(|reason| {
            let detail = format!("the topology of lab {lab} cannot be read: {reason}");
            Fault::new(FaultKind::Communication, detail)
        })
    }

    async fn import(
        &self,
        topology: &str,
        title: &str,
        deadline: &Deadline,
    ) -> Result<ImportedLab, Fault> {
        let request = Request {
            body: Some(Body::Topology(topology)),
            ..Request::new(Method::POST, "import").with("title", title)
        };
        let imported: wire::Imported = self.client.fetch(&request, deadline).await?;
        Ok(ImportedLab {
            id: LabId::parse(&imported.id)?,
            warnings: imported.warnings,
        })
    }

    async fn describe(
        &self,
        lab: &LabId,
        description: wire::Description<'_>,
        deadline: &Deadline,
    ) -> Result<(), Fault> {
        let request = Request {
            body: Some(Body::Description(description)),
            ..Request::new(Method::PATCH, format!("labs/{lab}"))
        };
        self.act(request, deadline).await
    }

    async fn system_info(&self, deadline: &Deadline) -> Result<SystemInfo, Fault> {
        let request = Request::get("system_information");
        let info: wire::SystemInformation = self.client.fetch_openly(&request, deadline).await?;
        if !info.ready {
            let origin = self.client.config.api.origin().ascii_serialization();
            let detail = format!("the controller at {origin} says that it is not ready yet");
            return Err(Fault::new(FaultKind::Communication, detail));
        }
        let version = minor(&info.version);
        // 2.10 renamed the request that only says whether the session is good.
        let session = match version {
            Some((2, ..=9)) => Request::get("authok"),
            Some(_) | None => Request::get("authentication"),
        };
        self.act(session, deadline).await?;
        Ok(SystemInfo {
            is_supported: matches!(version, Some((2, 6..=10))),
            version: info.version,
        })
    }

    async fn delete(&self, lab: &LabId, deadline: &Deadline) -> Result<(), Fault> {
        let attempt = Attempt {
            adapter: self,
            progress: &Unheard,
            deadline,
        };
        power::make_bare(attempt, lab).await?;
        let request = Request::new(Method::DELETE, format!("labs/{lab}"));
        self.act(request, deadline).await
    }

    async fn stats(&self, deadline: &Deadline) -> Result<SystemStats, Fault> {
        let request = Request::get("system_stats");
        let stats: wire::SystemStats = self.client.fetch(&request, deadline).await?;
        let running = stats
            .computes
            .values()
            .filter_map(|it| it.stats.as_ref()?.dominfo.as_ref()?.running_nodes)
            .sum();
        let space = |it: &wire::Space| (it.used, it.total);
        let all = stats.all.as_ref();
        Ok(SystemStats {
            cpu_percent: all.and_then(|it| it.cpu.as_ref()?.percent),
            memory: all.and_then(|it| it.memory.as_ref().map(space)),
            disk: all.and_then(|it| it.disk.as_ref().map(space)),
            running_nodes: Some(running),
        })
    }

    async fn telemetry(
        &self,
        lab: &LabId,
        deadline: &Deadline,
    ) -> Result<Vec<NodeTelemetry>, Fault> {
        let request = Request::get(format!("labs/{lab}/simulation_stats"));
        let stats: wire::SimulationStats = self.client.fetch(&request, deadline).await?;
        let one = |(id, it): (String, wire::NodeStats)| {
            Ok(NodeTelemetry {
                node: NodeId::parse(&id)?,
                cpu_percent: it.cpu_usage,
                ram_mb: it.ram_usage,
                disk_mb: it.disk_usage,
            })
        };
        stats.nodes.into_iter().map(one).collect()
    }

    async fn tag(&self, at: NodeAt<'_>, tags: &[String], deadline: &Deadline) -> Result<(), Fault> {
        let path = format!("labs/{}/nodes/{}", at.lab, at.node);
        let request = Request {
            body: Some(Body::Tags(wire::Tags { tags })),
            ..Request::new(Method::PATCH, path)
        };
        self.act(request, deadline).await
    }

    /// The controller asks the node, keeps what it says, and shows it with the node.
    async fn extract(&self, at: NodeAt<'_>, deadline: &Deadline) -> Result<Vec<ConfigFile>, Fault> {
        let path = format!("labs/{}/nodes/{}", at.lab, at.node);
        let extract = Request::put(format!("{path}/extract_configuration")).patient();
        self.act(extract, deadline).await?;
        let shown = Request::get(path).with("exclude_configurations", "false");
        let node: wire::NodeConfiguration = self.client.fetch(&shown, deadline).await?;
        let files = node.configuration.map_or_else(Vec::new, wire::files);
        if files.is_empty() {
            let detail = format!(
                "the controller has no configuration of node {} of lab {}: nodes of this kind tell none",
                at.node, at.lab
            );
            return Err(Fault::new(FaultKind::NotFound, detail));
        }
        Ok(files)
    }

    async fn log(&self, at: NodeAt<'_>, lines: u32, deadline: &Deadline) -> Result<String, Fault> {
        let lines = lines.to_string();
        let path = format!("labs/{}/nodes/{}/consoles/0/log", at.lab, at.node);
        let request = Request::get(path).with("lines", &lines);
        let text: String = self.client.fetch(&request, deadline).await?;
        Ok(text
            .lines()
            .map(without_time)
            .collect::<Vec<_>>()
            .join("\n"))
    }
}

/// Progress that nobody listens to.
struct Unheard;

impl Progress for Unheard {
    fn report(&self, _percent: u8, _message: &str) {}
}

/// A console's line without the `|milliseconds|` the controller puts before it.
fn without_time(line: &str) -> &str {
    let rest = line.strip_prefix('|').and_then(|it| it.split_once('|'));
    match rest {
        Some((time, text)) if time.bytes().all(|it| it.is_ascii_digit()) => text,
        Some(_) | None => line,
    }
}

fn minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn summary(lab: wire::Lab) -> Result<LabSummary, Fault> {
    Ok(LabSummary {
        id: LabId::parse(&lab.id)?,
        title: lab.lab_title,
        state: LabState::parse(&lab.state),
        notes: lab.lab_notes.unwrap_or_default(),
        created: match lab.created {
            Value::String(text) => text,
            other => other.to_string(),
        },
    })
}

/// There is no request for what only a console or a login can do.
fn only_over_connectors<T>(what: &str, at: NodeAt<'_>) -> Result<T, Fault> {
    let detail = format!(
        "the controller cannot {what} node {} of lab {}: name one of the package's connectors as \
         `target`, and the step goes over its console or login",
        at.node, at.lab
    );
    Err(Fault::new(FaultKind::Validation, detail))
}

impl PodAdapter for Cml {
    fn pod_type(&self) -> PodType {
        PodType::CmlOnAws
    }

    fn capabilities(&self) -> &'static [Needs] {
        &[Needs::Nothing, Needs::Devices, Needs::Labs]
    }

    fn check<'a>(&'a self, deadline: &'a Deadline) -> Answer<'a, SystemInfo> {
        self.system_info(deadline).boxed()
    }

    fn list_labs<'a>(&'a self, deadline: &'a Deadline) -> Answer<'a, Vec<LabSummary>> {
        self.summaries(deadline).boxed()
    }

    fn import_lab<'a>(
        &'a self,
        topology: &'a str,
        title: &'a str,
        deadline: &'a Deadline,
    ) -> Answer<'a, ImportedLab> {
        self.import(topology, title, deadline).boxed()
    }

    fn describe_lab<'a>(
        &'a self,
        lab: &'a LabId,
        title: &'a str,
        notes: &'a str,
        deadline: &'a Deadline,
    ) -> Answer<'a, ()> {
        self.describe(lab, wire::Description { title, notes }, deadline)
            .boxed()
    }

    fn start_lab<'a>(&'a self, lab: &'a LabId, deadline: &'a Deadline) -> Answer<'a, ()> {
        self.act(Request::put(format!("labs/{lab}/start")), deadline)
            .boxed()
    }

    fn stop_lab<'a>(&'a self, lab: &'a LabId, deadline: &'a Deadline) -> Answer<'a, ()> {
        self.act(Request::put(format!("labs/{lab}/stop")), deadline)
            .boxed()
    }

    fn wipe_lab<'a>(&'a self, lab: &'a LabId, deadline: &'a Deadline) -> Answer<'a, ()> {
        self.act(Request::put(format!("labs/{lab}/wipe")), deadline)
            .boxed()
    }

    fn delete_lab<'a>(&'a self, lab: &'a LabId, deadline: &'a Deadline) -> Answer<'a, ()> {
        self.delete(lab, deadline).boxed()
    }

    fn lab_status<'a>(&'a self, lab: &'a LabId, deadline: &'a Deadline) -> Answer<'a, LabStatus> {
        self.status(lab, deadline).boxed()
    }

    fn lab_shape<'a>(&'a self, lab: &'a LabId, deadline: &'a Deadline) -> Answer<'a, Shape> {
        self.shape(lab, deadline).boxed()
    }

    fn start_node<'a>(&'a self, node: NodeAt<'a>, deadline: &'a Deadline) -> Answer<'a, ()> {
        self.on_node(node, "state/start", deadline).boxed()
    }

    fn stop_node<'a>(&'a self, node: NodeAt<'a>, deadline: &'a Deadline) -> Answer<'a, ()> {
        self.on_node(node, "state/stop", deadline).boxed()
    }

    fn wipe_node<'a>(&'a self, node: NodeAt<'a>, deadline: &'a Deadline) -> Answer<'a, ()> {
        self.on_node(node, "wipe_disks", deadline).boxed()
    }

    fn set_tags<'a>(
        &'a self,
        node: NodeAt<'a>,
        tags: &'a [String],
        deadline: &'a Deadline,
    ) -> Answer<'a, ()> {
        self.tag(node, tags, deadline).boxed()
    }

    fn configuration<'a>(
        &'a self,
        node: NodeAt<'a>,
        deadline: &'a Deadline,
    ) -> Answer<'a, Vec<ConfigFile>> {
        self.extract(node, deadline).boxed()
    }

    fn console_log<'a>(
        &'a self,
        node: NodeAt<'a>,
        lines: u32,
        deadline: &'a Deadline,
    ) -> Answer<'a, String> {
        self.log(node, lines, deadline).boxed()
    }

    fn open_console<'a>(
        &'a self,
        node: NodeAt<'a>,
        way: ConsoleWay,
        deadline: &'a Deadline,
    ) -> Answer<'a, ConsoleStream> {
        match way {
            ConsoleWay::Ssh => console::over_ssh(&self.client, node, deadline).boxed(),
            ConsoleWay::Websocket => console::over_websocket(&self.client, node, deadline).boxed(),
            ConsoleWay::Telnet => async {
                let detail = "a telnet port is reached without the controller";
                Err(Fault::new(FaultKind::Validation, detail))
            }
            .boxed(),
        }
    }

    fn execute_command<'a>(
        &'a self,
        node: NodeAt<'a>,
        command: &'a str,
        _deadline: &'a Deadline,
    ) -> Answer<'a, String> {
        let what = format!("run `{command}` on");
        async move { only_over_connectors(&what, node) }.boxed()
    }

    fn transfer_file<'a>(
        &'a self,
        node: NodeAt<'a>,
        transfer: Transfer<'a>,
        _deadline: &'a Deadline,
    ) -> Answer<'a, ()> {
        let what = format!("copy `{}` to `{}` of", transfer.source, transfer.dest);
        async move { only_over_connectors(&what, node) }.boxed()
    }

    fn system_stats<'a>(&'a self, deadline: &'a Deadline) -> Answer<'a, SystemStats> {
        self.stats(deadline).boxed()
    }

    fn node_telemetry<'a>(
        &'a self,
        lab: &'a LabId,
        deadline: &'a Deadline,
    ) -> Answer<'a, Vec<NodeTelemetry>> {
        self.telemetry(lab, deadline).boxed()
    }
}
