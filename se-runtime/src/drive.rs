//! Runs a job: decisions of the machine, stored, then done, until nothing is left.
//!
//! One job is one future. It spawns nothing, waits on nothing but its ports, and dropping it stops the
//! job where it is; the log says how to go on.

mod attempts;
mod news;
mod storing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_channel::mpsc;
use futures_util::future::{AbortHandle, Abortable, BoxFuture, select};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt, pin_mut};
use serde_json::Value;

use crate::event::{Event, JobStatus};
use crate::machine::{self, Context, Effects, Half, Mode, Turn};
use crate::plan::{Plan, StepIndex};
use crate::planted::{self, Bug};
use crate::port::{Actions, Clock, Endpoints, EventLog, LogError, Outcome};
use crate::secret::Vault;
use crate::state::{FoldError, State};
use crate::time::Timestamp;

use news::News;

/// What follows by itself is computed for so long before it is stored, and others have their turn.
const BURST: Duration = Duration::from_millis(20);
/// Progress that an attempt reports is stored at most this often.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// The world, for one job.
#[derive(Clone, Copy, Debug)]
pub struct Ports<'a> {
    /// Where its events are kept.
    pub log: &'a dyn EventLog,
    /// What does its effects.
    pub actions: &'a dyn Actions,
    /// Time.
    pub clock: &'a dyn Clock,
    /// A job that does nothing but wait for this long is put down; `None`: it never is.
    pub patience: Option<Duration>,
}

/// Where facts are kept that were learned about the pods of parts, by the names of the parts.
pub const PARTS: &str = "parts";

/// What a driver may be told while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// Stop the job.
    Cancel {
        /// Why.
        reason: String,
    },
    /// Stop at the next step boundary; the job goes on at the next start.
    Drain,
}

/// How a drive ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drive {
    /// The job has ended, with this status.
    Ended(JobStatus),
    /// It was drained: its log says how to go on.
    Drained,
    /// It does nothing but wait, until then, and was put down: its log says how to go on.
    Waits(Timestamp),
}

/// Why a job cannot be driven on. Its log is as it was.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The log could not be written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// An event does not fit: a defect, or a log of another plan.
    #[error(transparent)]
    Fold(#[from] FoldError),
}

/// Drives a job from its present state to its end.
///
/// The state comes from [`State::fold`] over the (opened) log, whether the job is new or goes on after a
/// crash: there is no other way in.
///
/// # Errors
/// [`DriveError`] if the log cannot be written; the job can be driven again later. While an attempt is under way
/// that may not be made twice, a store that does not answer is asked again, until it does or a cancel is told.
pub async fn drive(
    plan: &Plan,
    state: State,
    vault: &Vault,
    ports: Ports<'_>,
    control: mpsc::UnboundedReceiver<Control>,
) -> Result<Drive, DriveError> {
    let endpoints = endpoints(plan, &state, ports.clock).await;
    let news = News::default();
    let mut driver = Driver {
        plan,
        state,
        vault,
        ports,
        endpoints,
        mode: Mode::Run,
        half: Half::default(),
        running: FuturesUnordered::new(),
        handles: BTreeMap::new(),
        news: &news,
        wake: None,
        ended: Vec::new(),
        told: Vec::new(),
        cut_off: false,
        environments: BTreeMap::new(),
    };
    driver.run(control).await
}

/// The connectors of the package, then those of each part. They are what they were when the job was taken in, whatever
/// has been captured since: however often it is driven, it reaches the same devices.
async fn endpoints(plan: &Plan, state: &State, clock: &dyn Clock) -> Vec<Arc<Endpoints>> {
    let package = plan.package();
    let frozen = state.accepted().scopes.seen_in(package);
    let mut all = Vec::with_capacity(frozen.len());
    let mut end = clock.now().after(BURST);
    for (part, scopes) in package.places().zip(&frozen) {
        let evaluated = Endpoints::evaluate(package.content(part), scopes);
        all.push(Arc::new(evaluated));
        if clock.now() >= end {
            yield_once().await;
            end = clock.now().after(BURST);
        }
    }
    all
}

/// Lets others that are driven by the same thread have their turn.
async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

