//! Sends what is in an outbox: in order for each stream, at least once.
//!
//! One sender is one future. It spawns nothing and waits on nothing but its ports; dropping it loses
//! nothing, because what was not noted stays due.

mod port;

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::{BoxFuture, Either, pending, select};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt, pin_mut};

pub use port::{Bell, Due, Note, Outbox, Post, Posted};

use crate::planted::{self, Bug};
use crate::port::{Clock, Unanswered};
use crate::stage::{Stage, Stages, idle};
use crate::time::Timestamp;

/// How patient a sender is, and how much it does at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Wait after the first failure; doubles each time.
    pub first_wait: Duration,
    /// The longest wait.
    pub longest_wait: Duration,
    /// What did not arrive for so long is given up.
    pub patience: Duration,
    /// Deliveries under way at the same time; each belongs to a stream of its own.
    pub at_once: usize,
    /// When the outbox fails, or while attempts are under way, it is asked again after this time.
    pub look_again: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(5 * 60),
            patience: Duration::from_secs(24 * 60 * 60),
            at_once: 32,
            look_again: Duration::from_secs(1),
        }
    }
}

impl Policy {
    /// What is noted of an attempt that ended at `now`.
    fn note<L>(&self, due: &Due<L>, posted: Posted, now: Timestamp) -> Note {
        match posted {
            Posted::Arrived => Note::Delivered,
            Posted::Gone(error) if !planted::is(Bug::GoneSentAgain) => Note::Gone(error),
            Posted::Gone(error) | Posted::Failed(error) => self.failed(due, error, now),
        }
    }

    fn failed<L>(&self, due: &Due<L>, error: String, now: Timestamp) -> Note {
        let is_over = match now.since(due.created_at) >= self.patience {
            _ if planted::is(Bug::GivenUpTooSoon) => true,
            _ if planted::is(Bug::NeverGivenUp) => false,
            is_over => is_over,
        };
        if is_over {
            Note::Dead(error)
        } else {
            let at = now.after(self.wait(due.attempts));
            Note::Again { error, at }
        }
    }

    /// The wait after `failures` earlier failures.
    fn wait(&self, failures: u32) -> Duration {
        let failures = match failures {
            _ if planted::is(Bug::SenderWaitsFlat) => 0,
            failures => failures,
        };
        self.first_wait
            .saturating_mul(2_u32.saturating_pow(failures))
            .min(self.longest_wait)
    }
}

/// The world, for one sender.
#[derive(Debug)]
pub struct Sending<'a, O, P> {
    /// What is to be sent.
    pub outbox: &'a O,
    /// What sends it.
    pub post: &'a P,
    /// Time.
    pub clock: &'a dyn Clock,
    /// The engine it belongs to.
    pub stages: &'a dyn Stages,
    /// How patient it is.
    pub policy: Policy,
}

/// Sends until the engine stops and puts nothing in any more, then what is due once more.
pub async fn deliver<O: Outbox, P: Post<O::Letter>>(ports: Sending<'_, O, P>, bell: &mut dyn Bell) {
    let mut sender = Sender {
        ports: &ports,
        under_way: FuturesUnordered::new(),
        ids: BTreeSet::new(),
    };
    loop {
        // Asked before the outbox is: what was put in last is found by the look that follows.
        let mut stage = ports.stages.now();
        bell.listen();
        let wake = sender.look().await;
        if planted::is(Bug::LastNotSent) {
            stage = ports.stages.now();
        }
        if stage == Stage::Idle && sender.under_way.is_empty() {
            return;
        }
        sender.wait(bell, stage, wake).await;
    }
}

struct Sender<'a, O, P> {
    ports: &'a Sending<'a, O, P>,
    /// Attempts; each gives the id of its delivery.
    under_way: FuturesUnordered<BoxFuture<'a, i64>>,
    ids: BTreeSet<i64>,
}

