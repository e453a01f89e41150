//! Consoles that several engines use: the store says whose each is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use se_adapters::connect::ConsoleLeases;
use se_runtime::Fault;
use se_store::Store;
use tokio::time::{Instant, MissedTickBehavior};

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

/// Logs out of consoles that others wait for, until the engine stops. One that a step goes on using holds up no other.
pub(crate) async fn run(engine: Arc<Engine>) {
    let mut leaving = FuturesUnordered::new();
    let mut addresses = BTreeSet::new();
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // Each can be dropped: it is looked again.
        tokio::select! {
            _ = look.tick() => {}
            Some(address) = leaving.next() => {
                addresses.remove(&address);
                continue;
            }
            () = engine.tasks.stopping() => return,
        }
        for address in wanted(&engine).await {
            if addresses.insert(address.clone()) {
                leaving.push(leave(&engine, address));
            }
        }
    }
}

async fn wanted(engine: &Engine) -> Vec<String> {
    if !engine.connectors.is_used() {
        return Vec::new();
    }
    engine
        .store
        .wanted_consoles()
        .await
        .unwrap_or_else(|error| {
            tracing::warn!(error = %chain(&error), "cannot look for consoles that others wait for");
            Vec::new()
        })
}

async fn leave(engine: &Engine, address: String) -> String {
    let until = Instant::now() + PATIENCE;
    engine.connectors.make_way(&address, until).await;
    address
}
