//! Whether a long job pays for its length.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use se_benches::{checked, package_of_jobs};
use se_runtime::port::Progress;
use se_runtime::{Actions, Call, Outcome, Plan, State};

use crate::engine::{Immediate, acting, job, open};
use crate::work::Shape;

/// Steps whose median is taken.
const WINDOW: usize = 1000;
/// Events read in one go.
const PAGE: u32 = 10_000;

pub(crate) fn run(runtime: &tokio::runtime::Runtime, steps: usize) {
    let began = Instant::now();
    let plan = plan(steps);
    println!(
        "check and plan of {steps} steps: {:.1} s",
        began.elapsed().as_secs_f64()
    );
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let url = format!("sqlite://{}", folder.path().join("se.db").display());
    let store = runtime.block_on(open(&url));
    let watched = Watched::default();
    runtime.block_on(job(&store, &plan, ("long", 1), &watched));
    let times = watched.0.into_inner().expect("nobody panicked");
    let early = median(&times[100..100 + WINDOW]);
    let late = median(&times[steps - WINDOW..]);
    println!(
        "a step: {early:.0} µs near step 100, {late:.0} µs near step {steps}: {:.2}x (goal 1.2)",
        late / early
    );
    println!("peak of the process: {} MB", peak_kib() / 1024);
    let began = Instant::now();
    let (events, state) = runtime.block_on(async {
        let mut records = Vec::new();
        loop {
            let page = store.events("long", records.len() as u64, PAGE).await;
            let page = page.expect("the log can be read");
            records.extend(page.records);
            if !page.more {
                break;
            }
        }
        let state = State::fold(&plan, &records).expect("the log folds");
        (records.len(), state)
    });
    assert!(state.status().is_final(), "the job has ended");
    println!(
        "going on with it: {events} events read and folded in {:.0} ms (goal 100)",
        began.elapsed().as_secs_f64() * 1e3
    );
    runtime.block_on(store.close());
}

/// Steps of one device, one after the other, in jobs of a thousand: a document may not be too long.
fn plan(steps: usize) -> Plan {
    const EACH: usize = 1000;
    let job = |at: usize| {
        let name = if at == 0 {
            "main".to_owned()
        } else {
            format!("main{at}")
        };
        let head = format!(
            "apiVersion: pav1\nkind: JobDefinition\nmetadata: {{ name: {name}, version: v1 }}\n"
        );
        let shape = Shape {
            jobs: 1,
            rounds: EACH,
            width: 1,
            join: false,
        };
        format!("{head}spec:\n  steps:\n{}", acting(shape, "show"))
    };
    let sources = package_of_jobs(1, (0..steps / EACH).map(job).collect());
    Plan::of_phase(checked(&sources), "main").expect("generated packages have a plan")
}

fn median(times: &[Duration]) -> f64 {
    let mut all: Vec<f64> = times.iter().map(|it| it.as_secs_f64() * 1e6).collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn peak_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("the system is Linux");
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"));
    let number = line.and_then(|it| it.split_whitespace().next()?.parse().ok());
    number.expect("a process has a peak")
}

/// Notes how long after the last call each comes.
#[derive(Default)]
struct Watched(Mutex<Vec<Duration>>, Mutex<Option<Instant>>);

impl Actions for Watched {
    fn call<'a>(&'a self, call: Call, progress: &'a dyn Progress) -> BoxFuture<'a, Outcome> {
        let now = Instant::now();
        let last = self.1.lock().expect("nobody panicked").replace(now);
        let since = last.map_or(Duration::ZERO, |it| now - it);
        self.0.lock().expect("nobody panicked").push(since);
        Immediate.call(call, progress).boxed()
    }
}
