//! What is measured meanwhile.

use std::fmt;
use std::path::Path;

use super::chart;
use super::load::Load;
use super::verdict::{Limit, steady};
use crate::client::Client;
use crate::command::Failure;

/// A series of figures.
struct Kind {
    name: &'static str,
    unit: &'static str,
    /// None: shown, and not judged.
    limit: Option<Limit>,
}

const KINDS: [Kind; 6] = [
    Kind {
        name: "memory",
        unit: "MB",
        limit: Some(Limit { slack: 4.0 }),
    },
    Kind {
        name: "files",
        unit: "MB",
        limit: Some(Limit { slack: 4.0 }),
    },
    Kind {
        name: "handles",
        unit: "",
        limit: Some(Limit { slack: 8.0 }),
    },
    Kind {
        name: "threads",
        unit: "",
        limit: Some(Limit { slack: 4.0 }),
    },
    Kind {
        name: "submit p99",
        unit: "ms",
        limit: None,
    },
    Kind {
        name: "jobs ended",
        unit: "",
        limit: None,
    },
];

/// All samples, by kind.
#[derive(Default)]
pub(super) struct Series {
    all: [Vec<f64>; KINDS.len()],
}

impl Series {
    /// One more sample of each kind.
    pub(super) async fn take(
        &mut self,
        process: u32,
        data: &Path,
        client: &Client,
        load: &Load,
    ) -> Result<(), Failure> {
        let process = Path::new("/proc").join(process.to_string());
        let status = std::fs::read_to_string(process.join("status"))
            .map_err(|error| format!("the service has ended: {error}"))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|it| it.strip_prefix(name));
            let number = line.and_then(|it| it.split_whitespace().next());
            number
                .and_then(|it| it.parse::<f64>().ok())
                .unwrap_or_default()
        };
        let ended = total(client, "se_jobs_ended_total").await?;
        let sample = [
            field("VmRSS:") / 1024.0,
            bytes(data) as f64 / 1e6,
            entries(&process.join("fd")) as f64,
            field("Threads:"),
            load.p99(),
            ended as f64,
        ];
        for (all, it) in self.all.iter_mut().zip(sample) {
            all.push(it);
        }
        Ok(())
    }

    /// The newest sample.
    pub(super) fn line(&self) -> String {
        let newest = KINDS.iter().zip(&self.all).map(|(kind, all)| {
            let newest = all.last().copied().unwrap_or_default();
            format!("{} {newest:.0} {}", kind.name, kind.unit)
        });
        let newest: Vec<String> = newest.map(|it| it.trim_end().to_owned()).collect();
        newest.join(", ")
    }

    /// Whether everything that must stay has stayed.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        let grown = KINDS.iter().zip(&self.all).filter_map(|(kind, all)| {
            let why = steady(all, kind.limit.as_ref()?).err()?;
            Some(format!("{} grows: {why} {}", kind.name, kind.unit))
        });
        let grown: Vec<String> = grown.collect();
        if grown.is_empty() {
            return Ok(());
        }
        Err(grown.join("\n"))
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, all) in KINDS.iter().zip(&self.all) {
            write!(f, "\n{}", chart::draw(kind.name, kind.unit, all))?;
            match kind.limit.as_ref().map(|it| steady(all, it)) {
                Some(Ok(growth)) => writeln!(f, "  steady: {growth} {}", kind.unit)?,
                Some(Err(growth)) => writeln!(f, "  GROWS: {growth} {}", kind.unit)?,
                None => {}
            }
        }
        Ok(())
    }
}

/// The sum of a counter over its labels, as `/metrics` tells.
pub(super) async fn total(client: &Client, name: &str) -> Result<u64, Failure> {
    let text = client.text("/metrics", "text/plain").await?;
    let lines = text.lines().filter(|it| it.starts_with(name));
    let values = lines.filter_map(|it| it.rsplit(' ').next()?.parse::<f64>().ok());
    Ok(values.sum::<f64>() as u64)
}

/// What the database's files hold.
fn bytes(data: &Path) -> u64 {
    let files = ["se.db", "se.db-wal"].map(|it| data.join(it));
    let sizes = files.iter().filter_map(|it| it.metadata().ok());
    sizes.map(|it| it.len()).sum()
}

fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}
