//! The workloads, and what is measured of them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

/// What a step gives: 90 bytes of JSON.
pub(crate) const OUTPUT: &str =
    "GigabitEthernet0/1 10.0.0.1 YES manual up up, line protocol is up, MTU 1500 b";

/// Jobs under way at a time.
pub(crate) const IN_FLIGHT: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Workload {
    /// Opens the store and closes it: what counts of the others are less by this.
    Nothing,
    /// One job of 1,000 steps, one after the other, each of which acts on the world.
    W1,
    /// The same with steps that stay inside the engine.
    W1Pure,
    /// One job of 100 steps beside each other, and one that waits for all.
    W2,
    /// 1,000 jobs of 10 steps, 64 jobs at a time.
    W3,
}

/// The shape of a workload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) jobs: usize,
    /// Steps that follow each other, in each job.
    pub(crate) rounds: usize,
    /// Steps beside each other, in each round.
    pub(crate) width: usize,
    /// Whether one more step waits for all.
    pub(crate) join: bool,
}

impl Workload {
    pub(crate) const ALL: [Self; 4] = [Self::W1, Self::W1Pure, Self::W2, Self::W3];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::W1 => "w1",
            Self::W1Pure => "w1-pure",
            Self::W2 => "w2",
            Self::W3 => "w3",
        }
    }

    pub(crate) fn shape(self) -> Shape {
        let shape = |jobs, rounds, width| Shape {
            jobs,
            rounds,
            width,
            join: width > 1,
        };
        match self {
            Self::Nothing => shape(0, 0, 1),
            Self::W1 | Self::W1Pure => shape(1, 1000, 1),
            Self::W2 => shape(1, 1, 100),
            Self::W3 => shape(1000, 10, 1),
        }
    }
}

impl Shape {
    pub(crate) fn steps(self) -> usize {
        self.jobs * (self.rounds * self.width + usize::from(self.join))
    }
}

/// Where to work.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) folder: PathBuf,
    pub(crate) postgres: Option<String>,
}

impl Setting {
    pub(crate) fn sqlite(&self) -> String {
        format!("sqlite://{}", self.folder.join("se.db").display())
    }

    pub(crate) fn server(&self) -> &str {
        self.postgres
            .as_deref()
            .expect("this works on a server: give --postgres")
    }
}

/// What a measurement gave.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) steps: usize,
    /// From the first submission to the end of the last job.
    pub(crate) wall_us: f64,
    /// Of this process, user and system, in the same time.
    pub(crate) cpu_us: f64,
    /// By which the files have grown; 0 on a server.
    pub(crate) bytes: u64,
}

/// Measures from its creation to [`Self::stop`].
pub(crate) struct Watch {
    began: Instant,
    cpu: Duration,
}

impl Watch {
    pub(crate) fn start() -> Self {
        Self {
            began: Instant::now(),
            cpu: cpu(),
        }
    }

    pub(crate) fn stop(&self, steps: usize) -> Figures {
        Figures {
            steps,
            wall_us: self.began.elapsed().as_secs_f64() * 1e6,
            cpu_us: (cpu() - self.cpu).as_secs_f64() * 1e6,
            bytes: 0,
        }
    }
}

/// What this process has used so far.
fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("a process may ask about itself");
    let micros = |it: nix::sys::time::TimeVal| {
        u64::try_from(it.tv_sec() * 1_000_000 + it.tv_usec()).unwrap_or(0)
    };
    Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time()))
}
