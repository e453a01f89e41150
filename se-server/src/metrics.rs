//! What the engine counts, and its text for Prometheus.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use se_runtime::JobStatus;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn add(&self) {
        self.grow(1);
    }

    /// So many more.
    pub fn grow(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    /// How many.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Name, meaning, and counters with their labels.
type Family<'a> = (&'static str, &'static str, Vec<(String, &'a Counter)>);

/// Counts since the engine was started.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Jobs taken in.
    pub submitted: Counter,
    /// Jobs that ended well.
    pub completed: Counter,
    /// Jobs that failed.
    pub faulted: Counter,
    /// Jobs that were cancelled.
    pub cancelled: Counter,
    /// Runs of a job that could not go on, because of the store or a defect.
    pub broken: Counter,
    /// CloudEvents that arrived.
    pub delivered: Counter,
    /// Attempts to deliver one that failed.
    pub undelivered: Counter,
    /// CloudEvents given up.
    pub dead: Counter,
    /// What was deleted because it was old.
    pub deleted: Deleted,
    /// Requests answered, by the first digit of the status.
    pub requests: [Counter; 6],
}

/// What retention has deleted.
#[derive(Debug, Default)]
pub struct Deleted {
    /// Jobs that had ended well.
    pub completed: Counter,
    /// Jobs that had failed.
    pub faulted: Counter,
    /// Jobs that had been cancelled.
    pub cancelled: Counter,
    /// CloudEvents that had arrived.
    pub delivered: Counter,
    /// CloudEvents that had been given up.
    pub dead: Counter,
}

/// What is looked up when the numbers are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gauges {
    /// Jobs being run.
    pub running: usize,
    /// Jobs waiting for a place.
    pub queued: usize,
    /// Seconds since the start.
    pub uptime: f64,
}

impl Metrics {
    /// Counts the end of a job.
    pub fn ended(&self, status: JobStatus) {
        match status {
            JobStatus::Completed => self.completed.add(),
            JobStatus::Faulted => self.faulted.add(),
            JobStatus::Cancelled => self.cancelled.add(),
            JobStatus::Accepted | JobStatus::Running | JobStatus::Cancelling => {}
        }
    }

    /// Counts an answer.
    pub fn answered(&self, status: u16) {
        if let Some(counter) = self.requests.get(usize::from(status / 100)) {
            counter.add();
        }
    }

    /// In Prometheus' text format.
    #[must_use]
    pub fn text(&self, gauges: Gauges) -> String {
        let mut text = String::new();
        for (name, help, rows) in self.counters() {
            head(&mut text, name, "counter", help);
            for (label, counter) in rows {
                line(&mut text, &format!("{name}{label}"), counter.get());
            }
        }
        head(&mut text, "se_jobs_running", "gauge", "Jobs being run.");
        line(&mut text, "se_jobs_running", gauges.running);
        head(
            &mut text,
            "se_jobs_queued",
            "gauge",
            "Jobs waiting for a place.",
        );
        line(&mut text, "se_jobs_queued", gauges.queued);
        head(
            &mut text,
            "se_uptime_seconds",
            "gauge",
            "Seconds since the start.",
        );
        line(&mut text, "se_uptime_seconds", gauges.uptime);
        text
    }

    /// Name, meaning, and the counters with their labels.
    fn counters(&self) -> [Family<'_>; 7] {
        let ended = [
            ("completed", &self.completed),
            ("faulted", &self.faulted),
            ("cancelled", &self.cancelled),
        ];
        let sent = [
            ("delivered", &self.delivered),
            ("failed", &self.undelivered),
            ("dead", &self.dead),
        ];
        let classes = ["0xx", "1xx", "2xx", "3xx", "4xx", "5xx"];
        let answers = classes.into_iter().zip(&self.requests).skip(1);
        [
            (
                "se_jobs_submitted_total",
                "Jobs taken in.",
                vec![(String::new(), &self.submitted)],
            ),
            (
                "se_jobs_ended_total",
                "Jobs that ended, by status.",
                labelled("status", ended),
            ),
            (
                "se_runs_broken_total",
                "Runs that could not go on.",
                vec![(String::new(), &self.broken)],
            ),
            (
                "se_deliveries_total",
                "CloudEvents sent, by outcome.",
                labelled("outcome", sent),
            ),
            (
                "se_jobs_deleted_total",
                "Ended jobs deleted because they were old, by status.",
                labelled("status", self.deleted.jobs()),
            ),
            (
                "se_deliveries_deleted_total",
                "CloudEvents deleted because they were old, by outcome.",
                labelled("outcome", self.deleted.deliveries()),
            ),
            (
                "se_http_requests_total",
                "Answers, by class of status.",
                labelled("class", answers),
            ),
        ]
    }
}

impl Deleted {
    fn jobs(&self) -> [(&'static str, &Counter); 3] {
        [
            ("completed", &self.completed),
            ("faulted", &self.faulted),
            ("cancelled", &self.cancelled),
        ]
    }

    fn deliveries(&self) -> [(&'static str, &Counter); 2] {
        [("delivered", &self.delivered), ("dead", &self.dead)]
    }
}

fn labelled<'a>(
    label: &str,
    all: impl IntoIterator<Item = (&'static str, &'a Counter)>,
) -> Vec<(String, &'a Counter)> {
    let all = all.into_iter();
    all.map(|(value, counter)| (format!("{{{label}=\"{value}\"}}"), counter))
        .collect()
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
}

fn line(text: &mut String, name: &str, value: impl std::fmt::Display) {
    // Writing to a String cannot fail.
    if writeln!(text, "{name} {value}").is_err() {
        text.push('\n');
    }
}
