//! Two services on one database, one of which lacks the content of the jobs.

use se_content::{Limits, pack};
use se_testkit::postgres::Database;
use serde_json::{Value, json};

use crate::crash::example;
use crate::process::{PATIENCE, Server};

/// Takes a job in that waits for so many seconds.
async fn pauses(server: &Server, seconds: u32) -> String {
    let body = json!({
        "pod_definition_id": "lab",
        "scenario_name": "pause",
        "input_data": {"seconds": seconds},
        "worker": {"ip": "127.0.0.1", "cml_username": "admin", "cml_password": "unused"},
    });
    let answer = server.post("/api/v1/jobs", &body).await;
    answer["job_id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_on_where_its_content_is() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::create();
    let url = database.url();
    // Each takes one job, so that two jobs are on two engines.
    let one_each = [("SE_JOBS__MAX_CONCURRENT", "1")];
    let start =
        async |data: &str| Server::replica(folder.path(), Some(&url), data, &one_each).await;
    let first = start("a").await;
    let zip = folder.path().join("lab.zip");
    std::fs::write(&zip, pack(&example(), &Limits::default()).unwrap()).unwrap();
    first.sync("lab", &zip).await;
    // From here on nobody else can have it.
    std::fs::remove_file(&zip).unwrap();

    let busy = pauses(&first, 3).await;
    let runs = |it: &Value| it["status"] == "running";
    first.when(&busy, runs).await;
    let second = start("b").await;
    let job = pauses(&first, 0).await;
    let ended = async { (second.ended(&job).await, first.ended(&busy).await) };
    let (job, busy) = tokio::time::timeout(PATIENCE, ended).await.unwrap();
    assert_eq!(job["status"], "completed", "{job:#}");
    assert_eq!(busy["status"], "completed", "{busy:#}");
    // It had been claimed by the one without, which had nothing else to do.
    let metrics = reqwest::get(format!("{}/metrics", second.url))
        .await
        .unwrap();
    let metrics = metrics.text().await.unwrap();
    let broken = metrics
        .lines()
        .find(|it| it.contains("broken") && !it.starts_with('#'));
    let count = broken.and_then(|it| it.rsplit(' ').next()?.parse::<f64>().ok());
    assert!(count.is_some_and(|it| it >= 3.0), "{metrics}");
}
