//! What every route answers to good and bad requests.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::harness::{Service, text};

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
