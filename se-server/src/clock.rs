//! Time, ids and randomness as the machine has them: the only place that asks for them.

mod kept;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use se_runtime::{Clock, Timestamp};
use se_store::Randomness;

use kept::Kept;

/// Gives ids that nobody else has.
pub trait Ids: Send + Sync {
    /// Another one; later ones sort behind earlier ones.
    fn next(&self) -> String;
}

/// What the engine takes from the machine it runs on.
#[derive(Clone)]
pub struct World {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids of jobs.
    pub ids: Arc<dyn Ids>,
    /// Unpredictable bytes.
    pub random: Arc<dyn Randomness>,
}

impl World {
    /// The real one.
    #[must_use]
    pub fn system() -> Self {
        Self::with(None)
    }

    /// The real one, whose clock goes on where a process before has left it in this folder: a clock of the machine
    /// that is set cuts no wait short, also where the engine is started again meanwhile.
    #[must_use]
    pub fn system_in(folder: &Path) -> Self {
        Self::with(Kept::at(folder))
    }

    fn with(kept: Option<Kept>) -> Self {
        Self {
            clock: Arc::new(System::new(kept)),
            ids: Arc::new(Machine),
            random: Arc::new(Machine),
        }
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("World")
    }
}

struct System {
    clock: Mutex<(Slewed, Option<Kept>)>,
}

impl System {
    fn new(mut kept: Option<Kept>) -> Self {
        let ahead = kept.as_mut().and_then(Kept::ahead);
        Self {
            clock: Mutex::new((Slewed::going_on(ahead, wall(), steady()), kept)),
        }
    }
}

impl Clock for System {
    fn now(&self) -> Timestamp {
        let mut inner = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        let (clock, kept) = &mut *inner;
        let steady = steady();
        let now = clock.read(wall(), steady);
        if let Some(kept) = kept {
            kept.keep(clock.ahead, steady);
        }
        Timestamp::from_micros(now)
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        tokio::time::sleep(at.since(self.now())).boxed()
    }
}

/// What people agree on, in microseconds since 1970; it may be set at any time.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that everybody else is given"
)]
fn wall() -> i64 {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.map_or(0, |it| it.as_micros())).unwrap_or(i64::MAX)
}

/// What has passed since some moment, in microseconds; nobody sets it, and it goes on while the machine
/// sleeps.
fn steady() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now.tv_sec.saturating_mul(1_000_000) + now.tv_nsec / 1_000
}

/// A clock that follows the wall clock without its jumps: where that was set, it goes a little faster or
/// slower until both agree. So nothing that is waited for comes early, late or never because of it.
#[derive(Clone, Copy, Debug)]
struct Slewed {
    /// When it was last brought nearer to the wall clock.
    steady: i64,
    /// How far it is ahead of the steady clock.
    ahead: i64,
    /// Whether the wall clock is known to be elsewhere.
    apart: bool,
}

impl Slewed {
    /// It catches up by a twentieth of the time that passes.
    const RATE: i64 = 20;
    /// It is brought nearer at most this often.
    const OFTEN: i64 = 1_000;
    /// A process that finds the wall clock further away than this from where the one before was believes it: it may
    /// have been started again for that.
    const LOST: i64 = 3_600_000_000;
    /// Said to an operator: the clock was set.
    const FAR: i64 = 2_000_000;

    fn new(wall: i64, steady: i64) -> Self {
        Self {
            steady,
            ahead: wall.saturating_sub(steady),
            apart: false,
        }
    }

    /// As far ahead as the process before was, if that is known.
    fn going_on(ahead: Option<i64>, wall: i64, steady: i64) -> Self {
        let new = Self::new(wall, steady);
        let is_near = |it: &i64| it.saturating_sub(new.ahead).saturating_abs() <= Self::LOST;
        Self {
            ahead: ahead.filter(is_near).unwrap_or(new.ahead),
            ..new
        }
    }

