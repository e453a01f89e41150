//! One of several engines on a database: says that it is alive, and goes on with the jobs of those that are not.

use std::sync::Arc;
use std::time::Duration;

use se_store::Watch;
use tokio::time::Instant;

use crate::engine::Engine;
use crate::error::chain;

/// Signs of life in one lease: two may be lost.
const BEATS: u32 = 4;
/// How often it is looked whether the drivers of lost jobs have ended.
const LOOK: Duration = Duration::from_millis(20);

/// Runs until the engine stops, and while its jobs come to their end.
pub(crate) async fn run(engine: Arc<Engine>) {
    let lease = Duration::from_secs(engine.config.store.lease);
    let began = Instant::now();
    let mut watch = Watch::new(lease);
    let mut alive = began;
    loop {
        let asked = Instant::now();
        if beat(&engine).await {
            alive = asked;
        } else if alive.elapsed() >= lease && engine.dispatcher.counts().0 > 0 {
            let_go(&engine);
        }
        look(&engine, &mut watch, began.elapsed()).await;
        // Each can be dropped: a beat more does no harm.
        tokio::select! {
            () = tokio::time::sleep_until(asked + lease / BEATS) => {}
            () = stopped(&engine) => return,
        }
    }
}

/// Gives a sign of life; whether it arrived.
async fn beat(engine: &Engine) -> bool {
    match engine.store.beat().await {
        Ok(()) => true,
        Err(se_store::Error::Fenced) => {
            tracing::error!("the lease is lost: other engines go on with the jobs of this one");
            begin_anew(engine).await;
            true
        }
        Err(error) => {
            tracing::warn!(error = %chain(&error), "no sign of life could be given");
            false
        }
    }
}

/// Others may have taken the jobs over, for all that is known here.
fn let_go(engine: &Engine) {
    tracing::error!("the lease has run out: its jobs are let go");
    engine.dispatcher.abandon();
}

/// Joins again as another, once nothing of the former one runs any more.
async fn begin_anew(engine: &Engine) {
    engine.dispatcher.abandon();
    while engine.dispatcher.counts().0 > 0 {
        tokio::time::sleep(LOOK).await;
    }
    match engine.store.join().await {
        Ok(()) => tracing::info!(replica = engine.store.replica(), "joined again"),
        Err(error) => tracing::error!(error = %chain(&error), "not joined again yet"),
    }
}

async fn look(engine: &Engine, watch: &mut Watch, now: Duration) {
    if let Err(error) = bury(engine, watch, now).await {
        tracing::warn!(error = %chain(&error), "cannot look for engines that are no more");
    }
}

/// Takes over what dead engines leave behind.
async fn bury(engine: &Engine, watch: &mut Watch, now: Duration) -> se_store::Result<()> {
    let me = engine.store.replica();
    let mut members = engine.store.members().await?;
    let lost = watch.lost(now, &members);
    members.retain(|it| it.id != me && (it.is_gone() || lost.contains(it)));
    for dead in members {
        if engine.store.bury(&dead).await? {
            tracing::warn!(
                replica = dead.id,
                "an engine is no more: its jobs go on here or elsewhere"
            );
        }
    }
    engine.store.adopt().await
}

async fn stopped(engine: &Engine) {
    engine.tasks.stopping().await;
    while engine.dispatcher.counts().0 > 0 {
        tokio::time::sleep(LOOK).await;
    }
}
