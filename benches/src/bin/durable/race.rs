//! Everything by turns, each measurement in a process of its own on an empty store.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use clap::Args;
use se_testkit::postgres::{Cluster, Database};
use tokio::runtime::Runtime;

use crate::report::{Counts, Report, Round};
use crate::work::{Figures, Workload};

#[derive(Args)]
pub(crate) struct Options {
    /// How often everything runs.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only these workloads.
    #[arg(long, value_delimiter = ',')]
    workloads: Vec<Workload>,
    /// The program of `benches/peers`; without it only floors and the engine run.
    #[arg(long)]
    peers: Option<PathBuf>,
    /// Leaves out PostgreSQL.
    #[arg(long)]
    no_postgres: bool,
}

/// Who takes part.
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    /// Whose figures its own are divided by.
    pub(crate) floor: &'static str,
    pub(crate) store: StoreKind,
    peer: bool,
    workloads: &'static [Workload],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreKind {
    None,
    Sqlite,
    Postgres,
}

const EFFECTS: &[Workload] = &[Workload::W1, Workload::W2, Workload::W3];
const PURE: &[Workload] = &[Workload::W1Pure];
const BOTH: &[Workload] = &Workload::ALL;
const JOBS: &[Workload] = &[Workload::W3];

const CONTESTANTS: &[Contestant] = &[
    one("floor-sqlite", "floor-sqlite", StoreKind::Sqlite, EFFECTS),
    one("floor-ahead", "floor-ahead", StoreKind::Sqlite, PURE),
    one("engine-sqlite", "floor-sqlite", StoreKind::Sqlite, EFFECTS),
    one("engine-sqlite", "floor-ahead", StoreKind::Sqlite, PURE),
    peer("durare-sqlite", "floor-sqlite", StoreKind::Sqlite, EFFECTS),
    peer("steno", "floor-sqlite", StoreKind::None, EFFECTS),
    one(
        "floor-postgres",
        "floor-postgres",
        StoreKind::Postgres,
        EFFECTS,
    ),
    one(
        "engine-postgres",
        "floor-postgres",
        StoreKind::Postgres,
        BOTH,
    ),
    one(
        "engines-postgres",
        "floor-postgres",
        StoreKind::Postgres,
        JOBS,
    ),
    peer(
        "durare-postgres",
        "floor-postgres",
        StoreKind::Postgres,
        EFFECTS,
    ),
    peer(
        "dbos-postgres",
        "floor-postgres",
        StoreKind::Postgres,
        EFFECTS,
    ),
];

const fn one(
    name: &'static str,
    floor: &'static str,
    store: StoreKind,
    workloads: &'static [Workload],
) -> Contestant {
    Contestant {
        name,
        floor,
        store,
        peer: false,
        workloads,
    }
}

const fn peer(
    name: &'static str,
    floor: &'static str,
    store: StoreKind,
    workloads: &'static [Workload],
) -> Contestant {
    Contestant {
        peer: true,
        ..one(name, floor, store, workloads)
    }
}

/// Where processes are started.
struct Place<'a> {
    own: PathBuf,
    peers: Option<&'a Path>,
    cluster: Option<Cluster>,
    runtime: &'a Runtime,
}

pub(crate) fn run(runtime: &Runtime, options: &Options) {
    let place = Place {
        own: std::env::current_exe().expect("a process knows itself"),
        peers: options.peers.as_deref(),
        cluster: (!options.no_postgres)
            .then(|| Cluster::start_durable().expect("PostgreSQL starts")),
        runtime,
    };
    let workloads = match options.workloads.as_slice() {
        [] => &Workload::ALL[..],
        some => some,
    };
    for workload in workloads {
        let takes_part = |it: &&Contestant| {
            it.workloads.contains(workload)
                && (!it.peer || place.peers.is_some())
                && (it.store != StoreKind::Postgres || place.cluster.is_some())
        };
        let contestants: Vec<&Contestant> = CONTESTANTS.iter().filter(takes_part).collect();
        let mut rounds = Vec::new();
        for _ in 0..options.rounds {
            let fsync_us = fsync();
            let figures = contestants.iter().map(|it| place.measure(it, *workload));
            let figures = figures.collect();
            rounds.push(Round { fsync_us, figures });
        }
        let counts = contestants.iter().map(|it| {
            let idle = place.count(it, Workload::Nothing);
            place.count(it, *workload).beyond(&idle)
        });
        let counts = counts.collect();
        let report = Report {
            workload: *workload,
            contestants,
            rounds,
            counts,
        };
        println!("{report}");
    }
}

