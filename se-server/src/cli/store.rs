//! `store`: what an operator does with the database itself.

mod keys;
mod transfer;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use se_runtime::{Record, State};
use se_store::{Audit, Audited, Finding, Job, Objects};
use serde_json::json;

use super::{Ended, Failure, print, print_json, runtime};
use crate::config::{self, Config, Given};
use crate::content::Packages;
use crate::engine::{PACKAGES, objects_there};
use crate::error::chain;
use crate::jobs::plan;

#[derive(Debug, Subcommand)]
pub(super) enum Store {
    /// Checks the database: the file, the order of events, that each job is what its events say, the
    /// outbox. Reads one moment and writes nothing; the service may be running. Jobs of a shared database whose
    /// package is not on this machine are not folded, and counted.
    #[command(
        after_help = "Example:\n  se-server store check --data-dir ./data\n\nExit code: 0 whole, 1 something is wrong, 2 could not read."
    )]
    Check(Check),
    /// Makes a new sealing key and seals the secrets of all jobs with it; former keys stay to open. The
    /// service must not be running.
    #[command(
        after_help = "Example:\n  se-server store rotate-key --data-dir ./data\n\nMay be repeated if it is cut short; the service can be started in any case.\nExit code: 0 done, 1 some secrets cannot be opened, 2 not done."
    )]
    RotateKey(Place),
    /// Takes former keys out of the key file, once nothing here is sealed with them. The service must
    /// not be running.
    #[command(
        after_help = "Example:\n  se-server store retire-keys --data-dir ./data\n\nBackups from before the rotation need the former keys: keep these as long.\nExit code: 0 done, 1 some secrets cannot be opened and nothing was taken out, 2 not done."
    )]
    RetireKeys(Place),
    /// Writes the database anew without free space, which it takes again meanwhile. One that was made before
    /// space was given back by itself needs it once, to get smaller when jobs are deleted. The service must not be
    /// running.
    #[command(after_help = "Example:\n  se-server store compact --data-dir ./data")]
    Compact(Place),
    /// Writes everything in the database as lines, to be put into another, of the other kind too. Reads one
    /// moment; the service may be running. Secrets stay sealed: the keys travel apart.
    #[command(
        after_help = "Example:\n  se-server store export --data-dir ./data --to se.export\n\nExit code: 0 done, 2 not done."
    )]
    Export(transfer::Export),
    /// Fills an empty database with what `store export` wrote: all of it or nothing. Jobs that ran go on when
    /// the service is started on it.
    #[command(
        after_help = "Example:\n  se-server store import --store postgres://se@db.example/se --from se.export\n\nExit code: 0 done, 2 nothing was imported."
    )]
    Import(transfer::Import),
}

/// Which database.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// The configuration [default: se.toml, if it is there].
    #[arg(long)]
    config: Option<PathBuf>,
    /// Folder of the database, the sealing key and the content [default: ./data].
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// The database [default: sqlite://<data-dir>/se.db].
    #[arg(long)]
    store: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    place: Place,
    /// How findings are shown.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// What was looked at, and what is wrong with it.
#[derive(Debug, Default)]
struct Report {
    jobs: u64,
    events: u64,
    findings: Vec<Finding>,
    /// By the hash of content that other engines have, the jobs that were not folded.
    unchecked: BTreeMap<String, Unchecked>,
}

/// Jobs whose package is not on this machine.
#[derive(Debug)]
struct Unchecked {
    /// The pod definition, as it was called first.
    definition: String,
    jobs: u64,
}

impl Unchecked {
    fn of(job: &Job) -> Self {
        Self {
            definition: format!("{}@{}", job.definition_id, job.version),
            jobs: 0,
        }
    }

    fn message(&self, hash: &str) -> String {
        let Self { definition, jobs } = self;
        format!(
            "jobs not checked: {jobs}, of pod definition {definition}, whose content {hash} is not on this \
             machine; check with the --data-dir of an engine that has it"
        )
    }
}

pub(super) fn run(command: Store) -> Ended {
    match command {
        Store::Check(options) => check(options),
        Store::RotateKey(place) => keys::rotate(place),
        Store::RetireKeys(place) => keys::retire(place),
        Store::Compact(place) => compact(place),
        Store::Export(options) => transfer::export(options),
        Store::Import(options) => transfer::import(options),
    }
}

fn check(options: Check) -> Ended {
    let format = options.format;
    let config = configured(options.place)?;
    let address = config.store.address();
    let objects = objects_there(&config).map_err(|error| Failure::new(2, chain(&error)))?;
    let report = runtime()?.block_on(look(&config, &address, objects));
    let report = report.map_err(|error| {
        let help = "give the database with --data-dir or --store";
        Failure::new(2, format!("{}; {help}", chain(&error)))
    })?;
    match format {
        Format::Text => print(&text(&report))?,
        Format::Json => print_json(&as_json(&report))?,
    };
    Ok(u8::from(!report.findings.is_empty()))
}

