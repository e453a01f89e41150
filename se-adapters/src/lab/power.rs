//! Starting, stopping and wiping, and waiting until it is done.

use std::collections::BTreeSet;

use futures_util::future::try_join_all;
use se_runtime::Fault;

use super::watch::{Attempt, Goal, Nodes, wait};
use super::{LabId, LabStatus, NodeAt, NodeState, NodeStatus};

/// Starts every node and waits until the lab is up; gives its status and how often it was looked at
/// since.
///
/// # Errors
/// `timeout` with what is not up; whatever the controller says.
pub(crate) async fn start_lab(
    attempt: Attempt<'_>,
    status: LabStatus,
) -> Result<(LabStatus, u32), Fault> {
    if status.is_up() {
        return Ok((status, 0));
    }
    attempt.progress.report(10, "starting the lab");
    let lab = &status.id;
    attempt.adapter.start_lab(lab, attempt.deadline).await?;
    wait(attempt, lab, Nodes::All, Goal::Up).await
}

/// Stops every node and waits until it is off.
///
/// # Errors
/// `timeout` with what is still on; whatever the controller says.
pub(crate) async fn stop_lab(attempt: Attempt<'_>, status: LabStatus) -> Result<LabStatus, Fault> {
    if status.nodes.iter().all(|it| it.state.is_off()) {
        return Ok(status);
    }
    attempt.progress.report(10, "stopping the lab");
    attempt
        .adapter
        .stop_lab(&status.id, attempt.deadline)
        .await?;
    let (status, _) = wait(attempt, &status.id, Nodes::All, Goal::Off).await?;
    Ok(status)
}

/// Stops and wipes every node.
///
/// # Errors
/// As [`stop_lab`].
pub(crate) async fn wipe_lab(attempt: Attempt<'_>, status: LabStatus) -> Result<(), Fault> {
    let status = stop_lab(attempt, status).await?;
    let bare = |it: &NodeStatus| it.state == NodeState::DefinedOnCore;
    if status.nodes.iter().all(bare) {
        return Ok(());
    }
    attempt.progress.report(96, "wiping the lab");
    attempt.adapter.wipe_lab(&status.id, attempt.deadline).await
}

/// Stops and wipes the nodes of these labels, starts them again and waits until they are up.
///
/// # Errors
/// `not-found` for a label that no node has, before anything is done; as [`stop_lab`].
pub(crate) async fn wipe_nodes(
    attempt: Attempt<'_>,
    status: &LabStatus,
    labels: &[String],
) -> Result<(), Fault> {
    let labels: Vec<String> = labels
        .iter()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .cloned()
        .collect();
    let nodes: Vec<&NodeStatus> = labels
        .iter()
        .map(|it| status.node(it))
        .collect::<Result<_, _>>()?;
    let Attempt {
        adapter, deadline, ..
    } = attempt;
    let lab = &status.id;
    let at = |node: &NodeStatus| node.id.clone();
    let all: Vec<_> = nodes.iter().map(|it| at(it)).collect();
    let places = || all.iter().map(|node| NodeAt { lab, node });
    attempt
        .progress
        .report(5, &format!("stopping {}", labels.join(", ")));
    try_join_all(places().map(|it| adapter.stop_node(it, deadline))).await?;
    wait(attempt, lab, Nodes::Labelled(&labels), Goal::Off).await?;
    try_join_all(places().map(|it| adapter.wipe_node(it, deadline))).await?;
    try_join_all(places().map(|it| adapter.start_node(it, deadline))).await?;
    wait(attempt, lab, Nodes::Labelled(&labels), Goal::Up).await?;
    Ok(())
}

/// What to do with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Switch {
    Start,
    Stop,
}

/// Starts or stops the node of this label and waits until it is up or off.
///
/// # Errors
/// `not-found` if no node has the label; as [`stop_lab`].
pub(crate) async fn switch_node(
    attempt: Attempt<'_>,
    status: &LabStatus,
    label: &str,
    switch: Switch,
) -> Result<(), Fault> {
    let Attempt {
        adapter, deadline, ..
    } = attempt;
    let node = status.node(label)?;
    let at = NodeAt {
        lab: &status.id,
        node: &node.id,
    };
    let goal = match switch {
        Switch::Start => {
            adapter.start_node(at, deadline).await?;
            Goal::Up
        }
        Switch::Stop => {
            adapter.stop_node(at, deadline).await?;
            Goal::Off
        }
    };
    let labels = [label.to_owned()];
    wait(attempt, &status.id, Nodes::Labelled(&labels), goal).await?;
    Ok(())
}

/// Stops and wipes a lab, without telling anybody.
///
/// # Errors
/// As [`stop_lab`].
pub(crate) async fn make_bare(attempt: Attempt<'_>, lab: &LabId) -> Result<(), Fault> {
    let status = attempt.adapter.lab_status(lab, attempt.deadline).await?;
    wipe_lab(attempt, status).await
}