struct Driver<'a> {
    plan: &'a Plan,
    state: State,
    vault: &'a Vault,
    ports: Ports<'a>,
    endpoints: Vec<Arc<Endpoints>>,
    mode: Mode,
    /// What is computed and not stored yet.
    half: Half,
    running: FuturesUnordered<Attempt<'a>>,
    handles: BTreeMap<StepIndex, AbortHandle>,
    news: &'a News,
    wake: Option<Timestamp>,
    /// What came of attempts that ended while something was stored.
    ended: Vec<(StepIndex, Outcome)>,
    /// What was told meanwhile.
    told: Vec<Control>,
    /// Whether a cancel has stopped what ran.
    cut_off: bool,
    /// What attempts see of the pods, by part; made anew when something was learned.
    environments: BTreeMap<Option<usize>, Arc<Value>>,
}

/// An attempt under way; gives nothing when it was stopped.
type Attempt<'a> = BoxFuture<'a, Option<(StepIndex, Outcome)>>;

/// What a driver waits for.
enum Arrival {
    Outcome(StepIndex, Outcome),
    Stopped,
    Told(Control),
    Progress,
    Timer,
}

impl<'a> Driver<'a> {
    async fn run(
        &mut self,
        mut control: mpsc::UnboundedReceiver<Control>,
    ) -> Result<Drive, DriveError> {
        let at = self.ports.clock.now();
        let mut events = machine::interrupted(&self.state, at);
        let mut again: Vec<StepIndex> = self.state.calling().iter().copied().collect();
        if planted::is(Bug::RepeatableForgotten) {
            again.clear();
        }
        if planted::is(Bug::TimersRestarted) {
            self.state.restart_timers(at);
        }
        let mut first = Some(again);
        // What was told before it begins is not to wait until something has begun.
        if !planted::is(Bug::ToldTooLate) {
            self.hear(&mut control, &mut events);
        }
        loop {
            let at = self.ports.clock.now();
            let effects = self.decide(std::mem::take(&mut events), at)?;
            if planted::is(Bug::EffectBeforeEvent) {
                self.act(&effects, first.take().unwrap_or_default());
                self.begin_at_once(&mut events);
            }
            self.store(&effects, &mut control).await?;
            if self.state.status().is_final() {
                return Ok(Drive::Ended(self.state.status()));
            }
            if !planted::is(Bug::EffectBeforeEvent) {
                self.act(&effects, first.take().unwrap_or_default());
            }
            let idle = self.state.calling().is_empty() || planted::is(Bug::DrainCutsOff);
            if self.mode == Mode::Drain && idle {
                return Ok(Drive::Drained);
            }
            if let Some(until) = self.waits_long() {
                return Ok(Drive::Waits(until));
            }
            if effects.more {
                yield_once().await;
            }
            if self.ended.is_empty() && self.told.is_empty() {
                let arrival = self.wait(&mut control).await;
                self.take_in(arrival, &mut events);
            }
            self.hear(&mut control, &mut events);
            for (index, outcome) in std::mem::take(&mut self.ended) {
                self.take_in(Arrival::Outcome(index, outcome), &mut events);
            }
            // What has ended in the meantime shares the commit.
            while let Some(Some(arrived)) = self.running.next().now_or_never() {
                let arrived = arrived.map_or(Arrival::Stopped, |(at, it)| Arrival::Outcome(at, it));
                self.take_in(arrived, &mut events);
            }
            let is_cancel = |it: &Event| matches!(it, Event::CancelRequested { .. });
            if events.iter().any(is_cancel) {
                self.stop_at_once();
            }
        }
    }

    /// Stops what runs before it is stored that it is stopped: who cancels a job does not wait for a slow store, and
    /// has it remembered by whoever told it.
    fn stop_at_once(&mut self) {
        self.cut_off |= !self.running.is_empty();
        if !planted::is(Bug::StopForgotten) {
            self.handles.values().for_each(AbortHandle::abort);
        }
    }

    /// Until when nothing happens by itself, if that is long. Progress that is still to be told is not left behind.
    fn waits_long(&self) -> Option<Timestamp> {
        let calls = !self.state.calling().is_empty() && !planted::is(Bug::PutDownWhileCalling);
        if self.mode == Mode::Drain || calls || self.news.is_there() {
            return None;
        }
        let patience = self.ports.patience?;
        let long = self.ports.clock.now().after(patience);
        self.wake.filter(|until| *until >= long)
    }

    /// What [`Bug::EffectBeforeEvent`] does.
    fn begin_at_once(&mut self, events: &mut Vec<Event>) {
        if let Some(Some(Some((at, it)))) = self.running.next().now_or_never() {
            self.take_in(Arrival::Outcome(at, it), events);
        }
    }

