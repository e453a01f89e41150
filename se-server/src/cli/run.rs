//! `run`: a phase here and now.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures_util::{StreamExt as _, pin_mut};
use indicatif::{ProgressBar, ProgressStyle};
use se_runtime::JobStatus;
use se_runtime::report::{self, Report};
use serde_json::{Map, Value};

use super::{Ended, Failure, LogOptions, check, print, runtime};
use crate::clock::World;
use crate::config::{self, Config, Given};
use crate::content::{self, SyncBody};
use crate::engine::Engine;
use crate::jobs::{self, Submission};
use crate::{stream, telemetry};

/// Under which the content stands in a store of its own.
const DEFINITION: &str = "local";

#[derive(Debug, Args)]
pub(super) struct Options {
    /// A package folder or zip.
    path: PathBuf,
    /// The phase to run.
    #[arg(long)]
    phase: String,
    /// YAML or JSON: `worker: {ip, cml_username, …}` and `runtime_env: {…}`, or the worker alone.
    #[arg(long)]
    worker: Option<PathBuf>,
    /// Variables: name=value, the value as JSON or else as text.
    #[arg(long, num_args = 1.., value_name = "K=V")]
    vars: Vec<String>,
    /// Writes the report: .json, .html, .md, or text.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Keeps the job in this database; otherwise it is forgotten.
    #[arg(long)]
    store: Option<String>,
    #[command(flatten)]
    log: LogOptions,
}

pub(super) fn run(options: Options) -> Ended {
    check::checked(&options.path)?;
    let folder = tempfile::tempdir().map_err(|error| Failure::new(2, error))?;
    let config = configured(&options, folder.path())?;
    telemetry::start(&config.log);
    runtime()?.block_on(async {
        let engine = Engine::open(config, World::system()).await?;
        engine.start();
        let ended = phase(&engine, &options, folder.path()).await;
        engine.stop().await;
        ended
    })
}

fn configured(options: &Options, folder: &Path) -> Result<Config, Failure> {
    let path = |it: &Path| it.to_string_lossy().into_owned();
    let own = || format!("sqlite://{}", folder.join("se.db").display());
    let store = options.store.clone().unwrap_or_else(own);
    let mut flags = vec![
        ("store", "data_dir", path(folder)),
        ("content", "root", path(folder)),
        ("store", "url", store),
        ("server", "insecure", "true".to_owned()),
        (
            "log",
            "level",
            options
                .log
                .log_level
                .clone()
                .unwrap_or_else(|| "warn".to_owned()),
        ),
    ];
    flags.extend(
        options
            .log
            .log_format
            .map(|it| ("log", "format", it.to_string())),
    );
    let given = Given {
        file: None,
        environment: config::environment(),
        flags,
    };
    config::load(&given).map_err(|error| Failure::new(2, error))
}

async fn phase(engine: &Arc<Engine>, options: &Options, folder: &Path) -> Ended {
    let zip = folder.join("package.zip");
    let bytes = if options.path.is_dir() {
        se_content::pack(&options.path, &engine.config.content.limits())
            .map_err(|error| Failure::new(2, crate::error::chain(&error)))?
    } else {
        std::fs::read(&options.path).map_err(|error| Failure::new(2, error))?
    };
    std::fs::write(&zip, bytes).map_err(|error| Failure::new(2, error))?;
    let mut sync = Map::new();
    sync.insert("definition_id".to_owned(), Value::from(DEFINITION));
    sync.insert(
        "source_uri".to_owned(),
        Value::from(format!("file://{}", zip.display())),
    );
    content::sync(engine, SyncBody::read(&sync)?).await?;
    let request = request(options)?;
    let accepted = match jobs::submit(engine, &request, None).await? {
        Submission::Accepted(accepted) | Submission::Repeated(accepted) => accepted,
        Submission::Plan(plan) => return super::print_json(&plan),
    };
    follow(engine, &accepted.job_id).await?;
    finish(engine, &accepted.job_id, options).await
}

