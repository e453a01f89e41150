//! What was answered is there after a kill, whatever the moment.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use se_runtime::{Event, EventLog};

use crate::bench::{Bench, batch, job};

const JOBS: usize = 4;

fn url(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("se.db").display())
}

/// Names the folder to write to, in the process that is killed.
const WRITER: &str = "SE_STORE_WRITER";

/// Appends to several jobs at once and says so after each answer, until it is killed.
async fn write_until_killed(folder: &Path) {
    let bench = Bench::open(&url(folder)).await;
    let endless = (0..JOBS).map(async |n| {
        let id = n.to_string();
        let log = bench.submit(job(&id)).await;
        for after in 1.. {
            let step = Event::StepSkipped {
                step: after.to_string(),
            };
            log.append(batch(after, [step])).await.unwrap();
            let mut out = std::io::stdout().lock();
            writeln!(out, "\nanswered {id} {}", after + 1).unwrap();
            out.flush().unwrap();
        }
    });
    futures_util::future::join_all(endless).await;
}

/// Runs in two processes: itself, and the one that it starts and kills.
#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    if let Some(folder) = std::env::var_os(WRITER) {
        return write_until_killed(Path::new(&folder)).await;
    }
    for answers in [1, 17, 150] {
        let folder = tempfile::tempdir().unwrap();
        let answered = kill_after(answers, folder.path());
        let bench = Bench::open(&url(folder.path())).await;
        let begun = answered.into_iter().enumerate().filter(|it| it.1 > 0);
        for (n, last) in begun {
            holds(&bench, &n.to_string(), last).await;
        }
        bench.store.close().await;
    }
}

/// The log reaches at least to `last`, has no holes, and goes on.
async fn holds(bench: &Bench, id: &str, last: u64) {
    let events = bench.store.events(id, 0, u32::MAX).await.unwrap().records;
    let seqs: Vec<u64> = events.iter().map(|it| it.seq).collect();
    let stored = bench.store.job(id).await.unwrap().last_seq;
    assert!(stored >= last, "job {id}: {last} answered, {stored} stored");
    assert_eq!(seqs, (1..=stored).collect::<Vec<u64>>());
    let log = bench.log(id).await;
    let more = batch(stored, [Event::JobStarted]);
    log.append(more).await.unwrap();
}

/// Runs the writer, kills it after that many answers, and returns the last one for each job.
fn kill_after(answers: usize, folder: &Path) -> [u64; JOBS] {
    let mut writer = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "--nocapture",
            "crash::what_was_answered_survives_a_kill",
        ])
        .env(WRITER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    let mut last = [0; JOBS];
    let mut heard = 0;
    for line in lines.map_while(Result::ok) {
        let Some(answer) = line.strip_prefix("answered ") else {
            continue;
        };
        let (id, seq) = answer.split_once(' ').unwrap();
        last[id.parse::<usize>().unwrap()] = seq.parse().unwrap();
        heard += 1;
        if heard == answers {
            writer.kill().unwrap();
        }
    }
    writer.wait().unwrap();
    assert!(
        heard >= answers,
        "the writer ended by itself after {heard} answers"
    );
    last
}
