//! An event log in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{BoxFuture, ready};
use se_runtime::event::Record;
use se_runtime::{Batch, EventLog, LogError};

/// The log of one job, shared by its clones.
#[derive(Clone, Debug, Default)]
pub struct MemoryLog {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    records: Vec<Record>,
    /// So many batches more are taken.
    left: Option<usize>,
}

impl MemoryLog {
    /// A log that holds these records already.
    #[must_use]
    pub fn new(records: Vec<Record>) -> Self {
        let log = Self::default();
        log.state().records = records;
        log
    }

    /// Refuses every batch after `batches` more: the store has gone.
    pub fn fail_after(&self, batches: usize) {
        self.state().left = Some(batches);
    }

    /// Everything so far, in order.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.state().records.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, batch: Batch) -> Result<(), LogError> {
        let mut state = self.state();
        let found = state.records.last().map_or(0, |it| it.seq);
        if state.records.ends_with(&batch.records) {
            return Ok(());
        }
        if found != batch.after {
            return Err(LogError::Conflict {
                job: "in memory".to_owned(),
                expected: batch.after,
                found,
            });
        }
        match &mut state.left {
            Some(0) => return Err(LogError::Unavailable("the store has gone".to_owned())),
            Some(left) => *left -= 1,
            None => {}
        }
        state.records.extend(batch.records);
        Ok(())
    }
}

impl EventLog for MemoryLog {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<(), LogError>> {
        Box::pin(ready(self.add(batch)))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use se_runtime::event::{Event, Record};
    use se_runtime::{Batch, EventLog as _, JobStatus, LogError, Summary, Timestamp};

    use super::MemoryLog;

    fn batch(after: u64, count: u64) -> Batch {
        let record = |seq| Record {
            seq,
            at: Timestamp::default(),
            event: Event::JobStarted,
        };
        Batch {
            after,
            records: (after + 1..=after + count).map(record).collect(),
            summary: Summary {
                status: JobStatus::Running,
                percentage: 0,
                message: String::new(),
                started_at: None,
                completed_at: None,
            },
        }
    }

    #[test]
    fn a_batch_is_taken_at_the_end_of_the_log_only() {
        let log = MemoryLog::default();
        let append = |after, count| log.append(batch(after, count)).now_or_never().unwrap();
        assert!(append(0, 2).is_ok());
        let conflict = append(0, 1);
        assert!(
            matches!(
                conflict,
                Err(LogError::Conflict {
                    expected: 0,
                    found: 2,
                    ..
                })
            ),
            "{conflict:?}"
        );
        assert!(append(2, 1).is_ok());
        log.fail_after(1);
        assert!(append(3, 1).is_ok());
        assert!(matches!(append(4, 1), Err(LogError::Unavailable(_))));
        let numbers: Vec<u64> = log.records().iter().map(|it| it.seq).collect();
        assert_eq!(numbers, [1, 2, 3, 4]);
    }
}
