//! What every route answers to good and bad requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request};
use futures_util::future::BoxFuture;
use se_runtime::{Clock, Event, Record, Timestamp};
use se_server::World;
use se_store::NewJob;
use se_testkit::s3::S3Server;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::harness::{Home, PATIENCE, Service, text};

#[tokio::test]
async fn health_and_its_aliases_answer_with_and_without_a_slash() {
    let service = Service::start().await;
    for path in ["/healthz", "/api/health", "/api/health/"] {
        let (status, body) = service.get(path).await;
        assert_eq!(
            (status, &body["status"]),
            (200, &json!("healthy")),
            "{path}"
        );
    }
    for path in ["/readyz", "/readyz/", "/api/ready"] {
        assert_eq!(service.get(path).await.1["status"], "ready", "{path}");
    }
    for path in ["/metrics", "/api/metrics"] {
        let (status, body) = service.get(path).await;
        assert_eq!(status, 200);
        assert!(
            body.as_str()
                .unwrap()
                .contains("se_jobs_submitted_total 0\n"),
            "{body}"
        );
    }
    assert_eq!(service.get("/api/info").await.1["name"], "scenario-engine");
    assert!(
        service
            .get("/docs")
            .await
            .1
            .as_str()
            .unwrap()
            .contains("<!doctype html>")
    );
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "it is one table")]
async fn every_mistake_is_a_problem_document() {
    let service = Service::ready(|config| config.server.body_limit = 300).await;
    let long = format!("/api/v1/jobs?x={}", "y".repeat(9000));
    let large = json!({"phase": "x".repeat(400)}).to_string();
    let ten = "00000000-0000-0000-0000-000000000000";
    let cases: Vec<(&str, String, String, u16, &str)> = vec![
        ("GET", "/nope".into(), String::new(), 404, "/docs shows"),
        ("PUT", "/api/v1/jobs".into(), String::new(), 405, "`Allow`"),
        ("GET", long, String::new(), 414, "bytes"),
        (
            "GET",
            "/api/v1/jobs/%FF".into(),
            String::new(),
            400,
            "UTF-8",
        ),
        (
            "POST",
            "/api/v1/jobs".into(),
            "{bad".into(),
            400,
            "line 1, column 2",
        ),
        (
            "POST",
            "/api/v1/jobs".into(),
            String::new(),
            400,
            "ends too early",
        ),
        (
            "POST",
            "/api/v1/jobs".into(),
            "[]".into(),
            422,
            "JSON object",
        ),
        (
            "POST",
            "/api/v1/jobs".into(),
            large,
            413,
            "larger than 300 bytes",
        ),
        (
            "POST",
            "/api/v1/jobs".into(),
            "{}".into(),
            422,
            "`scenario_name`",
        ),
        (
            "GET",
            "/api/v1/jobs?status=done".into(),
            String::new(),
            422,
            "give accepted",
        ),
        (
            "GET",
            "/api/v1/jobs?limit=0".into(),
            String::new(),
            422,
            "1 to 1000",
        ),
        (
            "GET",
            "/api/v1/jobs?cursor=x".into(),
            String::new(),
            422,
            "no cursor",
        ),
        (
            "GET",
            format!("/api/v1/jobs/{ten}"),
            String::new(),
            404,
            ten,
        ),
        (
            "DELETE",
            format!("/api/v1/jobs/{ten}"),
            String::new(),
            404,
            ten,
        ),
        (
            "GET",
            format!("/api/v1/jobs/{ten}/stream"),
            String::new(),
            404,
            ten,
        ),
        (
            "GET",
            format!("/api/v1/jobs/{ten}/events"),
            String::new(),
            404,
            ten,
        ),
        (
            "GET",
            format!("/api/v1/jobs/{ten}/report"),
            String::new(),
            404,
            ten,
        ),
        (
            "GET",
            "/api/v1/content/none".into(),
            String::new(),
            404,
            "none",
        ),
        (
            "GET",
            "/api/v1/content/none/versions".into(),
            String::new(),
            404,
            "none",
        ),
        (
            "DELETE",
            "/api/v1/content/none".into(),
            String::new(),
            404,
            "none",
        ),
        (
            "GET",
            "/api/v1/content/tiny/files/PAv1/../x".into(),
            String::new(),
            404,
            "no file",
        ),
        (
            "GET",
            "/api/v1/content/tiny/files/PAv1/none".into(),
            String::new(),
            404,
            "no file",
        ),
        (
            "POST",
            "/api/v1/content/sync".into(),
            "{}".into(),
            422,
            "s3_uri",
        ),
        (
            "POST",
            "/api/v1/content/validate".into(),
            "no zip".into(),
            422,
            "zip",
        ),
        (
            "GET",
            "/api/v1/scenarios/collect/v9".into(),
            String::new(),
            404,
            "it has v1",
        ),
        (
            "GET",
            "/api/v1/scenarios/nothing/v1".into(),
            String::new(),
            404,
            "lists them",
        ),
        (
            "GET",
            "/api/v1/schemas/nothing".into(),
            String::new(),
            404,
            "there are",
        ),
        (
            "GET",
            "/api/v1/deliveries?status=x".into(),
            String::new(),
            422,
            "pending",
        ),
        (
            "POST",
            "/api/v1/deliveries/x/resend".into(),
            String::new(),
            404,
            "no delivery",
        ),
        (
            "POST",
            "/api/v1/deliveries/7/resend".into(),
            String::new(),
            404,
            "delivery 7",
        ),
    ];
    for (method, path, body, expected, says) in cases {
        let (status, problem) = service.call(method, &path, body).await;
        assert_eq!(status, expected, "{method} {path}: {problem}");
        assert_eq!(problem["status"], expected, "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{method} {path}: {detail}");
        let own_path = path.split('?').next().unwrap();
        assert_eq!(problem["instance"], own_path, "{problem}");
    }
}

