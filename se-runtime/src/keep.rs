//! Keeps one job going: drives it again after whatever went wrong, until it is over or not to go on here.
//!
//! Like a drive it spawns nothing and waits on nothing but its port; dropping it stops the job where it is.

use std::time::Duration;

use futures_channel::mpsc;
use futures_util::future::{BoxFuture, Either, pending, select};
use futures_util::{FutureExt, StreamExt, pin_mut};

use crate::drive::{Control, Drive};
use crate::planted::{self, Bug};
use crate::port::{Clock, Unanswered};
use crate::time::Timestamp;

/// How an attempt to drive a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The job is over, stops here until the next start, or waits.
    Well(Drive),
    /// It may go on later.
    Later(String),
    /// It may go on later, or at once where something is at hand that this engine lacks.
    NotHere(String),
    /// Another engine drives it.
    Lost,
    /// It can never go on.
    Never(String),
}

/// What keeping a job needs of the world.
pub trait Keeper: Send + Sync {
    /// Drives the job once, from its log. What the driver is told comes by `told`, a `cancel` first that
    /// was told before there was a driver.
    fn drive<'a>(
        &'a self,
        told: mpsc::UnboundedReceiver<Control>,
        cancel: Option<&'a str>,
    ) -> BoxFuture<'a, Ended>;

    /// Hears how each attempt ended.
    fn note(&self, ended: &Ended);

    /// Lets others go on with the job.
    fn release(&self) -> BoxFuture<'_, ()>;

    /// Lets others go on with a job that this engine cannot go on with for now, and does not take it up itself for a
    /// while.
    fn hand_over(&self) -> BoxFuture<'_, Result<(), Unanswered>>;

    /// Ends a job that can never go on, so that nobody waits for it.
    fn give_up<'a>(&'a self, why: &'a str) -> BoxFuture<'a, Result<(), Unanswered>>;
}

/// How a job is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Wait before a job is driven again; doubles each time.
    pub first_wait: Duration,
    /// The longest such wait.
    pub longest_wait: Duration,
    /// The longest such wait for something that another engine may have.
    pub longest_here: Duration,
    /// What a job may take.
    pub limit: Option<Limit>,
}

/// A job that takes longer is cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What it may take.
    pub length: Duration,
    /// Since when that counts; where it is not known, since it is kept here.
    pub since: Option<Timestamp>,
    /// Why it is cancelled then.
    pub reason: String,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(60),
            longest_here: Duration::from_secs(4),
            limit: None,
        }
    }
}

/// Drives a job to its end, or until it is drained; `cancel` is why it shall not even begin.
///
/// What is told while no driver hears it reaches the next one. A job that was put down because it only waits is
/// taken up at its time, or when something is told.
pub async fn keep(
    keeper: &dyn Keeper,
    clock: &dyn Clock,
    policy: &Policy,
    told: mpsc::UnboundedReceiver<Control>,
    cancel: Option<String>,
) {
    let mut kept = Kept {
        clock,
        policy,
        told,
        cancel,
        drains: false,
        over: None,
    };
    kept.count();
    let mut wait = policy.first_wait;
    loop {
        let ended = kept.once(keeper).await;
        keeper.note(&ended);
        match ended {
            Ended::Well(Drive::Drained) if planted::is(Bug::NotReleased) => return,
            Ended::Well(Drive::Drained) => return keeper.release().await,
            Ended::Well(Drive::Ended(_)) | Ended::Lost => return,
            Ended::Never(why) if keeper.give_up(&why).await.is_ok() => return,
            Ended::Later(_) if planted::is(Bug::NotDrivenAgain) => return,
            Ended::Well(Drive::Waits(until)) => {
                wait = policy.first_wait;
                kept.rest(until).await;
            }
            Ended::NotHere(_) if wait > policy.longest_here && keeper.hand_over().await.is_ok() => {
                return;
            }
            // What could not even be given up, or handed over, is looked at again.
            Ended::Later(_) | Ended::NotHere(_) | Ended::Never(_) => {
                kept.pause(clock.now().after(wait), |_| false).await;
                if !planted::is(Bug::DrivenAgainAtOnce) {
                    wait = (wait * 2).min(policy.longest_wait);
                }
            }
        }
    }
}

