//! Sessions of several parts: the folders there are, against those that the manifest requires.

use super::manifest::Requirements;
use super::part::{CollectSource, PartDoc};
use super::paths::Paths;
use super::tree::{self, Tree};
use super::{ROOT, part, pod_type};
use crate::decode::{Sink, unique};
use crate::diagnostic::codes::parts;
use crate::source::{FileId, Span};
use crate::syntax;

/// One part: its folder, and what is in it.
pub(crate) struct Part {
    /// `None` if part.yaml is not there or cannot be read.
    pub(crate) doc: Option<PartDoc>,
    /// Every signal of its pod type, in the order asked.
    pub(crate) pod_type_signals: Vec<String>,
    pub(crate) tree: Tree,
}

impl Part {
    /// Whether its evidence is what the candidate handed in.
    pub(crate) fn is_from_submission(&self) -> bool {
        let source = self
            .doc
            .as_ref()
            .and_then(|doc| doc.collect_source.as_ref());
        source.is_some_and(|it| it.value == CollectSource::Submission)
    }
}

/// Every part, in the order of their folders.
pub(super) fn read(sink: &Sink<'_>, paths: &Paths<'_>) -> Vec<Part> {
    folders(paths)
        .into_iter()
        .map(|folder| read_one(sink, paths, folder))
        .collect()
}

/// The folders below `parts/`.
fn folders<'s>(paths: &Paths<'s>) -> Vec<&'s str> {
    const PARTS: &str = "PAv1/parts/";
    let below = paths.all_below(PARTS);
    let mut folders: Vec<&str> = below
        .filter_map(|path| Some(path.strip_prefix(PARTS)?.split_once('/')?.0))
        .collect();
    folders.sort_unstable();
    folders.dedup();
    folders
}

fn read_one(sink: &Sink<'_>, paths: &Paths<'_>, folder: &str) -> Part {
    const DOCUMENT: &str = "part.yaml";
    let root = format!("{ROOT}parts/{folder}/");
    let doc = match paths.find(&format!("{root}{DOCUMENT}")) {
        Some(file) => syntax::read(sink, file).and_then(|node| part::decode(sink, &node)),
        None => {
            let first = paths.below(&root).next();
            let at = first.map_or_else(Span::nowhere, |(_, file)| Span::file(file));
            sink.push(parts::no_definition(at, folder));
            None
        }
    };
    let pod_type_signals = doc.as_ref().map_or_else(Vec::new, |doc| {
        pod_type::of_part(sink, paths, &root, &doc.pod_type)
    });
    let tree = tree::read(sink, paths, &root);
    tree::not_read(sink, paths, &root, &[DOCUMENT]);
    Part {
        doc,
        pod_type_signals,
        tree,
    }
}

/// Whether the manifest and the parts' folders agree.
pub(super) fn check(
    sink: &Sink<'_>,
    manifest: FileId,
    wanted: Option<&Requirements>,
    found: &[Part],
) {
    let Some(wanted) = wanted else {
        if !found.is_empty() {
            sink.push(parts::no_session(Span::file(manifest)));
        }
        return;
    };
    if found.is_empty() {
        sink.push(parts::no_parts(wanted.span));
        return;
    }
    let docs: Vec<&PartDoc> = found.iter().filter_map(|part| part.doc.as_ref()).collect();
    unique(sink, "part", docs.iter().map(|doc| &doc.name));
    // A part that cannot be read may be any of those required.
    if docs.len() < found.len() {
        return;
    }
    let known: Vec<&str> = docs.iter().map(|doc| doc.name.value.as_str()).collect();
    let required: Vec<&str> = wanted
        .parts
        .iter()
        .map(|part| part.requirement.value.as_str())
        .collect();
    let mut slips = Vec::new();
    for part in &wanted.parts {
        if !known.contains(&part.requirement.value.as_str()) {
            let (finding, near) = parts::unknown_part(&part.requirement, &known);
            sink.push(finding);
            slips.extend(near);
        }
    }
    if !wanted.is_whole {
        return;
    }
    for doc in docs {
        let name = doc.name.value.as_str();
        // Of a slip one finding is enough.
        if !required.contains(&name) && !slips.iter().any(|slip| slip == name) {
            sink.push(parts::unused_part(&doc.name));
        }
    }
}
