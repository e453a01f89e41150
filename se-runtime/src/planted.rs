//! Bugs on purpose, to measure what a test finds. Without the feature `planted`, which no product build
//! has, asking for one is `false` and nothing of them is left.

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// An effect starts before the event that asks for it is stored.
    EffectBeforeEvent,
    /// What may not be repeated is made again after a crash.
    InterruptedRepeated,
    /// What may be repeated is not made again after a crash.
    RepeatableForgotten,
    /// What was stopped goes on.
    StopForgotten,
    /// Nobody comes back when a timer is over.
    TimerForgotten,
    /// A timer is over at once.
    TimerEarly,
    /// Waits begin anew after a crash.
    TimersRestarted,
    /// An attempt may take for ever.
    TimeoutForgotten,
    /// A cancel is not heard while nothing runs.
    CancelIgnoredWhileWaiting,
    /// A cancelled job does not say why.
    CancelReasonLost,
    /// After a crash nobody knows what was captured.
    CapturesForgottenByFold,
    /// A drain does not wait for what runs.
    DrainCutsOff,
    /// Steps begin while the driver drains.
    DrainBegins,
    /// Secrets stand in stored events.
    Unsealed,
    /// A batch is stored in the wrong order.
    BatchReversed,
    /// The last event of a batch is not stored.
    BatchCut,
    /// One attempt too few.
    RetryTooFew,
    /// Attempts have no end.
    RetryEndless,
    /// Waits do not grow.
    BackoffFlat,
    /// `on_error: continue` fails the job.
    ContinueFails,
    /// `when` is not asked.
    WhenIgnored,
    /// A job leaves no results.
    ResultsLost,
    /// Changes do not wait for what is before them.
    ChangeUnordered,
    /// A step does not wait for what it reads.
    ReadUnordered,
    /// Captures of one name have no order.
    CaptureUnordered,
    /// A capture does not wait for those who read what was there.
    CaptureBeforeRead,
    /// Reads do not wait for changes.
    LookUnordered,
    /// A composite gives nothing back.
    ExportLost,
    /// A loop leaves its last element out.
    ElementLost,
    /// Another attempt has the number of the one before.
    AttemptNotCounted,
    /// An attempt whose turn has come when the one before has failed is noted and not made.
    RetryAtOnceForgotten,
    /// What its receiver does not want is sent again.
    GoneSentAgain,
    /// A delivery is given up after its first failure.
    GivenUpTooSoon,
    /// A delivery is never given up.
    NeverGivenUp,
    /// Waits between attempts to deliver do not grow.
    SenderWaitsFlat,
    /// An engine that stops does not look for what its last job has put in.
    LastNotSent,
    /// Where the outbox failed, nobody asks it again.
    OutboxForgotten,
    /// What cannot be noted is sent again at once, over and over.
    UnnotedSentAtOnce,
    /// What becomes due while an attempt takes long waits for that.
    RetryHeldUp,
    /// A delivery that is under way is begun again.
    SentTwiceAtOnce,
    /// A job whose store failed once is not driven again.
    NotDrivenAgain,
    /// Waits before a job is driven again do not grow.
    DrivenAgainAtOnce,
    /// What a driver was told is forgotten when it fails.
    ToldForgotten,
    /// What is told while there is no driver is forgotten.
    ToldBetweenForgotten,
    /// Who drains keeps its jobs.
    NotReleased,
    /// Steps begin before a driver hears that it is to stop.
    ToldTooLate,
    /// Where a claim failed, nobody looks whether it claimed anything.
    OwnForgotten,
    /// More jobs run than there are places.
    PlacesIgnored,
    /// Where the look for cancels failed, it is not made again.
    CancelsLookedAtOnce,
    /// What is only to be ended waits for a place.
    CancelWaitsForPlace,
    /// What is claimed while an engine drains is not told so.
    DrainUntold,
    /// What was let go is not taken up again.
    ResumedUnsure,
    /// Others count as dead at once.
    LeaseTooShort,
    /// No sign of life is given after one that failed.
    BeatNotRepeated,
    /// Jobs are kept though the lease has run out.
    NotLetGo,
    /// A job is put down while something of it runs.
    PutDownWhileCalling,
    /// Nobody comes back in time to a job that was put down.
    TakenUpLate,
    /// A job that was put down is taken up before its time.
    TakenUpEarly,
    /// Whoever stops does not look for jobs that were put down.
    PutDownNotDrained,
    /// What a driver was told when it put its job down waits as long as the job.
    PutDownUnheard,
    /// A cancel of a job that was put down is forgotten.
    PutDownNotCancelled,
    /// The time that a job may take begins anew when it was put down.
    LimitAnew,
    /// A stream does not read what it was not told.
    LookForgotten,
    /// What may not be made twice is cut off where the store does not answer.
    CutOffUnstored,
    /// What ends while something is stored is forgotten.
    EndedWhileStoringLost,
}

