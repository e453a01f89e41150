//! The bounds of the evaluation that runs on this thread.
//!
//! The operators of the engine's values (`+`, `<`, collecting an array) are called by the
//! interpreter without any context, so what they spend is counted per thread. Everything that
//! makes, copies or walks values charges here; once a bound is passed the meter stays stopped,
//! every charge fails, and the result of the evaluation is [`Stop`], whatever the program caught.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::eval::Limits;
use super::value::Extent;

/// Containers may not be nested deeper than this: then comparing, writing and dropping any value
/// needs a small stack. JSON is read to 127 levels, and whoever stores a value in a record must be
/// able to read it again.
pub(super) const MAX_DEPTH: usize = 100;

/// The clock is looked at once per this much fuel (a power of two).
const CLOCK_SHIFT: u32 = 11;

/// The bound that an evaluation went over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Work,
    Time,
    Together,
    Stack,
    Bytes,
    Depth,
    Outputs,
    Pattern,
}

impl Stop {
    /// What to tell, after "the expression".
    pub(super) fn message(self, limits: &Limits) -> String {
        match self {
            Self::Work => format!(
                "needed more than {} steps of work; does it loop forever?",
                limits.fuel
            ),
            Self::Time => format!("ran for more than {} ms", limits.time.as_millis()),
            Self::Together => {
                "was not done when the time for all expressions that belong together, \
                 as those of a step do, was over; let earlier steps compute what takes long"
                    .into()
            }
            Self::Stack => {
                "calls itself too deeply; write the recursion as `reduce` or `while`".into()
            }
            Self::Bytes => format!("made a value of more than {} bytes", limits.bytes),
            Self::Depth => format!("made a value nested more than {MAX_DEPTH} levels deep"),
            Self::Outputs => format!("has more than {} outputs", limits.outputs),
            Self::Pattern => "matched a regular expression that is too costly for so long a text; \
                 make its repetitions smaller and unambiguous"
                .into(),
        }
    }
}

struct Meter {
    fuel: Cell<u64>,
    /// How long it may take, and until when: known once the clock was looked at.
    time: Cell<Duration>,
    deadline: Cell<Option<Instant>>,
    /// When others have their time, whatever is left of its own.
    until: Cell<Option<Instant>>,
    stack_floor: Cell<usize>,
    bytes: Cell<usize>,
    stop: Cell<Option<Stop>>,
}

thread_local! {
    static METER: Meter = const {
        Meter {
            fuel: Cell::new(u64::MAX),
            time: Cell::new(Duration::MAX),
            deadline: Cell::new(None),
            until: Cell::new(None),
            stack_floor: Cell::new(0),
            bytes: Cell::new(usize::MAX),
            stop: Cell::new(None),
        }
    };
}

impl Meter {
    #[cold]
    fn stop(&self, why: Stop) -> bool {
        if self.stop.get().is_none() {
            self.stop.set(Some(why));
        }
        self.fuel.set(0);
        false
    }

    #[cold]
    fn in_time(&self) -> bool {
        let time = self.time.get();
        if time == Duration::MAX {
            return true;
        }
        let now = clock();
        if self.until.get().is_some_and(|until| now > until) {
            return self.stop(Stop::Together);
        }
        match self.deadline.get() {
            Some(deadline) => now <= deadline || self.stop(Stop::Time),
            // Time counts from the first look, which small programs never get to: it comes after
            // a few microseconds of work.
            None => {
                self.deadline.set(now.checked_add(time));
                true
            }
        }
    }

    fn reset(&self) {
        self.fuel.set(u64::MAX);
        self.time.set(Duration::MAX);
        self.deadline.set(None);
        self.until.set(None);
        self.stack_floor.set(0);
        self.bytes.set(usize::MAX);
        self.stop.set(None);
    }
}

/// The only clock of the language: it guards deadlines and never reaches a value.
#[expect(
    clippy::disallowed_methods,
    reason = "a guard against slow expressions; no result depends on it unless the bound is passed"
)]
pub(super) fn clock() -> Instant {
    Instant::now()
}

/// How an evaluation went.
pub(super) struct Metered<T> {
    pub(super) result: T,
    /// The bound that it passed.
    pub(super) stop: Option<Stop>,
    /// Until when it could have gone on, if the clock was looked at.
    pub(super) deadline: Option<Instant>,
}

/// Runs `evaluation` within `limits`, `stack` bytes of this thread's stack, and `deadline` if it is
/// known already.
pub(super) fn within<T>(
    limits: &Limits,
    stack: usize,
    deadline: Option<Instant>,
    evaluation: impl FnOnce() -> T,
) -> Metered<T> {
    METER.with(|meter| {
        meter.fuel.set(limits.fuel);
        meter.time.set(limits.time);
        meter.deadline.set(deadline);
        meter.until.set(limits.until);
        meter.stack_floor.set(stack_pointer().saturating_sub(stack));
        meter.bytes.set(limits.bytes);
        meter.stop.set(None);
    });
    let result = evaluation();
    METER.with(|meter| {
        let (stop, deadline) = (meter.stop.get(), meter.deadline.get());
        meter.reset();
        Metered {
            result,
            stop,
            deadline,
        }
    })
}

/// Pays for `work`; `false` once the evaluation has to end.
pub(super) fn charge(work: u64) -> bool {
    METER.with(|meter| {
        let before = meter.fuel.get();
        match before.checked_sub(work.max(1)) {
            None => meter.stop(Stop::Work),
            Some(after) => {
                meter.fuel.set(after);
                before >> CLOCK_SHIFT == after >> CLOCK_SHIFT || meter.in_time()
            }
        }
    })
}

/// Looks at the clock now, ahead of work whose cost is not known; `false` once the evaluation has to
/// end.
pub(super) fn look() -> bool {
    METER.with(|meter| meter.stop.get().is_none() && meter.in_time())
}

/// Pays for walking or copying `bytes` bytes.
pub(super) fn charge_bytes(bytes: usize) -> bool {
    charge(1 + bytes as u64 / 32)
}

/// Pays for one turn of a loop or recursion, and stops what is about to run out of stack.
pub(super) fn turn() -> bool {
    const TURN: u64 = 8;
    METER.with(|meter| {
        if stack_pointer() < meter.stack_floor.get() {
            return meter.stop(Stop::Stack);
        }
        true
    }) && charge(TURN)
}

/// Whether a value of this extent may be made.
pub(super) fn admit(extent: Extent) -> bool {
    METER.with(|meter| {
        if extent.bytes > meter.bytes.get() {
            return meter.stop(Stop::Bytes);
        }
        if extent.depth > MAX_DEPTH {
            return meter.stop(Stop::Depth);
        }
        true
    })
}

/// Whether a text or value of so many bytes may be made.
pub(super) fn admit_bytes(bytes: usize) -> bool {
    admit(Extent { bytes, depth: 0 })
}

/// The largest value that may be made, in bytes.
pub(super) fn max_bytes() -> usize {
    METER.with(|meter| meter.bytes.get())
}

/// Ends the evaluation.
pub(super) fn stop(why: Stop) {
    METER.with(|meter| meter.stop(why));
}

/// Whether a bound has been passed.
pub(super) fn stopped() -> bool {
    METER.with(|meter| meter.stop.get().is_some())
}

#[inline(never)]
fn stack_pointer() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(&here) as usize
}
