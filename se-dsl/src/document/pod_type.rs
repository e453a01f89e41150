//! What kind of pod the content needs: stated by a document, or told by the topology there is.

use super::paths::Paths;
use crate::checked::PodType;
use crate::decode::shape::Value;
use crate::decode::{Sink, name};
use crate::diagnostic::codes::document;
use crate::source::Spanned;
use crate::syntax::Node;

/// Every pod type.
pub(super) const POD_TYPES: [&str; 5] = {
    let mut words = [""; 5];
    let mut at = 0;
    while at < words.len() {
        words[at] = PodType::ALL[at].as_str();
        at += 1;
    }
    words
};

/// A pod type, in any case.
pub(super) const POD_TYPE: Value = Value::WordsInAnyCase(&POD_TYPES);

/// A pod type, in any case.
pub(super) fn decode(sink: &Sink<'_>, node: &Node) -> Option<Spanned<PodType>> {
    let text = name(sink, node, "pod_type")?;
    let pod_type = PodType::parse(&text.value);
    if pod_type.is_none() {
        let found = document::not_one_of(node.span, "pod_type", &text.value, &POD_TYPES);
        sink.push(found);
    }
    Some(Spanned::new(pod_type?, node.span))
}

/// Files that tell a pod type, in the order they are asked.
const SIGNALS: &[(&str, PodType)] = &[
    ("topology/radkit.yaml", PodType::RocRadkit),
    ("topology/proxmox.yaml", PodType::Proxmox),
    ("topology/vmware.yaml", PodType::Vmware),
    ("topology/cml.yaml", PodType::CmlOnAws),
    ("topology/cml.yml", PodType::CmlOnAws),
    ("cml.yaml", PodType::CmlOnAws),
    ("cml.yml", PodType::CmlOnAws),
    ("radkit.yaml", PodType::RocRadkit),
];

/// The signals of a part, which states its pod type.
pub(super) fn of_part(
    sink: &Sink<'_>,
    paths: &Paths<'_>,
    root: &str,
    stated: &Spanned<PodType>,
) -> Vec<String> {
    let first = format!("part.yaml says `{}`", stated.value);
    let (signals, found) = signals(paths, root, first);
    contradicted(sink, stated, found);
    signals
}

pub(super) type Signal = (&'static str, PodType);

/// What each file says, after what the document says, and the first that says something.
pub(super) fn signals(
    paths: &Paths<'_>,
    root: &str,
    first: String,
) -> (Vec<String>, Option<Signal>) {
    let mut signals = vec![first];
    let mut found = None;
    for (path, pod_type) in SIGNALS {
        if paths.has(&format!("{root}{path}")) {
            signals.push(format!("{path} says `{pod_type}`"));
            found = found.or(Some((*path, *pod_type)));
        } else {
            signals.push(format!("no {path}"));
        }
    }
    (signals, found)
}

pub(super) fn contradicted(sink: &Sink<'_>, stated: &Spanned<PodType>, found: Option<Signal>) {
    if let Some((path, _)) = found.filter(|(_, told)| *told != stated.value) {
        let word = stated.value.as_str();
        sink.push(document::pod_type_contradicted(stated.span, word, path));
    }
}
