//! Waiting for the nodes of a lab.

use std::collections::BTreeMap;
use std::time::Duration;

use se_runtime::port::Progress;
use se_runtime::{Fault, FaultKind, Timestamp};
use tracing::debug;

use super::{LabId, LabStatus, NodeAt, NodeState, NodeStatus, PodAdapter, in_words};
use crate::deadline::Deadline;

/// What an operation on a lab works with.
#[derive(Clone, Copy)]
pub(crate) struct Attempt<'a> {
    pub(crate) adapter: &'a dyn PodAdapter,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) deadline: &'a Deadline,
}

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Every node up, and the lab converged.
    Up,
    /// Every node off.
    Off,
}

/// Which nodes to wait for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Nodes<'a> {
    /// All of the lab.
    All,
    /// Those with these labels.
    Labelled(&'a [String]),
}

/// First wait between two looks, and the longest.
const INTERVALS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
/// Time kept for the last look.
const LAST_LOOK: Duration = Duration::from_millis(500);
/// How long a controller may be away while a lab boots: a restart takes less.
const LONGEST_SILENCE: Duration = Duration::from_secs(120);
/// How much of a console's log a fault shows.
const LOG_LINES: u32 = 5;
/// How many consoles a fault shows.
const LOGS: usize = 3;
/// How often the console of a node that boots is read for the progress, and how much of a line is shown.
const HEARD: Duration = Duration::from_secs(5);
const LONGEST_HEARD: usize = 80;

impl Nodes<'_> {
    fn of(self, status: &LabStatus) -> Vec<&NodeStatus> {
        let wanted = |it: &&NodeStatus| match self {
            Self::All => true,
            Self::Labelled(labels) => labels.contains(&it.label),
        };
        status.nodes.iter().filter(wanted).collect()
    }
}

impl Goal {
    fn is_met_by(self, node: &NodeStatus) -> bool {
        match self {
            Self::Up => node.state == NodeState::Booted,
            Self::Off => node.state.is_off(),
        }
    }

    fn is_reached(self, status: &LabStatus, nodes: Nodes<'_>) -> bool {
        match (self, nodes) {
            (Self::Up, Nodes::All) => status.is_up(),
            (Self::Up | Self::Off, _) => nodes.of(status).iter().all(|it| self.is_met_by(it)),
        }
    }

    fn participle(self) -> &'static str {
        match self {
            Self::Up => "booted",
            Self::Off => "stopped",
        }
    }
}

/// Looks at the lab until the nodes are as wanted; gives the last status and how often it looked.
///
/// # Errors
/// `timeout` with each node that is not, since when, and how its console ends.
pub(crate) async fn wait(
    attempt: Attempt<'_>,
    lab: &LabId,
    nodes: Nodes<'_>,
    goal: Goal,
) -> Result<(LabStatus, u32), Fault> {
    let whole = attempt.deadline;
    let begun = whole.now();
    // The fault needs time for the consoles' logs.
    let until = whole.earlier_by((whole.left() / 5).min(Duration::from_secs(5)));
    let (mut interval, longest) = INTERVALS;
    let mut polls = 0;
    let mut seen = Seen::new(begun);
    loop {
        polls += 1;
        match attempt.adapter.lab_status(lab, &until).await {
            Ok(status) => {
                seen.take(status, until.now());
                if let Some(status) = seen.last.take_if(|it| goal.is_reached(it, nodes)) {
                    return Ok((status, polls));
                }
                seen.hear(attempt, nodes, goal).await;
                seen.report(attempt.progress, nodes, goal);
            }
            Err(fault) if !seen.may_pass(&fault, until.now()) => return Err(fault),
            Err(fault) => {
                debug!(%lab, %fault, "the controller does not answer; looking again");
                seen.trouble = Some(fault);
            }
        }
        let Some(pause) = until.left().checked_sub(LAST_LOOK) else {
            return Err(explain(attempt, lab, nodes, goal, &seen).await);
        };
        until.pause(interval.min(pause)).await;
        interval = (interval * 13 / 10).min(longest);
    }
}