    fn decide(&mut self, events: Vec<Event>, at: Timestamp) -> Result<Effects, FoldError> {
        let context = Context {
            plan: self.plan,
            endpoints: &self.endpoints,
            vault: self.vault,
        };
        let (clock, end) = (self.ports.clock, at.after(BURST));
        let mut turn = Turn {
            goes_on: &mut || clock.now() < end,
            half: &mut self.half,
        };
        machine::step_while(context, &mut self.state, events, (at, self.mode), &mut turn)
    }

    fn act(&mut self, effects: &Effects, again: Vec<StepIndex>) {
        for step in &effects.stop {
            self.ended.retain(|(ended, _)| ended != step);
            if let Some(handle) = self.handles.remove(step)
                && !planted::is(Bug::StopForgotten)
            {
                handle.abort();
            }
        }
        let again = again
            .into_iter()
            .filter(|step| self.state.calling().contains(step) && !effects.start.contains(step));
        let mut start: Vec<StepIndex> = again.chain(effects.start.iter().copied()).collect();
        if self
            .told
            .iter()
            .any(|it| matches!(it, Control::Cancel { .. }))
        {
            // They were decided before that, and are stopped next.
            start.clear();
        }
        for step in start {
            let (handle, registration) = AbortHandle::new_pair();
            self.handles.insert(step, handle);
            let attempt = self.attempt(step);
            let attempt = Abortable::new(attempt, registration)
                .map(move |outcome| outcome.ok().map(|outcome| (step, outcome)));
            self.running.push(attempt.boxed());
        }
        self.wake = effects.wake.filter(|_| !planted::is(Bug::TimerForgotten));
    }

    async fn wait(&mut self, control: &mut mpsc::UnboundedReceiver<Control>) -> Arrival {
        // Each branch can be dropped and made again: a stream loses nothing, news stay until they are
        // taken, and the timer is an absolute time.
        let clock = self.ports.clock;
        let news_due = self
            .state
            .progress()
            .2
            .map(|at| at.after(PROGRESS_INTERVAL));
        let timer = match self.wake {
            Some(at) => clock.sleep_until(at),
            None => futures_util::future::pending().boxed(),
        };
        let news = self.news.wait(news_due.map(|at| clock.sleep_until(at)));
        let running = async {
            match self.running.next().await {
                Some(Some((step, outcome))) => Arrival::Outcome(step, outcome),
                Some(None) => Arrival::Stopped,
                None => futures_util::future::pending().await,
            }
        };
        let told = async {
            match control.next().await {
                Some(told) => Arrival::Told(told),
                None => futures_util::future::pending().await,
            }
        };
        let timer = timer.map(|()| Arrival::Timer);
        let news = news.map(|()| Arrival::Progress);
        pin_mut!(running, told, timer, news);
        let inside = select(told, running).map(|it| it.factor_first().0);
        let outside = select(timer, news).map(|it| it.factor_first().0);
        pin_mut!(inside, outside);
        select(inside, outside).await.factor_first().0
    }

    /// What was told so far.
    fn hear(&mut self, control: &mut mpsc::UnboundedReceiver<Control>, events: &mut Vec<Event>) {
        for told in std::mem::take(&mut self.told) {
            self.take_in(Arrival::Told(told), events);
        }
        while let Some(Some(told)) = control.next().now_or_never() {
            self.take_in(Arrival::Told(told), events);
        }
    }

    fn take_in(&mut self, arrival: Arrival, events: &mut Vec<Event>) {
        match arrival {
            Arrival::Outcome(index, outcome) => {
                self.handles.remove(&index);
                // What was stopped meanwhile has ended already: its outcome comes too late.
                if self.state.calling().contains(&index) {
                    events.push(self.outcome(index, outcome));
                }
            }
            Arrival::Told(Control::Cancel { reason }) => {
                let ignored =
                    planted::is(Bug::CancelIgnoredWhileWaiting) && self.state.calling().is_empty();
                let known = |it: &Event| matches!(it, Event::CancelRequested { .. });
                let known = self.state.cancel_reason().is_some() || events.iter().any(known);
                if !known && !ignored {
                    events.push(Event::CancelRequested { reason });
                }
            }
            Arrival::Told(Control::Drain) => self.mode = Mode::Drain,
            Arrival::Progress => {
                if let Some(message) = self.news.take() {
                    events.push(Event::JobProgress {
                        percentage: self.state.percentage(),
                        message,
                    });
                }
            }
            Arrival::Stopped | Arrival::Timer => {}
        }
    }
}
