//! Devices that answer by what they are asked and by what was changed before, and a journal of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use se_dsl::catalog::Effect;
use se_runtime::event::Map;
use se_runtime::port::Progress;
use se_runtime::{Actions, Call, Done, Event, Fault, FaultKind, Outcome};
use serde_json::json;

use crate::chance::hash;
use crate::executor::lock;
use crate::package::PASSWORD;
use crate::world::{LEASE, World};

/// What an attempt comes to, whenever it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Answers,
    Refuses,
    Hangs,
    Panics,
}

/// Everything that was ever asked of the devices.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    inner: Mutex<Asked>,
}

#[derive(Debug, Default)]
struct Asked {
    /// Attempts of changes, by job.
    changes: BTreeMap<String, Vec<(String, u32)>>,
    /// Attempts of changes by those who stood still until others went on with their jobs: when they come
    /// nobody can say, so that answers do not depend on them.
    late: BTreeMap<String, Vec<(String, u32)>>,
    /// Attempts under way: job, step, attempt, life of the replica.
    under_way: BTreeSet<(String, String, u32, u64)>,
}

impl Journal {
    /// Attempts of changes that were begun, in their order.
    pub(crate) fn changes(&self, job: &str) -> Vec<(String, u32)> {
        lock(&self.inner)
            .changes
            .get(job)
            .cloned()
            .unwrap_or_default()
    }

    /// Whether an attempt is under way there.
    pub(crate) fn is_under_way(&self, job: &str, step: &str, attempt: u32, by: u64) -> bool {
        let asked = lock(&self.inner);
        asked
            .under_way
            .contains(&(job.to_owned(), step.to_owned(), attempt, by))
    }
}

/// What an attempt comes to.
pub(crate) fn fate(seed: u64, job: &str, step: &str, attempt: u32) -> Fate {
    let attempt = attempt.to_string();
    match hash(seed, [job, step, &attempt]) % 48 {
        0..=5 => Fate::Refuses,
        6 => Fate::Hangs,
        7 => Fate::Panics,
        _ => Fate::Answers,
    }
}

/// What a device says.
pub(crate) fn says(device: &str, command: &str, changed: usize) -> String {
    let number = hash(7, [device, command]) % 10_000;
    let secret = if number.is_multiple_of(5) {
        PASSWORD
    } else {
        ""
    };
    format!("{device}{secret}{changed}/{number}")
}

/// The devices, for one drive of a job.
#[derive(Debug)]
pub(crate) struct Devices {
    pub(crate) world: Arc<World>,
    pub(crate) job: String,
    pub(crate) by: u64,
}

/// Notes when an attempt is over, however it ends.
struct UnderWay<'a> {
    devices: &'a Devices,
    key: (String, String, u32, u64),
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let journal = &self.devices.world.journal;
        lock(&journal.inner).under_way.remove(&self.key);
    }
}

impl Devices {
    fn begin(&self, call: &Call) -> (UnderWay<'_>, usize) {
        let (world, step, attempt) = (&self.world, &call.step, call.attempt);
        let told = format!("{} r{} {step}#{attempt} on the device", self.job, self.by);
        world.tell(&told);
        self.check_barrier(call);
        self.check_lease();
        let key = (self.job.clone(), step.clone(), attempt, self.by);
        let is_late = world.known().buried.contains(&self.by);
        let mut asked = lock(&world.journal.inner);
        asked.under_way.insert(key.clone());
        let before = asked.changes.get(&self.job).map_or(0, Vec::len);
        if call.primitive.effect == Effect::Write {
            let change = (step.clone(), attempt);
            let all = [&asked.changes, &asked.late].map(|it| it.get(&self.job));
            let again = all.into_iter().flatten().any(|it| it.contains(&change));
            let changes = if is_late {
                &mut asked.late
            } else {
                &mut asked.changes
            };
            changes.entry(self.job.clone()).or_default().push(change);
            if again && !call.primitive.repeatable {
                world.breaks(&format!("{step}#{attempt} of {} made twice", self.job));
            }
        }
        drop(asked);
        (UnderWay { devices: self, key }, before)
    }

    /// Whoever acts has a lease, by a clock that is right.
    fn check_lease(&self) {
        let world = &self.world;
        let known = world.known();
        let alive = known.lives.get(&self.by).map(|it| it.alive);
        let has_none = alive.is_none_or(|it| world.now().since(it) > LEASE);
        let is_wrong = has_none && !world.alone && !known.odd_time;
        drop(known);
        if is_wrong {
            let (no, job) = (self.by, &self.job);
            world.breaks(&format!("r{no} acts for {job} without a lease"));
        }
    }

    /// The event that asks for an effect is on disk before it begins.
    fn check_barrier(&self, call: &Call) {
        let durable = self.world.store.durable();
        let job = durable.jobs.get(&self.job);
        let mut log = job.iter().flat_map(|it| &it.log);
        let asked = log.any(|it| match &it.event {
            Event::StepStarted { step, attempt, .. } => {
                *step == call.step && *attempt == call.attempt
            }
            _ => false,
        });
        if !asked {
            let what = format!(
                "{}#{} began before its event was durable",
                call.step, call.attempt
            );
            self.world.breaks(&what);
        }
    }
}

fn answer(call: &Call, changed: usize) -> Done {
    let command = call.inputs.get("command").and_then(|it| it.as_str());
    let device = call.target.as_ref().map_or("", |it| &it.name);
    let text = says(device, command.unwrap_or_default(), changed);
    let output = if call.primitive.effect == Effect::Write {
        json!({"stdout": text, "ok": true, "exit_code": 0, "error": null})
    } else {
        json!({"output": text})
    };
    Done {
        output: output.as_object().cloned().unwrap_or_default(),
        learned: Map::new(),
    }
}

impl Actions for Devices {
    fn call<'a>(&'a self, call: Call, progress: &'a dyn Progress) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let (under_way, changed) = self.begin(&call);
            let world = &self.world;
            world.sleep(5, 2500).await;
            if world.chance.one_in(4) {
                progress.report(50, "half of it");
                world.sleep(5, 1500).await;
            }
            let outcome = match fate(world.seed, &self.job, &call.step, call.attempt) {
                Fate::Answers => Ok(answer(&call, changed)),
                Fate::Refuses => {
                    let said = format!("it says no to {PASSWORD}");
                    Err(Fault::new(FaultKind::Communication, said))
                }
                Fate::Hangs => std::future::pending().await,
                Fate::Panics => std::panic::resume_unwind(Box::new("an adapter's defect")),
            };
            drop(under_way);
            outcome
        })
    }
}
