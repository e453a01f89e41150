//! Jobs that wait.

use std::time::Duration;

use crate::Options;
use crate::server::{HOUR, Server};
use crate::submit::fill;

/// How long the processors are watched.
const WATCHED: u64 = 30;

pub(crate) async fn run(options: &Options) {
    println!("{} jobs that wait:", options.count);
    for (name, places) in [
        ("queued behind one that runs", 1),
        ("in a pause, all of them", options.count),
    ] {
        let settings = [
            ("SE_JOBS__MAX_CONCURRENT", places.to_string()),
            ("SE_JOBS__MAX_QUEUED", "1000000".to_owned()),
        ];
        let (folder, server) = Server::fresh(&options.server, &HOUR, &settings).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = server.process.memory();
        fill(&server, &HOUR, options.count, folder.path()).await;
        server.runs(places).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let ticks = server.process.ticks();
        tokio::time::sleep(Duration::from_secs(WATCHED)).await;
        let busy = (server.process.ticks() - ticks) as f64 / WATCHED as f64;
        let memory = server.process.memory() as f64 / 1e3;
        println!(
            "  {name}: {memory:.1} MB (goal 30; {:.1} MB before), {busy:.2} % of a processor (goal 0.05)",
            before as f64 / 1e3
        );
        server.process.end("-TERM").await;
    }
}
