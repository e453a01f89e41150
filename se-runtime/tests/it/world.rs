//! A small world for the core: packages from text, virtual time, a log in memory, scripted actions.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use futures_channel::mpsc;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use se_dsl::{Checked, Options, Sources};
use se_runtime::event::{Accepted, Batch, FORMAT, FrozenScopes, Map};
use se_runtime::port::Progress;
use se_runtime::{
    Actions, Call, Clock, Control, Done, Drive, DriveError, Event, EventLog, LogError, Outcome,
    Plan, Ports, Record, State, Timestamp, Vault, drive,
};
use serde_json::json;

/// A package without a pod: connectors `a`, `b`, `c`, and one phase `main` that runs `jobs`.
pub(crate) fn package(jobs: &[(&str, &str)]) -> Arc<Checked> {
    let text = |(name, spec): &(&str, &str)| {
        let head = "apiVersion: pav1\nkind: JobDefinition\nspec:\n";
        (format!("PAv1/jobs/{name}.yaml"), format!("{head}{spec}"))
    };
    let files: Vec<(String, String)> = jobs.iter().map(text).collect();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    package_with(&files)
}

/// The same with these documents; `main` runs the jobs among them.
pub(crate) fn package_with(files: &[(&str, &str)]) -> Arc<Checked> {
    let mut sources = Sources::new();
    sources.add(
        "PAv1/manifest.yaml",
        "format_version: PAv1\nname: t\nversion: '1'\ncontent_id: t\npod_type: none\n",
    );
    let connector = |name: &str| {
        format!(
            "    - {{ name: {name}, class: cisco_common, transport: telnet, port: \"${{ runtime_env.devices.{name}.serial_port }}\" }}\n"
        )
    };
    let connectors: String = ["a", "b", "c"].iter().map(|name| connector(name)).collect();
    let head =
        "apiVersion: pav1\nkind: ConnectorModel\nmetadata: { name: t }\nspec:\n  connectors:\n";
    if files
        .iter()
        .all(|(path, _)| *path != "PAv1/connectors.yaml")
    {
        sources.add("PAv1/connectors.yaml", format!("{head}{connectors}"));
    }
    let job = |path: &str| {
        let name = path.strip_prefix("PAv1/jobs/")?.strip_suffix(".yaml")?;
        Some(format!("        - definition: {name}@v1\n"))
    };
    let references: String = files.iter().filter_map(|(path, _)| job(path)).collect();
    let head = "apiVersion: pav1\nkind: Lifecycle\nmetadata: { lablet: t }\nspec:\n  phases:\n    - name: main\n      jobs:\n";
    sources.add("PAv1/lifecycle.yaml", format!("{head}{references}"));
    for (path, text) in files {
        sources.add(*path, *text);
    }
    let outcome = se_dsl::check(&sources, Options::default());
    let found = outcome.diagnostics.located(&sources);
    Arc::new(outcome.checked.unwrap_or_else(|| panic!("{found:#?}")))
}

/// The plan of phase `main` of one job with these steps.
pub(crate) fn plan(steps: &str) -> Plan {
    Plan::of_phase(package(&[("job", &format!("  steps:\n{steps}"))]), "main").unwrap()
}

/// The first event of a job.
pub(crate) fn accepted() -> Record {
    let devices =
        json!({"a": {"serial_port": 1}, "b": {"serial_port": 2}, "c": {"serial_port": 3}});
    let accepted = Accepted {
        format: FORMAT,
        job_id: "job-1".into(),
        definition_id: "t".into(),
        version: "1".into(),
        content_hash: "0".into(),
        session_id: None,
        phase: Some("main".into()),
        scenario: None,
        sequential: false,
        callback_url: None,
        metadata: None,
        scopes: FrozenScopes {
            session: json!({}),
            content: json!({}),
            runtime_env: json!({"worker_ip": "127.0.0.1", "devices": devices}),
            vars: Map::new(),
            ..FrozenScopes::default()
        },
        engine_version: "0".into(),
        origin: None,
    };
    Record {
        seq: 1,
        at: Timestamp::default(),
        event: Event::JobAccepted(Box::new(accepted)),
    }
}

/// Time that moves only when everybody waits.
#[derive(Default)]
pub(crate) struct Time {
    state: Mutex<Sleepers>,
}

/// Who waits until when; `count` tells apart those that wait for the same moment.
#[derive(Default)]
struct Sleepers {
    now: Timestamp,
    waiting: BTreeMap<(Timestamp, u64), Waker>,
    count: u64,
    /// How much later it is after each look at the clock.
    cost: Duration,
}

