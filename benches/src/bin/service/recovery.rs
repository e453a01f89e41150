//! From kill -9 to the first new step.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use se_testkit::postgres::{Cluster, Database};
use serde_json::Value;

use crate::process::now;
use crate::server::{LONG, Server, TICK, TURN};
use crate::submit::fill;
use crate::{Options, spread};

/// Seconds after which another engine takes over.
const LEASE: u64 = 2;

pub(crate) async fn run(options: &Options) {
    let mut one = Vec::new();
    for _ in 0..options.rounds {
        one.push(of_one(options).await);
    }
    println!(
        "one job, kill -9 to its first new step: {} ms (goal 50)",
        spread(one)
    );
    let (mut first, mut all) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds.min(3) {
        let (began, ended) = of_many(options).await;
        first.push(began);
        all.push(ended);
    }
    println!(
        "{} jobs: {} ms to the first new step (goal 1000), {} ms until each has gone on",
        options.count,
        spread(first),
        spread(all)
    );
    let cluster = Cluster::start().expect("PostgreSQL is installed");
    let mut other = Vec::new();
    for _ in 0..options.rounds {
        other.push(of_another(options, &cluster).await);
    }
    println!(
        "another engine, its owner stopped: {} leases of {LEASE} s (goal 1.5); the owner woke and wrote nothing",
        spread(other)
    );
}

async fn of_one(options: &Options) -> f64 {
    let (folder, server) = Server::fresh(&options.server, &TICK, &[]).await;
    let job = server.submit(&TICK).await;
    server.runs(1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let killed = now();
    server.process.end("-KILL").await;
    // What it still stored before it was gone is no new step.
    let gone = now();
    let server = Server::start(&options.server, folder.path(), &[]).await;
    let first = first_step(&server, &job, gone).await;
    first.saturating_sub(killed) as f64 / 1e3
}

/// When the first step of a job began or ended after that time.
async fn first_step(server: &Server, job: &str, after: u64) -> u64 {
    let mut seen = 0;
    loop {
        for event in server.events(job, seen).await {
            seen = event["seq"].as_u64().unwrap_or(seen);
            if let Some(at) = step_at(&event).filter(|at| *at > after) {
                return at;
            }
        }
    }
}

/// When something happened to a step, in µs.
fn step_at(event: &Value) -> Option<u64> {
    let kind = event["event"].as_str()?;
    let at: se_runtime::Timestamp = event["at"].as_str()?.parse().ok()?;
    kind.starts_with("step_")
        .then(|| u64::try_from(at.micros()).ok())
        .flatten()
}

/// To the first new step of any job, and until each job has had one; in ms.
async fn of_many(options: &Options) -> (f64, f64) {
    let settings = [
        ("SE_JOBS__MAX_CONCURRENT", options.count.to_string()),
        ("SE_JOBS__MAX_QUEUED", "1000000".to_owned()),
    ];
    let (folder, server) = Server::fresh(&options.server, &TURN, &settings).await;
    fill(&server, &TURN, options.count, folder.path()).await;
    server.runs(options.count).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let database = folder.path().join("data/se.db");
    let (last, _) = read(&database, i64::MAX);
    let killed = now();
    server.process.end("-KILL").await;
    let gone = now();
    let server = Server::start(&options.server, folder.path(), &settings).await;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (_, events) = read(&database, last);
        let (mut began, mut ended, mut jobs) = (u64::MAX, 0, BTreeSet::new());
        for (job, at) in events {
            if at > gone && jobs.insert(job) {
                began = began.min(at);
                ended = ended.max(at);
            }
        }
        if jobs.len() == options.count {
            server.process.end("-KILL").await;
            let since = |at: u64| at.saturating_sub(killed) as f64 / 1e3;
            return (since(began), since(ended));
        }
    }
}

/// The newest position, and what happened to steps of which job after a position.
fn read(database: &Path, after: i64) -> (i64, Vec<(i64, u64)>) {
    let conn = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let conn = conn.expect("the database is there");
    let newest = conn.query_row("SELECT max(position) FROM events", [], |row| row.get(0));
    let mut statement = conn
        .prepare("SELECT job, record FROM events WHERE position > ?1 ORDER BY position")
        .expect("it has events");
    let rows = statement.query_map([after], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)));
    let events = rows.expect("it can be read").filter_map(|row| {
        let (job, record): (i64, String) = row.expect("it can be read");
        let event: Value = serde_json::from_str(&record).ok()?;
        Some((job, step_at(&event)?))
    });
    let events = events.collect();
    (newest.expect("it has events"), events)
}

async fn of_another(options: &Options, cluster: &Cluster) -> f64 {
    let database = Database::create_on(&cluster.url()).expect("the server runs");
    let settings = [
        ("SE_STORE__URL", database.url()),
        ("SE_STORE__LEASE", LEASE.to_string()),
        ("SE_SEALING__KEY", "5a".repeat(32)),
    ];
    let (folder, owner) = Server::fresh(&options.server, &LONG, &settings).await;
    let job = owner.submit(&LONG).await;
    owner.runs(1).await;
    let other = Server::start(&options.server, folder.path(), &settings).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let stopped = now();
    owner.process.signal("-STOP").await;
    // What it had under way may have been stored until here.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let first = first_step(&other, &job, stopped + 200_000).await;
    owner.process.signal("-CONT").await;
    // It wakes, and finds that it has lost its job: numbers stay without holes, and each step ends once.
    tokio::time::sleep(Duration::from_secs(2 * LEASE)).await;
    let mut ended = BTreeSet::new();
    let mut seen = 0;
    loop {
        let events = other.events(&job, seen).await;
        for event in &events {
            assert_eq!(event["seq"], seen + 1, "no holes");
            seen += 1;
            let step = event["step"].as_str().unwrap_or_default().to_owned();
            let once = event["event"] != "step_completed" || ended.insert(step);
            assert!(once, "{event}");
        }
        if events.len() < 1000 {
            break;
        }
    }
    (first - stopped) as f64 / 1e6 / LEASE as f64
}
