//! One job, from its log to its end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use se_runtime::event::{Batch, End};
use se_runtime::{
    Control, Drive, DriveError, Event, EventLog as _, Fault, FaultKind, JobStatus, LogError, Ports,
    Record, State, StepError, Summary, Vault, drive,
};

use super::pods::Pods;
use super::{Receiver, Sender};
use crate::content;
use crate::engine::Engine;
use crate::error::{Error, Result, chain};
use crate::jobs::{all_records, plan};

/// Wait before a job is driven again after the store failed; doubles each time.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How long the sessions of a job may take to log out.
const LEAVE: Duration = Duration::from_secs(5);

/// How a run ended.
enum Ended {
    /// The job is over, or stops here until the next start.
    Well(Drive),
    /// It may go on later.
    Later(String),
    /// Another engine drives it.
    Lost,
    /// It can never go on.
    Never(String),
}

/// Runs a job to its end, or until the engine stops; `cancel` is why it shall not even begin.
pub(crate) async fn run(
    engine: Arc<Engine>,
    id: String,
    mut told: Receiver,
    mut cancel: Option<String>,
) {
    let mut wait = FIRST_WAIT;
    loop {
        let ended = once(&engine, &id, &mut told, &mut cancel).await;
        note(&engine, &id, &ended);
        match ended {
            Ended::Well(Drive::Drained) => return release(&engine, &id).await,
            Ended::Well(Drive::Ended(_)) | Ended::Lost => return,
            Ended::Never(why) => return give_up(&engine, &id, &why).await,
            Ended::Later(_) => {}
        }
        // Each can be dropped: a queue loses nothing.
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            Some(Control::Cancel { reason }) = told.next() => cancel = Some(reason),
            () = engine.tasks.stopping() => return,
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Lets others go on with a job that this engine does not run any more.
async fn release(engine: &Engine, id: &str) {
    if let Err(error) = engine.store.release(id).await {
        tracing::warn!(job = %id, error = %chain(&error), "job not given up before this engine ends");
    }
}

/// Counts and logs how a run ended.
fn note(engine: &Engine, job: &str, ended: &Ended) {
    let (how, why) = match ended {
        Ended::Well(Drive::Ended(status)) => {
            engine.metrics.ended(*status);
            (status.as_str(), "it is over")
        }
        Ended::Well(Drive::Drained) => ("drained", "it goes on at the next start, or elsewhere"),
        Ended::Lost => ("lost", "another engine drives it"),
        Ended::Never(why) => ("broken", why.as_str()),
        Ended::Later(why) => ("interrupted", why.as_str()),
    };
    if matches!(ended, Ended::Well(_) | Ended::Lost) {
        tracing::info!(job, status = how, why, "job left its driver");
    } else {
        engine.metrics.broken.add();
        tracing::warn!(job, status = how, why, "job left its driver");
    }
}

/// Drives a job once. The driver's own channel ends with the driver; what is told meanwhile reaches
/// the next one.
///
/// A cancel that is told before there is a driver to hear it is kept in `cancel`.
async fn once(
    engine: &Engine,
    id: &str,
    told: &mut Receiver,
    cancel: &mut Option<String>,
) -> Ended {
    let said = cancel.clone();
    let (control, relay) = futures_channel::mpsc::unbounded();
    let beside = async {
        futures_util::join!(pass_on(told, &control, cancel), limit(engine, &control));
    };
    // Only the driver ends; what runs beside it is dropped with it.
    let driven = tokio::select! {
        driven = attempt(engine, id, relay, said.as_deref()) => driven,
        () = beside => return Ended::Later("nobody tells the driver anything any more".to_owned()),
    };
    match driven {
        Ok(ended) => ended,
        Err(error) if error.retry() => Ended::Later(chain(&error)),
        Err(error) => Ended::Never(chain(&error)),
    }
}

/// Never ends; hands on what is told.
async fn pass_on(told: &mut Receiver, control: &Sender, cancel: &mut Option<String>) {
    while let Some(it) = told.next().await {
        if let Control::Cancel { reason } = &it {
            *cancel = Some(reason.clone());
        }
        control.unbounded_send(it).ok();
    }
    std::future::pending().await
}

/// Never ends; cancels a job that takes longer than jobs may.
async fn limit(engine: &Engine, control: &Sender) {
    let seconds = engine.config.jobs.default_timeout;
    if seconds > 0 {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let reason = format!("the job took longer than jobs.default_timeout ({seconds} s)");
        control.unbounded_send(Control::Cancel { reason }).ok();
    }
    std::future::pending().await
}

async fn attempt(
    engine: &Engine,
    id: &str,
    relay: Receiver,
    cancel: Option<&str>,
) -> Result<Ended> {
    let log = engine.store.log(id).await?;
    let vault = match engine.store.secrets(id).await {
        Ok(secrets) => Vault::new(secrets),
        // What is to be cancelled needs no secrets any more.
        Err(_) if cancel.is_some() => Vault::default(),
        Err(error) => return Err(error.into()),
    };
    let accepted = log.accepted();
    content::of_job(engine, accepted).await?;
    let (plan, package) = plan(&engine.packages, accepted).await?;
    let fold = async || -> Result<State> {
        let records = all_records(&engine.store, id).await?;
        let records: Vec<Record> = records.into_iter().map(|it| it.open(&vault)).collect();
        State::fold(&plan, &records).map_err(|error| Error::Internal(error.to_string()))
    };
    let mut state = fold().await?;
    if let Some(reason) = cancel
        && state.cancel_reason().is_none()
        && !state.status().is_final()
    {
        let records = vec![Record {
            seq: state.seq() + 1,
            at: engine.world.clock.now(),
            event: Event::CancelRequested {
                reason: vault.seal_text(reason),
            },
        }];
        let summary = Summary {
            status: JobStatus::Cancelling,
            ..state.summary()
        };
        log.append(Batch {
            after: state.seq(),
            records,
            summary,
        })
        .await
        .map_err(log_error)?;
        state = fold().await?;
    }
    if state.status().is_final() {
        return Ok(Ended::Well(Drive::Ended(state.status())));
    }
    let opened = Record {
        seq: 1,
        at: state.accepted_at(),
        event: Event::JobAccepted(Box::new(log.accepted().clone())),
    };
    let Event::JobAccepted(opened) = opened.open(&vault).event else {
        return Err(Error::Internal(
            "an opened event changed its kind".to_owned(),
        ));
    };
    let actions = Pods::new(engine, &opened, &package, &vault)?;
    let ports = Ports {
        log: &log,
        actions: &actions,
        clock: &*engine.world.clock,
    };
    let driven = drive(&plan, state, &vault, ports, relay).await;
    actions.finish(LEAVE).await;
    Ok(match driven {
        Ok(ended) => Ended::Well(ended),
        Err(DriveError::Log(LogError::Fenced { .. })) => Ended::Lost,
        Err(DriveError::Log(error)) => Ended::Later(error.to_string()),
        Err(DriveError::Fold(error)) => Ended::Never(error.to_string()),
    })
}

fn log_error(error: LogError) -> Error {
    match error {
        LogError::Unavailable(_) | LogError::Conflict { .. } | LogError::Fenced { .. } => {
            Error::Unavailable(error.to_string())
        }
        LogError::Corrupt { .. } => Error::Internal(error.to_string()),
    }
}

/// Ends a job that cannot go on, so that nobody waits for it.
pub(super) async fn give_up(engine: &Engine, id: &str, why: &str) {
    if let Err(error) = fail(engine, id, why).await {
        tracing::error!(job = %id, error = %chain(&error), "job not ended; the next start tries again");
    }
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
