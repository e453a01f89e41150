//! The service killed in the middle of jobs on a simulated pod: nothing is lost, nothing is done twice.

use std::path::{Path, PathBuf};
use std::process::Command;

use se_testkit::postgres::Database;
use se_testkit::sim::{Pod, PodOptions, Sink, SinkOptions};
use serde_json::{Value, json};

use crate::harness::Home;
use crate::process::{KEY, PATIENCE, Server, count};

pub(crate) fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/lab-0.1")
}

/// A pod, a receiver of events, a folder for the service.
pub(crate) struct Stage {
    pub(crate) pod: Pod,
    pub(crate) sink: Sink,
    pub(crate) folder: Home,
}

impl Stage {
    pub(crate) async fn set() -> Self {
        Self::with(PodOptions::new(example()).unwrap()).await
    }

    pub(crate) async fn with(options: PodOptions) -> Self {
        let pod = Pod::start(options).await.unwrap();
        let sink = Sink::start(("127.0.0.1", 0), SinkOptions::default())
            .await
            .unwrap();
        let folder = Home::new();
        let zip = se_content::pack(&example(), &se_content::Limits::default()).unwrap();
        std::fs::write(folder.path().join("lab.zip"), zip).unwrap();
        Self { pod, sink, folder }
    }

    pub(crate) async fn submit(&self, server: &Server, phase: &str) -> String {
        let facts = self.pod.facts();
        let body = json!({
            "definition_id": "lab", "version": "1", "session_id": "s", "phase": phase,
            "worker": facts["worker"], "runtime_env": facts["runtime_env"],
            "callback_url": self.sink.url(),
        });
        let answer = server.post("/api/v1/jobs", &body).await;
        answer["job_id"].as_str().unwrap().to_owned()
    }

    /// The ids of a job's events that the receiver got, repeats dropped, once the last is there.
    pub(crate) async fn received(&self, job: &str) -> Vec<String> {
        let all = async {
            let mut ids = Vec::new();
            let mut count = 0;
            while ids.is_empty() {
                count += 1;
                self.sink.wait_for(count).await;
                ids = ids_if_ended(&self.sink.events(), job);
            }
            ids
        };
        tokio::time::timeout(PATIENCE, all)
            .await
            .expect("the receiver gets the last event")
    }

    fn commands(&self, part: &str) -> usize {
        let entries = self.pod.journal().entries();
        entries.iter().filter(|it| it.detail.contains(part)).count()
    }
}

/// Receivers are told of progress less often than streams are.
fn is_progress(event: &Value) -> bool {
    event["type"] == "io.lcm.se.job.progress"
}

/// The ids of a job's events in order of arrival, each once; none before the last has come.
fn ids_if_ended(events: &[Value], job: &str) -> Vec<String> {
    let source = format!("/scenario-engine/jobs/{job}");
    let mut ids: Vec<String> = Vec::new();
    let mut ended = false;
    for event in events.iter().filter(|it| it["source"] == source) {
        let kind = event["type"].as_str().unwrap();
        ended |= kind.ends_with("job.completed") || kind.ends_with("job.faulted");
        let id = event["id"].as_str().unwrap().to_owned();
        if !is_progress(event) && !ids.contains(&id) {
            ids.push(id);
        }
    }
    if ended { ids } else { Vec::new() }
}

/// The ids in the order of the job's own stream.
pub(crate) fn told(stream: &str) -> Vec<String> {
    let data = stream.lines().filter_map(|it| it.strip_prefix("data:"));
    data.map(|it| serde_json::from_str::<Value>(it.trim()).unwrap())
        .filter(|it| !is_progress(it))
        .map(|it| it["id"].as_str().unwrap().to_owned())
        .collect()
}

pub(crate) async fn without_holes(server: &Server, job: &str) {
    let page = server
        .get(&format!("/api/v1/jobs/{job}/events?limit=500"))
        .await;
    let all = page["items"]
        .as_array()
        .or_else(|| page["events"].as_array())
        .unwrap();
    let numbers: Vec<u64> = all.iter().map(|it| it["seq"].as_u64().unwrap()).collect();
    let expected: Vec<u64> = (1..=numbers.len() as u64).collect();
    assert_eq!(numbers, expected);
    let mut done: Vec<&Value> = all
        .iter()
        .filter(|it| it["event"] == "step_completed")
        .map(|it| &it["step"])
        .collect();
    let steps = done.len();
    done.sort_by_key(|it| it.to_string());
    done.dedup();
    assert_eq!(done.len(), steps, "a step completed twice");
}

