//! The engine on a store: submit, claim, drive, end.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use se_benches::{Wall, accepted, checked, complete, package_of};
use se_runtime::event::Map;
use se_runtime::port::Progress;
use se_runtime::{Actions, Call, Done, Event, Outcome, Plan, Record};
use se_store::{NewJob, Objects, Options, Randomness, SealingKey, Silent, Store, Submitted};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::work::{Figures, IN_FLIGHT, OUTPUT, Shape, Watch, Workload};

/// Each of `engines` gets its share of the jobs.
pub(crate) async fn run(workload: Workload, url: &str, engines: usize) -> Figures {
    let shape = workload.shape();
    let plan = Arc::new(plan(workload));
    open(url).await.close().await;
    let before = size(url);
    let mut stores = Vec::new();
    for _ in 0..engines {
        stores.push(open(url).await);
    }
    let watch = Watch::start();
    let places = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut running = tokio::task::JoinSet::new();
    for (at, store) in (0..shape.jobs).zip(stores.iter().cycle()) {
        let place = Arc::clone(&places).acquire_owned().await;
        let (store, plan) = (store.clone(), Arc::clone(&plan));
        running.spawn(async move {
            let id = format!("job-{at}");
            job(&store, &plan, (&id, shape.width), &Immediate).await;
            drop(place);
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.expect("a job ends");
    }
    let mut figures = watch.stop(shape.steps());
    for store in stores {
        store.close().await;
    }
    figures.bytes = size(url).saturating_sub(before);
    figures
}

/// Takes a job in and drives it to its end.
pub(crate) async fn job(
    store: &Store,
    plan: &Plan,
    (id, devices): (&str, usize),
    actions: &dyn Actions,
) {
    let first = first(id, devices);
    submit(store, first.clone()).await;
    let claimed = store.claim_one(id).await.expect("the store works");
    assert!(claimed.is_some(), "nobody else drives {id}");
    let log = store.log(id).await.expect("the job is there");
    complete(plan, &first, &log, actions).await;
}

/// The first event of a job on a pod of so many devices.
pub(crate) fn first(id: &str, devices: usize) -> Record {
    let ports = (0..devices).map(|at| (format!("d{at}"), json!({"serial_port": 5000 + at})));
    let devices: Map = ports.collect();
    let env = json!({"worker_ip": "127.0.0.1", "devices": devices});
    let mut first = accepted(env, false);
    if let Event::JobAccepted(it) = &mut first.event {
        id.clone_into(&mut it.job_id);
    }
    first
}

pub(crate) async fn submit(store: &Store, accepted: Record) {
    let new = NewJob {
        accepted,
        secrets: Vec::new(),
        worker: None,
        idempotency_key: None,
        request_hash: String::new(),
    };
    let submitted = store.submit(new).await.expect("the store works");
    assert_eq!(submitted, Submitted::New);
}

pub(crate) async fn open(url: &str) -> Store {
    let opened = Store::open(url, options()).await;
    opened.expect("the database opens")
}

pub(crate) fn options() -> Options {
    Options {
        keys: SealingKey::new([7; 32]).into(),
        announce: Arc::new(Silent),
        clock: Arc::new(Wall),
        random: Arc::new(Zeros),
        objects: Objects::default(),
        answer_within: se_store::ANSWER_WITHIN,
    }
}

/// Nothing is sealed here.
struct Zeros;

impl Randomness for Zeros {
    fn fill(&self, bytes: &mut [u8]) -> std::io::Result<()> {
        bytes.fill(0);
        Ok(())
    }
}

/// Of a file that nobody has open, so that all of it is in it.
pub(crate) fn size(url: &str) -> u64 {
    let Some(path) = url.strip_prefix("sqlite://") else {
        return 0;
    };
    std::fs::metadata(path).map_or(0, |it| it.len())
}

/// The plan of a workload's jobs.
pub(crate) fn plan(workload: Workload) -> Plan {
    let shape = workload.shape();
    match workload {
        Workload::Nothing => plan_of(1, &pure(1)),
        Workload::W1Pure => plan_of(1, &pure(shape.rounds)),
        Workload::W1 | Workload::W2 | Workload::W3 => plan_of(shape.width, &acting(shape, "show")),
    }
}

/// A package with so many devices, whose one job has these steps.
pub(crate) fn plan_of(devices: usize, steps: &str) -> Plan {
    let head = "apiVersion: pav1\nkind: JobDefinition\nmetadata: { name: main, version: v1 }\n";
    let sources = package_of(devices, format!("{head}spec:\n  steps:\n{steps}"));
    Plan::of_phase(checked(&sources), "main").expect("generated packages have a plan")
}

/// Steps that look at devices: those of one device follow each other.
pub(crate) fn acting(shape: Shape, command: &str) -> String {
    let mut text = String::new();
    let mut step = |id: &str, device: usize, needs: &str| {
        text.push_str(&format!(
            "    - {{ id: {id}, uses: collect@v1, stage: collect, target: d{device}, \
             with: {{ command: \"{command}\" }}{needs} }}\n"
        ));
    };
    for round in 0..shape.rounds {
        for device in 0..shape.width {
            step(&format!("s{round}_{device}"), device, "");
        }
    }
    if shape.join {
        let last = shape.rounds - 1;
        let all: Vec<String> = (0..shape.width).map(|at| format!("s{last}_{at}")).collect();
        step("join", 0, &format!(", needs: [{}]", all.join(", ")));
    }
    text
}

/// Steps that stay inside the engine, each after the one before; each evaluates one expression.
pub(crate) fn pure(count: usize) -> String {
    let step = |at: usize| {
        let needs = at.checked_sub(1).map(|it| format!(", needs: [p{it}]"));
        format!(
            "    - {{ id: p{at}, uses: evaluate.regex@v1{}, \
             with: {{ source: \"${{ runtime_env.worker_ip | ascii_upcase }}\", regex: up }} }}\n",
            needs.unwrap_or_default()
        )
    };
    (0..count).map(step).collect()
}

/// Answers at once.
pub(crate) struct Immediate;

impl Actions for Immediate {
    fn call<'a>(&'a self, _: Call, _: &'a dyn Progress) -> BoxFuture<'a, Outcome> {
        let output = Map::from_iter([("output".to_owned(), Value::from(OUTPUT))]);
        let done = Done {
            output,
            learned: Map::new(),
        };
        std::future::ready(Ok(done)).boxed()
    }
}