impl Bug {
    /// Every one.
    pub const ALL: &[Self] = &[
        Self::EffectBeforeEvent,
        Self::InterruptedRepeated,
        Self::RepeatableForgotten,
        Self::StopForgotten,
        Self::TimerForgotten,
        Self::TimerEarly,
        Self::TimersRestarted,
        Self::TimeoutForgotten,
        Self::CancelIgnoredWhileWaiting,
        Self::CancelReasonLost,
        Self::CapturesForgottenByFold,
        Self::DrainCutsOff,
        Self::DrainBegins,
        Self::Unsealed,
        Self::BatchReversed,
        Self::BatchCut,
        Self::RetryTooFew,
        Self::RetryEndless,
        Self::BackoffFlat,
        Self::ContinueFails,
        Self::WhenIgnored,
        Self::ResultsLost,
        Self::ChangeUnordered,
        Self::ReadUnordered,
        Self::CaptureUnordered,
        Self::CaptureBeforeRead,
        Self::LookUnordered,
        Self::ExportLost,
        Self::ElementLost,
        Self::AttemptNotCounted,
        Self::RetryAtOnceForgotten,
        Self::GoneSentAgain,
        Self::GivenUpTooSoon,
        Self::NeverGivenUp,
        Self::SenderWaitsFlat,
        Self::LastNotSent,
        Self::OutboxForgotten,
        Self::UnnotedSentAtOnce,
        Self::RetryHeldUp,
        Self::SentTwiceAtOnce,
        Self::NotDrivenAgain,
        Self::DrivenAgainAtOnce,
        Self::ToldForgotten,
        Self::ToldBetweenForgotten,
        Self::NotReleased,
        Self::ToldTooLate,
        Self::OwnForgotten,
        Self::PlacesIgnored,
        Self::CancelsLookedAtOnce,
        Self::CancelWaitsForPlace,
        Self::DrainUntold,
        Self::ResumedUnsure,
        Self::LeaseTooShort,
        Self::BeatNotRepeated,
        Self::NotLetGo,
        Self::PutDownWhileCalling,
        Self::TakenUpLate,
        Self::TakenUpEarly,
        Self::PutDownNotDrained,
        Self::PutDownUnheard,
        Self::PutDownNotCancelled,
        Self::LimitAnew,
        Self::LookForgotten,
        Self::CutOffUnstored,
        Self::EndedWhileStoringLost,
    ];
}

#[cfg(feature = "planted")]
thread_local! {
    static CHOSEN: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Plants a bug in everything that this thread runs, or takes it out again.
#[cfg(feature = "planted")]
pub fn plant(bug: Option<Bug>) {
    CHOSEN.set(bug);
}

#[cfg(feature = "planted")]
pub(crate) fn is(bug: Bug) -> bool {
    CHOSEN.get() == Some(bug)
}

#[cfg(not(feature = "planted"))]
pub(crate) const fn is(_: Bug) -> bool {
    false
}
