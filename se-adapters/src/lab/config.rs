//! Reading the configurations of nodes through the controller.

use futures_util::{FutureExt as _, StreamExt as _, stream};
use se_runtime::{Fault, FaultKind};
use serde_json::{Map, Value, json};

use super::watch::Attempt;
use super::{ConfigFile, LabStatus, NodeAt, NodeState, NodeStatus};

/// Nodes that are read at the same time: for each the controller logs in to a console.
const AT_ONCE: usize = 4;
/// Nodes that have no configuration.
const WITHOUT: [&str; 2] = ["external_connector", "unmanaged_switch"];

/// Reads the configurations of these nodes, or of every one that runs. Gives them, and why one could not be read,
/// each by label.
///
/// # Errors
/// `not-found` for a label that no node has, before anything is read; what the controller says if no node could be
/// read.
pub(crate) async fn capture(
    attempt: Attempt<'_>,
    status: &LabStatus,
    labels: &[String],
) -> Result<(Map<String, Value>, Map<String, Value>), Fault> {
    let nodes: Vec<&NodeStatus> = if labels.is_empty() {
        let has_one = |it: &&NodeStatus| {
            it.state == NodeState::Booted && !WITHOUT.contains(&it.definition.as_str())
        };
        status.nodes.iter().filter(has_one).collect()
    } else {
        let nodes = labels.iter().map(|it| status.node(it));
        nodes.collect::<Result<_, _>>()?
    };
    if nodes.is_empty() {
        let detail = format!(
            "no node of lab `{}` ({}, {}) is up, so there is no configuration to read: start it with \
             cml.lab_start@v1",
            status.title,
            status.id,
            status.state.as_str()
        );
        return Err(Fault::new(FaultKind::Validation, detail));
    }
    let (mut configs, mut failed) = (Map::new(), Map::new());
    let mut faults = Vec::new();
    let count = nodes.len();
    let all: Vec<_> = nodes
        .into_iter()
        .map(|node| {
            read(attempt, status, node)
                .map(move |it| (node, it))
                .boxed()
        })
        .collect();
    let mut reading = stream::iter(all).buffered(AT_ONCE);
    while let Some((node, outcome)) = reading.next().await {
        match outcome {
            Ok(text) => drop(configs.insert(node.label.clone(), json!(text))),
            Err(fault) => {
                failed.insert(node.label.clone(), json!(fault.detail));
                faults.push(fault);
            }
        }
        let done = configs.len() + failed.len();
        let message = format!("{done} of {count} configurations");
        let percent = u8::try_from(100 * done / count).unwrap_or(100);
        attempt.progress.report(percent, &message);
    }
    match faults.pop() {
        Some(fault) if configs.is_empty() => Err(fault),
        Some(_) | None => Ok((configs, failed)),
    }
}

async fn read(
    attempt: Attempt<'_>,
    status: &LabStatus,
    node: &NodeStatus,
) -> Result<String, Fault> {
    if node.state != NodeState::Booted {
        let detail = format!(
            "node {} is {}: only one that is up tells its configuration",
            node.label,
            node.state.as_str()
        );
        return Err(Fault::new(FaultKind::Validation, detail));
    }
    let at = NodeAt {
        lab: &status.id,
        node: &node.id,
    };
    let files = attempt.adapter.configuration(at, attempt.deadline).await?;
    Ok(joined(&files))
}

/// One file as it is; of several each under its name.
fn joined(files: &[ConfigFile]) -> String {
    match files {
        [one] => one.content.clone(),
        all => all
            .iter()
            .map(|it| format!("! file {}\n{}\n", it.name, it.content.trim_end()))
            .collect(),
    }
}
