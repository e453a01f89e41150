//! Two services on one database, and one console that both want.

use std::time::Duration;

use se_testkit::postgres::Database;
use se_testkit::sim::{Pod, PodOptions};
use serde_json::{Value, json};

use crate::crash::example;
use crate::process::{PATIENCE, Server};
use crate::released::copy;

/// Keeps its session on the console for longer than the test takes, in waits that are too short to be put down in.
const HOLD: &str = "apiVersion: pav1
kind: JobDefinition
spec:
  steps:
    - { id: before, uses: exec@v1, target: workstation_serial, with: { command: echo first- } }
    - { id: idle, uses: pause@v1, for_each: { var: it, in: '${ [range(30)] }' }, with: { seconds: 20 } }
";
const PHASE: &str = "    - name: hold\n      jobs: [{ definition: hold@v1 }]\n";

fn body(pod: &Pod, what: &Value) -> Value {
    let facts = pod.facts();
    let mut body = json!({
        "definition_id": "lab", "version": "1",
        "worker": facts["worker"], "runtime_env": facts["runtime_env"],
    });
    for (key, value) in what.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

async fn submit(server: &Server, pod: &Pod, what: Value) -> String {
    let answer = server.post("/api/v1/jobs", &body(pod, &what)).await;
    answer["job_id"].as_str().unwrap().to_owned()
}

/// The example with one more phase.
async fn synced(server: &Server, folder: &std::path::Path) {
    let package = folder.join("package");
    copy(&example(), &package);
    let jobs = package.join("PAv1/jobs/hold.yaml");
    std::fs::write(jobs, HOLD).unwrap();
    let lifecycle = package.join("PAv1/lifecycle.yaml");
    let text = std::fs::read_to_string(&lifecycle).unwrap();
    std::fs::write(&lifecycle, text + PHASE).unwrap();
    let zip = se_content::pack(&package, &se_content::Limits::default()).unwrap();
    let path = folder.join("lab.zip");
    std::fs::write(&path, zip).unwrap();
    server.sync("lab", &path).await;
}

async fn shown(server: &Server, job: &str) -> String {
    let path = format!("api/v1/jobs/{job}/transcripts/workstation_serial");
    let answer = reqwest::get(format!("{}/{path}", server.url)).await;
    answer.unwrap().text().await.unwrap()
}

/// When a job's session was closed, and its transcript: it is whole a moment after the job's end.
async fn left(server: &Server, job: &str) -> (String, String) {
    let closed = async {
        let mut text = shown(server, job).await;
        while !text.contains("| closed") {
            tokio::time::sleep(Duration::from_millis(100)).await;
            text = shown(server, job).await;
        }
        text
    };
    let text = tokio::time::timeout(PATIENCE, closed).await.unwrap();
    let line = text.lines().find(|it| it.ends_with("| closed"));
    (line.unwrap().to_owned(), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_has_one_user_and_who_does_not_use_it_makes_way() {
    let pod = Pod::start(PodOptions::new(example()).unwrap())
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let database = Database::create();
    let url = database.url();
    // Each takes one job, so that two jobs are on two engines.
    let one_each = [("SE_JOBS__MAX_CONCURRENT", "1"), ("SE_STORE__LEASE", "2")];
    let start =
        async |data: &str| Server::replica(folder.path(), Some(&url), data, &one_each).await;
    let first = start("a").await;
    synced(&first, folder.path()).await;
    let started = submit(&first, &pod, json!({"phase": "instantiate"})).await;
    assert_eq!(first.ended(&started).await["status"], "completed");

    let holds = submit(&first, &pod, json!({"phase": "hold"})).await;
    let idles = |it: &Value| {
        let mut steps = it["steps"].as_array().unwrap().iter();
        steps.any(|it| it["id"] == "idle" && it["status"] == "running")
    };
    first.when(&holds, idles).await;
    let second = start("b").await;
    let exec = json!({
        "scenario_name": "exec",
        "input_data": {"target": "workstation_serial", "command": "echo second-"},
    });
    let wants = submit(&second, &pod, exec.clone()).await;
    let ended = second.ended(&wants).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");

    let job = format!("{}/api/v1/jobs/{holds}", second.url);
    let cancelled = reqwest::Client::new().delete(job).send().await.unwrap();
    assert!(cancelled.status().is_success(), "{cancelled:?}");
    assert_eq!(second.ended(&holds).await["status"], "cancelled");
    // The one had made way for the other, and left when it did, not with its own end.
    let (held, other) = (left(&second, &holds).await, left(&second, &wants).await);
    assert!(held.0 < other.0, "{}\n{}", held.1, other.1);
    assert!(
        held.1.contains("first-") && !held.1.contains("second-"),
        "{}",
        held.1
    );
    assert!(other.1.contains("second-"), "{}", other.1);
    assert_eq!(first.end("-TERM").await, Some(0));

    // An engine that dies takes its consoles with it.
    let holds = submit(&second, &pod, json!({"phase": "hold"})).await;
    second.when(&holds, idles).await;
    assert_eq!(second.end("-KILL").await, None);
    // It goes on with the other's job beside its own.
    let many = [("SE_STORE__LEASE", "2")];
    let third = Server::replica(folder.path(), Some(&url), "c", &many).await;
    let wants = submit(&third, &pod, exec).await;
    let ended = tokio::time::timeout(PATIENCE, third.ended(&wants)).await;
    assert_eq!(ended.unwrap()["status"], "completed");
}
