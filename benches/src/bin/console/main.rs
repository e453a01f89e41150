//! A console as its jobs meet it: commands one after the other, collects on several devices, sessions held at once;
//! against netmiko, and against a loop that does nothing but what must be done.
//!
//! The devices are FRRouting's telnet command lines; everything runs by turns in one run.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![expect(clippy::disallowed_methods, reason = "benchmarks live in real time")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on ends")]

mod ours;
mod raw;

use std::process::Command;
use std::time::Instant;

use clap::Parser;
use se_testkit::testbed::{FrrLab, ROUTER_PASSWORD};

/// A console: commands one after the other, several devices, sessions at once.
#[derive(Parser)]
struct Options {
    /// How often everything runs.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How many commands one after the other.
    #[arg(long, default_value_t = 100)]
    count: usize,
    /// How many sessions at once.
    #[arg(long, default_value_t = 400)]
    sessions: usize,
}

const SHORT: &str = "show version";
const LONG: &str = "list";
/// Eleven collects, as the grading of a small lab has.
const COLLECTS: [&str; 11] = [
    "show version",
    "show running-config",
    "show interface",
    "show vrf",
    "show debugging",
    "show memory",
    "list",
    "show version",
    "show running-config",
    "show history",
    "show thread cpu",
];

#[tokio::main]
async fn main() {
    let options = Options::parse();
    let lab = FrrLab::up().unwrap();
    let [port, _] = lab.ports().zebra;
    for command in [SHORT, LONG] {
        let mut rounds = Rounds::new(["ours", "netmiko", "raw"]);
        for _ in 0..options.rounds {
            rounds.add([
                ours::one(port, command, options.count).await,
                netmiko(&[
                    "one",
                    &port.to_string(),
                    ROUTER_PASSWORD,
                    &options.count.to_string(),
                    command,
                ]),
                raw::one(port, command, options.count),
            ]);
        }
        rounds.report(&format!("{} × `{command}`", options.count));
    }
    let ports: Vec<u16> = lab
        .ports()
        .zebra
        .into_iter()
        .chain(lab.ports().ospfd)
        .collect();
    let listed: Vec<String> = ports.iter().map(u16::to_string).collect();
    let mut rounds = Rounds::new(["ours", "nornir", "raw"]);
    for _ in 0..options.rounds {
        rounds.add([
            ours::many(&ports, &COLLECTS).await,
            netmiko(&[
                "many",
                &listed.join(","),
                ROUTER_PASSWORD,
                &COLLECTS.join(","),
            ]),
            raw::many(&ports, &COLLECTS),
        ]);
    }
    rounds.report("11 collects on 4 devices, with logging in");
    let grown = ours::held(options.sessions).await;
    println!(
        "{} sessions at their prompt on a device in this process: {} kB each, {} per GiB",
        options.sessions,
        grown / 1024,
        (1 << 30) / grown.max(1)
    );
}

/// The seconds that a run with netmiko took, as it measured them.
fn netmiko(arguments: &[&str]) -> f64 {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/bin/console/netmiko_loop.py"
    );
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/netmiko/bin/python");
    let ended = Command::new(python)
        .arg(script)
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    String::from_utf8_lossy(&ended.stdout)
        .trim()
        .parse()
        .unwrap()
}

/// The seconds since then.
fn since(start: Instant) -> f64 {
    start.elapsed().as_secs_f64()
}

/// What three contenders took, round by round.
struct Rounds {
    names: [&'static str; 3],
    seconds: Vec<[f64; 3]>,
}

impl Rounds {
    fn new(names: [&'static str; 3]) -> Self {
        let seconds = Vec::new();
        Self { names, seconds }
    }

    fn add(&mut self, round: [f64; 3]) {
        self.seconds.push(round);
    }

    /// Medians of the seconds, and of the ratios within a round.
    fn report(&self, what: &str) {
        let [ours, peer, raw] = self.names;
        let of = |get: fn(&[f64; 3]) -> f64| spread(self.seconds.iter().map(get).collect());
        println!("{what}, {} rounds: median (least–most)", self.seconds.len());
        println!(
            "  {ours} {} s, {peer} {} s, {raw} {} s",
            of(|[it, _, _]| *it),
            of(|[_, it, _]| *it),
            of(|[_, _, it]| *it)
        );
        println!("  {peer} / {ours}: {}", of(|[ours, peer, _]| peer / ours));
        println!("  {ours} / {raw}: {}", of(|[ours, _, raw]| ours / raw));
    }
}

fn spread(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let median = values.get(values.len() / 2).copied().unwrap_or(f64::NAN);
    let [least, most] = [values.first(), values.last()].map(|it| it.copied().unwrap_or(f64::NAN));
    format!("{median:.3} ({least:.3}–{most:.3})")
}
