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
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

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
    /// Requests answered, by the first digit of the status.
    pub requests: [Counter; 6],
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
        let ended = [
            ("completed", &self.completed),
            ("faulted", &self.faulted),
            ("cancelled", &self.cancelled),
        ];
        head(
            &mut text,
            "se_jobs_submitted_total",
            "counter",
            "Jobs taken in.",
        );
        line(&mut text, "se_jobs_submitted_total", self.submitted.get());
        head(
            &mut text,
            "se_jobs_ended_total",
            "counter",
            "Jobs that ended, by status.",
        );
        for (status, counter) in ended {
            line(
                &mut text,
                &format!("se_jobs_ended_total{{status=\"{status}\"}}"),
                counter.get(),
            );
        }
        head(
            &mut text,
            "se_runs_broken_total",
            "counter",
            "Runs that could not go on.",
        );
        line(&mut text, "se_runs_broken_total", self.broken.get());
        head(
            &mut text,
            "se_deliveries_total",
            "counter",
            "CloudEvents sent, by outcome.",
        );
        for (outcome, counter) in [
            ("delivered", &self.delivered),
            ("failed", &self.undelivered),
            ("dead", &self.dead),
        ] {
            line(
                &mut text,
                &format!("se_deliveries_total{{outcome=\"{outcome}\"}}"),
                counter.get(),
            );
        }
        head(
            &mut text,
            "se_http_requests_total",
            "counter",
            "Answers, by class of status.",
        );
        for (class, counter) in self.requests.iter().enumerate().skip(1) {
            line(
                &mut text,
                &format!("se_http_requests_total{{class=\"{class}xx\"}}"),
                counter.get(),
            );
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
