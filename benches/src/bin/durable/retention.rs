//! What is left of a file after very many jobs were deleted, and what those notice that write meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use se_runtime::event::{Batch, End};
use se_runtime::{Clock, Event, EventLog as _, JobStatus, Record, Summary, Timestamp};
use se_store::{Options, Retention, Store};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::engine::{first, options, size, submit};
use crate::work::{IN_FLIGHT, OUTPUT};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A clock that is set by hand.
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, _: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

pub(crate) fn run(runtime: &Runtime, old: usize, young: usize) {
    let folder = tempfile::tempdir().expect("there is a place for files");
    let url = |name: &str| format!("sqlite://{}", folder.path().join(name).display());
    let live = runtime.block_on(async {
        let store = open(&url("live.db"), &Hand::start()).await;
        fill(&store, "young", young, &Hand::start()).await;
        let empty = probed(&store, "probe", &AtomicBool::new(false), 500).await;
        println!("a durable append on {young} jobs: {}", told(empty));
        store.close().await;
        size(&url("live.db"))
    });
    let hand = Hand::start();
    runtime.block_on(async {
        let store = open(&url("all.db"), &hand).await;
        let began = Instant::now();
        fill(&store, "old", old, &hand).await;
        println!(
            "{old} jobs taken in and ended: {:.0} s",
            began.elapsed().as_secs_f64()
        );
        hand.0.fetch_add(30 * 86_400_000_000, Ordering::SeqCst);
        fill(&store, "young", young, &hand).await;
        store.close().await;
    });
    println!(
        "the file with all of them: {} MB",
        size(&url("all.db")) >> 20
    );
    runtime.block_on(async {
        let store = open(&url("all.db"), &hand).await;
        let full = probed(&store, "before", &AtomicBool::new(false), 500).await;
        println!("a durable append before: {}", told(full));
        let (swept, over) = (Instant::now(), AtomicBool::new(false));
        let sweep = async {
            let kept = Retention::all(Some(DAY));
            while store.sweep(kept).await.expect("the store works").more {}
            let deleted = swept.elapsed().as_secs_f64();
            while store.shrink().await.expect("the store works") {}
            over.store(true, Ordering::SeqCst);
            deleted
        };
        let (deleted, during) =
            futures_util::join!(sweep, probed(&store, "during", &over, usize::MAX));
        println!(
            "deleted in {deleted:.0} s, space given back in {:.0} s more; a durable append meanwhile: {}",
            swept.elapsed().as_secs_f64() - deleted,
            told(during)
        );
        store.close().await;
    });
    let left = size(&url("all.db"));
    println!(
        "left: {:.1} MB for {young} jobs, {:.2}x what they take in a new file (goal 1.5)",
        left as f64 / 1e6,
        left as f64 / live as f64
    );
}

impl Hand {
    fn start() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(1_764_000_000_000_000)))
    }
}

async fn open(url: &str, hand: &Arc<Hand>) -> Store {
    let clock: Arc<dyn Clock> = Arc::<Hand>::clone(hand);
    let options = Options { clock, ..options() };
    Store::open(url, options).await.expect("the database opens")
}

/// Jobs of five events that have ended.
async fn fill(store: &Store, name: &str, jobs: usize, hand: &Arc<Hand>) {
    let places = Arc::new(Semaphore::new(4 * IN_FLIGHT));
    let mut running = JoinSet::new();
    for at in 0..jobs {
        let place = Arc::clone(&places).acquire_owned().await;
        let (store, id, now) = (store.clone(), format!("{name}-{at}"), hand.now());
        running.spawn(async move {
            ended(&store, &id, now).await;
            drop(place);
        });
        while running.try_join_next().is_some() {}
    }
    while let Some(ended) = running.join_next().await {
        ended.expect("a job ends");
    }
}

async fn ended(store: &Store, id: &str, now: Timestamp) {
    submit(store, first(id, 1)).await;
    let claimed = store.claim_one(id).await.expect("the store works");
    assert!(claimed.is_some(), "nobody else drives {id}");
    let log = store.log(id).await.expect("the job is there");
    let step = || "look".to_owned();
    let output = [("output".to_owned(), OUTPUT.into())];
    let events = [
        Event::JobStarted,
        Event::StepStarted {
            step: step(),
            attempt: 1,
            inputs: serde_json::Map::new(),
            target: None,
        },
        Event::StepCompleted {
            step: step(),
            attempt: 1,
            output: output.into_iter().collect(),
            learned: serde_json::Map::new(),
        },
        Event::JobCompleted {
            end: End::default(),
        },
    ];
    let appended = log
        .append(batch(1, events, now, JobStatus::Completed))
        .await;
    appended.expect("the store works");
}

fn batch(
    after: u64,
    events: impl IntoIterator<Item = Event>,
    at: Timestamp,
    status: JobStatus,
) -> Batch {
    let records = (after + 1..).zip(events);
    Batch {
        after,
        records: records
            .map(|(seq, event)| Record { seq, at, event })
            .collect(),
        summary: Summary {
            status,
            percentage: 0,
            message: String::new(),
            started_at: Some(at),
            completed_at: status.is_final().then_some(at),
        },
    }
}

/// How long durable appends of one job take, in ms: so many of them, or until it is over.
async fn probed(store: &Store, id: &str, over: &AtomicBool, most: usize) -> Vec<f64> {
    submit(store, first(id, 1)).await;
    let claimed = store.claim_one(id).await.expect("the store works");
    assert!(claimed.is_some(), "nobody else drives {id}");
    let log = store.log(id).await.expect("the job is there");
    let mut times = Vec::new();
    while times.len() < most && !over.load(Ordering::SeqCst) {
        let event = Event::JobProgress {
            percentage: 0,
            message: OUTPUT.to_owned(),
        };
        let after = times.len() as u64 + 1;
        let began = Instant::now();
        let batch = batch(
            after,
            [event],
            Timestamp::from_micros(0),
            JobStatus::Running,
        );
        log.append(batch).await.expect("the store works");
        times.push(began.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    times
}

fn told(mut times: Vec<f64>) -> String {
    times.sort_by(f64::total_cmp);
    let at = |part: f64| times[(times.len() as f64 * part) as usize];
    let longest = times.last().copied().unwrap_or_default();
    format!(
        "median {:.2} ms, p99 {:.2} ms, longest {longest:.1} ms ({} of them)",
        at(0.5),
        at(0.99),
        times.len()
    )
}
