//! Storing what was decided, while attempts go on.

use std::time::Duration;

use futures_channel::mpsc;
use futures_util::future::{BoxFuture, pending, select};
use futures_util::{FutureExt, StreamExt, pin_mut};

use super::{Control, Driver};
use crate::event::{Batch, Event, Record};
use crate::fault::FaultKind;
use crate::machine::{Effects, Mode};
use crate::plan::StepIndex;
use crate::planted::{self, Bug};
use crate::port::{LogError, Outcome};
use crate::time::Timestamp;

/// A store that did not answer is asked again after so long, then after twice that, and so on.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// No wait is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What happens beside something that is waited for, or what came of that.
enum Meanwhile<T> {
    Told(Control),
    Ended(Option<(StepIndex, Outcome)>),
    Over(T),
}

impl Driver<'_> {
    /// Everything decided is durable before any of it is done.
    ///
    /// Where the store does not answer, ending the drive would cut off what may not be done twice, or lose what
    /// came of it; so the same is stored again, which does nothing where it was stored. A cancel cuts off what
    /// is under way; who drives it remembers that.
    pub(super) async fn store(
        &mut self,
        effects: &Effects,
        control: &mut mpsc::UnboundedReceiver<Control>,
    ) -> Result<(), LogError> {
        let mut wait = FIRST_WAIT;
        while let Some(batch) = self.batch(effects) {
            let stored = self.append(batch, control).await;
            let is_away = matches!(stored, Err(LogError::Unavailable(_)));
            if !is_away || self.cut_off || !self.is_once_only(effects) {
                return stored;
            }
            let until = self.ports.clock.now().after(wait);
            if self.is_cut_off_until(until, control).await {
                return stored;
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        Ok(())
    }

    fn batch(&self, effects: &Effects) -> Option<Batch> {
        let first = effects.records.first()?;
        let seal = |record: &Record| match record.clone() {
            open if planted::is(Bug::Unsealed) => open,
            open => open.seal(self.vault),
        };
        let mut records: Vec<Record> = effects.records.iter().map(seal).collect();
        if planted::is(Bug::BatchReversed) {
            records.reverse();
        }
        if planted::is(Bug::BatchCut) && records.len() > 2 {
            records.pop();
        }
        Some(Batch {
            after: first.seq - 1,
            records,
            summary: self.state.summary(),
        })
    }

    /// Whether an attempt that may not be made twice is under way, or that one begins or what came of it is to
    /// be stored: it may have been, though nobody knows. A job that is to stop is cut off.
    fn is_once_only(&self, effects: &Effects) -> bool {
        let once_only = |index| !self.state.node(index).step().uses.repeatable();
        let is_of_one = |record: &Record| match &record.event {
            // What was cut off already will be so again.
            Event::StepFaulted { error, .. } if error.url == FaultKind::Interrupted.url() => false,
            Event::StepStarted { step, .. }
            | Event::StepCompleted { step, .. }
            | Event::StepFaulted { step, .. } => self.state.find(step).is_some_and(once_only),
            _ => false,
        };
        !planted::is(Bug::CutOffUnstored)
            && self.state.cancel_reason().is_none()
            && (self.handles.keys().copied().any(once_only)
                || effects.records.iter().any(is_of_one))
    }

    /// Appends while attempts go on; a cancel does not wait for a slow store to stop them.
    async fn append(
        &mut self,
        batch: Batch,
        control: &mut mpsc::UnboundedReceiver<Control>,
    ) -> Result<(), LogError> {
        let mut stored = self.ports.log.append(batch);
        loop {
            match self.meanwhile(&mut stored, control).await {
                Meanwhile::Told(Control::Drain) => self.mode = Mode::Drain,
                Meanwhile::Told(told) => {
                    self.stop_at_once();
                    self.told.push(told);
                }
                Meanwhile::Ended(ended) => self.note(ended),
                Meanwhile::Over(appended) => return appended,
            }
        }
    }

    /// Lets attempts go on until then, or until a cancel is told and cuts some off.
    async fn is_cut_off_until(
        &mut self,
        until: Timestamp,
        control: &mut mpsc::UnboundedReceiver<Control>,
    ) -> bool {
        let mut timer = self.ports.clock.sleep_until(until);
        loop {
            match self.meanwhile(&mut timer, control).await {
                Meanwhile::Told(Control::Drain) => self.mode = Mode::Drain,
                Meanwhile::Told(told) if self.running.is_empty() => self.told.push(told),
                Meanwhile::Told(_) => return true,
                Meanwhile::Ended(ended) => self.note(ended),
                Meanwhile::Over(()) => return false,
            }
        }
    }

    /// Borrows mutably, so that the drive can move between threads: what runs in it cannot be shared by them.
    async fn meanwhile<T>(
        &mut self,
        awaited: &mut BoxFuture<'_, T>,
        control: &mut mpsc::UnboundedReceiver<Control>,
    ) -> Meanwhile<T> {
        let told = async {
            match control.next().await {
                Some(told) => Meanwhile::Told(told),
                None => pending().await,
            }
        };
        let ended = async {
            match self.running.next().await {
                Some(ended) => Meanwhile::Ended(ended),
                None => pending().await,
            }
        };
        pin_mut!(told, ended);
        let one = select(told, ended).map(|it| it.factor_first().0);
        let awaited = awaited.map(Meanwhile::Over);
        select(awaited, one).await.factor_first().0
    }

    /// An attempt that was stopped gives nothing.
    fn note(&mut self, ended: Option<(StepIndex, Outcome)>) {
        if !planted::is(Bug::EndedWhileStoringLost) {
            self.ended.extend(ended);
        }
    }
}