/// Whether what is stored makes sense, as an operator would ask.
pub(crate) fn whole(home: &Home) {
    let mut check = Command::new(env!("CARGO_BIN_EXE_se-server"));
    check.args(["store", "check", "--data-dir", "data"]);
    if let Some(store) = home.store() {
        check.args(["--store", &store]);
    }
    let checked = check.current_dir(home.path()).output().unwrap();
    let text = String::from_utf8_lossy(&checked.stdout);
    assert_eq!(checked.status.code(), Some(0), "{text}{checked:?}");
    assert!(text.contains(": nothing is wrong"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_service_goes_on_where_it_was_and_loses_nothing() {
    let stage = Stage::set().await;
    let mut server = Server::start(&stage.folder).await;
    server
        .sync("lab", &stage.folder.path().join("lab.zip"))
        .await;
    let started = stage.submit(&server, "instantiate").await;
    assert_eq!(server.ended(&started).await["status"], "completed");
    for (phase, kill_after) in [
        ("post_init", 0),
        ("post_init", 3),
        ("grade", 2),
        ("grade", 9),
    ] {
        let unpacked = stage.commands("tar -C Desktop/tasks");
        let job = stage.submit(&server, phase).await;
        server
            .when(&job, |it| count(it, "completed") >= kill_after)
            .await;
        assert_eq!(server.end("-KILL").await, None);
        whole(&stage.folder);
        server = Server::start(&stage.folder).await;
        let ended = server.ended(&job).await;
        let label = format!("{phase} killed after {kill_after} steps: {ended:#}");
        // A command that was under way may not be repeated: then, and only then, the job faults.
        if ended["status"] != "completed" {
            let kind = ended["error"]["type"].as_str().unwrap_or_default();
            assert!(kind.ends_with("/interrupted"), "{label}");
        } else if phase == "post_init" {
            assert_eq!(
                stage.commands("tar -C Desktop/tasks") - unpacked,
                1,
                "{label}"
            );
        } else {
            let report = server.get(&format!("/api/v1/jobs/{job}/report")).await;
            assert_eq!(report["totals"]["points_awarded"], 7, "{label}");
        }
        without_holes(&server, &job).await;
        assert_eq!(
            stage.received(&job).await,
            told(&server.stream(&job).await),
            "{label}"
        );
        whole(&stage.folder);
    }
    assert_eq!(server.end("-TERM").await, Some(0));
}

/// What `se-server store` says of a database.
fn store(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_se-server"));
    command.arg("store").args(arguments).current_dir(folder);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_cut_short_goes_on_in_another_database() {
    let stage = Stage::set().await;
    let folder = stage.folder.path();
    let key = [("SE_SEALING__KEY", KEY)];
    let server = Server::replica(folder, None, "data", &key).await;
    server.sync("lab", &folder.join("lab.zip")).await;
    let started = stage.submit(&server, "instantiate").await;
    assert_eq!(server.ended(&started).await["status"], "completed");
    let job = stage.submit(&server, "post_init").await;
    server.when(&job, |it| count(it, "completed") >= 2).await;
    assert_eq!(server.end("-KILL").await, None);

    let exported = store(folder, &["export", "--data-dir", "data", "--to", "moved"]);
    let database = Database::create();
    let target = ["--store", &database.url()];
    let imported = store(
        folder,
        &[&["import", "--from", "moved"], &target[..]].concat(),
    );
    assert_eq!(exported.replace("exported", "imported"), imported);
    assert!(exported.contains("jobs 2"), "{exported}");

    let server = Server::replica(folder, Some(&database.url()), "data", &key).await;
    let ended = server.ended(&job).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    without_holes(&server, &job).await;
    assert_eq!(stage.commands("tar -C Desktop/tasks"), 1);
    assert_eq!(stage.received(&job).await, told(&server.stream(&job).await));
    assert_eq!(server.end("-TERM").await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_service_ends_well_and_the_next_one_goes_on() {
    let stage = Stage::set().await;
    let server = Server::start(&stage.folder).await;
    server
        .sync("lab", &stage.folder.path().join("lab.zip"))
        .await;
    let started = stage.submit(&server, "instantiate").await;
    assert_eq!(server.ended(&started).await["status"], "completed");
    let job = stage.submit(&server, "post_init").await;
    server.when(&job, |it| count(it, "completed") >= 2).await;
    assert_eq!(server.end("-TERM").await, Some(0));
    let server = Server::start(&stage.folder).await;
    let ended = server.ended(&job).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    without_holes(&server, &job).await;
    assert_eq!(stage.commands("tar -C Desktop/tasks"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_stops_a_device_command_and_leaves_the_console_usable() {
    let stage = Stage::set().await;
    let server = Server::start(&stage.folder).await;
    server
        .sync("lab", &stage.folder.path().join("lab.zip"))
        .await;
    let body = |command: &str| {
        let facts = stage.pod.facts();
        json!({
            "scenario_name": "exec", "pod_definition_id": "lab",
            "input_data": {"target": "workstation_serial", "command": command},
            "worker": facts["worker"], "runtime_env": facts["runtime_env"],
        })
    };
    let long = server.post("/api/v1/jobs", &body("sleep 50")).await;
    let long = long["job_id"].as_str().unwrap();
    server.when(long, |it| count(it, "running") == 1).await;
    let url = format!("{}/api/v1/jobs/{long}", server.url);
    let asked = tokio::time::Instant::now();
    let answer = reqwest::Client::new().delete(url).send().await.unwrap();
    assert_eq!(answer.status(), 204);
    assert_eq!(server.ended(long).await["status"], "cancelled");
    assert!(asked.elapsed().as_secs() < 20, "the command was waited for");
    let next = server.post("/api/v1/jobs", &body("echo still here")).await;
    let next = server.ended(next["job_id"].as_str().unwrap()).await;
    assert_eq!(next["status"], "completed", "{next:#}");
    assert!(
        next["output_data"].to_string().contains("still here"),
        "{next:#}"
    );
}
