//! Submission in both shapes, dry runs, idempotency, cancelling.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::harness::{Service, noise, text};

#[tokio::test]
async fn a_phase_job_runs_and_shows_both_names_of_everything() {
    let service = Service::ready(|_| {}).await;
    let body = json!({
        "definition_id": "tiny", "version": "1", "phase": "judge", "session_id": "s1",
        "session": {"extra": "words"}, "metadata": {"a": 1},
        "runtime_env": {"devices": {"r1": {"password": "hunter22"}}},
    });
    let request = Request::post("/api/v1/jobs/")
        .body(Body::from(body.to_string()))
        .unwrap();
    let answer = service.raw(request).await;
    assert_eq!(answer.status(), 202);
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let id = location.rsplit('/').next().unwrap().to_owned();
    service.followed(&id).await;
    let (_, job) = service.get(&location).await;
    assert_eq!(job["status"], "completed", "{job}");
    assert_eq!((&job["job_id"], &job["id"]), (&json!(id), &json!(id)));
    assert_eq!(
        (&job["progress_pct"], &job["progress"]),
        (&json!(100), &json!(100))
    );
    assert_eq!(
        (&job["error"], &job["error_message"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(job["results"]["look"]["passed"], true);
    assert_eq!(job["metadata"], json!({"a": 1}));
    let steps: Vec<&str> = job["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["status"].as_str().unwrap())
        .collect();
    assert!(steps.iter().all(|it| *it == "completed"), "{job}");
}

#[tokio::test]
async fn a_single_scenario_answers_with_its_name() {
    let service = Service::ready(|_| {}).await;
    let body = json!({
        "scenario_name": "pause", "input_data": {"seconds": 0}, "pod_definition_id": "tiny",
        "metadata": {"lablet_session_id": "ls", "step_correlation_id": "c1"},
    });
    let (status, first) = service.post("/api/v1/jobs", body.clone()).await;
    assert_eq!(status, 202, "{first}");
    assert_eq!(
        (&first["scenario_name"], &first["scenario_version"]),
        (&json!("pause"), &json!("v1"))
    );
    assert_eq!(first["session_id"], "ls");
    service.followed(first["job_id"].as_str().unwrap()).await;
    // The same correlation gets the first job, however it has gone on.
    let (_, again) = service.post("/api/v1/jobs", body).await;
    assert_eq!(
        (&again["job_id"], &again["status"]),
        (&first["job_id"], &json!("completed"))
    );
}

#[tokio::test]
async fn what_does_not_exist_is_answered_with_what_does() {
    let service = Service::ready(|_| {}).await;
    let scenario = |name: &str, input: Value| json!({"scenario_name": name, "input_data": input, "pod_definition_id": "tiny"});
    for (body, expected, says) in [
        (
            json!({"definition_id": "none", "phase": "judge"}),
            404,
            "ready are: tiny@1",
        ),
        (
            json!({"definition_id": "tiny", "version": "9", "phase": "judge"}),
            404,
            "ready are: tiny@1",
        ),
        (
            json!({"definition_id": "tiny", "phase": "juge"}),
            422,
            "judge, wait, nothing",
        ),
        (
            json!({"definition_id": "tiny", "phase": "nothing"}),
            422,
            "nothing to run",
        ),
        (scenario("paus", json!({})), 422, "GET /api/v1/scenarios"),
        (scenario("pause", json!({})), 422, "`seconds`: is required"),
        (
            scenario("pause", json!({"seconds": "x"})),
            422,
            "must be a number",
        ),
    ] {
        let (status, problem) = service.post("/api/v1/jobs", body.clone()).await;
        assert_eq!(status, expected, "{body}: {problem}");
        assert!(
            problem["detail"].as_str().unwrap().contains(says),
            "{body}: {problem}"
        );
    }
}

#[tokio::test]
async fn content_and_worker_must_agree() {
    let service = Service::ready(|_| {}).await;
    let body = json!({"definition_id": "tiny", "phase": "judge", "worker": {"adapter": "floppy"}});
    let (status, problem) = service.post("/api/v1/jobs", body).await;
    assert_eq!(status, 409, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("floppy"));
}

#[tokio::test]
async fn a_dry_run_shows_the_plan_and_stores_nothing() {
    let service = Service::ready(|_| {}).await;
    let body = json!({
        "definition_id": "tiny", "phase": "wait", "dry_run": true,
        "runtime_env": {"devices": {"r1": {"password": "hunter22"}}},
    });
    let (status, plan) = service.post("/api/v1/jobs", body).await;
    assert_eq!(
        (status, &plan["steps"][1]["id"]),
        (200, &json!("long")),
        "{plan}"
    );
    assert_eq!(plan["steps"][1]["inputs"], json!({"seconds": 3600}));
    assert_eq!(plan["steps"][1]["predecessors"][0]["step"], "first");
    assert_eq!(service.get("/api/v1/jobs").await.1["jobs"], json!([]));
}

#[tokio::test]
async fn a_key_gets_the_first_job_and_not_another_request() {
    let service = Service::ready(|_| {}).await;
    let send = async |phase: &str| {
        let body = json!({"definition_id": "tiny", "phase": phase}).to_string();
        let request = Request::post("/api/v1/jobs").header("Idempotency-Key", "k");
        service.send(request.body(Body::from(body)).unwrap()).await
    };
    let (_, first) = send("judge").await;
    let (status, second) = send("judge").await;
    assert_eq!((status, &second["job_id"]), (202, &first["job_id"]));
    let (status, problem) = send("wait").await;
    assert_eq!(status, 409, "{problem}");
}

#[tokio::test]
async fn a_running_job_is_cancelled_and_an_ended_one_is_not() {
    let service = Service::ready(|_| {}).await;
    let id = service.submit("wait", json!({})).await;
    service.reaches(&id, "step_started", "long").await;
    let path = format!("/api/v1/jobs/{id}");
    assert_eq!(
        service
            .call("DELETE", &format!("{path}?reason=enough"), "")
            .await
            .0,
        204
    );
    let stream = service.followed(&id).await;
    assert!(
        stream.contains("event: job.cancelled") && stream.contains("enough"),
        "{stream}"
    );
    let (_, job) = service.get(&path).await;
    assert_eq!(
        (&job["status"], &job["error_message"]),
        (&json!("cancelled"), &json!("enough"))
    );
    assert_eq!(service.call("DELETE", &path, "").await.0, 409);
}

#[tokio::test]
async fn no_more_jobs_wait_than_may() {
    let service = Service::ready(|config| {
        config.jobs.max_concurrent = 1;
        config.jobs.max_queued = 1;
    })
    .await;
    let running = service.submit("wait", json!({})).await;
    service.reaches(&running, "step_started", "long").await;
    let send = async |key: &str| {
        let body = json!({"definition_id": "tiny", "phase": "wait"}).to_string();
        let request = Request::post("/api/v1/jobs").header("Idempotency-Key", key);
        service.raw(request.body(Body::from(body)).unwrap()).await
    };
    let answered = async |key: &str| {
        let answer = send(key).await;
        let (status, later) = (
            answer.status(),
            answer.headers().contains_key("Retry-After"),
        );
        let body: Value = serde_json::from_str(&text(answer).await).unwrap();
        (status.as_u16(), later, body)
    };
    let (status, _, accepted) = answered("first").await;
    assert_eq!(status, 202, "{accepted}");
    let (status, later, refused) = answered("second").await;
    assert_eq!((status, later), (429, true), "{refused}");
    assert!(
        refused["detail"]
            .as_str()
            .unwrap()
            .contains("jobs.max_queued")
    );
    // What was taken in before is told again, however full it is.
    let (status, _, again) = answered("first").await;
    assert_eq!((status, &again["job_id"]), (202, &accepted["job_id"]));
    let waiting = accepted["job_id"].as_str().unwrap();
    service
        .call("DELETE", &format!("/api/v1/jobs/{waiting}"), "")
        .await;
    service.followed(waiting).await;
    let (status, _, accepted) = answered("second").await;
    assert_eq!(status, 202, "{accepted}");
}

#[tokio::test]
async fn a_waiting_job_is_cancelled_without_having_run() {
    let service = Service::ready(|config| config.jobs.max_concurrent = 1).await;
    let running = service.submit("wait", json!({})).await;
    service.reaches(&running, "step_started", "long").await;
    let waiting = service.submit("wait", json!({})).await;
    assert_eq!(
        service.get(&format!("/api/v1/jobs/{waiting}")).await.1["status"],
        "accepted"
    );
    assert_eq!(
        service
            .call("DELETE", &format!("/api/v1/jobs/{waiting}"), "")
            .await
            .0,
        204
    );
    let stream = service.followed(&waiting).await;
    assert!(stream.contains("event: job.cancelled"), "{stream}");
    assert!(!stream.contains("event: task.started"), "{stream}");
    // The other is not disturbed.
    assert_eq!(
        service.get(&format!("/api/v1/jobs/{running}")).await.1["status"],
        "running"
    );
}

fn address(length: usize) -> String {
    let host = "http://127.0.0.1:9/";
    format!("{host}{}", noise(length - host.len()))
}

#[tokio::test]
async fn the_longest_names_that_are_taken_are_no_trouble_for_a_database() {
    let service = Service::ready(|_| {}).await;
    let send = async |key: Option<String>| {
        let body = json!({
            "definition_id": "tiny", "phase": "judge", "session_id": noise(255),
            "callback_url": address(2000), "worker": {"ip": noise(255)},
            "metadata": {"step_correlation_id": noise(5000)},
        });
        let mut request = Request::post("/api/v1/jobs");
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let request = request.body(Body::from(body.to_string())).unwrap();
        let (status, answer) = service.send(request).await;
        assert_eq!(status, 202, "{answer}");
        answer["job_id"].as_str().unwrap().to_owned()
    };
    let by_key = send(Some(noise(255))).await;
    let by_correlation = send(None).await;
    for id in [&by_key, &by_correlation] {
        service.followed(id).await;
        let (_, job) = service.get(&format!("/api/v1/jobs/{id}")).await;
        assert_eq!(job["status"], "completed", "{job}");
    }
    assert_eq!(send(Some(noise(255))).await, by_key);
    assert_eq!(send(None).await, by_correlation);
}

#[tokio::test]
async fn longer_names_are_refused() {
    let service = Service::ready(|_| {}).await;
    let old = service.submit("judge", json!({})).await;
    service.followed(&old).await;
    let (retry, regrade) = (format!("{old}/retry"), format!("{old}/regrade"));
    let id = noise(256);
    for (path, body, pointer) in [
        ("", json!({"session_id": id}), "/session_id"),
        ("", json!({"definition_id": id}), "/definition_id"),
        ("", json!({"version": id}), "/version"),
        ("", json!({"worker": {"ip": id}}), "/worker/ip"),
        (
            "",
            json!({"metadata": {"lablet_session_id": id}}),
            "/metadata/lablet_session_id",
        ),
        (
            "",
            json!({"scenario_name": "pause", "pod_definition_id": id}),
            "/pod_definition_id",
        ),
        ("", json!({"callback_url": address(2001)}), "/callback_url"),
        (
            &retry,
            json!({"callback_url": address(2001)}),
            "/callback_url",
        ),
        (&regrade, json!({"version": id}), "/version"),
    ] {
        let path = format!("/api/v1/jobs/{path}");
        let (status, problem) = service.post(&path, body).await;
        assert_eq!(status, 422, "{problem}");
        let errors = problem["errors"].as_array().unwrap();
        let said = errors.iter().find(|it| it["pointer"] == pointer).unwrap();
        let said = said["message"].as_str().unwrap();
        assert!(said.contains("bytes long; give at most"), "{said}");
    }
    let body = json!({"definition_id": "tiny", "phase": "judge"}).to_string();
    let request = Request::post("/api/v1/jobs").header("Idempotency-Key", id);
    let request = request.body(Body::from(body)).unwrap();
    let (status, problem) = service.send(request).await;
    assert_eq!(status, 400, "{problem}");
}

/// A mapping that nests so many levels.
fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!({ "a": inner }))
}

/// Where a request is at fault, and what is said of it.
fn said(problem: &Value, pointer: &str) -> String {
    let errors = problem["errors"].as_array().unwrap();
    let said = errors.iter().find(|it| it["pointer"] == pointer);
    assert!(said.is_some(), "{pointer}: {problem}");
    said.unwrap()["message"].to_string()
}

#[tokio::test]
async fn what_nests_as_deep_as_may_be_is_read_again() {
    let service = Service::ready(|_| {}).await;
    let path = ["a"; 16].join(".");
    let given = json!({
        "runtime_env": nested(64), "session": nested(64), "variables": nested(64),
        "metadata": nested(64), "secrets": {path: nested(63)}, "worker": {"more": nested(63)},
    });
    let id = service.submit("judge", given).await;
    service.followed(&id).await;
    let (status, job) = service.get(&format!("/api/v1/jobs/{id}")).await;
    assert_eq!(
        (status, &job["status"]),
        (200, &json!("completed")),
        "{job}"
    );
    let path = format!("/api/v1/jobs/{id}/events");
    assert_eq!(service.get(&path).await.0, 200);
}

#[tokio::test]
async fn what_nests_deeper_is_refused_by_its_name() {
    let service = Service::ready(|_| {}).await;
    for field in [
        "runtime_env",
        "session",
        "variables",
        "secrets",
        "metadata",
        "worker",
        "input_data",
        "more",
    ] {
        for (path, levels) in [
            ("/api/v1/jobs", 65),
            ("/api/v1/jobs", 125),
            ("/api/v1/jobs/nobody/retry", 65),
            ("/api/v1/jobs/nobody/retry", 125),
        ] {
            let body = json!({"definition_id": "tiny", "phase": "judge", field: nested(levels)});
            let (status, problem) = service.post(path, body).await;
            assert_eq!(status, 422, "{field}: {problem}");
            let said = said(&problem, &format!("/{field}"));
            assert!(said.contains("deeper than 64 levels"), "{said}");
        }
    }
}

#[tokio::test]
async fn secrets_with_endless_names_are_refused_before_anything_is_made_of_them() {
    let service = Service::ready(|_| {}).await;
    let (dots, parts) = ("a.".repeat(100_000), ["a"; 17].join("."));
    for (name, pointer, says) in [
        (dots, "/secrets", "200000 bytes; give at most 255"),
        (noise(256), "/secrets", "256 bytes; give at most 255"),
        (parts.clone(), &*format!("/secrets/{parts}"), "17 parts"),
    ] {
        let body = json!({"definition_id": "tiny", "phase": "judge", "secrets": {name: "v"}});
        for path in ["/api/v1/jobs", "/api/v1/jobs/nobody/retry"] {
            let (status, problem) = service.post(path, body.clone()).await;
            assert_eq!(status, 422, "{problem}");
            let said = said(&problem, pointer);
            assert!(said.contains(says), "{said}");
        }
    }
}

#[tokio::test]
async fn metadata_that_every_event_would_hold_is_bounded() {
    let service = Service::ready(|_| {}).await;
    // The quotes, the braces and the name are seven bytes more.
    let metadata = |name: &str, bytes: usize| json!({"metadata": {name: noise(bytes - 8)}});
    let largest = metadata("a", 16 << 10);
    let id = service.submit("wait", largest).await;
    let job = format!("/api/v1/jobs/{id}");
    assert_eq!(service.call("DELETE", &job, "").await.0, 204);
    service.followed(&id).await;
    let mut larger = metadata("a", (16 << 10) + 1);
    larger["definition_id"] = json!("tiny");
    larger["phase"] = json!("judge");
    let retry = format!("{job}/retry");
    for (path, body) in [
        ("/api/v1/jobs", larger.clone()),
        (&retry, larger),
        (&retry, metadata("b", 1_000)),
    ] {
        let (status, problem) = service.post(path, body).await;
        assert_eq!(status, 422, "{problem}");
        let said = said(&problem, "/metadata");
        assert!(said.contains("give at most 16384"), "{said}");
    }
}
