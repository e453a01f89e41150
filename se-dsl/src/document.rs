//! What a package holds, document by document: decoded, each with its own mistakes reported, and
//! nothing looked up across documents.

mod composite;
mod connectors;
mod envelope;
mod facts;
mod job;
mod lifecycle;
mod manifest;
mod named;
mod part;
mod parts;
mod paths;
mod pod_type;
mod policy;
mod ports;
mod report;
mod rubric;
mod scenario;
mod step;
#[cfg(test)]
mod tests;
mod topology;
mod tree;

use serde_json::Value;

use crate::checked::Manifest;
use crate::decode::{Sink, to_json};
use crate::syntax;
use paths::Paths;

pub(crate) use composite::{CompositeDoc, ParameterDoc};
pub(crate) use envelope::{DocumentKind, ENVELOPE, KINDS};
pub(crate) use facts::PORTS;
pub(crate) use job::JobDoc;
pub(crate) use lifecycle::{JobRef, LifecycleDoc};
pub(crate) use manifest::Requirements;
pub(crate) use manifest::{FLAT, SEED};
pub(crate) use part::PartDoc;
pub(crate) use parts::Part;
pub(crate) use rubric::{RubricDoc, flags, regex};
pub(crate) use scenario::{CollectDoc, ScenarioDoc};
pub(crate) use step::STEP;
pub(crate) use step::{CaptureDoc, ForEachDoc, Input, StepDoc};
pub(crate) use tree::{Named, Tree};

/// The folder that everything lies in.
const ROOT: &str = "PAv1/";

/// Every document of a package.
pub(crate) struct Documents {
    pub(crate) manifest: Option<Manifest>,
    /// The parts that the manifest requires, if it is that of a session of several.
    pub(crate) requirements: Option<Requirements>,
    pub(crate) lifecycle: Option<LifecycleDoc>,
    pub(crate) session: Value,
    pub(crate) tree: Tree,
    /// In the order of their folders.
    pub(crate) parts: Vec<Part>,
}

/// Reads everything.
pub(crate) fn read(sink: &Sink<'_>) -> Documents {
    let paths = Paths::of(sink.sources);
    let manifest_file = paths.find("PAv1/manifest.yaml");
    let manifest = manifest::read(sink, &paths, manifest_file);
    let lifecycle = lifecycle::read(sink, paths.find("PAv1/lifecycle.yaml"), manifest_file);
    let session = paths
        .find("mosaic_meta.json")
        .and_then(|file| syntax::read(sink, file))
        .map_or_else(
            || Value::Object(serde_json::Map::new()),
            |node| to_json(&node),
        );
    let tree = tree::read(sink, &paths, ROOT);
    for (file, _) in paths.documents_in("PAv1/authorization/") {
        if let Some(node) = syntax::read(sink, file) {
            policy::decode(sink, &node);
        }
    }
    let own = [
        "manifest.yaml",
        "lifecycle.yaml",
        "authorization/",
        "parts/",
    ];
    tree::not_read(sink, &paths, ROOT, &own);
    let parts = parts::read(sink, &paths);
    let (manifest, requirements) = manifest.unzip();
    let requirements = requirements.flatten();
    if let (Some(file), Some(_)) = (manifest_file, &manifest) {
        parts::check(sink, file, requirements.as_ref(), &parts);
    }
    Documents {
        manifest,
        requirements,
        lifecycle,
        session,
        tree,
        parts,
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
        let kind = kind.map(str::to_owned);
        match (kind.as_deref(), stem) {
            (Some("JobDefinition"), _) => drop(job::decode(sink, stem, node)),
            (Some("ConnectorModel"), _) => drop(connectors::decode(sink, &node)),
            (Some("EvaluationRuleset"), _) => drop(rubric::decode(sink, stem, &node)),
            (Some("ProcessReportSpec"), _) => drop(report::decode(sink, stem, &node)),
            (Some("Lifecycle"), _) | (None, "lifecycle") => drop(lifecycle::decode(sink, &node)),
            (Some("LabletDefinition" | "SessionDefinition"), _) | (None, "manifest") => {
                manifest::decode_alone(sink, &node);
            }
            (Some("CompositeScenario"), _) => drop(composite::decode(sink, stem, &node)),
            (Some("ScenarioDefinition"), _) => drop(scenario::decode(sink, stem, &node)),
            (Some("PartDefinition"), _) => drop(part::decode(sink, &node)),
            (Some("AuthorizationPolicy"), _) => policy::decode(sink, &node),
            // There is no such kind, and this says so.
            (Some(_), _) => drop(envelope::open(sink, &node, &[])),
            // A topology, ports, devices: there is nothing to hold them against.
            (None, _) => {}
        }
    }
}
