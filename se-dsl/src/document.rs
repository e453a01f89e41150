//! What a package holds, document by document: decoded, each with its own mistakes reported, and
//! nothing looked up across documents.

mod connectors;
mod envelope;
mod facts;
mod job;
mod lifecycle;
mod manifest;
mod report;
mod rubric;
mod step;
mod topology;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::checked::{Manifest, ReportSpec, Topology};
use crate::decode::{Sink, to_json};
use crate::diagnostic::Severity;
use crate::diagnostic::codes::document;
use crate::source::{FileId, Span};
use crate::syntax;

pub(crate) use connectors::ConnectorDoc;
pub(crate) use job::JobDoc;
pub(crate) use lifecycle::{JobRef, LifecycleDoc};
pub(crate) use rubric::{RubricDoc, flags, regex};
pub(crate) use step::{CaptureDoc, Input, StepDoc};

/// The folder that everything lies in.
pub(crate) const ROOT: &str = "PAv1/";

/// By name; `None` is a document that is there and cannot be read.
pub(crate) type Named<T> = BTreeMap<String, Option<T>>;

/// Every document of a package.
pub(crate) struct Documents {
    pub(crate) manifest: Option<Manifest>,
    pub(crate) lifecycle: Option<LifecycleDoc>,
    pub(crate) jobs: Named<JobDoc>,
    /// `None` if connectors.yaml is there and cannot be read.
    pub(crate) connectors: Option<Vec<ConnectorDoc>>,
    pub(crate) rubrics: Named<RubricDoc>,
    pub(crate) reports: Named<Arc<ReportSpec>>,
    pub(crate) topology: Option<Topology>,
    pub(crate) pod_facts: Value,
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) session: Value,
    /// Whether it is a session of several parts.
    pub(crate) is_of_parts: bool,
}

/// Reads everything.
pub(crate) fn read(sink: &Sink<'_>) -> Documents {
    let topology = topology::read(sink);
    let read_at = |path: &str| {
        let file = sink.sources.find(&format!("{ROOT}{path}"))?;
        Some((file, syntax::read(sink, file)?))
    };
    let manifest = manifest::read(sink);
    let connectors = match sink.sources.find(&format!("{ROOT}connectors.yaml")) {
        Some(file) => syntax::read(sink, file).and_then(|node| connectors::decode(sink, &node)),
        None => Some(Vec::new()),
    };
    let lifecycle = lifecycle::read(sink);
    let session = sink
        .sources
        .find("mosaic_meta.json")
        .and_then(|file| syntax::read(sink, file))
        .map_or_else(
            || Value::Object(serde_json::Map::new()),
            |node| to_json(&node),
        );
    let ports = read_at("topology/ports.json").map(|(_, node)| node);
    let devices = read_at("topology/devices.json").map(|(_, node)| node);
    let is_of_parts = sink
        .sources
        .files()
        .any(|file| sink.sources.path(file).starts_with("PAv1/parts/"));
    let documents = Documents {
        manifest,
        lifecycle,
        jobs: named(sink, "jobs/", job::decode),
        connectors,
        rubrics: named(sink, "grading/", rubric::decode),
        reports: named(sink, "reports/", report::decode),
        pod_facts: facts::collect(sink, ports.as_ref(), topology.as_ref(), devices.as_ref()),
        topology: topology.map(|found| found.topology),
        files: files(sink),
        session,
        is_of_parts,
    };
    left_out(sink);
    documents
}

