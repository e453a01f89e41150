//! Virtual time: sleeps cost nothing and end in their order.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::future::BoxFuture;
use se_runtime::{Clock, Timestamp};

/// A clock that stands still until [`VirtualClock::run`] has nothing left to do but wait.
#[derive(Clone, Default)]
pub struct VirtualClock {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    now: Timestamp,
    /// By time, then by who came first.
    waiting: BTreeMap<(Timestamp, u64), Waker>,
    slept: u64,
}

impl VirtualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        let clock = Self::default();
        clock.state().now = now;
        clock
    }

    /// Runs a future to its end, moving time whenever it only waits; `None` if it waits for something
    /// that is not this clock.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = Box::pin(future);
        let mut context = Context::from_waker(Waker::noop());
        loop {
            match future.as_mut().poll(&mut context) {
                Poll::Ready(it) => return Some(it),
                Poll::Pending if !self.advance() => return None,
                Poll::Pending => {}
            }
        }
    }

    /// Moves to the next moment somebody waits for; `false` if nobody does.
    pub fn advance(&self) -> bool {
        let next = {
            let mut state = self.state();
            let next = state.waiting.pop_first();
            if let Some(((at, _), _)) = &next {
                state.now = state.now.max(*at);
            }
            next
        };
        next.map(|(_, waker)| waker.wake()).is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.state().now
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        let mut sleep = Sleep {
            clock: self.clone(),
            at,
            place: None,
        };
        Box::pin(std::future::poll_fn(move |context| sleep.poll(context)))
    }
}

/// One who waits; whoever is dropped does not move time any more.
struct Sleep {
    clock: VirtualClock,
    at: Timestamp,
    place: Option<u64>,
}

impl Sleep {
    fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.clock.state();
        if state.now >= self.at {
            return Poll::Ready(());
        }
        state.slept += 1;
        let place = *self.place.get_or_insert(state.slept);
        state
            .waiting
            .insert((self.at, place), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.clock.state().waiting.remove(&(self.at, place));
        }
    }
}

impl fmt::Debug for VirtualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VirtualClock({})", self.now())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::{join, select};
    use se_runtime::{Clock as _, Timestamp};

    use super::VirtualClock;

    #[test]
    fn sleeps_end_in_their_order() {
        let clock = VirtualClock::at(Timestamp::from_micros(5));
        let order = std::sync::Mutex::new(Vec::new());
        let sleep = |name, seconds| {
            let until = clock.now().after(Duration::from_secs(seconds));
            let (sleep, order) = (clock.sleep_until(until), &order);
            async move {
                sleep.await;
                order.lock().unwrap().push(name);
            }
        };
        let all = join(sleep("late", 9), join(sleep("soon", 1), sleep("then", 1)));
        assert!(clock.run(all).is_some());
        assert_eq!(*order.lock().unwrap(), ["soon", "then", "late"]);
        assert_eq!(clock.now().micros(), 9_000_005);
    }

    #[test]
    fn a_dropped_sleep_does_not_move_time() {
        let clock = VirtualClock::default();
        let long = clock.sleep_until(Timestamp::from_micros(1_000));
        let short = clock.sleep_until(Timestamp::from_micros(10));
        drop(clock.run(select(long, short)));
        assert!(!clock.advance());
        assert_eq!(clock.now().micros(), 10);
        assert!(clock.run(std::future::pending::<()>()).is_none());
    }
}