/// Whether a future that waits has said that it can go on.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Time {
    /// Moves to the next moment somebody waits for; `false` if nobody does.
    fn advance(&self) -> bool {
        let waker = {
            let mut state = self.state.lock().unwrap();
            let Some(((at, _), waker)) = state.waiting.pop_first() else {
                return false;
            };
            state.now = state.now.max(at);
            waker
        };
        waker.wake();
        true
    }

    /// Runs a future to its end, moving time whenever it waits; `None` if it waits for ever.
    pub(crate) fn run<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        self.run_told(future, |_| false)
    }

    /// The same. `tell` hears how often the future has waited, and says whether it made it go on.
    fn run_told<T>(
        &self,
        future: impl Future<Output = T>,
        mut tell: impl FnMut(usize) -> bool,
    ) -> Option<T> {
        let mut future = Box::pin(future);
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = std::task::Context::from_waker(&waker);
        let mut waits = 0;
        loop {
            woken.0.store(false, Ordering::SeqCst);
            match future.as_mut().poll(&mut context) {
                Poll::Ready(it) => return Some(it),
                Poll::Pending if tell(waits) => {}
                Poll::Pending if woken.0.load(Ordering::SeqCst) => waits += 1,
                Poll::Pending if !self.advance() => return None,
                Poll::Pending => waits += 1,
            }
        }
    }
}

/// [`Time`] as a port.
#[derive(Clone, Default)]
pub(crate) struct Virtual(pub(crate) Arc<Time>);

impl Virtual {
    /// From here on each look at the clock takes its time, as what is done in between does.
    pub(crate) fn costs(&self, cost: Duration) {
        self.0.state.lock().unwrap().cost = cost;
    }
}

impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        let mut state = self.0.state.lock().unwrap();
        state.now = state.now.after(state.cost);
        state.now
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        let time = Arc::clone(&self.0);
        std::future::poll_fn(move |context| {
            let mut state = time.state.lock().unwrap();
            if state.now >= at {
                return Poll::Ready(());
            }
            state.count += 1;
            let number = state.count;
            state.waiting.insert((at, number), context.waker().clone());
            Poll::Pending
        })
        .boxed()
    }
}

/// A log in memory that may be made to fail.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) records: Mutex<Vec<Record>>,
    /// Batches from here on are refused: the job was given to somebody else.
    pub(crate) fails_after: Option<usize>,
    pub(crate) batches: Mutex<usize>,
    pub(crate) outage: Mutex<Option<Outage>>,
    /// How long an append takes, and by which clock.
    pub(crate) takes: Option<(Virtual, Duration)>,
}

/// A store that does not answer for a while.
pub(crate) struct Outage {
    /// After so many batches.
    pub(crate) after: usize,
    /// Appends that are left without an answer.
    pub(crate) appends: usize,
    /// Whether the first of them is stored all the same.
    pub(crate) stores: bool,
}

impl Log {
    /// Whether this append gets no answer, and whether it is stored.
    fn is_away(&self, batches: usize) -> Option<bool> {
        let mut outage = self.outage.lock().unwrap();
        let it = outage.as_mut().filter(|it| batches >= it.after)?;
        it.appends = it.appends.checked_sub(1)?;
        Some(std::mem::take(&mut it.stores))
    }
}

impl EventLog for Log {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<(), LogError>> {
        let mut records = self.records.lock().unwrap();
        let mut batches = self.batches.lock().unwrap();
        let found = u64::try_from(records.len()).unwrap();
        let result = if self.fails_after.is_some_and(|limit| *batches >= limit) {
            Err(LogError::Fenced {
                job: "job-1".into(),
            })
        } else if let Some(is_stored) = self.is_away(*batches) {
            if is_stored {
                records.extend(batch.records);
            }
            Err(LogError::Unavailable("the disk is full".into()))
        } else if found == batch.after {
            *batches += 1;
            records.extend(batch.records);
            Ok(())
        } else if records.ends_with(&batch.records) {
            Ok(())
        } else {
            Err(LogError::Conflict {
                job: "job-1".into(),
                expected: batch.after,
                found,
            })
        };
        let done = self.takes.as_ref().map(|(clock, takes)| {
            let until = clock.now().after(*takes);
            clock.sleep_until(until)
        });
        async move {
            if let Some(done) = done {
                done.await;
            }
            result
        }
        .boxed()
    }
}

/// What a call does.
pub(crate) type Script = dyn Fn(&Call) -> (Duration, Outcome) + Send + Sync;

/// Actions that take a time and give an outcome, and remember what was asked of them.
pub(crate) struct Scripted {
    pub(crate) clock: Virtual,
    pub(crate) script: Box<Script>,
    /// `(step, attempt)` in the order begun.
    pub(crate) calls: Mutex<Vec<(String, u32)>>,
    /// How many ran at once, at most.
    pub(crate) most: Mutex<(usize, usize)>,
    /// When the last one ended or was dropped.
    pub(crate) left: Mutex<Timestamp>,
}

