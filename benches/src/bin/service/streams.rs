//! One event to many readers.

use std::time::Duration;

use crate::process::{Process, now};
use crate::server::{HOUR, Server};
use crate::{Options, spread};

/// Processes that read: what they do must not be what is measured.
const READERS: usize = 2;

/// What one turn gave: milliseconds to the last reader, and kB a reader.
struct Turn {
    took: f64,
    memory: f64,
}

pub(crate) async fn run(options: &Options) {
    let (mut floor, mut engine, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..options.rounds {
        let bare = of_floor(options, 2 * round).await;
        let ours = of_engine(options, 2 * round + 1).await;
        println!(
            "round {}: bare {:.0} ms, {:.1} kB a reader; ours {:.0} ms, {:.1} kB",
            round + 1,
            bare.took,
            bare.memory,
            ours.took,
            ours.memory
        );
        ratios.push(ours.took / bare.took);
        floor.push(bare);
        engine.push(ours);
    }
    println!(
        "one event to {} readers, {} rounds by turns:",
        options.count, options.rounds
    );
    let tell = |name: &str, all: &[Turn]| {
        let took = spread(all.iter().map(|it| it.took).collect());
        let memory = spread(all.iter().map(|it| it.memory).collect());
        println!("  {name}: {took} ms to the last, {memory} kB a reader");
    };
    tell("bare hyper and tokio broadcast", &floor);
    tell("the service", &engine);
    println!("  ratio: {} (goal 1.5), memory goal 16 kB", spread(ratios));
}

async fn of_floor(options: &Options, turn: usize) -> Turn {
    let folder = tempfile::tempdir().expect("there is a place for files");
    let (process, address) = Process::floor(folder.path()).await;
    let client = reqwest::Client::new();
    let tell = async || {
        let readers = client.get(format!("http://{address}/tell")).send().await;
        let readers = readers.expect("it answers");
        let readers = readers.text().await.expect("it answers");
        assert_eq!(readers, options.count.to_string());
    };
    measure(
        options,
        turn,
        (&process, &address),
        ("/stream", "told"),
        tell,
    )
    .await
}

async fn of_engine(options: &Options, turn: usize) -> Turn {
    let (_folder, server) = Server::fresh(&options.server, &HOUR, &[]).await;
    let job = server.submit(&HOUR).await;
    server.runs(1).await;
    let path = format!("/api/v1/jobs/{job}/stream");
    let told = (path.as_str(), "job.cancelled");
    let at = (&server.process, server.address());
    measure(options, turn, at, told, async || server.cancel(&job).await).await
}

async fn measure(
    options: &Options,
    turn: usize,
    (server, address): (&Process, &str),
    (path, event): (&str, &str),
    tell: impl AsyncFn(),
) -> Turn {
    let before = server.memory();
    let count = (options.count / READERS).to_string();
    let mut readers = Vec::new();
    for reader in 0..READERS {
        let from = format!("127.0.{}.{}", turn + 1, reader + 1);
        readers.push(Process::own(&[
            "listen", "--to", address, "--path", path, "--event", event, "--count", &count,
            "--from", &from,
        ]));
    }
    for reader in &mut readers {
        assert_eq!(reader.line().await, "ready");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let grown = server.memory().saturating_sub(before);
    let began = now();
    tell().await;
    let mut last = 0;
    for reader in &mut readers {
        last = last.max(reader.number().await);
    }
    Turn {
        took: last.saturating_sub(began) as f64 / 1e3,
        memory: grown as f64 / options.count as f64,
    }
}
