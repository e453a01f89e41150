//! Telling the controller which ports lead to which nodes.

use std::collections::BTreeMap;

use futures_util::{FutureExt as _, StreamExt as _, stream};
use se_dsl::ports::{called, is_of_port};
use se_runtime::{Fault, FaultKind};
use serde_json::{Map, Value, json};

use super::watch::Attempt;
use super::{LabStatus, NodeAt, NodeStatus};

/// Nodes that are written at the same time.
const AT_ONCE: usize = 4;

/// Gives nodes these tags of ports, in place of those of ports that they have; other tags stay. Gives the tags
/// that nodes have now and why one has not, each by label.
///
/// # Errors
/// `not-found` if the lab has none of the devices, and what the controller says if no node could be written.
pub(crate) async fn sync(
    attempt: Attempt<'_>,
    status: &LabStatus,
    tags: &BTreeMap<String, Vec<String>>,
) -> Result<(Map<String, Value>, Map<String, Value>), Fault> {
    let (mut written, mut failed) = (Map::new(), Map::new());
    let mut nodes = Vec::new();
    for (device, tags) in tags {
        match status.nodes.iter().find(|it| called(&it.label) == *device) {
            Some(node) => nodes.push((node, with(node, tags))),
            None => {
                let labels: Vec<&str> = status.nodes.iter().map(|it| it.label.as_str()).collect();
                let why = format!("the lab has no such node; it has: {}", labels.join(", "));
                failed.insert(device.clone(), json!(why));
            }
        }
    }
    let count = nodes.len();
    let mut faults = Vec::new();
    let all: Vec<_> = nodes
        .into_iter()
        .map(|(node, tags)| write(attempt, status, node, tags).boxed())
        .collect();
    let mut writing = stream::iter(all).buffered(AT_ONCE);
    while let Some((node, outcome)) = writing.next().await {
        match outcome {
            Ok(tags) => drop(written.insert(node.label.clone(), json!(tags))),
            Err(fault) => {
                failed.insert(node.label.clone(), json!(fault.detail));
                faults.push(fault);
            }
        }
        let done = 100 * (written.len() + faults.len()) / count.max(1);
        let message = format!("tags of {}", node.label);
        let percent = u8::try_from(done).unwrap_or(100);
        attempt.progress.report(percent, &message);
    }
    match faults.pop() {
        Some(fault) if written.is_empty() => Err(fault),
        None if written.is_empty() => {
            let why: Vec<String> = failed
                .iter()
                .map(|(it, why)| format!("{it}: {why}"))
                .collect();
            Err(Fault::new(FaultKind::NotFound, why.join("; ")))
        }
        Some(_) | None => Ok((written, failed)),
    }
}

/// What the node shall have: what it has that tells of no port, and these.
fn with(node: &NodeStatus, tags: &[String]) -> Vec<String> {
    let kept = node.tags.iter().filter(|it| !is_of_port(it));
    kept.chain(tags).cloned().collect()
}

async fn write<'a>(
    attempt: Attempt<'a>,
    status: &'a LabStatus,
    node: &'a NodeStatus,
    tags: Vec<String>,
) -> (&'a NodeStatus, Result<Vec<String>, Fault>) {
    let at = NodeAt {
        lab: &status.id,
        node: &node.id,
    };
    if node.tags == tags {
        return (node, Ok(tags));
    }
    let set = attempt.adapter.set_tags(at, &tags, attempt.deadline).await;
    (node, set.map(|()| tags))
}
