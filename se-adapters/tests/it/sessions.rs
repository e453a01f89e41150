//! Consoles that several engines use: whatever becomes of a step or a job, the next one gets the console.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use se_adapters::connect::{Connectors, ConsoleLeases, Sessions};
use se_runtime::{Endpoint, Fault, FaultKind, Secret};
use se_testkit::sim::{NodeState, Pod, PodOptions};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout};

use crate::bench::{Wall, collect, router};

/// Whose each console is: what engines share.
type Table = Arc<Mutex<BTreeMap<String, usize>>>;

/// The table as one engine sees it.
#[derive(Debug)]
struct Shared {
    table: Table,
    engine: usize,
    /// How long it takes until an engine knows that a console is its own.
    slow: Duration,
    /// How often the table cannot be asked.
    away: AtomicU32,
}

impl ConsoleLeases for Shared {
    fn take<'a>(&'a self, address: &'a str, _job: &'a str) -> BoxFuture<'a, Result<bool, Fault>> {
        Box::pin(async move {
            let less = |it: u32| it.checked_sub(1);
            let order = Ordering::SeqCst;
            if self.away.fetch_update(order, order, less).is_ok() {
                return Err(Fault::new(FaultKind::Communication, "the table is away"));
            }
            let engine = self.engine;
            let owner = *self
                .table
                .lock()
                .unwrap()
                .entry(address.to_owned())
                .or_insert(engine);
            sleep(self.slow).await;
            Ok(owner == engine)
        })
    }

    fn leave<'a>(&'a self, address: &'a str) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let mut table = self.table.lock().unwrap();
            table.retain(|it, owner| it != address || *owner != self.engine);
            Ok(())
        })
    }
}

fn engine(table: &Table, engine: usize, slow: Duration) -> Arc<Connectors> {
    engine_away(table, engine, slow, 0)
}

fn engine_away(table: &Table, engine: usize, slow: Duration, away: u32) -> Arc<Connectors> {
    let table = Arc::clone(table);
    let away = AtomicU32::new(away);
    let leases = Shared {
        table,
        engine,
        slow,
        away,
    };
    Arc::new(Connectors::new(Arc::new(Wall)).with_leases(Arc::new(leases)))
}

/// A router that is up, and its console.
async fn booted() -> (Pod, Endpoint) {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/lab-0.1");
    let pod = Pod::start(PodOptions::new(package).unwrap()).await.unwrap();
    pod.power().set("rtr02", NodeState::Booted);
    let facts = pod.facts();
    let known = &facts["runtime_env"]["devices"]["rtr02"];
    let text = |key: &str| known[key].as_str().map(str::to_owned);
    let port = u16::try_from(known["serial_port"].as_u64().unwrap()).unwrap();
    let endpoint = Endpoint {
        username: text("username"),
        password: text("password").map(Secret::new),
        enable_password: text("enable_password").map(Secret::new),
        timeout: Duration::from_secs(5),
        ..router(port)
    };
    (pod, endpoint)
}

fn address(endpoint: &Endpoint) -> String {
    format!("{}:{}", endpoint.host, endpoint.port)
}

const LOOPBACK: &str = "show interface Loopback0";

async fn is_free(table: &Table) {
    let free = async {
        while !table.lock().unwrap().is_empty() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(3), free).await.unwrap();
}

async fn is_forgotten(engine: &Connectors) {
    let forgotten = async {
        while engine.is_used() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(3), forgotten).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_dropped_leaves_the_consoles_that_it_kept() {
    let (_pod, r1) = booted().await;
    let table = Table::default();
    let first = engine(&table, 1, Duration::ZERO);
    let dropped = Sessions::new(Arc::clone(&first));
    collect(&dropped, &r1, LOOPBACK).await.unwrap();
    // A job that goes on, of the same engine.
    let other = Sessions::new(Arc::clone(&first));
    let shown = other.transcripts();
    assert!(shown.is_empty() && first.is_used());
    let said = dropped.transcripts().remove("r1").unwrap();
    drop(dropped);
    is_free(&table).await;
    assert!(said.to_text().contains("> exit"), "{}", said.to_text());
    let second = Sessions::new(engine(&table, 2, Duration::ZERO));
    let shown = timeout(Duration::from_secs(3), collect(&second, &r1, LOOPBACK)).await;
    assert!(shown.unwrap().unwrap().contains("10.255.81.2/32"));
    assert!(!first.is_used());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_dropped_leaves_the_others_their_sessions() {
    let (_pod, r1) = booted().await;
    let table = Table::default();
    let first = engine(&table, 1, Duration::ZERO);
    let kept = Sessions::new(Arc::clone(&first));
    collect(&kept, &r1, LOOPBACK).await.unwrap();
    drop(Sessions::new(first));
    sleep(Duration::from_millis(300)).await;
    collect(&kept, &r1, LOOPBACK).await.unwrap();
    let said = kept.transcripts().remove("r1").unwrap().to_text();
    assert!(!said.contains("> exit"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_is_cancelled_on_its_way_to_a_console_gives_it_back() {
    // Nobody says anything there: the login takes long.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let r1 = Arc::new(router(silent.local_addr().unwrap().port()));
    let brief = Duration::from_millis(100);
    let long = Duration::from_secs(20);
    for slow in [Duration::ZERO, long] {
        let table = Table::default();
        let first = engine(&table, 1, slow);
        let sessions = Sessions::new(Arc::clone(&first));
        let lease = sessions.lease(&r1, Instant::now() + long);
        assert!(timeout(brief, lease).await.is_err());
        is_free(&table).await;
        // Nothing to look after: an idle engine does not ask the store.
        is_forgotten(&first).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_for_another_engine_is_not_taken_back_before_that_has_looked() {
    let (_pod, r1) = booted().await;
    let table = Table::default();
    let first = engine(&table, 1, Duration::ZERO);
    let busy = Sessions::new(Arc::clone(&first));
    collect(&busy, &r1, LOOPBACK).await.unwrap();
    let second = Sessions::new(engine(&table, 2, Duration::ZERO));
    let wants = async {
        collect(&second, &r1, LOOPBACK).await.unwrap();
        Instant::now()
    };
    let goes_on = async {
        // The other has looked once, and looks again.
        sleep(Duration::from_millis(300)).await;
        first
            .make_way(&address(&r1), Instant::now() + Duration::from_secs(3))
            .await;
        let taken = timeout(Duration::from_secs(2), collect(&busy, &r1, LOOPBACK)).await;
        assert!(taken.is_err(), "it was taken back");
    };
    let waits = timeout(Duration::from_secs(4), wants);
    let (had, ()) = tokio::join!(waits, goes_on);
    had.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_say_whose_a_console_is_may_be_back_in_time() {
    let (_pod, r1) = booted().await;
    let table = Table::default();
    let sessions = Sessions::new(engine_away(&table, 1, Duration::ZERO, 3));
    let shown = collect(&sessions, &r1, LOOPBACK).await.unwrap();
    assert!(shown.contains("10.255.81.2/32"));
}