fn compact(place: Place) -> Ended {
    let config = configured(place)?;
    let done = runtime()?.block_on(se_store::compact(&config.store.address()));
    done.map_err(|error| Failure::new(2, chain(&error)))?;
    Ok(0)
}

fn configured(place: Place) -> Result<Config, Failure> {
    let folder = place.data_dir;
    let folder = folder.map(|it| it.to_string_lossy().into_owned());
    let flags = [("data_dir", folder), ("url", place.store)];
    let said = flags.into_iter();
    let given = Given {
        file: place.config,
        environment: config::environment(),
        flags: said
            .filter_map(|(key, it)| Some(("store", key, it?)))
            .collect(),
    };
    config::load(&given).map_err(|error| Failure::new(2, error))
}

async fn look(config: &Config, address: &str, objects: Objects) -> se_store::Result<Report> {
    let mut audit = Audit::open(address, objects).await?;
    let folder = config.store.data_dir.join(PACKAGES);
    let packages = Packages::new(folder, config.content.limits());
    let mut report = Report {
        findings: audit.tables().await?,
        ..Report::default()
    };
    let mut after = 0;
    while let Some(Audited {
        whole, findings, ..
    }) = audit.next_job(&mut after).await?
    {
        report.jobs += 1;
        report.findings.extend(findings);
        let Some((job, records)) = whole else {
            continue;
        };
        report.events += records.len() as u64;
        if config.store.is_shared()
            && se_content::locate(packages.root(), &job.content_hash).is_none()
        {
            let hash = job.content_hash.clone();
            let of_package = report.unchecked.entry(hash);
            of_package.or_insert_with(|| Unchecked::of(&job)).jobs += 1;
            continue;
        }
        report
            .findings
            .extend(folded(&packages, &job, &records).await);
    }
    audit.close().await;
    Ok(report)
}

/// What is wrong with a job when its events are folded, as after a crash.
async fn folded(packages: &Packages, job: &Job, records: &[Record]) -> Option<Finding> {
    let found = |message: String| Some(Finding::of_job(&job.id, message));
    let state = match fold(packages, records).await {
        Ok(state) => state,
        Err(why) => return found(why),
    };
    let (row, log) = (&job.summary, state.summary());
    let same = row.status == log.status
        && row.started_at == log.started_at
        && row.completed_at == log.completed_at;
    if same {
        return None;
    }
    let (row, log) = (row.status.as_str(), log.status.as_str());
    found(format!(
        "its row ({row}) is not what its events say ({log}); the events are right"
    ))
}

async fn fold(packages: &Packages, records: &[Record]) -> Result<State, String> {
    let Some(se_runtime::Event::JobAccepted(accepted)) = records.first().map(|it| &it.event) else {
        return Err("its log does not begin with its acceptance".to_owned());
    };
    let plan = plan(packages, accepted).await;
    let (plan, _) = plan.map_err(|error| chain(&error))?;
    State::fold(&plan, records).map_err(|error| format!("its events do not fit: {error}"))
}

fn text(report: &Report) -> String {
    let Report {
        jobs,
        events,
        findings,
        unchecked,
    } = report;
    let mut text: String = findings.iter().map(|it| format!("{it}\n")).collect();
    for (hash, it) in unchecked {
        text.push_str(&format!("{}\n", it.message(hash)));
    }
    let count = match findings.len() {
        0 => "nothing is wrong".to_owned(),
        1 => "1 finding".to_owned(),
        more => format!("{more} findings"),
    };
    text.push_str(&format!("{jobs} jobs with {events} events: {count}"));
    let skipped: u64 = unchecked.values().map(|it| it.jobs).sum();
    if skipped > 0 {
        text.push_str(&format!(", not checked: {skipped}"));
    }
    text
}

fn as_json(report: &Report) -> serde_json::Value {
    let finding = |it: &Finding| json!({"table": it.table, "row": it.row, "message": it.message});
    let findings: Vec<_> = report.findings.iter().map(finding).collect();
    let unchecked = |(hash, it): (&String, &Unchecked)| {
        json!({
            "content_hash": hash, "definition": it.definition, "jobs": it.jobs,
            "message": it.message(hash),
        })
    };
    let unchecked: Vec<_> = report.unchecked.iter().map(unchecked).collect();
    json!({
        "jobs": report.jobs, "events": report.events, "findings": findings, "unchecked": unchecked,
    })
}
