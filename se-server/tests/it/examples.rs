//! The examples of the repository on their simulated pods, from the first phase to the score.

use std::path::{Path, PathBuf};

use se_testkit::sim::{Pod, PodOptions};
use serde_json::{Value, json};

use crate::harness::Home;
use crate::process::Server;

/// A service with an example in it, and the pod of that example.
struct Stand {
    server: Server,
    pod: Pod,
    /// Data of the service; goes with the stand.
    _folder: Home,
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples")
        .join(name)
}

impl Stand {
    async fn up(name: &str) -> Self {
        let pod = Pod::start(PodOptions::new(example(name)).unwrap());
        let pod = pod.await.unwrap();
        let folder = Home::new();
        let zip = se_content::pack(&example(name), &se_content::Limits::default()).unwrap();
        let path = folder.path().join("example.zip");
        std::fs::write(&path, zip).unwrap();
        let server = Server::start(&folder).await;
        server.sync("example", &path).await;
        Self {
            server,
            pod,
            _folder: folder,
        }
    }

    /// Runs a phase of the session on its pod, to its end; the job.
    async fn run(&self, phase: &str) -> Value {
        let facts = self.pod.facts();
        let known = json!({"worker": facts["worker"], "runtime_env": facts["runtime_env"]});
        self.post(phase, known).await
    }

    /// Posts a job of the session with no more than this; the job once it has ended.
    async fn post(&self, phase: &str, more: Value) -> Value {
        let mut body = json!({
            "definition_id": "example", "version": "1", "session_id": "s1", "phase": phase,
        });
        let more = more.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(more);
        let job = self.server.post("/api/v1/jobs", &body).await;
        let ended = self.server.ended(job["job_id"].as_str().unwrap()).await;
        assert_eq!(ended["status"], "completed", "{phase}: {ended:#}");
        ended
    }

    async fn report(&self, job: &Value) -> Value {
        let id = job["job_id"].as_str().unwrap();
        self.server.get(&format!("/api/v1/jobs/{id}/report")).await
    }
}

/// `id: outcome` of each item.
fn outcomes(items: &Value) -> Vec<String> {
    let items = items.as_array().unwrap().iter();
    items
        .map(|it| {
            format!(
                "{}: {}",
                it["id"].as_str().unwrap(),
                it["status"].as_str().unwrap()
            )
        })
        .collect()
}

fn names(all: &Value, key: &str) -> Vec<String> {
    let all = all.as_array().unwrap().iter();
    all.map(|it| it[key].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loops_seed_every_device_and_collect_what_is_graded() {
    let stand = Stand::up("loops").await;
    stand.run("instantiate").await;
    let seeded = stand.run("seed").await;
    let report = stand.report(&seeded).await;
    assert_eq!(
        names(&report["changes"], "step"),
        [
            "routers[0]/configure",
            "routers[1]/configure",
            "switches[0]",
            "switches[1]",
        ],
        "{report:#}"
    );
    let passed = report["checks"].as_array().unwrap();
    assert!(passed.iter().all(|it| it["passed"] == true), "{report:#}");
    let ready = stand.run("ready").await;
    assert_eq!(stand.report(&ready).await["ready"], true);
    let graded = stand.run("grade").await;
    let report = stand.report(&graded).await;
    assert_eq!(
        outcomes(&report["items"]),
        [
            "ntp-edges: passed",
            "ntp-access: failed",
            "ospf: passed",
            "vlan: failed"
        ]
    );
    assert_eq!(
        report["items"][3]["issues"],
        json!(["acc2 still has VLAN 66"])
    );
    let totals = &report["totals"];
    assert_eq!(
        (&totals["points_awarded"], &totals["points_max"]),
        (&json!(4), &json!(8))
    );
    let wiped = stand.run("teardown").await;
    let report = stand.report(&wiped).await;
    assert_eq!(names(&report["actions"], "step"), ["wipe"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_three_parts_is_collected_graded_and_reported_by_three_jobs() {
    let stand = Stand::up("session").await;
    for phase in ["provision", "prepare", "collect"] {
        stand.run(phase).await;
    }
    let submission = json!({"variables": {"submission": {
        "prefix": "/26",
        "links": "Both leave on the North side.",
    }}});
    stand.post("grade", submission).await;
    let reported = stand.post("report", json!({})).await;
    let report = stand.report(&reported).await;
    let parts = report["parts"].as_array().unwrap().iter();
    let points: Vec<String> = parts
        .map(|it| {
            let (part, totals) = (it["part"].as_str().unwrap(), &it["totals"]);
            format!(
                "{part}: {} of {}",
                totals["points_awarded"], totals["points_max"]
            )
        })
        .collect();
    assert_eq!(
        points,
        ["design: 3 of 5", "rack: 4 of 6", "fabric: 5 of 9"],
        "{report:#}"
    );
    assert_eq!(
        report["parts"][0]["items"][1]["issues"],
        json!(["both links leave on the north side"])
    );
    assert_eq!(
        outcomes(&report["parts"][1]["items"]),
        ["r1: passed", "r2: failed"]
    );
    assert_eq!(
        outcomes(&report["parts"][2]["items"]),
        ["f1: failed", "f2: passed"]
    );
    let totals = &report["totals"];
    assert_eq!(
        (
            &totals["points_awarded"],
            &totals["points_max"],
            &totals["percentage"]
        ),
        (&json!(12), &json!(20), &json!(60.0))
    );
    assert_eq!(report["status"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_says_what_no_job_has_graded_yet() {
    let stand = Stand::up("session").await;
    let reported = stand.post("report", json!({})).await;
    let report = stand.report(&reported).await;
    assert_eq!(report["status"], "incomplete", "{report:#}");
}