impl<'a, O: Outbox, P: Post<O::Letter>> Sender<'a, O, P> {
    /// Begins what is due, and tells when to look again by the clock.
    async fn look(&mut self) -> Option<Timestamp> {
        let policy = self.ports.policy;
        let free = policy.at_once.saturating_sub(self.ids.len());
        if free == 0 {
            // The end of any of them wakes.
            return None;
        }
        let soon = |clock: &dyn Clock| Some(clock.now().after(policy.look_again));
        let Ok(due) = self.more(free).await else {
            return soon(self.ports.clock).filter(|_| !planted::is(Bug::OutboxForgotten));
        };
        let waited = self.ids.is_empty() && !due.is_empty();
        for it in due {
            self.ids.insert(it.id);
            self.under_way.push(attempt(self.ports, it).boxed());
        }
        if waited && planted::is(Bug::RetryHeldUp) {
            return None;
        }
        // Others may become due while an attempt takes long.
        if !self.ids.is_empty() {
            return soon(self.ports.clock);
        }
        match self.ports.outbox.next_due().await {
            Ok(next) => next,
            Err(Unanswered) => soon(self.ports.clock),
        }
    }

    /// At most so many that are due and not under way. Borrows mutably, so that the sender can move
    /// between threads: what is under way cannot be shared by them.
    async fn more(&mut self, free: usize) -> Result<Vec<Due<O::Letter>>, Unanswered> {
        let (outbox, now) = (self.ports.outbox, self.ports.clock.now());
        // Those under way are due as well.
        let mut due = outbox.due(now, self.ids.len() + free).await?;
        due.retain(|it| planted::is(Bug::SentTwiceAtOnce) || !self.ids.contains(&it.id));
        due.truncate(free);
        Ok(due)
    }

    async fn wait(&mut self, bell: &mut dyn Bell, stage: Stage, wake: Option<Timestamp>) {
        // Each branch can be dropped and made again: attempts stay in the set, the bell remembers.
        let ended = async {
            match self.under_way.next().await {
                Some(id) => id,
                None => pending().await,
            }
        };
        let timer = match wake {
            Some(at) => self.ports.clock.sleep_until(at),
            None => pending().boxed(),
        };
        let told = select(bell.rings(), self.ports.stages.after(stage));
        pin_mut!(ended);
        if let Either::Left((id, _)) = select(ended, select(told, timer)).await {
            self.ids.remove(&id);
        }
    }
}

/// One attempt, noted; a while longer where it cannot be noted. Gives the delivery's id.
async fn attempt<O: Outbox, P: Post<O::Letter>>(
    ports: &Sending<'_, O, P>,
    due: Due<O::Letter>,
) -> i64 {
    let posted = ports.post.post(&due).await;
    let note = ports.policy.note(&due, posted, ports.clock.now());
    if ports.outbox.note(&due, note).await.is_err() && !planted::is(Bug::UnnotedSentAtOnce) {
        // It is due still, and would be sent again and again for as long as nothing can be noted.
        let later = ports.clock.now().after(ports.policy.look_again);
        let stops = idle(ports.stages);
        pin_mut!(stops);
        select(ports.clock.sleep_until(later), stops).await;
    }
    due.id
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Due, Note, Policy, Posted};
    use crate::time::Timestamp;

    #[test]
    fn waits_double_up_to_five_minutes() {
        let policy = Policy::default();
        let seconds: Vec<u64> = (0..11).map(|n| policy.wait(n).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(policy.wait(u32::MAX), Duration::from_secs(300));
    }

    #[test]
    fn what_did_not_arrive_for_a_day_is_given_up_and_what_is_gone_at_once() {
        let policy = Policy::default();
        let due = Due {
            id: 1,
            attempts: 2,
            created_at: Timestamp::default(),
            letter: (),
        };
        let at = |seconds| Timestamp::default().after(Duration::from_secs(seconds));
        let failed = |seconds| policy.note(&due, Posted::Failed("no".into()), at(seconds));
        let error = "no".to_owned();
        let again = Note::Again {
            error: error.clone(),
            at: at(86_403),
        };
        assert_eq!(failed(86_399), again);
        assert_eq!(failed(86_400), Note::Dead(error.clone()));
        let gone = policy.note(&due, Posted::Gone("no".into()), at(1));
        assert_eq!(gone, Note::Gone(error));
        let arrived = policy.note(&due, Posted::Arrived, at(86_400));
        assert_eq!(arrived, Note::Delivered);
    }
}