struct Kept<'a> {
    clock: &'a dyn Clock,
    policy: &'a Policy,
    told: mpsc::UnboundedReceiver<Control>,
    /// Why it is to stop.
    cancel: Option<String>,
    /// Whether it is not to go on here.
    drains: bool,
    /// When it will have taken longer than jobs may.
    over: Option<Timestamp>,
}

impl Kept<'_> {
    /// When it will have taken what it may.
    fn count(&mut self) {
        let now = || self.clock.now();
        let limit = self.policy.limit.as_ref();
        self.over = limit.map(|it| it.since.unwrap_or_else(now).after(it.length));
    }

    /// Drives it once. The driver's own channel ends with the driver.
    async fn once(&mut self, keeper: &dyn Keeper) -> Ended {
        while let Some(Some(it)) = self.told.next().now_or_never() {
            self.remember(&it);
        }
        if self.drains {
            return Ended::Well(Drive::Drained);
        }
        let (control, relay) = mpsc::unbounded();
        let said = self.cancel.clone();
        if let Some(reason) = said.clone() {
            control.unbounded_send(Control::Cancel { reason }).ok();
        }
        let drive = keeper.drive(relay, said.as_deref());
        let beside = self.pass_on(&control);
        pin_mut!(beside);
        // Only the driver ends; what runs beside it is dropped with it.
        match select(drive, beside).await {
            Either::Left((ended, _)) => ended,
            Either::Right(_) => {
                Ended::Later("nobody tells the driver anything any more".to_owned())
            }
        }
    }

    /// Never ends; hands on what is told.
    async fn pass_on(&mut self, control: &mpsc::UnboundedSender<Control>) {
        loop {
            let it = self.hear().await;
            if !planted::is(Bug::ToldForgotten) {
                self.remember(&it);
            }
            control.unbounded_send(it).ok();
        }
    }

    /// What is told next; that it takes longer than jobs may is told like all else, once.
    async fn hear(&mut self) -> Control {
        let over = match self.over {
            Some(at) => self.clock.sleep_until(at),
            None => pending().boxed(),
        };
        match select(over, self.told.next()).await {
            Either::Right((Some(it), _)) => return it,
            Either::Right((None, over)) => over.await,
            Either::Left(_) => {}
        }
        self.over = None;
        let limit = self.policy.limit.as_ref();
        let reason = limit.map(|it| it.reason.clone()).unwrap_or_default();
        Control::Cancel { reason }
    }

    fn remember(&mut self, told: &Control) {
        match told {
            Control::Cancel { reason } => {
                self.cancel.get_or_insert_with(|| reason.clone());
            }
            Control::Drain => self.drains = true,
        }
    }

    /// Waits as its job does.
    async fn rest(&mut self, until: Timestamp) {
        // Its driver may have put it down before it heard that.
        if self.cancel.is_some() && !planted::is(Bug::PutDownUnheard) {
            return;
        }
        let left = until.since(self.clock.now());
        let until = match until {
            _ if planted::is(Bug::TakenUpEarly) => self.clock.now().after(left / 2),
            _ if planted::is(Bug::TakenUpLate) => until.after(Duration::from_secs(5)),
            it => it,
        };
        if planted::is(Bug::LimitAnew) {
            self.count();
        }
        let misses = |told: &Control| match told {
            Control::Cancel { .. } => planted::is(Bug::PutDownNotCancelled),
            Control::Drain => planted::is(Bug::PutDownNotDrained),
        };
        self.pause(until, misses).await;
    }

    /// Waits before the next drive, unless something is told that is not to wait; `misses` is for planted bugs.
    async fn pause(&mut self, until: Timestamp, misses: fn(&Control) -> bool) {
        if self.drains {
            return;
        }
        let timer = self.clock.sleep_until(until);
        let told = async {
            let mut told = self.hear().await;
            while misses(&told) || planted::is(Bug::ToldBetweenForgotten) {
                told = self.hear().await;
            }
            self.remember(&told);
        };
        pin_mut!(told);
        select(told, timer).await;
    }
}
