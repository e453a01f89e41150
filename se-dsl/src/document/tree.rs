//! The subtree that a package has at its top, and each part below its own folder.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::composite::CompositeDoc;
use super::connectors::ConnectorDoc;
use super::job::JobDoc;
use super::paths::Paths;
use super::rubric::RubricDoc;
use super::scenario::ScenarioDoc;
use super::{composite, connectors, facts, job, report, rubric, scenario, topology};
use crate::checked::{ReportSpec, Topology};
use crate::decode::Sink;
use crate::diagnostic::codes::{document, lints};
use crate::source::{FileId, Span};
use crate::syntax::{self, Node};

/// By name; `None` is a document that is there and cannot be read.
pub(crate) type Named<T> = BTreeMap<String, Option<T>>;

/// The documents below one folder.
pub(crate) struct Tree {
    /// `None` if connectors.yaml is there and cannot be read.
    pub(crate) connectors: Option<Vec<ConnectorDoc>>,
    pub(crate) jobs: Named<JobDoc>,
    pub(crate) composites: Named<CompositeDoc>,
    pub(crate) scenarios: Named<ScenarioDoc>,
    pub(crate) rubrics: Named<RubricDoc>,
    pub(crate) reports: Named<Arc<ReportSpec>>,
    pub(crate) topology: Option<Topology>,
    pub(crate) pod_facts: Value,
    pub(crate) files: BTreeMap<String, String>,
}

/// A rubric's neighbour, which is free in its form.
const EVIDENCE: &str = "evidence_spec";

/// Reads what is below `root`, which ends with `/`.
pub(super) fn read(sink: &Sink<'_>, paths: &Paths<'_>, root: &str) -> Tree {
    let node_at = |path: &str| syntax::read(sink, paths.find(&format!("{root}{path}"))?);
    let topology = topology::read(sink, paths, root);
    let connectors = match paths.find(&format!("{root}connectors.yaml")) {
        Some(file) => syntax::read(sink, file).and_then(|node| connectors::decode(sink, &node)),
        None => Some(Vec::new()),
    };
    let ports = node_at("topology/ports.json");
    let devices = node_at("topology/devices.json");
    free_documents(sink, paths, root);
    let folder = Folder { sink, paths, root };
    Tree {
        connectors,
        jobs: folder.named("jobs", job::decode),
        composites: folder.named("composites", |sink, stem, node| {
            composite::decode(sink, stem, &node)
        }),
        scenarios: folder.named("scenarios", |sink, stem, node| {
            scenario::decode(sink, stem, &node)
        }),
        rubrics: folder.named("grading", |sink, stem, node| {
            rubric::decode(sink, stem, &node)
        }),
        reports: folder.named("reports", |sink, stem, node| {
            report::decode(sink, stem, &node)
        }),
        pod_facts: facts::collect(sink, ports.as_ref(), topology.as_ref(), devices.as_ref()),
        topology: topology.map(|found| found.topology),
        files: handles(sink, paths, root),
    }
}

struct Folder<'f, 's> {
    sink: &'f Sink<'s>,
    paths: &'f Paths<'s>,
    root: &'f str,
}

impl Folder<'_, '_> {
    /// Every document in a folder by file stem.
    fn named<T>(&self, folder: &str, decode: fn(&Sink<'_>, &str, Node) -> Option<T>) -> Named<T> {
        let folder = format!("{}{folder}/", self.root);
        let all = self.paths.documents_in(&folder);
        let mut first: BTreeMap<&str, FileId> = BTreeMap::new();
        let mut named = BTreeMap::new();
        for (file, stem) in all {
            let is_first = !first.contains_key(stem);
            if let Some(first) = first.get(stem) {
                let (second, first) = (Span::file(file), Span::file(*first));
                self.sink.push(lints::two_files(second, first, stem));
            }
            first.entry(stem).or_insert(file);
            if folder.ends_with("/grading/") && stem == EVIDENCE {
                continue;
            }
            let node = syntax::read(self.sink, file);
            let decoded = node.and_then(|node| decode(self.sink, stem, node));
            if is_first {
                named.insert(stem.to_owned(), decoded);
            }
        }
        named
    }
}

/// Documents of somebody else: they must be YAML, and are free otherwise.
fn free_documents(sink: &Sink<'_>, paths: &Paths<'_>, root: &str) {
    let evidence = paths.documents_in(&format!("{root}grading/"));
    let evidence = evidence.into_iter().filter(|(_, stem)| *stem == EVIDENCE);
    let restore = paths.documents_in(&format!("{root}restore/"));
    for (file, _) in evidence.chain(restore) {
        // What is wrong with it is reported; what it says does not matter.
        drop(syntax::read(sink, file));
    }
}

/// Handles of the files to copy: the name up to its first dot. The first path wins.
fn handles(sink: &Sink<'_>, paths: &Paths<'_>, root: &str) -> BTreeMap<String, String> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for path in paths.all_below(&format!("{root}files/")) {
        let name = path.rsplit('/').next().unwrap_or(path);
        let stem = name.split('.').next().unwrap_or(name);
        if stem.is_empty() {
            continue;
        }
        if let Some(first) = files.get(stem) {
            // Files to copy are no documents: the manifest stands for the package.
            let at = paths.find("PAv1/manifest.yaml");
            let at = at.map_or_else(Span::nowhere, Span::file);
            sink.push(lints::same_handle(at, stem, first, path));
            continue;
        }
        files.insert(stem.to_owned(), path.to_owned());
    }
    files
}

/// What nobody reads: one note for each document. `own` are the documents that stand at the root
/// itself besides those of every tree.
pub(super) fn not_read(sink: &Sink<'_>, paths: &Paths<'_>, root: &str, own: &[&str]) {
    for (path, file) in paths.below(root) {
        if !is_known(path, own) {
            let whole = sink.sources.path(file);
            sink.push(document::not_read(Span::file(file), whole));
        }
    }
}

/// Whether a path is one that this module, or somebody else, reads.
fn is_known(path: &str, own: &[&str]) -> bool {
    const DOCUMENTS: &[&str] = &["connectors.yaml", "cml.yaml", "cml.yml", "radkit.yaml"];
    let Some((folder, rest)) = path.split_once('/') else {
        return DOCUMENTS.contains(&path) || own.contains(&path);
    };
    match folder {
        "jobs" | "grading" | "reports" | "composites" | "scenarios" => !rest.contains('/'),
        "topology" | "restore" | "files" => true,
        // Folders that only the root has; a document directly below `parts/` belongs to no part.
        "parts" => own.contains(&"parts/") && rest.contains('/'),
        folder => own.iter().any(|it| it.strip_suffix('/') == Some(folder)),
    }
}
