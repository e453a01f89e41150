//! One job, from its log to its end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use se_runtime::event::{Batch, End};
use se_runtime::keep::{Ended, Keeper, Limit, Policy, keep};
use se_runtime::{
    Accepted, Drive, DriveError, Event, EventLog as _, Fault, FaultKind, JobStatus, LogError, Plan,
    Ports, Record, State, StepError, Summary, Timestamp, Unanswered, Vault, drive,
};

use super::Receiver;
use super::pods::Pods;
use super::transcripts::Said;
use crate::content;
use crate::engine::Engine;
use crate::error::{Error, Result, chain};
use crate::jobs::{all_records, plan};

/// How long the sessions of a job may take to log out.
const LEAVE: Duration = Duration::from_secs(5);
/// The same, where the job goes on.
const LEAVE_SOON: Duration = Duration::from_secs(1);

/// A job that was handed over is not taken up again for so long, if nobody else does.
const NOT_HERE: Duration = Duration::from_secs(60);

/// A job that only waits for longer than this is put down: all that is left of it in memory is who waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a job to its end, or until the engine stops; `cancel` is why it shall not even begin.
pub(crate) async fn run(engine: Arc<Engine>, id: String, told: Receiver, cancel: Option<String>) {
    let limit = limit(&engine, &id).await;
    let policy = Policy {
        limit,
        ..Policy::default()
    };
    let keeper = Kept {
        engine: &engine,
        id: &id,
        said: Said::default(),
    };
    keep(&keeper, &*engine.world.clock, &policy, told, cancel).await;
}

/// What a job may take since it began, wherever that was.
async fn limit(engine: &Engine, id: &str) -> Option<Limit> {
    let seconds = engine.config.jobs.default_timeout;
    if seconds == 0 {
        return None;
    }
    let job = engine.store.job(id).await;
    Some(Limit {
        length: Duration::from_secs(seconds),
        since: job.ok().and_then(|it| it.summary.started_at),
        reason: format!("the job took longer than jobs.default_timeout ({seconds} s)"),
    })
}

/// A job of this engine.
struct Kept<'a> {
    engine: &'a Engine,
    id: &'a str,
    said: Said,
}

impl Keeper for Kept<'_> {
    fn drive<'a>(&'a self, told: Receiver, cancel: Option<&'a str>) -> BoxFuture<'a, Ended> {
        async move {
            match self.attempt(told, cancel).await {
                Ok(ended) => ended,
                Err(error) if error.retry() && self.engine.store.is_shared() => {
                    Ended::NotHere(chain(&error))
                }
                Err(error) if error.retry() => Ended::Later(chain(&error)),
                Err(error) => Ended::Never(chain(&error)),
            }
        }
        .boxed()
    }

    fn note(&self, ended: &Ended) {
        note(self.engine, self.id, ended);
    }

    fn release(&self) -> BoxFuture<'_, ()> {
        release(self.engine, self.id).boxed()
    }

    fn hand_over(&self) -> BoxFuture<'_, std::result::Result<(), Unanswered>> {
        hand_over(self.engine, self.id).boxed()
    }

    fn give_up<'a>(&'a self, why: &'a str) -> BoxFuture<'a, std::result::Result<(), Unanswered>> {
        give_up(self.engine, self.id, why).boxed()
    }
}

/// Lets others go on with a job that this engine does not run any more.
async fn release(engine: &Engine, id: &str) {
    if let Err(error) = engine.store.release(id).await {
        tracing::warn!(job = %id, error = %chain(&error), "job not given up before this engine ends");
    }
}

/// Lets others go on with a job that this engine cannot go on with.
async fn hand_over(engine: &Engine, id: &str) -> std::result::Result<(), Unanswered> {
    let until = engine.world.clock.now().after(NOT_HERE);
    // Noted first: this engine is told of it as well, and sooner.
    engine.handed_over.put(id, until);
    match engine.store.release(id).await {
        Ok(()) => {
            tracing::warn!(job = %id, "job handed over: another engine may have what this one lacks");
            Ok(())
        }
        Err(error) => {
            tracing::warn!(job = %id, error = %chain(&error), "job not handed over");
            Err(Unanswered)
        }
    }
}

/// Counts and logs how a run ended.
fn note(engine: &Engine, job: &str, ended: &Ended) {
    let (how, why) = said(engine, ended);
    match ended {
        Ended::Well(Drive::Waits(until)) => put_down(job, *until),
        Ended::Well(_) | Ended::Lost => tracing::info!(job, status = how, why, "{LEFT}"),
        Ended::Later(_) | Ended::NotHere(_) | Ended::Never(_) => {
            engine.metrics.broken.add();
            tracing::warn!(job, status = how, why, "{LEFT}");
        }
    }
}

const LEFT: &str = "job left its driver";

fn put_down(job: &str, until: Timestamp) {
    tracing::debug!(job, %until, "job put down: it only waits");
}