    fn read(&mut self, wall: i64, steady: i64) -> i64 {
        let passed = steady.saturating_sub(self.steady);
        if passed >= Self::OFTEN {
            self.steady = steady;
            let behind = wall.saturating_sub(steady).saturating_sub(self.ahead);
            let most = passed / Self::RATE;
            self.ahead = self.ahead.saturating_add(behind.clamp(-most, most));
            self.tell(behind);
        }
        steady.saturating_add(self.ahead)
    }

    fn tell(&mut self, behind: i64) {
        let apart = behind.saturating_abs() > Self::FAR;
        if apart && !self.apart {
            tracing::warn!(
                seconds = behind / 1_000_000,
                "the clock of this machine was set; times here follow it slowly, so that no wait is cut short"
            );
        }
        self.apart = apart;
    }
}

/// Where ids and randomness come from.
struct Machine;

impl Ids for Machine {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the source of ids for everybody else"
    )]
    fn next(&self) -> String {
        uuid::Uuid::now_v7().to_string()
    }
}

impl Randomness for Machine {
    fn fill(&self, bytes: &mut [u8]) -> std::io::Result<()> {
        getrandom::fill(bytes).map_err(std::io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Slewed;

    const SECOND: i64 = 1_000_000;
    const HOUR: i64 = 3_600 * SECOND;

    #[test]
    fn a_step_of_an_hour_neither_stops_nor_ends_a_wait() {
        for step in [HOUR, -HOUR] {
            let start = 1_764_000_000 * SECOND;
            let mut clock = Slewed::new(start, 7);
            let before = clock.read(start + SECOND, 7 + SECOND);
            assert_eq!(before, start + SECOND);
            let mut now = before;
            for second in 2..=11 {
                now = clock.read(start + step + second * SECOND, 7 + second * SECOND);
            }
            let waited = now - before;
            assert!((9 * SECOND..=11 * SECOND).contains(&waited), "{waited}");
            // A day later they agree.
            for minute in 1..=24 * 60 {
                let passed = 11 * SECOND + minute * 60 * SECOND;
                now = clock.read(start + step + passed, 7 + passed);
            }
            assert_eq!(now, start + step + 11 * SECOND + 24 * HOUR);
        }
    }

    #[test]
    fn a_process_goes_on_where_the_one_before_was_unless_that_is_far_away() {
        let (wall, steady) = (1_764_000_000 * SECOND, 7 * SECOND);
        let mut before = Slewed::new(wall, steady);
        let at = before.read(wall + HOUR + SECOND, steady + SECOND);
        let mut after = Slewed::going_on(
            Some(before.ahead),
            wall + HOUR + 2 * SECOND,
            steady + 2 * SECOND,
        );
        let passed = after.read(wall + HOUR + 3 * SECOND, steady + 3 * SECOND) - at;
        assert!((2 * SECOND..3 * SECOND).contains(&passed), "{passed}");
        let mut far = Slewed::going_on(Some(before.ahead), wall + 2 * HOUR, steady);
        assert_eq!(far.read(wall + 2 * HOUR, steady), wall + 2 * HOUR);
    }

    proptest! {
        #[test]
        fn it_goes_forward_at_about_the_pace_of_time(
            steps in proptest::collection::vec((0..10 * SECOND, -HOUR..HOUR), 1..100),
        ) {
            let (mut wall, mut steady) = (1_764_000_000 * SECOND, 0);
            let mut clock = Slewed::new(wall, steady);
            let mut before = clock.read(wall, steady);
            for (passes, set) in steps {
                steady += passes;
                wall += passes + set;
                let now = clock.read(wall, steady);
                // What passed in earlier looks too short to count is made up for later.
                let most = passes / Slewed::RATE + Slewed::OFTEN;
                prop_assert!((now - before - passes).abs() <= most);
                prop_assert!(now >= before);
                before = now;
            }
        }
    }
}