fn request(options: &Options) -> Result<Map<String, Value>, Failure> {
    let mut request = match &options.worker {
        Some(path) => facts(path)?,
        None => Map::new(),
    };
    let mut vars = Map::new();
    for pair in &options.vars {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(Failure::new(2, format!("--vars {pair}: give name=value")));
        };
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        vars.insert(name.to_owned(), value);
    }
    request.insert("definition_id".to_owned(), Value::from(DEFINITION));
    request.insert("phase".to_owned(), Value::from(options.phase.as_str()));
    request.insert("variables".to_owned(), Value::Object(vars));
    Ok(request)
}

/// A file of `worker` and `runtime_env`, or of the worker alone.
fn facts(path: &Path) -> Result<Map<String, Value>, Failure> {
    let failed = |why: String| Failure::new(2, format!("{}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let facts: Value = serde_saphyr::from_str(&text)
        .map_err(|_| failed("is no YAML; give `worker: {ip: …}`".to_owned()))?;
    match facts {
        Value::Object(facts) if facts.contains_key("worker") => Ok(facts),
        Value::Object(worker) => Ok(Map::from_iter([(
            "worker".to_owned(),
            Value::Object(worker),
        )])),
        _ => Err(failed(
            "holds no mapping; give `worker: {ip: …}`".to_owned(),
        )),
    }
}

/// Shows how far the job is, until it has ended: a bar for people, lines for pipes.
async fn follow(engine: &Arc<Engine>, id: &str) -> Result<(), Failure> {
    let bar = io::stderr().is_terminal().then(|| {
        let bar = ProgressBar::new(100);
        let style = ProgressStyle::with_template("[{bar:30}] {pos:>3} % {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    });
    let items = stream::of_job(Arc::clone(engine), id.to_owned(), 0).await?;
    pin_mut!(items);
    while let Some(item) = items.next().await {
        let event: Value = serde_json::from_str(item.data()).unwrap_or_default();
        let data = &event["data"];
        let task = data["task_name"].as_str().unwrap_or_default();
        let line = match item.kind() {
            "job.progress" => data["message"].as_str().unwrap_or_default().to_owned(),
            "task.faulted" => format!(
                "{task}: {}",
                data["error"]["detail"].as_str().unwrap_or_default()
            ),
            kind => format!("{kind} {task}"),
        };
        match &bar {
            Some(bar) => {
                if let Some(percentage) = data["percentage"].as_u64() {
                    bar.set_position(percentage);
                }
                bar.set_message(line);
            }
            // Where stderr is closed there is nobody to tell.
            None => {
                let time = event["time"].as_str().unwrap_or_default();
                writeln!(io::stderr(), "{time} {line}").unwrap_or_default();
            }
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    Ok(())
}

async fn finish(engine: &Engine, id: &str, options: &Options) -> Ended {
    let (plan, state) = jobs::folded(engine, id).await?;
    let reports = report::of(&plan, &state);
    if let Some(path) = &options.report {
        let extension = path
            .extension()
            .and_then(|it| it.to_str())
            .unwrap_or_default();
        let text = match extension {
            "json" => format!("{:#}\n", report::as_json(&reports)),
            "html" => joined(&reports, |it| it.to_html(report::spec(&plan, it))),
            "md" => joined(&reports, |it| it.to_markdown(report::spec(&plan, it))),
            _ => joined(&reports, Report::to_text),
        };
        std::fs::write(path, text).map_err(|error| {
            Failure::new(2, format!("cannot write {}: {error}", path.display()))
        })?;
    }
    print(&joined(&reports, Report::to_text))?;
    let view = jobs::view(engine, id).await?;
    match state.status() {
        JobStatus::Completed => Ok(0),
        status => {
            let why = view["error_message"].as_str().unwrap_or_default();
            Err(Failure::new(
                1,
                format!("the job is {}: {why}", status.as_str()),
            ))
        }
    }
}

fn joined(reports: &[Report], text: impl Fn(&Report) -> String) -> String {
    reports.iter().map(text).collect::<Vec<_>>().join("\n")
}
