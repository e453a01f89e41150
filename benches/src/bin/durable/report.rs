//! What a race gave, as a table.

use std::fmt;

use crate::race::{Contestant, StoreKind};
use crate::work::{Figures, Workload};

/// A floor that moves more than this between rounds says nothing.
const STEADY: f64 = 2.0;

pub(crate) struct Report<'a> {
    pub(crate) workload: Workload,
    pub(crate) contestants: Vec<&'a Contestant>,
    pub(crate) rounds: Vec<Round>,
    pub(crate) counts: Vec<Counts>,
}

pub(crate) struct Round {
    pub(crate) fsync_us: f64,
    /// In the order of the contestants.
    pub(crate) figures: Vec<Figures>,
}

/// How often one run waited for the disk.
pub(crate) struct Counts {
    pub(crate) steps: usize,
    pub(crate) syncs: i64,
    pub(crate) commits: Option<i64>,
    pub(crate) log_bytes: Option<i64>,
}

impl Counts {
    /// Without what a run costs that does nothing.
    pub(crate) fn beyond(self, idle: &Self) -> Self {
        let less = |all: Option<i64>, idle: Option<i64>| Some(all? - idle?);
        Self {
            steps: self.steps,
            syncs: self.syncs - idle.syncs,
            commits: less(self.commits, idle.commits),
            log_bytes: less(self.log_bytes, idle.log_bytes),
        }
    }
}

impl Report<'_> {
    /// One figure of one contestant, of each round.
    fn each(&self, at: usize, figure: impl Fn(&Figures) -> f64) -> Vec<f64> {
        let mut all: Vec<f64> = self
            .rounds
            .iter()
            .map(|it| figure(&it.figures[at]))
            .collect();
        all.sort_by(f64::total_cmp);
        all
    }

    /// The median of the ratios to the floor of the same round.
    fn ratio(&self, at: usize, figure: impl Fn(&Figures) -> f64) -> f64 {
        let floor = self.contestants[at].floor;
        let floor = self.contestants.iter().position(|it| it.name == floor);
        let Some(floor) = floor else { return f64::NAN };
        let ratios = self.rounds.iter();
        let ratios = ratios.map(|it| figure(&it.figures[at]) / figure(&it.figures[floor]));
        let mut ratios: Vec<f64> = ratios.collect();
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    }
}

fn wall(it: &Figures) -> f64 {
    it.wall_us / it.steps as f64
}

fn cpu(it: &Figures) -> f64 {
    it.cpu_us / it.steps as f64
}

fn bytes(it: &Figures) -> f64 {
    it.bytes as f64 / it.steps as f64
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let syncs: Vec<String> = self
            .rounds
            .iter()
            .map(|it| format!("{:.0}", it.fsync_us))
            .collect();
        writeln!(
            f,
            "{}: {} rounds, fdatasync {} µs; per step:",
            self.workload.name(),
            self.rounds.len(),
            syncs.join(" ")
        )?;
        writeln!(
            f,
            "{:17} {:>9} {:>17} {:>7} {:>8} {:>7} {:>7} {:>7} {:>7} {:>8}",
            "",
            "wall µs",
            "(min-max)",
            "x floor",
            "CPU µs",
            "x floor",
            "bytes",
            "syncs",
            "commits",
            "WAL B"
        )?;
        for (at, who) in self.contestants.iter().enumerate() {
            self.line(f, at, who)?;
        }
        Ok(())
    }
}

impl Report<'_> {
    fn line(&self, f: &mut fmt::Formatter<'_>, at: usize, who: &Contestant) -> fmt::Result {
        let walls = self.each(at, wall);
        let middle = walls.len() / 2;
        let (least, most) = (walls[0], walls[walls.len() - 1]);
        let cpus = self.each(at, cpu);
        let counts = &self.counts[at];
        let per_step = |it: i64| format!("{:.3}", it as f64 / counts.steps as f64);
        let bytes = match who.store {
            StoreKind::Sqlite => format!("{:.0}", self.each(at, bytes)[middle]),
            StoreKind::None | StoreKind::Postgres => String::from("-"),
        };
        let log = counts
            .log_bytes
            .map(|it| it / i64::try_from(counts.steps).unwrap_or(1));
        writeln!(
            f,
            "{:17} {:>9.2} {:>17} {:>7.2} {:>8.2} {:>7.2} {:>7} {:>7} {:>7} {:>8}{}",
            who.name,
            walls[middle],
            format!("({least:.2}-{most:.2})"),
            self.ratio(at, wall),
            cpus[middle],
            self.ratio(at, cpu),
            bytes,
            per_step(counts.syncs),
            counts.commits.map_or_else(|| "-".to_owned(), per_step),
            log.map_or_else(|| "-".to_owned(), |it| it.to_string()),
            if who.name == who.floor && most > STEADY * least {
                "  the floor moved more than 2x: run again"
            } else {
                ""
            }
        )
    }
}
