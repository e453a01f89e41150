//! Keeps one job going: drives it again after whatever went wrong, until it is over or not to go on here.
//!
//! Like a drive it spawns nothing and waits on nothing but its port; dropping it stops the job where it is.

use std::time::Duration;

use futures_channel::mpsc;
use futures_util::future::{BoxFuture, Either, pending, select};
use futures_util::{FutureExt, StreamExt, pin_mut};

use crate::drive::{Control, Drive};
use crate::planted::{self, Bug};
use crate::port::Clock;

/// How an attempt to drive a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The job is over, or stops here until the next start.
    Well(Drive),
    /// It may go on later.
    Later(String),
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

    /// Ends a job that can never go on, so that nobody waits for it.
    fn give_up<'a>(&'a self, why: &'a str) -> BoxFuture<'a, ()>;
}

/// How a job is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Wait before a job is driven again; doubles each time.
    pub first_wait: Duration,
    /// The longest such wait.
    pub longest_wait: Duration,
    /// A drive that takes longer is cancelled, for that reason.
    pub limit: Option<(Duration, String)>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(60),
            limit: None,
        }
    }
}

/// Drives a job to its end, or until it is drained; `cancel` is why it shall not even begin.
///
/// What is told while no driver hears it reaches the next one.
pub async fn keep(
    keeper: &dyn Keeper,
    clock: &dyn Clock,
    policy: &Policy,
    told: mpsc::UnboundedReceiver<Control>,
    cancel: Option<String>,
) {
    let mut kept = Kept {
        told,
        cancel,
        drains: false,
    };
    let mut wait = policy.first_wait;
    loop {
        let ended = kept.once(keeper, clock, policy).await;
        keeper.note(&ended);
        match ended {
            Ended::Well(Drive::Drained) if planted::is(Bug::NotReleased) => return,
            Ended::Well(Drive::Drained) => return keeper.release().await,
            Ended::Well(Drive::Ended(_)) | Ended::Lost => return,
            Ended::Never(why) => return keeper.give_up(&why).await,
            Ended::Later(_) if planted::is(Bug::NotDrivenAgain) => return,
            Ended::Later(_) => {}
        }
        kept.pause(clock, wait).await;
        if !planted::is(Bug::DrivenAgainAtOnce) {
            wait = (wait * 2).min(policy.longest_wait);
        }
    }
}

struct Kept {
    told: mpsc::UnboundedReceiver<Control>,
    /// Why it is to stop.
    cancel: Option<String>,
    /// Whether it is not to go on here.
    drains: bool,
}

impl Kept {
    /// Drives it once. The driver's own channel ends with the driver.
    async fn once(&mut self, keeper: &dyn Keeper, clock: &dyn Clock, policy: &Policy) -> Ended {
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
        let beside = async {
            let limit = limit(policy, clock, &control);
            let pass_on = self.pass_on(&control);
            pin_mut!(limit, pass_on);
            select(limit, pass_on).await;
        };
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
        while let Some(it) = self.told.next().await {
            if !planted::is(Bug::ToldForgotten) {
                self.remember(&it);
            }
            control.unbounded_send(it).ok();
        }
        pending().await
    }

    fn remember(&mut self, told: &Control) {
        match told {
            Control::Cancel { reason } => self.cancel = Some(reason.clone()),
            Control::Drain => self.drains = true,
        }
    }

    /// Waits before the next drive, unless something is told that is not to wait.
    async fn pause(&mut self, clock: &dyn Clock, wait: Duration) {
        if self.drains {
            return;
        }
        let timer = clock.sleep_until(clock.now().after(wait));
        let told = async {
            match self.told.next().await {
                Some(it) if !planted::is(Bug::ToldBetweenForgotten) => self.remember(&it),
                _ => pending().await,
            }
        };
        pin_mut!(told);
        select(timer, told).await;
    }
}

/// Never ends; cancels a job that takes longer than jobs may.
async fn limit(policy: &Policy, clock: &dyn Clock, control: &mpsc::UnboundedSender<Control>) {
    if let Some((length, reason)) = &policy.limit {
        clock.sleep_until(clock.now().after(*length)).await;
        let reason = reason.clone();
        control.unbounded_send(Control::Cancel { reason }).ok();
    }
    pending().await
}
