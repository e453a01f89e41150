//! `peers work WHO WORKLOAD --folder F [--postgres URL]`: one measurement of another engine, as
//! `durable work` makes those of ours; prints one line of JSON.

#![forbid(unsafe_code)]

mod on_dbos;
mod on_durare;
mod on_steno;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use tokio::sync::Semaphore;

/// What a step gives: 90 bytes of JSON.
const OUTPUT: &str = "{\"output\":\"Gi0/1 10.0.0.1 YES manual up up, line protocol is up, 1500 bytes\"}";
const IN_FLIGHT: usize = 64;

/// Jobs, steps that follow each other, steps beside each other.
#[derive(Clone, Copy)]
struct Shape {
    jobs: usize,
    rounds: usize,
    width: usize,
}

impl Shape {
    fn of(workload: &str) -> Self {
        let (jobs, rounds, width) = match workload {
            "nothing" => (0, 0, 1),
            "w1" => (1, 1000, 1),
            "w2" => (1, 1, 100),
            "w3" => (1000, 10, 1),
            other => panic!("no workload {other}"),
        };
        Self { jobs, rounds, width }
    }

    /// Where steps stand beside each other, one more waits for all.
    fn joins(self) -> bool {
        self.width > 1
    }

    fn steps(self) -> usize {
        self.jobs * (self.rounds * self.width + usize::from(self.joins()))
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, _, who, workload, _, folder, rest @ ..] = arguments.as_slice() else {
        panic!("peers work WHO WORKLOAD --folder F [--postgres URL]");
    };
    let shape = Shape::of(workload);
    let server = rest.get(1).cloned().unwrap_or_default();
    let file = format!("sqlite://{folder}/peer.db");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime needs two threads");
    let (wall_us, cpu_us) = runtime.block_on(async {
        match who.as_str() {
            "durare-sqlite" => on_durare::run(shape, &file).await,
            "durare-postgres" => on_durare::run(shape, &server).await,
            "dbos-postgres" => on_dbos::run(shape, &server).await,
            "steno" => on_steno::run(shape).await,
            other => panic!("no peer {other}"),
        }
    });
    let bytes: u64 = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|it| Some(it.ok()?.metadata().ok()?.len()))
        .sum();
    let steps = shape.steps();
    println!("{{\"steps\":{steps},\"wall_us\":{wall_us},\"cpu_us\":{cpu_us},\"bytes\":{bytes}}}");
    // What the peers leave running does not matter any more.
    std::process::exit(0);
}

/// Runs a job for each number, so many at a time; wall and CPU time in microseconds.
async fn play<F: Future<Output = ()> + Send + 'static>(
    shape: Shape,
    job: impl Fn(usize) -> F,
) -> (f64, f64) {
    let (began, before) = (Instant::now(), cpu());
    let places = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut running = tokio::task::JoinSet::new();
    for at in 0..shape.jobs {
        let place = Arc::clone(&places).acquire_owned().await;
        let work = job(at);
        running.spawn(async move {
            work.await;
            drop(place);
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.expect("a job ends");
    }
    let micros = |it: Duration| it.as_secs_f64() * 1e6;
    (micros(began.elapsed()), micros(cpu() - before))
}

fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("a process may ask about itself");
    let micros = |it: nix::sys::time::TimeVal| {
        u64::try_from(it.tv_sec() * 1_000_000 + it.tv_usec()).unwrap_or(0)
    };
    Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time()))
}