impl Place<'_> {
    fn measure(&self, who: &Contestant, workload: Workload) -> Figures {
        let folder = tempfile::tempdir().expect("there is room for temporary files");
        let database = self.database(who);
        let work = self.work(who, workload, folder.path(), database.as_ref());
        output(work)
    }

    /// How often the disk is waited for: for files by a run under `strace`, for a server as it says.
    fn count(&self, who: &Contestant, workload: Workload) -> Counts {
        let folder = tempfile::tempdir().expect("there is room for temporary files");
        let database = self.database(who);
        let work = self.work(who, workload, folder.path(), database.as_ref());
        let Some(database) = &database else {
            return traced(&work, &folder.path().join("strace"));
        };
        let before = self.runtime.block_on(server(&database.url()));
        let figures = output(work);
        // What sessions count is reported when they end, within a second.
        std::thread::sleep(std::time::Duration::from_millis(1500));
        let after = self.runtime.block_on(server(&database.url()));
        Counts {
            steps: figures.steps,
            syncs: after.0 - before.0,
            // Of which one is the look before.
            commits: Some(after.1 - before.1),
            log_bytes: Some(after.2 - before.2),
        }
    }

    fn database(&self, who: &Contestant) -> Option<Database> {
        let cluster = self.cluster.as_ref()?;
        (who.store == StoreKind::Postgres)
            .then(|| Database::create_on(&cluster.url()).expect("a database can be made"))
    }

    fn work(
        &self,
        who: &Contestant,
        workload: Workload,
        folder: &Path,
        database: Option<&Database>,
    ) -> Command {
        let program = match (who.peer, self.peers) {
            (true, Some(peers)) => peers,
            _ => &self.own,
        };
        let mut command = Command::new(program);
        command.args(["work", who.name, workload.name(), "--folder"]);
        command.arg(folder);
        if let Some(database) = database {
            command.args(["--postgres", &database.url()]);
        }
        command
    }
}

fn output(mut command: Command) -> Figures {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.expect("a process can be started");
    let text = String::from_utf8_lossy(&output.stdout);
    let figures = text
        .lines()
        .last()
        .and_then(|it| serde_json::from_str(it).ok());
    assert!(figures.is_some(), "{command:?} printed no figures: {text}");
    figures.expect("it was just looked for")
}

fn traced(work: &Command, notes: &Path) -> Counts {
    let mut command = Command::new("strace");
    command.args(["-f", "-c", "-e", "trace=fsync,fdatasync", "-o"]);
    command
        .arg(notes)
        .arg(work.get_program())
        .args(work.get_args());
    let figures = output(command);
    let notes = std::fs::read_to_string(notes).expect("strace writes its notes");
    // `% time  seconds  usecs/call  calls  [errors]  syscall`
    let calls = notes
        .lines()
        .filter(|it| it.ends_with("sync") && !it.contains("total"));
    let calls = calls.filter_map(|it| it.split_whitespace().nth(3)?.parse::<i64>().ok());
    Counts {
        steps: figures.steps,
        syncs: calls.sum(),
        commits: None,
        log_bytes: None,
    }
}

/// Syncs of the log, commits, bytes of the log so far.
async fn server(url: &str) -> (i64, i64, i64) {
    use sqlx::Connection as _;
    let mut conn = sqlx::PgConnection::connect(url)
        .await
        .expect("the server can be reached");
    let sql = "SELECT (SELECT wal_sync FROM pg_stat_wal), \
        (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()), \
        (SELECT CAST(wal_bytes AS BIGINT) FROM pg_stat_wal)";
    let row = sqlx::query_as(sql).fetch_one(&mut conn).await;
    row.expect("the server counts")
}

/// The median of appending 4 kB to a file and waiting for the disk, in microseconds.
fn fsync() -> f64 {
    use std::io::Write as _;
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let mut file = std::fs::File::create(folder.path().join("probe")).expect("files can be made");
    let mut times: Vec<f64> = (0..200)
        .map(|_| {
            let began = Instant::now();
            file.write_all(&[7; 4096]).expect("files can be written");
            file.sync_data().expect("the disk answers");
            began.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