#[tokio::test]
async fn mistakes_in_a_submission_are_told_all_at_once_by_their_place() {
    let service = Service::ready(|_| {}).await;
    let body = json!({
        "definition_id": 7,
        "phse": "judge",
        "worker": {"cml_pasword": "x", "cml_url": "ftp://x", "tls": {"verify": "no"}, "capabilities": "big"},
        "callback_url": "http://user:hunter2@x/events",
        "execution": "fast",
    });
    let (status, problem) = service.post("/api/v1/jobs", body).await;
    assert_eq!(status, 422);
    let errors = problem["errors"].as_array().unwrap();
    let pointers: Vec<&str> = errors
        .iter()
        .map(|it| it["pointer"].as_str().unwrap())
        .collect();
    for expected in [
        "/phse",
        "/phase",
        "/definition_id",
        "/worker/cml_pasword",
        "/worker/cml_url",
        "/worker/tls/verify",
        "/worker/capabilities",
        "/callback_url",
        "/execution",
    ] {
        assert!(pointers.contains(&expected), "{expected}: {pointers:?}");
    }
    assert!(!problem.to_string().contains("hunter2"), "{problem}");
}

#[tokio::test]
async fn scenarios_catalogue_and_schemas_are_one_registration() {
    let service = Service::start().await;
    let (_, all) = service.get("/api/v1/scenarios?name_filter=cml.lab_").await;
    let names: Vec<&str> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["cml.lab_resolve", "cml.lab_start", "cml.lab_stop"]);
    let (_, one) = service.get("/api/v1/scenarios/cml.lab_start/v1").await;
    assert_eq!(one["pod_types"], json!(["cml_on_aws"]));
    let (_, catalog) = service.get("/api/v1/catalog").await;
    let all = catalog["functions"].as_array().unwrap();
    assert_eq!(all.len(), se_dsl::catalog::all().len());
    let (_, schema) = service.get("/api/v1/schemas/collect@v1.input").await;
    assert_eq!(
        &schema,
        &service.get("/api/v1/scenarios/collect/v1").await.1["input_schema"]
    );
    let exec = all.iter().find(|it| it["name"] == "exec").unwrap();
    assert_eq!(exec["pod_types"], json!(["cml_on_aws", "none"]));
    for key in [
        "version",
        "description",
        "effect",
        "stage",
        "repeatable",
        "input_schema",
        "output_schema",
    ] {
        assert!(!exec[key].is_null(), "{key}");
    }
    // Every schema that the catalogue names is there, under both of its names.
    let names = catalog["schemas"].as_array().unwrap();
    assert!(names.contains(&json!("job-definition")) && names.contains(&json!("pav1")));
    for name in names.iter().filter_map(|it| it.as_str()) {
        let (status, schema) = service.get(&format!("/api/v1/schemas/{name}")).await;
        assert_eq!(status, 200, "{name}");
        let file = format!("/api/v1/schemas/{name}.schema.json");
        assert_eq!(service.get(&file).await, (status, schema), "{name}");
    }
}

#[tokio::test]
async fn the_description_names_every_route() {
    let service = Service::start().await;
    let (_, api) = service.get("/openapi.json").await;
    assert_eq!(api["openapi"], "3.1.0");
    let mut routes = Vec::new();
    for (path, methods) in api["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(
                operation["summary"].is_string(),
                "{method} {path} says what it does"
            );
            routes.push(format!("{} {path}", method.to_uppercase()));
        }
    }
    routes.sort();
    insta::assert_snapshot!(routes.join("\n"));
}

