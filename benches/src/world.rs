//! A log in memory, the wall clock, actions that take a given time.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use se_runtime::event::{Accepted, Batch, FORMAT, FrozenScopes, Map};
use se_runtime::port::Progress;
use se_runtime::{
    Actions, Call, Clock, Done, Drive, Event, EventLog, JobStatus, LogError, Outcome, Plan, Ports,
    Record, State, Timestamp, Vault, drive,
};
use serde_json::{Value, json};

/// Runs the job `main` of a generated package on actions that take `takes` each.
///
/// # Panics
/// If the job does not complete.
pub async fn run(plan: &Plan, devices: usize, takes: Duration) -> State {
    let ports: Map = (0..devices)
        .map(|at| (format!("d{at}"), json!({"serial_port": 5000 + at})))
        .collect();
    let env = json!({"worker_ip": "127.0.0.1", "devices": ports});
    let records = run_on(plan, accepted(env, false), &Timed(takes)).await;
    State::fold(plan, &records).expect("a log that was driven folds")
}

/// Runs a job on the actions given; its log.
///
/// # Panics
/// If the job does not complete.
pub async fn run_on(plan: &Plan, first: Record, actions: &dyn Actions) -> Vec<Record> {
    let log = MemoryLog::default();
    log.records().push(first.clone());
    complete(plan, &first, &log, actions).await;
    log.records().clone()
}

/// Drives a job that was taken in to its end.
///
/// # Panics
/// If the job does not complete.
pub async fn complete(plan: &Plan, first: &Record, log: &dyn EventLog, actions: &dyn Actions) {
    let state = State::begin(plan, first).expect("the first event is job_accepted");
    let (_sender, control) = futures_channel::mpsc::unbounded();
    let ports = Ports {
        log,
        actions,
        clock: &Wall,
        patience: None,
    };
    let vault = Vault::default();
    let ended = drive(plan, state, &vault, ports, control).await;
    assert!(
        matches!(ended, Ok(Drive::Ended(JobStatus::Completed))),
        "the job did not complete: {ended:?}"
    );
}

/// The first event of a job on a pod with these facts.
#[must_use]
pub fn accepted(runtime_env: Value, sequential: bool) -> Record {
    let accepted = Accepted {
        format: FORMAT,
        job_id: "bench".to_owned(),
        definition_id: "bench".to_owned(),
        version: "1".to_owned(),
        content_hash: String::new(),
        session_id: None,
        phase: Some("main".to_owned()),
        scenario: None,
        sequential,
        callback_url: None,
        metadata: None,
        scopes: FrozenScopes {
            session: json!({}),
            content: json!({}),
            runtime_env,
            vars: Map::new(),
            ..FrozenScopes::default()
        },
        engine_version: "0".to_owned(),
        origin: None,
    };
    Record {
        seq: 1,
        at: Timestamp::default(),
        event: Event::JobAccepted(Box::new(accepted)),
    }
}

/// A log in memory: what a job costs without a disk.
#[derive(Debug, Default)]
struct MemoryLog(Mutex<Vec<Record>>);

impl MemoryLog {
    fn records(&self) -> std::sync::MutexGuard<'_, Vec<Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventLog for MemoryLog {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<(), LogError>> {
        self.records().extend(batch.records);
        std::future::ready(Ok(())).boxed()
    }
}

/// Every call takes this long and gives the same text.
struct Timed(Duration);

impl Actions for Timed {
    fn call<'a>(&'a self, _: Call, _: &'a dyn Progress) -> BoxFuture<'a, Outcome> {
        let takes = self.0;
        async move {
            if !takes.is_zero() {
                tokio::time::sleep(takes).await;
            }
            let output = Map::from_iter([("output".to_owned(), Value::from("up"))]);
            Ok(Done {
                output,
                learned: Map::new(),
            })
        }
        .boxed()
    }
}

/// The wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Wall;

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "benchmarks live in real time")]
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let micros = now.unwrap_or_default().as_micros();
        Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        tokio::time::sleep(at.since(self.now())).boxed()
    }
}
