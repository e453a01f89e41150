//! What follows by itself when a time has come: a pause that is over, a composite that takes too long, another attempt.

use super::{Context, Mode, begin, cancelled, fault};
use crate::event::{Event, Map};
use crate::fault::{Fault, FaultKind};
use crate::plan::StepIndex;
use crate::state::{Kind, State, StepStatus};
use crate::time::Timestamp;

/// The next time at which something follows by itself. While the driver stops, no step that waits is
/// tried again: its time, which may be over, is none to wake for, and holds up no other.
pub(super) fn timer(state: &State, mode: Mode) -> Option<(Timestamp, StepIndex)> {
    let is_running = |index| matches!(state.step(index).status, StepStatus::Running { .. });
    let mut timers = state.timers();
    timers.find(|(_, index)| mode == Mode::Run || is_running(*index))
}

/// What follows when a time has come.
pub(super) fn timer_over(
    context: Context<'_>,
    state: &State,
    index: StepIndex,
    at: Timestamp,
) -> Event {
    if matches!(state.step(index).status, StepStatus::Running { .. }) {
        return match state.kind(index) {
            Kind::Composite => time_out(state, index, at),
            Kind::Primitive | Kind::Loop => pause_over(state, index, at),
        };
    }
    begin(context, state, index, at)
}

/// A pause that has lasted as long as it was to, or as long as it may.
fn pause_over(state: &State, index: StepIndex, at: Timestamp) -> Event {
    let (pause, timeout) = state.pause(index);
    if pause > timeout {
        let detail = format!(
            "a pause of {} s does not end within {} s; give it a longer `timeout`, or pause for less",
            pause.as_secs_f64(),
            timeout.as_secs_f64()
        );
        return fault(state, index, &Fault::new(FaultKind::Timeout, detail), at);
    }
    Event::StepCompleted {
        step: state.key(index).to_owned(),
        attempt: state.step(index).attempt,
        output: Map::new(),
        learned: Map::new(),
    }
}

/// A composite that takes too long: everything in it is stopped, then it has failed.
fn time_out(state: &State, index: StepIndex, at: Timestamp) -> Event {
    let inside = state.tips().find(|it| state.is_within(*it, Some(index)));
    if let Some(run) = inside {
        return cancelled(state, run);
    }
    let timeout = state.node(index).step().timeout.unwrap_or_default();
    let detail = format!(
        "its steps did not end within {} s; give it a longer `timeout`, or look at what takes long",
        timeout.as_secs_f64()
    );
    fault(state, index, &Fault::new(FaultKind::Timeout, detail), at)
}