#[tokio::test]
async fn jobs_are_listed_in_pages() {
    let service = Service::ready(|_| {}).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = service.submit("judge", json!({"session_id": "s"})).await;
        service.followed(&id).await;
        ids.insert(0, id);
    }
    let (_, first) = service
        .get("/api/v1/jobs?session_id=s&status=completed&limit=2")
        .await;
    let next = first["next_cursor"].as_str().unwrap();
    let (_, second) = service
        .get(&format!("/api/v1/jobs?session_id=s&limit=2&cursor={next}"))
        .await;
    assert_eq!(second["next_cursor"], Value::Null);
    let listed = [&first, &second]
        .into_iter()
        .flat_map(|it| it["jobs"].as_array().unwrap());
    let listed: Vec<&str> = listed.map(|it| it["job_id"].as_str().unwrap()).collect();
    assert_eq!(listed, ids);
    assert_eq!(
        service.get("/api/v1/jobs?phase=wait").await.1["jobs"],
        json!([])
    );
}

#[tokio::test]
async fn a_report_comes_in_the_form_that_is_asked_for() {
    let service = Service::ready(|_| {}).await;
    let id = service.submit("judge", json!({})).await;
    service.followed(&id).await;
    let path = format!("/api/v1/jobs/{id}/report");
    let (status, report) = service.get(&path).await;
    assert_eq!(
        (status, &report["report_class"]),
        (200, &json!("ReadinessReport")),
        "{report}"
    );
    for (accept, begins) in [
        ("text/html", "<!doctype html"),
        ("text/markdown", "#"),
        ("text/plain", "Readiness"),
    ] {
        let request = Request::get(&path)
            .header("accept", accept)
            .body(Body::empty())
            .unwrap();
        let answer = service.raw(request).await;
        let kind = answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(kind.starts_with(accept), "{kind}");
        let text = text(answer).await;
        assert!(
            text.to_lowercase().starts_with(&begins.to_lowercase()),
            "{accept}: {text}"
        );
    }
    let evidence = service.raw(
        Request::get(format!("/api/v1/jobs/{id}/evidence"))
            .body(Body::empty())
            .unwrap(),
    );
    let zip = axum::body::to_bytes(evidence.await.into_body(), usize::MAX)
        .await
        .unwrap();
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(zip)).unwrap();
    let manifest: Value = serde_json::from_reader(zip.by_name("manifest.json").unwrap()).unwrap();
    assert_eq!(
        manifest["files"].as_array().unwrap().len() + 1,
        zip.len(),
        "{manifest}"
    );
    assert_eq!(
        manifest["files"][0]["sha256"].as_str().unwrap().len(),
        64,
        "{manifest}"
    );
    let waiting = service.submit("wait", json!({})).await;
    let (status, problem) = service.get(&format!("/api/v1/jobs/{waiting}/report")).await;
    assert_eq!(status, 404, "{problem}");
}

