//! Consoles that several engines use: the store says whose each is.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use se_adapters::connect::ConsoleLeases;
use se_runtime::Fault;
use se_store::Store;
use tokio::time::Instant;

use crate::engine::Engine;
use crate::error::chain;
use crate::ports::fault;

/// How often it is looked whether others wait for consoles of this engine.
const LOOK: Duration = Duration::from_secs(1);
/// How long a step may go on using a console that others wait for, before it is looked again.
const PATIENCE: Duration = Duration::from_secs(30);

/// The store as the one who says whose a console is.
#[derive(Debug)]
pub(crate) struct StoredLeases(pub(crate) Store);

impl ConsoleLeases for StoredLeases {
    fn take<'a>(&'a self, address: &'a str, job: &'a str) -> BoxFuture<'a, Result<bool, Fault>> {
        async move { self.0.take_console(address, job).await.map_err(fault) }.boxed()
    }

    fn leave<'a>(&'a self, address: &'a str) -> BoxFuture<'a, Result<(), Fault>> {
        async move { self.0.leave_console(address).await.map_err(fault) }.boxed()
    }
}

/// Logs out of consoles that others wait for, until the engine stops.
pub(crate) async fn run(engine: Arc<Engine>) {
    loop {
        // Each can be dropped: it is looked again.
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = engine.tasks.stopping() => return,
        }
        if !engine.connectors.is_used() {
            continue;
        }
        match engine.store.wanted_consoles().await {
            Ok(wanted) => {
                let until = Instant::now() + PATIENCE;
                let all = wanted
                    .iter()
                    .map(|it| engine.connectors.make_way(it, until));
                join_all(all).await;
            }
            Err(error) => {
                tracing::warn!(error = %chain(&error), "cannot look for consoles that others wait for");
            }
        }
    }
}
