//! `cargo xtask demo`: the main job, end to end, as a user would see it.
//!
//! A simulated pod, the service and an event sink run as processes of their own; everything goes
//! through the HTTP API.

mod watch;

use clap::Args;
use serde_json::{Value, json};

use crate::client::Client;
use crate::command::{Failure, binary, command, root, run as run_command, say};
use crate::process::Process;

const PACKAGE: &str = "examples/lab-0.1";
const DEFINITION: &str = "lab-0.1";
const VERSION: &str = "1";
const SESSION: &str = "demo-session";
const PHASES: [&str; 5] = ["instantiate", "post_init", "ready", "grade", "teardown"];

/// How to show it.
#[derive(Args)]
pub(crate) struct Options {
    /// Leave everything running at the end, and print where; Ctrl-C ends it.
    #[arg(long)]
    keep: bool,
}

/// Runs the demo.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    run_command(command(
        env!("CARGO"),
        &["build", "--quiet", "--workspace", "--bins"],
    ))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(demo(options))
}

/// Everything that runs during the demo.
struct Stage {
    pod: Process,
    sink: Process,
    server: Process,
    facts: Value,
    client: Client,
    folder: tempfile::TempDir,
}

async fn demo(options: &Options) -> Result<(), Failure> {
    let stage = set_up().await?;
    sync(&stage).await?;
    let mut report = Value::Null;
    for phase in PHASES {
        let job = submit(&stage, phase).await?;
        watch::until_ended(&stage.client, &job, phase).await?;
        if phase == "grade" {
            report = stage
                .client
                .get(&format!("/api/v1/jobs/{job}/report"))
                .await?;
            let text = stage
                .client
                .text(&format!("/api/v1/jobs/{job}/report"), "text/plain")
                .await?;
            show("The score report", &text);
        }
    }
    let events = stage.sink.lines_until_quiet().await;
    show(
        "The CloudEvents that the sink received",
        &watch::summaries(&events),
    );
    check(&report, &events)?;
    if options.keep {
        keep(&stage).await;
    }
    Ok(())
}

async fn set_up() -> Result<Stage, Failure> {
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let package = root().join(PACKAGE).display().to_string();
    say("starting a simulated pod, an event sink and the service");
    let pod = Process::start(
        &binary("se-sim"),
        &["pod", "--package", &package, "--json"],
        &folder.path().join("pod.log"),
    )?;
    let facts = pod.line().await?;
    let facts: Value = serde_json::from_str(&facts)
        .map_err(|error| format!("se-sim printed `{facts}`: {error}"))?;
    let sink = Process::start(
        &binary("se-sim"),
        &["sink", "--listen", "127.0.0.1:0"],
        &folder.path().join("sink.log"),
    )?;
    let data = folder.path().join("data").display().to_string();
    let content = folder.path().join("content");
    std::fs::create_dir(&content).map_err(|error| format!("{}: {error}", content.display()))?;
    let content = content.display().to_string();
    let arguments = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        &data,
        "--content-root",
        &content,
    ];
    let log = folder.path().join("server.log");
    let server = Process::start(&binary("se-server"), &arguments, &log)?;
    let url = server.url().await?;
    Ok(Stage {
        pod,
        sink,
        server,
        facts,
        client: Client::new(url)?,
        folder,
    })
}

/// Packs the example and has the service take it in.
async fn sync(stage: &Stage) -> Result<(), Failure> {
    let zip = stage
        .folder
        .path()
        .join("content/lab-0.1.zip")
        .display()
        .to_string();
    let package = root().join(PACKAGE).display().to_string();
    run_command(command(
        &binary("se-server"),
        &["pack", &package, "-o", &zip],
    ))?;
    let answer = stage
        .client
        .post(
            "/api/v1/content/sync",
            &json!({
                "definition_id": DEFINITION,
                "version": VERSION,
                "s3_uri": format!("file://{zip}"),
                "pod_type": "cml_on_aws",
            }),
        )
        .await?;
    say(&format!(
        "synced {DEFINITION}: {}, content hash {}",
        answer["status"], answer["content_hash"]
    ));
    Ok(())
}

async fn submit(stage: &Stage, phase: &str) -> Result<String, Failure> {
    let body = json!({
        "definition_id": DEFINITION,
        "version": VERSION,
        "session_id": SESSION,
        "phase": phase,
        "worker": stage.facts["worker"],
        "runtime_env": stage.facts["runtime_env"],
        "callback_url": stage.sink.url().await?,
        "metadata": {"demo": true},
    });
    let answer = stage.client.post("/api/v1/jobs", &body).await?;
    let job = answer["job_id"]
        .as_str()
        .ok_or_else(|| format!("no job_id in {answer}"))?;
    Ok(job.to_owned())
}

/// What the demo promises; it fails if it is not so.
fn check(report: &Value, events: &[String]) -> Result<(), Failure> {
    let points = &report["totals"]["points_awarded"];
    let failed: Vec<&Value> = report["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|item| item["passed"] == false)
        .map(|item| &item["id"])
        .collect();
    if *points != json!(7) || failed != [&json!(4), &json!(8)] {
        return Err(format!(
            "expected 7 points, items 4 and 8 failed; got {points}, {failed:?}"
        ));
    }
    let completed = events
        .iter()
        .filter(|line| line.contains("io.lcm.se.job.completed"))
        .count();
    if completed != PHASES.len() {
        let expected = PHASES.len();
        return Err(format!(
            "expected {expected} job.completed events, the sink got {completed}"
        ));
    }
    Ok(())
}

async fn keep(stage: &Stage) {
    let at = &stage.client.base;
    say("\nEverything is still running; Ctrl-C ends it.");
    say(&format!("  service    {at}          (API page: {at}/docs)"));
    say(&format!("  jobs       {at}/api/v1/jobs"));
    say(&format!(
        "  pod        {}",
        stage.facts["worker"]["cml_url"]
    ));
    for process in [&stage.pod, &stage.sink, &stage.server] {
        say(&format!("  process    {} {}", process.id(), process.name));
        say(&format!("             logs to {}", process.log().display()));
    }
    // An error means that no signal can be waited for: then there is nothing to wait for.
    if tokio::signal::ctrl_c().await.is_err() {
        say("cannot wait for Ctrl-C");
    }
}

fn show(title: &str, text: &str) {
    say(&format!("\n{title}\n{}", "─".repeat(title.chars().count())));
    say(text.trim_end());
}