#[tokio::test]
async fn names_of_a_query_that_nobody_reads_are_mistakes() {
    let service = Service::start().await;
    for (path, says) in [
        ("/api/v1/jobs?sttaus=running", "did you mean `status`?"),
        ("/api/v1/jobs?limit=5&colour=red", "there are status"),
        ("/api/v1/content/none/versions?version=v1", "takes no query"),
        (
            "/api/v1/scenarios?name_filtr=cml",
            "did you mean `name_filter`?",
        ),
    ] {
        let (status, problem) = service.get(path).await;
        assert_eq!(status, 422, "{path}: {problem}");
        assert!(problem.to_string().contains(says), "{path}: {problem}");
    }
    for path in [
        "/api/v1/jobs?limit=5&status=running",
        "/api/v1/scenarios?name_filter=cml",
        "/healthz?probe=1",
    ] {
        assert_eq!(service.get(path).await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn no_answer_shows_the_token_in_a_receivers_address() {
    let service = Service::ready(|_| {}).await;
    let to = json!({"callback_url": "http://127.0.0.1:9/events?token=t0ken-of-the-receiver"});
    let id = service.submit("judge", to).await;
    let mut shown = service.followed(&id).await;
    for path in [
        format!("/api/v1/jobs/{id}/events"),
        format!("/api/v1/jobs/{id}"),
        "/api/v1/deliveries".to_owned(),
    ] {
        let (status, answer) = service.get(&path).await;
        assert_eq!(status, 200, "{path}: {answer}");
        shown.push_str(&answer.to_string());
    }
    assert!(
        shown.contains("\"callback_url\":\"http://127.0.0.1:9/events\""),
        "{shown}"
    );
    assert!(!shown.contains("t0ken"), "{shown}");
}

/// What a request with that key, if one is given, is answered.
async fn keyed(service: &Service, path: &str, key: Option<&str>, body: &str) -> (u16, Value) {
    let mut request = Request::post(path);
    if let Some(key) = key {
        request = request.header("Idempotency-Key", key);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    service.send(request).await
}

const JOBS: &str = "/api/v1/jobs";

#[tokio::test]
async fn a_repeated_request_gets_its_job_whatever_became_of_its_content() {
    let service = Service::ready(|_| {}).await;
    let body = json!({"definition_id": "tiny", "version": "1", "phase": "judge"}).to_string();
    let mut more: Value = serde_json::from_str(&body).unwrap();
    more["metadata"] = json!({"step_correlation_id": "c"});
    let correlated = more.to_string();
    let (_, by_key) = keyed(&service, JOBS, Some("k"), &body).await;
    let (_, by_correlation) = keyed(&service, JOBS, None, &correlated).await;
    let id = service.submit("wait", json!({})).await;
    service.reaches(&id, "step_started", "long").await;
    let path = format!("/api/v1/jobs/{id}");
    service.call("DELETE", &path, "").await;
    service.followed(&id).await;
    let retry = format!("{path}/retry");
    let (_, retried) = keyed(&service, &retry, Some("r"), "{}").await;
    assert_ne!(retried["job_id"], id, "{retried}");

    let expired = service.call("DELETE", "/api/v1/content/tiny", "").await.0;
    assert_eq!(expired, 204);
    std::fs::remove_dir_all(service.folder.path().join("data/packages")).unwrap();
    for (path, key, body, first) in [
        (JOBS, Some("k"), body.as_str(), &by_key),
        (JOBS, None, correlated.as_str(), &by_correlation),
        (&retry, Some("r"), "{}", &retried),
    ] {
        let (status, again) = keyed(&service, path, key, body).await;
        let id = &first["job_id"];
        assert_eq!((status, &again["job_id"]), (202, id), "{again}");
    }
    // Another request with that key is told so, and another key gets what became of the content.
    for (key, says) in [("k", "another request"), ("new", "is expired")] {
        let (status, problem) =
            keyed(&service, JOBS, Some(key), &correlated.replace("\"c\"", "1")).await;
        assert_eq!(status, 409, "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{detail}");
    }
}

#[tokio::test]
async fn keys_that_cannot_be_read_are_refused() {
    let service = Service::ready(|_| {}).await;
    let body = json!({"definition_id": "tiny", "phase": "judge"}).to_string();
    let long = "k".repeat(256);
    for key in [b"caf\xc3\xa9".as_slice(), b"", long.as_bytes()] {
        let key = HeaderValue::from_bytes(key).unwrap();
        let request = Request::post(JOBS).header("Idempotency-Key", key);
        let request = request.body(Body::from(body.clone())).unwrap();
        let (status, problem) = service.send(request).await;
        assert_eq!(status, 400, "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("Idempotency-Key"), "{detail}");
    }
    assert_eq!(service.get(JOBS).await.1["jobs"], json!([]));
}

#[tokio::test]
async fn a_job_is_known_by_its_key_and_by_its_correlation() {
    let service = Service::ready(|_| {}).await;
    let send = async |key: Option<&str>, correlation: &str| {
        let body = json!({
            "definition_id": "tiny", "phase": "judge",
            "metadata": {"step_correlation_id": correlation},
        });
        let (status, answer) = keyed(&service, JOBS, key, &body.to_string()).await;
        (status, answer["job_id"].clone())
    };
    let (_, first) = send(Some("one"), "a").await;
    let (_, other) = send(Some("two"), "b").await;
    assert_ne!(first, other);
    for (key, correlation, expected) in [
        (None, "a", &first),
        (None, "b", &other),
        // A step that is tried again with a fresh key.
        (Some("three"), "a", &first),
    ] {
        let (status, again) = send(key, correlation).await;
        assert_eq!((status, &again), (202, expected), "{key:?} {correlation}");
    }
    // Where they lead to different jobs, the key decides: it was another request.
    assert_eq!(send(Some("one"), "b").await.0, 409);
}

#[tokio::test]
async fn members_in_another_order_are_the_same_request() {
    let service = Service::ready(|_| {}).await;
    let sent = r#"{"phase": "judge", "definition_id": "tiny", "variables": {"b": 1, "a": 2}}"#;
    let other = r#"{"variables": {"a": 2, "b": 1}, "definition_id": "tiny", "phase": "judge"}"#;
    for (key, first, second) in [("x", sent, other), ("y", other, sent)] {
        let (_, taken) = keyed(&service, JOBS, Some(key), first).await;
        let (status, again) = keyed(&service, JOBS, Some(key), second).await;
        assert_eq!(
            (status, &again["job_id"]),
            (202, &taken["job_id"]),
            "{again}"
        );
        let changed = second.replace("2", "3");
        assert_eq!(keyed(&service, JOBS, Some(key), &changed).await.0, 409);
    }
}

/// Former versions hashed what was sent as it was, and knew a job by one name.
#[tokio::test]
async fn a_key_that_a_former_version_stored_gets_its_job() {
    let service = Service::ready(|_| {}).await;
    let model = service.submit("judge", json!({})).await;
    let store = service.engine.store();
    let first = store.events(&model, 0, 1).await.unwrap().records.remove(0);
    let Event::JobAccepted(mut accepted) = first.event else {
        panic!("a log begins with the acceptance")
    };
    accepted.job_id = "former".to_owned();
    let event = Event::JobAccepted(accepted);
    let body = json!({"phase": "judge", "definition_id": "tiny"}).to_string();
    let hash = Sha256::digest(&body);
    let hash: String = hash.iter().map(|it| format!("{it:02x}")).collect();
    let job = NewJob {
        accepted: Record { event, ..first },
        secrets: Vec::new(),
        worker: None,
        idempotency_key: Some("key:old".to_owned()),
        request_hash: hash,
    };
    store.submit(job).await.unwrap();
    let (status, again) = keyed(&service, JOBS, Some("old"), &body).await;
    assert_eq!(
        (status, &again["job_id"]),
        (202, &json!("former")),
        "{again}"
    );
    let other = body.replace("judge", "wait");
    assert_eq!(keyed(&service, JOBS, Some("old"), &other).await.0, 409);
}

/// What `/readyz` says against the service once it says all of this.
async fn unready(service: &Service, says: &[&str]) -> String {
    let unready = async {
        loop {
            let (status, problem) = service.get("/readyz").await;
            let detail = problem["detail"].as_str().unwrap_or_default();
            if status == 503 && says.iter().all(|it| detail.contains(it)) {
                return detail.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, unready).await.unwrap()
}

#[tokio::test]
async fn a_bucket_that_does_not_answer_is_told_soon() {
    let s3 = S3Server::start().unwrap();
    s3.make_bucket("shared").unwrap();
    let (url, key) = (s3.url(), se_runtime::Secret::new("hunter2"));
    let service = Service::with(|config| {
        config.s3.endpoint = Some(url);
        config.s3.bucket = Some("shared".to_owned());
        config.s3.access_key = Some("id".to_owned());
        config.s3.secret_key = Some(key);
    })
    .await;
    let (status, ready) = service.get("/readyz").await;
    assert_eq!(status, 200, "{ready}");
    drop(s3);
    let detail = unready(&service, &["object store: the bucket shared"]).await;
    // It is not asked anew for everybody.
    let begun = Instant::now();
    assert_eq!(unready(&service, &[]).await, detail);
    assert!(begun.elapsed() < Duration::from_secs(1));
}

/// A clock that takes down whoever waits by it, from some moment on.
struct Trap(Arc<dyn Clock>, Arc<AtomicBool>);

impl Clock for Trap {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        assert!(!self.1.load(Ordering::SeqCst), "a defect");
        self.0.sleep_until(at)
    }
}

#[tokio::test]
async fn a_service_without_dispatcher_or_sender_is_not_ready() {
    let (system, armed) = (World::system(), Arc::new(AtomicBool::new(false)));
    let world = World {
        clock: Arc::new(Trap(Arc::clone(&system.clock), Arc::clone(&armed))),
        ..system
    };
    let folder = Arc::new(Home::new());
    let service = Service::in_world(folder, world, |config| {
        config.jobs.max_concurrent = 1;
        config.events.sink = Some("http://127.0.0.1:9/".to_owned());
    })
    .await;
    let uri = crate::harness::zip(
        service.folder.path(),
        "tiny.zip",
        &crate::harness::DOCUMENTS,
    );
    let body = json!({"definition_id": "tiny", "version": "1", "s3_uri": uri});
    service.post("/api/v1/content/sync", body).await;
    let running = service.submit("wait", json!({})).await;
    service.reaches(&running, "step_started", "long").await;
    armed.store(true, Ordering::SeqCst);
    service.submit("wait", json!({})).await;
    unready(&service, &["dispatcher: ", "sender: "]).await;
}
