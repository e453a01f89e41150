//! Bugs of what stands around the core, on purpose; those of the core are in se-runtime, under the same name.

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// The writer does not wait for the disk.
    FsyncDropped,
    /// A caller is answered before its transaction is on disk.
    AnsweredBeforeCommit,
    /// After a power failure half a transaction is taken for a whole one.
    TornTaken,
    /// Whoever was declared dead may write.
    FencingRemoved,
    /// The row of a dead replica stays: it may write.
    LeaseRowKept,
    /// What was stored already, though that was not answered, is refused.
    AgainRefused,
    /// Who leaves keeps its jobs.
    JobsNotFreed,
    /// A second submission makes a second job.
    KeyIgnored,
    /// A key leads to its first job for ever.
    KeyKept,
    /// The second job of a key leaves the window of the first.
    KeyNotRenewed,
    /// A job that runs may be claimed.
    ClaimedTwice,
    /// Some facts are not told.
    DeliveryForgotten,
    /// The newest is sent first.
    DeliveriesReordered,
    /// A repeat has an id of its own.
    NewIdAtRepeat,
    /// It counts as sent whatever came of it.
    SentUnanswered,
    /// A stream shows what is not on disk.
    StreamBeforeCommit,
    /// Secrets stay when the job has ended.
    SecretsKept,
    /// Only the replica that was asked looks for a wish to cancel, and only once.
    WishForgotten,
    /// The one that starts again does not look for jobs.
    NotClaimedAtStart,
}

impl Planted {
    /// Every one.
    pub const ALL: &[Self] = &[
        Self::FsyncDropped,
        Self::AnsweredBeforeCommit,
        Self::TornTaken,
        Self::FencingRemoved,
        Self::LeaseRowKept,
        Self::AgainRefused,
        Self::JobsNotFreed,
        Self::KeyIgnored,
        Self::KeyKept,
        Self::KeyNotRenewed,
        Self::ClaimedTwice,
        Self::DeliveryForgotten,
        Self::DeliveriesReordered,
        Self::NewIdAtRepeat,
        Self::SentUnanswered,
        Self::StreamBeforeCommit,
        Self::SecretsKept,
        Self::WishForgotten,
        Self::NotClaimedAtStart,
    ];
}
