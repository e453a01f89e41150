//! The grade job of the example on a simulated pod that takes 100 ms a command: how long its collects
//! take together, against the sum of what each takes.
//!
//! Real sockets, real consoles, wall time: a few rounds, medians. Not a criterion benchmark, because one
//! round takes seconds and the figure is a ratio inside it.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use se_adapters::connect::Connectors;
use se_adapters::{
    CONSOLE_PORT, ConsoleWay, FilesIn, LabSource, PodActions, PodOptions, PodPorts, Registry,
    Trust, Worker,
};
use se_benches::{Wall, accepted, run_on};
use se_dsl::catalog::Action;
use se_dsl::{Checked, Options};
use se_runtime::{Clock as _, Event, Plan, Record, Secret};
use se_testkit::sim::{Pod, PodOptions as SimOptions, Profile};
use serde_json::{Value, json};

const ROUNDS: usize = 5;
const LATENCY: &str = "paging: 24, latency_ms: 100";

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/lab-0.1");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime needs nothing");
    let checked = runtime.block_on(async { example(&folder) });
    let mut ratios = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (sequential, ratios) in [false, true].into_iter().zip(&mut ratios) {
            let records = runtime.block_on(grade(&folder, &checked, sequential));
            ratios.push(collects(&checked, &records));
        }
    }
    let [parallel, sequential] = ratios;
    println!(
        "collects of the grade job, 100 ms a command, {ROUNDS} rounds; wall / sum, wall in ms"
    );
    println!("  as planned     {}", median(parallel));
    println!("  in sequence    {}", median(sequential));
}

fn example(folder: &Path) -> Arc<Checked> {
    let limits = se_content::Limits::default();
    let package = se_content::from_dir(folder, &limits).expect("the example is a package");
    let outcome = se_dsl::check(&package.sources, Options::default());
    Arc::new(outcome.checked.expect("the example has no errors"))
}

async fn grade(folder: &Path, checked: &Arc<Checked>, sequential: bool) -> Vec<Record> {
    let text =
        std::fs::read_to_string(folder.join("profile.yaml")).expect("the example has a profile");
    let profile =
        Profile::read(&text.replace("paging: 24", LATENCY)).expect("the profile is valid");
    let options = SimOptions {
        profile,
        ..SimOptions::new(folder).expect("the example has a pod")
    };
    let pod = Pod::start(options)
        .await
        .expect("a pod starts on free ports");
    let facts = pod.facts();
    let mut env = checked.content.pod_facts.clone();
    merge(&mut env, &facts["runtime_env"]);
    merge(&mut env, &json!({"worker_ip": "127.0.0.1"}));
    let actions = actions(folder, checked, &facts);
    // The lab must be there before it is wiped: the phase before this one starts it.
    let start =
        Plan::of_phase(Arc::clone(checked), "instantiate").expect("the example has the phase");
    let started = run_on(&start, accepted(env.clone(), false), &actions).await;
    for record in &started {
        if let Event::StepCompleted { learned, .. } = &record.event {
            merge(&mut env, &Value::Object(learned.clone()));
        }
    }
    let first = accepted(env, sequential);
    let Event::JobAccepted(job) = &first.event else {
        unreachable!("the first event is job_accepted")
    };
    let job = se_runtime::Accepted {
        phase: Some("grade".to_owned()),
        ..se_runtime::Accepted::clone(job)
    };
    let plan = Plan::build(Arc::clone(checked), &job).expect("the example has the phase");
    let records = run_on(&plan, first, &actions).await;
    actions.finish(Duration::from_secs(2)).await;
    records
}

fn actions(folder: &Path, checked: &Checked, facts: &Value) -> PodActions {
    let text = |key: &str| facts["worker"][key].as_str().unwrap_or_default().to_owned();
    let worker = Worker {
        ip: text("ip"),
        cml_url: Some(text("cml_url")),
        cml_username: text("cml_username"),
        cml_password: Secret::new(text("cml_password")),
        region: None,
        adapter: Some(text("adapter")),
        trust: Trust::Anything,
        capabilities: Vec::new(),
        consoles: ConsoleWay::ALL.to_vec(),
        console_port: CONSOLE_PORT,
    };
    let selected = Registry::standard()
        .select(checked.manifest.pod_type, worker.adapter.as_deref(), &[])
        .expect("the simulator is of the example's kind");
    let topology = checked
        .content
        .topology
        .as_ref()
        .expect("the example has a topology");
    PodActions::new(PodOptions {
        worker,
        selected,
        lab: Some(LabSource {
            topology: topology.text.clone(),
            title: topology.title.clone(),
            session_id: None,
        }),
        files: Arc::new(FilesIn::new(folder)),
        connectors: Arc::new(Connectors::new(Arc::new(Wall))),
        ports: PodPorts::in_memory("job"),
        clock: Arc::new(Wall),
    })
}

/// From the first collect begun to the last ended, and that over the sum of what each took.
fn collects(checked: &Checked, records: &[Record]) -> (f64, f64) {
    let is_collect = |step: &str| {
        let steps = checked
            .content
            .jobs
            .get("grade")
            .map(|job| &job.steps)
            .into_iter()
            .flatten();
        steps
            .filter(|it| it.uses.action() == Some(Action::Collect))
            .any(|it| it.id.as_str() == step)
    };
    let mine = |record: &&Record| record.event.step().is_some_and(is_collect);
    let all: Vec<&Record> = records.iter().filter(mine).collect();
    let (first, last) = (all.first().map(|it| it.at), all.last().map(|it| it.at));
    let wall = last
        .zip(first)
        .map(|(last, first)| last.since(first))
        .unwrap_or_default();
    let mut sum = Duration::ZERO;
    for begun in all
        .iter()
        .filter(|it| matches!(it.event, Event::StepStarted { .. }))
    {
        let ended = all.iter().find(|it| {
            it.event.step() == begun.event.step() && matches!(it.event, Event::StepCompleted { .. })
        });
        sum += ended.map_or_else(|| Wall.now(), |it| it.at).since(begun.at);
    }
    (
        wall.as_secs_f64() / sum.as_secs_f64(),
        wall.as_secs_f64() * 1000.0,
    )
}

fn median(mut figures: Vec<(f64, f64)>) -> String {
    figures.sort_by(|a, b| a.0.total_cmp(&b.0));
    let at = |index: usize| figures.get(index).copied().unwrap_or_default();
    let (least, middle, most) = (
        at(0),
        at(figures.len() / 2),
        at(figures.len().saturating_sub(1)),
    );
    format!(
        "{:.2} ({:.2} to {:.2}), {:.0} ms",
        middle.0, least.0, most.0, middle.1
    )
}

/// `from` over `into`, objects key by key.
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}