/// Every document in a folder by file stem.
fn named<T>(
    sink: &Sink<'_>,
    folder: &str,
    decode: fn(&Sink<'_>, &str, &syntax::Node) -> Option<T>,
) -> Named<T> {
    documents_in(sink, folder)
        .into_iter()
        .filter(|(_, stem)| !(folder == "grading/" && stem == "evidence_spec"))
        .map(|(file, stem)| {
            let node = syntax::read(sink, file);
            let decoded = node.and_then(|node| decode(sink, &stem, &node));
            (stem, decoded)
        })
        .collect()
}

/// The YAML documents directly in a folder, with their stems.
fn documents_in(sink: &Sink<'_>, folder: &str) -> Vec<(FileId, String)> {
    let prefix = format!("{ROOT}{folder}");
    let mut found = Vec::new();
    for file in sink.sources.files() {
        let Some(rest) = sink.sources.path(file).strip_prefix(&prefix) else {
            continue;
        };
        let stem = rest
            .strip_suffix(".yaml")
            .or_else(|| rest.strip_suffix(".yml"));
        if let Some(stem) = stem.filter(|stem| !stem.contains('/')) {
            found.push((file, stem.to_owned()));
        }
    }
    found
}

/// Handles of the files to copy: the name up to its first dot. The first path wins.
fn files(sink: &Sink<'_>) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let documents = sink.sources.files().map(|file| sink.sources.path(file));
    for path in sink.sources.assets().map(|(path, _)| path).chain(documents) {
        let Some(rest) = path.strip_prefix("PAv1/files/") else {
            continue;
        };
        let name = rest.rsplit('/').next().unwrap_or(rest);
        let stem = name.split('.').next().unwrap_or(name);
        if !stem.is_empty() {
            files
                .entry(stem.to_owned())
                .or_insert_with(|| path.to_owned());
        }
    }
    files
}

/// What belongs to a later version, and what nobody reads: one note for each document.
fn left_out(sink: &Sink<'_>) {
    for file in sink.sources.files() {
        let Some(path) = sink.sources.path(file).strip_prefix(ROOT) else {
            continue;
        };
        let folder = path.split_once('/').map_or("", |(folder, _)| folder);
        let later = match folder {
            "composites" => Some("a CompositeScenario"),
            "scenarios" => Some("a ScenarioDefinition"),
            "parts" if path.ends_with("/part.yaml") => Some("a PartDefinition"),
            _ => None,
        };
        let at = Span::file(file);
        if let Some(what) = later {
            let help = "nothing to do: the document is left out";
            sink.push(document::not_supported(at, what, Severity::Note, help));
        } else if !is_known(folder, path) {
            sink.push(document::not_read(at, sink.sources.path(file)));
        }
    }
}

/// Whether a path is one that this module, or somebody else, reads.
fn is_known(folder: &str, path: &str) -> bool {
    const DOCUMENTS: &[&str] = &[
        "manifest.yaml",
        "lifecycle.yaml",
        "connectors.yaml",
        "cml.yaml",
        "cml.yml",
        "radkit.yaml",
    ];
    match folder {
        "" => DOCUMENTS.contains(&path),
        "jobs" | "grading" | "reports" => path.split('/').count() == 2,
        "topology" | "composites" | "scenarios" | "restore" | "files" | "parts"
        | "authorization" => true,
        _ => false,
    }
}

/// Checks documents that are no package: each by itself, by its kind.
pub(crate) fn read_alone(sink: &Sink<'_>) {
    for file in sink.sources.files() {
        let Some(node) = syntax::read(sink, file) else {
            continue;
        };
        let path = sink.sources.path(file);
        let name = path.rsplit('/').next().unwrap_or(path);
        let stem = name.split('.').next().unwrap_or(name);
        let kind = topology::get(&node, "kind").and_then(topology::as_text);
        match (kind, stem) {
            (Some("JobDefinition"), _) => drop(job::decode(sink, stem, &node)),
            (Some("ConnectorModel"), _) => drop(connectors::decode(sink, &node)),
            (Some("EvaluationRuleset"), _) => drop(rubric::decode(sink, stem, &node)),
            (Some("ProcessReportSpec"), _) => drop(report::decode(sink, stem, &node)),
            (Some("Lifecycle"), _) | (None, "lifecycle") => drop(lifecycle::decode(sink, &node)),
            (Some("LabletDefinition" | "SessionDefinition"), _) | (None, "manifest") => {
                manifest::decode_alone(sink, &node);
            }
            (Some(_), _) => drop(envelope::open(sink, &node, &["JobDefinition"])),
            // A topology, ports, devices: there is nothing to hold them against.
            (None, _) => {}
        }
    }
}