fn said<'e>(engine: &Engine, ended: &'e Ended) -> (&'e str, &'e str) {
    match ended {
        Ended::Well(Drive::Ended(status)) => {
            engine.metrics.ended(*status);
            (status.as_str(), "it is over")
        }
        Ended::Well(Drive::Waits(_)) => ("waits", "it only waits"),
        Ended::Well(Drive::Drained) => ("drained", "it goes on at the next start, or elsewhere"),
        Ended::Lost => ("lost", "another engine drives it"),
        Ended::Never(why) => ("broken", why.as_str()),
        Ended::Later(why) | Ended::NotHere(why) => ("interrupted", why.as_str()),
    }
}

impl Kept<'_> {
    async fn vault(&self, cancel: Option<&str>) -> Result<Vault> {
        match self.engine.store.secrets(self.id).await {
            Ok(secrets) => Ok(Vault::new(secrets)),
            // What is to be cancelled needs no secrets any more.
            Err(_) if cancel.is_some() => Ok(Vault::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// The state that its log says, opened. The log itself is not kept while the job runs.
    async fn folded(&self, plan: &Plan, vault: &Vault) -> Result<State> {
        let records = all_records(&self.engine.store, self.id).await?;
        let records: Vec<Record> = records.into_iter().map(|it| it.open(vault)).collect();
        State::fold(plan, &records).map_err(|error| Error::Internal(error.to_string()))
    }

    /// Drives it once, from its log.
    async fn attempt(&self, relay: Receiver, cancel: Option<&str>) -> Result<Ended> {
        let (engine, id) = (self.engine, self.id);
        let log = engine.store.log(id).await?;
        let vault = self.vault(cancel).await?;
        let accepted = log.accepted();
        content::of_job(engine, accepted).await?;
        let (plan, package) = match plan(&engine.packages, accepted).await {
            Err(error) if cancel.is_none() => return Err(of_its_engine(error, accepted)),
            planned => planned?,
        };
        let state = self.folded(&plan, &vault).await?;
        if state.status().is_final() {
            return Ok(Ended::Well(Drive::Ended(state.status())));
        }
        let (opened, said) = (state.accepted(), Arc::clone(&self.said));
        let actions = Pods::new(engine, opened, &package, &vault, said)?;
        let ports = Ports {
            log: &log,
            actions: &actions,
            clock: &*engine.world.clock,
            patience: Some(PATIENCE),
        };
        let driven = drive(&plan, state, &vault, ports, relay).await;
        // A cancel of what was put down does not wait for long.
        let patience = match driven {
            Ok(Drive::Waits(_)) => LEAVE_SOON,
            _ => LEAVE,
        };
        actions.finish(patience).await;
        Ok(match driven {
            Ok(ended) => Ended::Well(ended),
            Err(DriveError::Log(LogError::Fenced { .. })) => Ended::Lost,
            Err(DriveError::Log(error)) => Ended::Later(error.to_string()),
            Err(DriveError::Fold(error)) => Ended::Never(error.to_string()),
        })
    }
}

/// What is wrong with content that another version of the engine has checked is no reason to end a job.
fn of_its_engine(error: Error, accepted: &Accepted) -> Error {
    let (own, its) = (env!("CARGO_PKG_VERSION"), &accepted.engine_version);
    if own == its {
        return error;
    }
    Error::Unavailable(format!(
        "{}; engine {its} took the job in, and this is {own}: run the job with that one, or cancel it",
        chain(&error)
    ))
}

fn log_error(error: LogError) -> Error {
    match error {
        LogError::Unavailable(_) | LogError::Conflict { .. } | LogError::Fenced { .. } => {
            Error::Unavailable(error.to_string())
        }
        LogError::Corrupt { .. } => Error::Internal(error.to_string()),
    }
}

/// Ends a job that cannot go on, so that nobody waits for it. Where the store does not take that in now, it may later.
pub(super) async fn give_up(
    engine: &Engine,
    id: &str,
    why: &str,
) -> std::result::Result<(), Unanswered> {
    let Err(error) = fail(engine, id, why).await else {
        return Ok(());
    };
    let again = error.retry();
    tracing::error!(job = %id, error = %chain(&error), again, "job not ended");
    if again { Err(Unanswered) } else { Ok(()) }
}

async fn fail(engine: &Engine, id: &str, why: &str) -> Result<()> {
    let job = engine.store.job(id).await?;
    if job.summary.status.is_final() {
        return Ok(());
    }
    let vault = Vault::new(engine.store.secrets(id).await.unwrap_or_default());
    let fault = Fault::new(FaultKind::Interrupted, vault.seal_text(why));
    let at = engine.world.clock.now();
    let records = vec![Record {
        seq: job.last_seq + 1,
        at,
        event: Event::JobFaulted {
            error: StepError::new(&fault, "", 1),
            end: End {
                started_at: job.summary.started_at,
                ..End::default()
            },
        },
    }];
    let summary = Summary {
        status: JobStatus::Faulted,
        message: "faulted".to_owned(),
        completed_at: Some(at),
        ..job.summary
    };
    let log = engine.store.log(id).await?;
    log.append(Batch {
        after: job.last_seq,
        records,
        summary,
    })
    .await
    .map_err(log_error)?;
    engine.metrics.faulted.add();
    Ok(())
}
