//! `cargo xtask soak`: the service under a steady load for a while. What has ended is deleted soon, so
//! that memory, files and handles come to a level; they must stay there.

mod chart;
mod load;
mod sample;
mod verdict;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::Value;

use self::load::Load;
use self::sample::Series;
use crate::client::Client;
use crate::command::{Failure, built, command, root, run as run_command, say};
use crate::process::Process;

const PACKAGE: &str = "examples/lab-0.1";
/// Between two samples.
const EACH: Duration = Duration::from_secs(2);
/// How long what was accepted may take to end once nothing more comes.
const REST: Duration = Duration::from_secs(120);

/// How long, and on what.
#[derive(Args)]
pub(crate) struct Options {
    /// How long to go on.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Where jobs are kept.
    #[arg(long, value_enum, default_value_t = Store::Sqlite)]
    store: Store,
    /// Jobs submitted in a second.
    #[arg(long, default_value_t = 20)]
    rate: u32,
    /// The profile that the service is built in.
    #[arg(long, default_value = "release")]
    profile: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Store {
    Sqlite,
    Postgres,
}

/// Runs it; fails if anything grew, or if a job is not accounted for.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let build = ["build", "--quiet", "--profile", &options.profile];
    let bins = ["-p", "se-server", "-p", "se-testkit", "--bins"];
    run_command(command(env!("CARGO"), &[&build[..], &bins].concat()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(soak(options))
}

/// Everything that runs.
struct Stage {
    pod: Process,
    sink: Arc<Process>,
    server: Process,
    postgres: Option<Process>,
    facts: Value,
    client: Client,
    folder: tempfile::TempDir,
    store: Vec<String>,
}

async fn soak(options: &Options) -> Result<(), Failure> {
    let stage = set_up(options).await?;
    let load = Load::start(&stage, options.rate).await?;
    let mut series = Series::default();
    let samples = options.minutes * 60 / EACH.as_secs();
    say(&format!(
        "{} minutes; Ctrl-C ends it before",
        options.minutes
    ));
    for at in 1..=samples.max(1) {
        // Both can be dropped at any time.
        tokio::select! {
            () = tokio::time::sleep(EACH) => {}
            _ = tokio::signal::ctrl_c() => break,
        }
        let data = stage.folder.path().join("data");
        series
            .take(stage.server.id(), &data, &stage.client, &load)
            .await?;
        if at % 15 == 0 {
            say(&series.line());
        }
    }
    let accepted = load.end().await?;
    let told = account(&stage.client, accepted).await;
    let whole = end(stage, &options.profile).await;
    say(&series.to_string());
    told?;
    whole?;
    series.verdict()
}

async fn set_up(options: &Options) -> Result<Stage, Failure> {
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let at = |name: &str| folder.path().join(name);
    let package = root().join(PACKAGE).display().to_string();
    let sim = built("se-sim", &options.profile);
    let pod = ["pod", "--package", &package, "--json"];
    let pod = Process::start(&sim, &pod, &at("pod.log"))?;
    let facts = pod.line().await?;
    let facts: Value = serde_json::from_str(&facts)
        .map_err(|error| format!("se-sim printed `{facts}`: {error}"))?;
    let sink = Process::start(&sim, &["sink", "--listen", "127.0.0.1:0"], &at("sink.log"))?;
    let (mut postgres, mut store) = (None, Vec::new());
    if options.store == Store::Postgres {
        let server = Process::start(&sim, &["postgres"], &at("postgres.log"))?;
        store = vec!["--store".to_owned(), server.line().await?];
        postgres = Some(server);
    }
    std::fs::create_dir(at("content")).map_err(|error| format!("content: {error}"))?;
    let server = serve(options, folder.path(), &store)?;
    let client = Client::new(server.url().await?)?;
    sink.url().await?;
    let sink = Arc::new(sink);
    let printing = Arc::clone(&sink);
    #[expect(
        clippy::disallowed_methods,
        reason = "this tool is no part of the engine"
    )]
    tokio::spawn(async move { printing.discard().await });
    let stage = Stage {
        pod,
        sink,
        server,
        postgres,
        facts,
        client,
        folder,
        store,
    };
    sync(&stage, &package, &options.profile).await?;
    Ok(stage)
}

fn serve(options: &Options, folder: &Path, store: &[String]) -> Result<Process, Failure> {
    let (data, content) = (folder.join("data"), folder.join("content"));
    let (data, content) = (data.display().to_string(), content.display().to_string());
    let mut arguments = vec!["serve", "--listen", "127.0.0.1:0"];
    arguments.extend(["--data-dir", &data, "--content-root", &content]);
    arguments.extend(store.iter().map(String::as_str));
    // A tenth of the time: most of it is then on the level.
    let days = options.minutes as f64 / 10.0 / 24.0 / 60.0;
    let environment = [
        ("SE_STORE__KEEP_DAYS", format!("{days:.6}")),
        ("SE_SEALING__KEY", "5a".repeat(32)),
    ];
    let program = built("se-server", &options.profile);
    Process::start_with(
        &program,
        &arguments,
        &environment,
        &folder.join("server.log"),
    )
}

async fn sync(stage: &Stage, package: &str, profile: &str) -> Result<(), Failure> {
    let zip = stage
        .folder
        .path()
        .join("content/lab.zip")
        .display()
        .to_string();
    let pack = ["pack", package, "-o", &zip];
    run_command(command(&built("se-server", profile), &pack))?;
    let body = serde_json::json!({
        "definition_id": load::DEFINITION, "version": "1", "s3_uri": format!("file://{zip}"),
        "pod_type": "cml_on_aws",
    });
    stage
        .client
        .post("/api/v1/content/sync", &body)
        .await
        .map(drop)
}

/// Every job that was accepted ends, and is counted once.
async fn account(client: &Client, accepted: u64) -> Result<(), Failure> {
    let all_ended = async {
        loop {
            let ended = sample::total(client, "se_jobs_ended_total").await?;
            if ended >= accepted {
                return Ok::<u64, Failure>(ended);
            }
            tokio::time::sleep(EACH).await;
        }
    };
    let ended = tokio::time::timeout(REST, all_ended).await;
    let ended = ended.map_err(|_| format!("not all of {accepted} jobs have ended"))??;
    if ended != accepted {
        return Err(format!(
            "{accepted} jobs were accepted, and {ended} have ended"
        ));
    }
    say(&format!(
        "{accepted} jobs were accepted, and all have ended"
    ));
    Ok(())
}

/// Ends everything in order, and has the database checked.
async fn end(stage: Stage, profile: &str) -> Result<(), Failure> {
    stage.server.end().await?;
    let data = stage.folder.path().join("data").display().to_string();
    let mut arguments = vec!["store", "check", "--data-dir", &data];
    arguments.extend(stage.store.iter().map(String::as_str));
    let checked = run_command(command(&built("se-server", profile), &arguments));
    drop((stage.pod, stage.sink, stage.postgres));
    checked
}
