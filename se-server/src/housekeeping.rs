//! Deletes what is old, and gives its space back: a little at a time, so that jobs do not wait for it.

use std::sync::Arc;
use std::time::Duration;

use se_store::Swept;

use crate::engine::Engine;
use crate::error::chain;

/// How often old jobs are looked for, at least.
const PAUSE: Duration = Duration::from_secs(60 * 60);
/// How often it is looked for objects that no event refers to.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How often within the time for which something is kept.
const LOOKS: u32 = 24;

/// Tidies up now and every hour, or more often where nothing is kept for a day, until the engine stops.
pub(crate) async fn run(engine: Arc<Engine>) {
    let shortest = engine.config.store.retention().shortest();
    let pause = shortest.map_or(PAUSE, |it| PAUSE.min(it / LOOKS));
    let pause = pause.max(Duration::from_secs(1));
    let mut swept = None;
    loop {
        let now = engine.world.clock.now();
        if swept.is_none_or(|at| now.since(at) >= DAY) {
            swept = Some(now);
            sweep_objects(&engine).await;
        }
        if let Err(error) = tidy(&engine).await {
            tracing::warn!(%error, "not everything that is old was deleted");
        }
        let next = engine.world.clock.now().after(pause);
        // Both can be dropped at any time.
        tokio::select! {
            () = engine.world.clock.sleep_until(next) => {}
            () = engine.tasks.stopping() => return,
        }
    }
}

async fn sweep_objects(engine: &Engine) {
    match engine.store.sweep_objects().await {
        Ok(0) => {}
        Ok(objects) => tracing::info!(objects, "objects deleted that no event refers to"),
        Err(error) => {
            tracing::warn!(error = %chain(&error), "large events were not looked through")
        }
    }
}

async fn tidy(engine: &Engine) -> se_store::Result<()> {
    let retention = engine.config.store.retention();
    let (mut more, mut jobs) = (true, 0);
    while more && !engine.tasks.is_stopping() {
        let swept = engine.store.sweep(retention).await?;
        count(engine, swept);
        jobs += swept.jobs();
        more = swept.more;
    }
    if jobs > 0 {
        tracing::info!(jobs, "old jobs deleted");
    }
    while !engine.tasks.is_stopping() && engine.store.shrink().await? {}
    Ok(())
}

fn count(engine: &Engine, swept: Swept) {
    let deleted = &engine.metrics.deleted;
    deleted.completed.grow(swept.completed);
    deleted.faulted.grow(swept.faulted);
    deleted.cancelled.grow(swept.cancelled);
    deleted.delivered.grow(swept.delivered);
    deleted.dead.grow(swept.dead);
}