/// What was seen of a lab.
struct Seen {
    begun: Timestamp,
    /// When the controller answered last.
    answered: Timestamp,
    last: Option<LabStatus>,
    /// Since when each node is in its state, by label.
    since: BTreeMap<String, (NodeState, Timestamp)>,
    trouble: Option<Fault>,
    /// The last line of the console of the node that is waited for, and when it was read.
    heard: Option<(String, String, Timestamp)>,
}

impl Seen {
    fn new(begun: Timestamp) -> Self {
        Self {
            begun,
            answered: begun,
            last: None,
            since: BTreeMap::new(),
            trouble: None,
            heard: None,
        }
    }

    /// Reads now and then how far the node is that is waited for.
    async fn hear(&mut self, attempt: Attempt<'_>, nodes: Nodes<'_>, goal: Goal) {
        let Some(status) = &self.last else { return };
        let all = nodes.of(status);
        let boots = |it: &&&NodeStatus| it.state == NodeState::Started;
        let Some(node) = all.iter().find(boots).filter(|_| goal == Goal::Up) else {
            self.heard = None;
            return;
        };
        let now = attempt.deadline.now();
        let is_new = |(label, _, at): &(String, String, Timestamp)| {
            *label == node.label && now.since(*at) < HEARD
        };
        if self.heard.as_ref().is_some_and(is_new) {
            return;
        }
        let at = NodeAt {
            lab: &status.id,
            node: &node.id,
        };
        let time = attempt.deadline.at_most(Duration::from_secs(2));
        let log = attempt.adapter.console_log(at, LOG_LINES, &time).await;
        // It is a courtesy: what cannot be read is not told.
        let line = log.ok().and_then(|it| last_line(&it)).unwrap_or_default();
        self.heard = Some((node.label.clone(), line, now));
    }

    fn take(&mut self, status: LabStatus, now: Timestamp) {
        self.answered = now;
        self.trouble = None;
        for node in &status.nodes {
            let same = self
                .since
                .get(&node.label)
                .is_some_and(|(state, _)| *state == node.state);
            if !same {
                let entry = (node.state.clone(), now);
                self.since.insert(node.label.clone(), entry);
            }
        }
        self.last = Some(status);
    }

    /// Whether a fault while waiting is no reason to give up: the controller may be restarting.
    fn may_pass(&self, fault: &Fault, now: Timestamp) -> bool {
        let passing = matches!(fault.kind, FaultKind::Communication | FaultKind::Timeout);
        passing && now.since(self.answered) < LONGEST_SILENCE
    }

    fn said_by(&self, label: &str) -> String {
        match &self.heard {
            Some((node, line, _)) if node == label && !line.is_empty() => format!(": {line}"),
            Some(_) | None => String::new(),
        }
    }

    fn report(&self, progress: &dyn Progress, nodes: Nodes<'_>, goal: Goal) {
        let Some(status) = &self.last else { return };
        let all = nodes.of(status);
        let waiting: Vec<_> = all.iter().filter(|it| !goal.is_met_by(it)).collect();
        let done = all.len() - waiting.len();
        let percent = 10 + 85 * done / all.len().max(1);
        let count = format!("{done} of {} nodes {}", all.len(), goal.participle());
        let message = match waiting.first() {
            Some(first) => format!(
                "{count}, waiting for {} ({}){}",
                first.label,
                first.state.as_str(),
                self.said_by(&first.label)
            ),
            None => format!("{count}, waiting for the lab to converge"),
        };
        progress.report(u8::try_from(percent).unwrap_or(95), &message);
    }
}

/// The last line that says something, cut for a message.
fn last_line(log: &str) -> Option<String> {
    let line = log.lines().rev().map(str::trim).find(|it| !it.is_empty())?;
    Some(line.chars().take(LONGEST_HEARD).collect())
}