impl Scripted {
    pub(crate) fn new(clock: &Virtual, script: Box<Script>) -> Self {
        Self {
            clock: clock.clone(),
            script,
            calls: Mutex::default(),
            most: Mutex::default(),
            left: Mutex::default(),
        }
    }
}

/// One more call runs, until it is dropped.
struct Running<'a>(&'a Scripted);

impl<'a> Running<'a> {
    fn begin(actions: &'a Scripted) -> Self {
        let mut running = actions.most.lock().unwrap();
        *running = (running.0 + 1, running.1.max(running.0 + 1));
        Self(actions)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.most.lock().unwrap().0 -= 1;
        *self.0.left.lock().unwrap() = self.0.clock.now();
    }
}

impl Actions for Scripted {
    fn call<'a>(&'a self, call: Call, _: &'a dyn Progress) -> BoxFuture<'a, Outcome> {
        async move {
            self.calls
                .lock()
                .unwrap()
                .push((call.step.clone(), call.attempt));
            let running = Running::begin(self);
            let (takes, outcome) = (self.script)(&call);
            self.clock.sleep_until(self.clock.now().after(takes)).await;
            drop(running);
            outcome
        }
        .boxed()
    }
}

/// What a device answers that repeats the step's name.
pub(crate) fn echo(call: &Call) -> Outcome {
    let text = format!(
        "{} says {}",
        call.target.as_ref().map_or("?", |it| &it.name),
        call.step
    );
    let mut output = Map::new();
    for field in call.primitive.outputs {
        output.insert(field.name.to_owned(), json!(text));
    }
    Ok(Done {
        output,
        learned: Map::new(),
    })
}

/// A job with its world.
pub(crate) struct Run {
    pub(crate) plan: Plan,
    pub(crate) clock: Virtual,
    pub(crate) log: Log,
    pub(crate) actions: Scripted,
    /// How long a wait may be that is waited for.
    pub(crate) patience: Option<Duration>,
    /// When it was told something.
    pub(crate) told: Mutex<Timestamp>,
}

impl Run {
    pub(crate) fn new(plan: Plan, script: Box<Script>) -> Self {
        let clock = Virtual::default();
        let log = Log::default();
        log.records.lock().unwrap().push(accepted());
        Self {
            plan,
            actions: Scripted::new(&clock, script),
            clock,
            log,
            patience: None,
            told: Mutex::default(),
        }
    }

    /// Drives the job from its log to an end; `None` if it would wait for ever.
    pub(crate) fn drive(&self, control: Vec<Control>) -> Option<Result<Drive, DriveError>> {
        let (sender, receiver) = mpsc::unbounded();
        for told in control {
            sender.unbounded_send(told).unwrap();
        }
        self.driven(receiver, |_| false)
    }

    /// The same; the driver is told something once it has waited that often.
    pub(crate) fn drive_until(
        &self,
        moment: usize,
        control: Control,
    ) -> Option<Result<Drive, DriveError>> {
        let (sender, receiver) = mpsc::unbounded();
        let mut control = Some(control);
        self.driven(receiver, |waits| {
            let told = control.take_if(|_| waits >= moment);
            let is_told = told.is_some();
            if is_told {
                *self.told.lock().unwrap() = self.clock.now();
            }
            told.into_iter()
                .for_each(|it| sender.unbounded_send(it).unwrap());
            is_told
        })
    }

    fn driven(
        &self,
        receiver: mpsc::UnboundedReceiver<Control>,
        tell: impl FnMut(usize) -> bool,
    ) -> Option<Result<Drive, DriveError>> {
        let state = self.state();
        let ports = Ports {
            log: &self.log,
            actions: &self.actions,
            clock: &self.clock,
            patience: self.patience,
        };
        let vault = Vault::default();
        let driving = drive(&self.plan, state, &vault, ports, receiver);
        self.clock.0.run_told(driving, tell)
    }

    pub(crate) fn state(&self) -> State {
        State::fold(&self.plan, &self.log.records.lock().unwrap()).unwrap()
    }

    /// The log, one event a line.
    pub(crate) fn story(&self) -> Vec<String> {
        let records = self.log.records.lock().unwrap();
        let told = records
            .iter()
            .filter(|it| !matches!(it.event, Event::JobProgress { .. }));
        told.map(|it| match it.event.step() {
            Some(step) => format!("{} {step}", it.event.kind()),
            None => it.event.kind().to_owned(),
        })
        .collect()
    }
}
