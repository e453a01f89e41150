//! Stopping and starting again: nothing is lost, nothing runs twice.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::harness::Service;

#[tokio::test]
async fn jobs_go_on_where_an_engine_stopped() {
    let service = Service::ready(|config| config.jobs.max_concurrent = 1).await;
    let running = service.submit("wait", json!({})).await;
    service.reaches(&running, "step_started", "long").await;
    let waiting = service.submit("judge", json!({})).await;
    let stopped = tokio::time::timeout(Duration::from_secs(20), service.engine.stop()).await;
    assert!(stopped.is_ok(), "the engine stops in time");
    let folder = Arc::clone(&service.folder);
    drop(service);
    let service = Service::again(folder, |config| config.jobs.max_concurrent = 2).await;
    service.followed(&waiting).await;
    let (_, job) = service.get(&format!("/api/v1/jobs/{waiting}")).await;
    assert_eq!(job["status"], "completed", "{job}");
    let (_, job) = service.get(&format!("/api/v1/jobs/{running}")).await;
    assert_eq!(
        (&job["status"], &job["steps"][1]["attempt"]),
        (&json!("running"), &json!(1)),
        "{job}"
    );
    assert_eq!(
        service
            .call("DELETE", &format!("/api/v1/jobs/{running}"), "")
            .await
            .0,
        204
    );
    let stream = service.followed(&running).await;
    assert_eq!(
        stream.matches("\"task_name\":\"first\"").count(),
        2,
        "started and completed once"
    );
    service.engine.stop().await;
}

#[tokio::test]
async fn a_job_whose_content_is_gone_ends_and_disturbs_no_other() {
    let service = Service::ready(|config| config.jobs.max_concurrent = 1).await;
    let running = service.submit("wait", json!({})).await;
    service.reaches(&running, "step_started", "long").await;
    service.engine.stop().await;
    let folder = Arc::clone(&service.folder);
    drop(service);
    std::fs::remove_dir_all(folder.path().join("data/packages")).unwrap();
    let service = Service::again(folder, |_| {}).await;
    service.reaches(&running, "job_faulted", "").await;
    let (status, job) = service.get(&format!("/api/v1/jobs/{running}")).await;
    assert_eq!((status, &job["status"]), (200, &json!("faulted")), "{job}");
    assert!(
        job["error_message"]
            .as_str()
            .unwrap()
            .contains("sync the version again"),
        "{job}"
    );
    service.engine.stop().await;
}

#[tokio::test]
async fn a_job_that_takes_too_long_is_cancelled_with_the_reason() {
    let service = Service::ready(|config| config.jobs.default_timeout = 1).await;
    let id = service.submit("wait", json!({})).await;
    let stream = service.followed(&id).await;
    assert!(stream.contains("jobs.default_timeout (1 s)"), "{stream}");
}

#[tokio::test]
async fn a_job_whose_key_is_lost_waits_for_it_and_can_be_cancelled() {
    let service = Service::ready(|_| {}).await;
    let secret = json!({"secrets": {"name": "s3cr3t-value"}});
    let id = service.submit("wait", secret).await;
    service.reaches(&id, "step_started", "long").await;
    service.engine.stop().await;
    let folder = Arc::clone(&service.folder);
    drop(service);
    let other = se_runtime::Secret::new("7".repeat(64));
    let service = Service::again(folder, |config| config.sealing.key = Some(other)).await;
    let path = format!("/api/v1/jobs/{id}");
    assert_eq!(service.get(&path).await.1["status"], "running");
    assert_eq!(service.call("DELETE", &path, "").await.0, 204);
    let stream = service.followed(&id).await;
    assert!(stream.contains("event: job.cancelled"), "{stream}");
}