async fn explain(
    attempt: Attempt<'_>,
    lab: &LabId,
    nodes: Nodes<'_>,
    goal: Goal,
    seen: &Seen,
) -> Fault {
    let deadline = attempt.deadline;
    let waited = in_words(deadline.now().since(seen.begun));
    let Some(status) = &seen.last else {
        return seen.trouble.clone().unwrap_or_else(|| {
            let detail = format!("lab {lab} could not be looked at in {waited}");
            Fault::new(FaultKind::Timeout, detail)
        });
    };
    let all = nodes.of(status);
    let missing: Vec<_> = all.iter().filter(|it| !goal.is_met_by(it)).collect();
    let mut detail = format!(
        "lab `{}` ({lab}, {}): {} of {} nodes not {} after {waited}",
        status.title,
        status.state.as_str(),
        missing.len(),
        all.len(),
        goal.participle()
    );
    if let Some(trouble) = &seen.trouble {
        detail += &format!("; at the end {}", trouble.detail);
    }
    if missing.is_empty() {
        detail += "; the controller does not call the lab converged: look at its links";
    }
    if goal == Goal::Up {
        detail += &load(attempt, lab, &missing).await;
    }
    for (at, node) in missing.iter().enumerate() {
        let since = seen.since.get(&node.label).map_or(seen.begun, |it| it.1);
        let time = in_words(deadline.now().since(since));
        detail += &format!(
            "\n{} ({}): {} for {time}{}",
            node.label,
            node.definition,
            node.state.as_str(),
            advice(&node.state, goal)
        );
        if at < LOGS && goal == Goal::Up && node.state == NodeState::Started {
            detail += &console_end(attempt, lab, node).await;
        }
    }
    Fault::new(FaultKind::Timeout, detail)
}

/// How busy the worker is where nodes wait for it, and nodes that do nothing any more.
async fn load(attempt: Attempt<'_>, lab: &LabId, missing: &[&&NodeStatus]) -> String {
    let time = attempt.deadline.at_most(Duration::from_secs(2));
    let mut text = String::new();
    if missing.iter().any(|it| it.state == NodeState::Queued)
        && let Ok(stats) = attempt.adapter.system_stats(&time).await
    {
        text += &format!("; the worker: {stats}");
    }
    let boots = |it: &&&&NodeStatus| it.state == NodeState::Started;
    if !missing.iter().any(|it| boots(&it)) {
        return text;
    }
    let Ok(telemetry) = attempt.adapter.node_telemetry(lab, &time).await else {
        return text;
    };
    for node in missing.iter().filter(boots).take(LOGS) {
        let used = telemetry.iter().find(|it| it.node == node.id);
        if let Some(percent) = used.and_then(|it| it.cpu_percent) {
            text += &format!("; {} uses {percent:.0} % of its processors", node.label);
        }
    }
    text
}

fn advice(state: &NodeState, goal: Goal) -> &'static str {
    match (goal, state) {
        (Goal::Up, NodeState::Queued) => ", the worker lacks memory, processors or licences for it",
        (Goal::Up, NodeState::DefinedOnCore | NodeState::Stopped) => {
            ", the controller did not start it or it went down: see its event log"
        }
        (_, NodeState::Disconnected) => ", its compute host is gone",
        (Goal::Up | Goal::Off, _) => "",
    }
}

async fn console_end(attempt: Attempt<'_>, lab: &LabId, node: &NodeStatus) -> String {
    let at = NodeAt {
        lab,
        node: &node.id,
    };
    let time = attempt.deadline.at_most(Duration::from_secs(2));
    match attempt.adapter.console_log(at, LOG_LINES, &time).await {
        Ok(text) if text.trim().is_empty() => ", its console has printed nothing".to_owned(),
        Ok(text) => {
            let lines: Vec<&str> = text.lines().filter(|it| !it.trim().is_empty()).collect();
            let from = lines.len().saturating_sub(LOG_LINES as usize);
            let end: Vec<String> = lines
                .iter()
                .skip(from)
                .map(|it| format!("\n  | {it}"))
                .collect();
            format!(", its console ends with:{}", end.concat())
        }
        Err(fault) => format!(", its console log could not be read ({})", fault.detail),
    }
}
