//! Starting, stopping and wiping, and waiting until it is done.

use std::collections::BTreeSet;

use futures_util::future::try_join_all;
use se_runtime::Fault;

use super::watch::{Attempt, Goal, Nodes, wait};
use super::{LabId, LabStatus, NodeAt, NodeId, NodeState, NodeStatus};

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
    status: LabStatus,
    labels: &[String],
) -> Result<(), Fault> {
    let labels: Vec<String> = BTreeSet::from_iter(labels).into_iter().cloned().collect();
    let Attempt {
        adapter,
        progress,
        deadline,
    } = attempt;
    let lab = status.id.clone();
    let at = |it: &'_ NodeStatus| it.id.clone();
    let chosen = |status: &LabStatus, wanted: fn(&NodeState) -> bool| {
        let nodes = labels.iter().map(|label| status.node(label));
        let mut nodes = nodes.collect::<Result<Vec<_>, _>>()?;
        nodes.retain(|it| wanted(&it.state));
        Ok::<Vec<NodeId>, Fault>(nodes.into_iter().map(at).collect())
    };
    let names = labels.join(", ");
    let running = chosen(&status, |state| !state.is_off())?;
    progress.report(5, &format!("stopping {names}"));
    let place = |node| NodeAt { lab: &lab, node };
    try_join_all(
        running
            .iter()
            .map(|it| adapter.stop_node(place(it), deadline)),
    )
    .await?;
    let nodes = Nodes::Labelled(&labels);
    let (status, _) = wait(attempt, &lab, nodes, Goal::Off).await?;
    let used = chosen(&status, |state| *state != NodeState::DefinedOnCore)?;
    progress.report(50, &format!("wiping and starting {names}"));
    try_join_all(used.iter().map(|it| adapter.wipe_node(place(it), deadline))).await?;
    let all = chosen(&status, |_| true)?;
    try_join_all(all.iter().map(|it| adapter.start_node(place(it), deadline))).await?;
    wait(attempt, &lab, nodes, Goal::Up).await?;
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
        Switch::Start => Goal::Up,
        Switch::Stop => Goal::Off,
    };
    match (switch, node.state.is_off()) {
        (Switch::Start, true) => adapter.start_node(at, deadline).await?,
        (Switch::Stop, false) => adapter.stop_node(at, deadline).await?,
        // It is on its way, or there.
        (Switch::Start, false) | (Switch::Stop, true) => {}
    }
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
