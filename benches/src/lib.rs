//! What the benchmarks share: generated packages, a log in memory, actions that take a given time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use se_dsl::{Checked, Options, Sources};
use se_runtime::event::{Accepted, Batch, FORMAT, FrozenScopes, Map};
use se_runtime::port::Progress;
use se_runtime::{
    Actions, Call, Clock, Done, Drive, Event, EventLog, LogError, Outcome, Plan, Ports, Record,
    State, Timestamp, Vault, drive,
};
use serde_json::{Value, json};

/// A package with `devices` connectors and one job `main` of `rounds` × `devices` collect steps:
/// those of one device follow each other, those of different devices do not.
#[must_use]
pub fn package(devices: usize, rounds: usize) -> Sources {
    let mut sources = Sources::new();
    let manifest =
        "format_version: PAv1\nname: bench\nversion: '1'\ncontent_id: b\npod_type: none\n";
    sources.add("PAv1/manifest.yaml", manifest);
    let head = "apiVersion: pav1\nkind: Lifecycle\nmetadata: { lablet: bench }\n";
    let phases = "spec:\n  phases:\n    - name: main\n      jobs:\n        - definition: main@v1\n";
    sources.add("PAv1/lifecycle.yaml", format!("{head}{phases}"));
    sources.add("PAv1/connectors.yaml", connectors(devices));
    sources.add("PAv1/jobs/main.yaml", job(devices, rounds));
    sources
}

fn connectors(devices: usize) -> String {
    let head = "apiVersion: pav1\nkind: ConnectorModel\nmetadata: { name: bench }\nspec:\n";
    let one = |at: usize| {
        let port = format!("\"${{ runtime_env.devices.d{at}.serial_port }}\"");
        format!("    - {{ name: d{at}, class: cisco_common, transport: telnet, port: {port} }}\n")
    };
    let all: String = (0..devices).map(one).collect();
    format!("{head}  connectors:\n{all}")
}

/// The text of the job `main` of [`package`].
#[must_use]
pub fn job(devices: usize, rounds: usize) -> String {
    let head = "apiVersion: pav1\nkind: JobDefinition\nmetadata: { name: main, version: v1 }\n";
    let mut text = format!("{head}spec:\n  steps:\n");
    for round in 0..rounds {
        for device in 0..devices {
            text.push_str(&format!(
                "    - id: c{device}_{round}\n      uses: collect@v1\n      stage: collect\n      \
                 target: d{device}\n      with: {{ command: \"show {round}\" }}\n      \
                 capture: {{ output: d{device}.r{round} }}\n"
            ));
        }
    }
    text
}

/// Checks a generated package.
///
/// # Panics
/// If it has an error: then the benchmark measures the wrong thing.
#[must_use]
pub fn checked(sources: &Sources) -> Arc<Checked> {
    let outcome = se_dsl::check(sources, Options::default());
    Arc::new(outcome.checked.expect("generated packages have no errors"))
}

/// Runs the job `main` of a package on actions that take `takes` each.
///
/// # Panics
/// If the job does not complete.
pub async fn run(plan: &Plan, devices: usize, takes: Duration) -> State {
    let log = MemoryLog::default();
    let first = accepted(devices);
    let state = State::begin(plan, &first).expect("the first event is job_accepted");
    log.records().push(first);
    let (_sender, control) = futures_channel::mpsc::unbounded();
    let ports = Ports {
        log: &log,
        actions: &Timed(takes),
        clock: &Wall,
    };
    let vault = Vault::default();
    let ended = drive(plan, state, &vault, ports, control).await;
    assert!(matches!(ended, Ok(Drive::Ended(_))), "{ended:?}");
    let records = log.records().clone();
    State::fold(plan, &records).expect("a log that was driven folds")
}

fn accepted(devices: usize) -> Record {
    let ports: Map = (0..devices)
        .map(|at| (format!("d{at}"), json!({"serial_port": 5000 + at})))
        .collect();
    let accepted = Accepted {
        format: FORMAT,
        job_id: "bench".to_owned(),
        definition_id: "bench".to_owned(),
        version: "1".to_owned(),
        content_hash: String::new(),
        session_id: None,
        phase: Some("main".to_owned()),
        scenario: None,
        sequential: false,
        callback_url: None,
        metadata: None,
        scopes: FrozenScopes {
            session: json!({}),
            content: json!({}),
            runtime_env: json!({"worker_ip": "127.0.0.1", "devices": ports}),
            vars: Map::new(),
        },
        engine_version: "0".to_owned(),
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
struct Wall;

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
