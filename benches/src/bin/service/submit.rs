//! Submissions that are durable when they are answered.

use std::path::Path;

use serde_json::json;

use crate::process::Process;
use crate::server::{HOUR, Phase, Server, body};
use crate::{Options, spread};

const CONNECTIONS: usize = 64;
const SECONDS: f64 = 5.0;
/// Bytes of a request.
const BODY: usize = 2 << 10;

/// Requests a second, and the 99th percentile of their times in ms.
struct Turn {
    rate: f64,
    late: f64,
}

pub(crate) async fn run(options: &Options) {
    let (mut floor, mut engine) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        let bare = of_floor().await;
        let ours = of_engine(options).await;
        println!(
            "round {}: bare {:.0}/s, p99 {:.1} ms; ours {:.0}/s, p99 {:.1} ms",
            round + 1,
            bare.rate,
            bare.late,
            ours.rate,
            ours.late
        );
        floor.push(bare);
        engine.push(ours);
    }
    println!(
        "durable submissions of {BODY} bytes on {CONNECTIONS} connections, {} rounds by turns of {SECONDS} s:",
        options.rounds
    );
    for (name, all) in [
        ("bare hyper and SQLite FULL", &floor),
        ("the service", &engine),
    ] {
        let rate = spread(all.iter().map(|it| it.rate).collect());
        let late = spread(all.iter().map(|it| it.late).collect());
        println!("  {name}: {rate} a second, p99 {late} ms");
    }
    let ratios = engine
        .iter()
        .zip(&floor)
        .map(|(a, b)| 100.0 * a.rate / b.rate);
    println!("  ratio: {} % (goal 70)", spread(ratios.collect()));
}

async fn of_floor() -> Turn {
    let folder = tempfile::tempdir().expect("there is a place for files");
    let (_process, address) = Process::floor(folder.path()).await;
    measure(&address, "/", folder.path()).await
}

/// The one place is taken by a job that waits, so that jobs are only taken in.
async fn of_engine(options: &Options) -> Turn {
    let settings = [
        ("SE_JOBS__MAX_CONCURRENT", "1".to_owned()),
        ("SE_JOBS__MAX_QUEUED", "10000000".to_owned()),
    ];
    let (folder, server) = Server::fresh(&options.server, &HOUR, &settings).await;
    server.submit(&HOUR).await;
    server.runs(1).await;
    measure(server.address(), "/api/v1/jobs", folder.path()).await
}

async fn measure(address: &str, path: &str, folder: &Path) -> Turn {
    let mut body = body(&HOUR);
    let room = BODY - body.to_string().len();
    body["metadata"] = json!({"pad": "x".repeat(room.saturating_sub(26))});
    let file = folder.join("body.json");
    std::fs::write(&file, body.to_string()).expect("the folder can be written");
    let (connections, seconds) = (CONNECTIONS.to_string(), SECONDS.to_string());
    let mut load = Process::own(&[
        "load",
        "--to",
        address,
        "--path",
        path,
        "--body",
        &file.to_string_lossy(),
        "--connections",
        &connections,
        "--seconds",
        &seconds,
    ]);
    let rate = load.number().await as f64;
    load.number().await;
    Turn {
        rate,
        late: load.number().await as f64 / 1e3,
    }
}

/// Takes so many jobs of a phase in.
pub(crate) async fn fill(server: &Server, phase: &Phase, count: usize, folder: &Path) {
    let file = folder.join("body.json");
    std::fs::write(&file, body(phase).to_string()).expect("the folder can be written");
    let count = count.to_string();
    let mut load = Process::own(&[
        "load",
        "--to",
        server.address(),
        "--path",
        "/api/v1/jobs",
        "--body",
        &file.to_string_lossy(),
        "--connections",
        "20",
        "--seconds",
        "600",
        "--count",
        &count,
    ]);
    load.number().await;
}
