//! Jobs that go on from what an ended one left: `retry` and `regrade`.

mod regrade;
mod retry;

use se_dsl::checked::Step;
use se_runtime::event::{AfterFault, Again, Origin};
use se_runtime::{Accepted, Event, Plan, Record, State, StepIndex, StepStatus, Timestamp, Vault};
use se_store::Job;

use super::{Intake, all_records};
use crate::content::{self, Package};
use crate::engine::Engine;
use crate::error::{Error, Result};

pub use regrade::regrade;
pub use retry::retry;

/// A job that has ended, sealed as it is stored.
#[derive(Debug)]
struct Recording {
    job: Job,
    accepted: Accepted,
    records: Vec<Record>,
}

impl Recording {
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] if it has not ended.
    async fn of(engine: &Engine, id: &str) -> Result<Self> {
        let job = engine.store.job(id).await?;
        if !job.summary.status.is_final() {
            return Err(Error::Conflict(format!(
                "job {id} is {}; wait until it has ended, or cancel it with DELETE /api/v1/jobs/{id}",
                job.summary.status.as_str()
            )));
        }
        let accepted = engine.store.accepted(id).await?;
        let mut records = all_records(&engine.store, id).await?;
        // How it ended does not matter, and the engine may have ended it in the middle of a step.
        records.pop_if(|it| it.event.is_last());
        Ok(Self {
            job,
            accepted,
            records,
        })
    }

    /// The package it ran from, whatever became of its version.
    async fn package(&self, engine: &Engine) -> Result<Package> {
        let gone = |error: Error| {
            Error::Conflict(format!(
                "the content {} that job {} ran from is not stored any more; sync {}@{} again and \
                 submit a new job ({error})",
                self.accepted.content_hash,
                self.job.id,
                self.accepted.definition_id,
                self.accepted.version
            ))
        };
        content::of_job(engine, &self.accepted)
            .await
            .map_err(gone)?;
        engine.packages.of_job(&self.accepted).await
    }

    fn fold(&self, plan: &Plan) -> Result<State> {
        State::fold(plan, &self.records).map_err(|it| {
            Error::Conflict(format!(
                "the log of job {} cannot be gone on from: {it}; submit a new job",
                self.job.id
            ))
        })
    }

    /// What was recorded of a step of the plan and of all that it consists of, in order.
    fn step<'a>(&'a self, key: &'a str) -> impl Iterator<Item = (Timestamp, Event)> + 'a {
        let own = self
            .records
            .iter()
            .filter(move |it| it.event.step().map(StepIndex::outermost) == Some(key));
        own.map(|it| (it.at, it.event.clone()))
    }

    fn origin(&self, how: Again) -> Origin {
        Origin {
            job_id: self.job.id.clone(),
            how,
        }
    }
}

/// Numbers what a job brings along, and makes sure that it can go on from it.
fn intake(
    accepted: Accepted,
    brought: Vec<(Timestamp, Event)>,
    plan: &Plan,
    vault: Vault,
    at: Timestamp,
) -> Result<Intake> {
    let first = Record {
        seq: 1,
        at,
        event: Event::JobAccepted(Box::new(accepted.clone())),
    };
    let brought = (2..)
        .zip(brought)
        .map(|(seq, (at, event))| Record { seq, at, event });
    let log: Vec<Record> = std::iter::once(first).chain(brought).collect();
    State::fold(plan, &log)
        .map_err(|it| Error::Internal(format!("what was recorded does not fit: {it}")))?;
    Ok(Intake {
        accepted,
        done: log.into_iter().skip(1).map(|it| it.seal(&vault)).collect(),
        vault,
        at,
        worker: None,
        header_key: None,
        correlation: None,
        request_hash: String::new(),
    })
}

/// Whether the job went on after the step: it need not be done again.
fn ended_well(status: StepStatus) -> bool {
    matches!(
        status,
        StepStatus::Completed | StepStatus::Continued | StepStatus::Skipped
    )
}

/// The same failure, gone on from.
fn continued(event: Event) -> Event {
    match event {
        Event::StepFaulted {
            step,
            error,
            then: AfterFault::Fail,
        } => Event::StepFaulted {
            step,
            error,
            then: AfterFault::Continue,
        },
        other => other,
    }
}

/// Whether a step judges or reports what others recorded.
fn judges(step: &Step) -> bool {
    use se_dsl::catalog::Action;
    matches!(
        step.uses.action(),
        Some(Action::EvaluateRegex | Action::Report(_))
    )
}
