//! Where one step stands.

use crate::event::Map;
use crate::fault::StepError;
use crate::time::Timestamp;

/// Where a step stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepState {
    /// Where in its life it is.
    pub status: StepStatus,
    /// The last attempt made, from 1; 0 before the first.
    pub attempt: u32,
    /// When the first attempt began.
    pub started_at: Option<Timestamp>,
    /// When it ended for good.
    pub completed_at: Option<Timestamp>,
    /// The evaluated `with` of the last attempt.
    pub inputs: Map,
    /// The connector of the last attempt.
    pub target: Option<String>,
    /// What it gave.
    pub output: Map,
    /// Why the last attempt failed.
    pub error: Option<StepError>,
}

/// Where in its life a step is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StepStatus {
    /// Not begun.
    #[default]
    Pending,
    /// An attempt is being made.
    Running {
        /// Since when.
        since: Timestamp,
    },
    /// Waiting for another attempt.
    Waiting {
        /// Until when.
        until: Timestamp,
    },
    /// Ended well.
    Completed,
    /// Ended by a failure the job goes on from.
    Continued,
    /// Ended by a failure the job does not survive.
    Faulted,
    /// Its `when` did not hold.
    Skipped,
    /// Stopped.
    Cancelled,
}

impl StepStatus {
    /// Whether nothing can happen to the step any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(
            self,
            Self::Pending | Self::Running { .. } | Self::Waiting { .. }
        )
    }

    /// As the API writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running { .. } => "running",
            Self::Waiting { .. } => "waiting",
            Self::Completed => "completed",
            Self::Continued | Self::Faulted => "faulted",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }
}
