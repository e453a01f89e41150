//! Jobs that go on from what an ended one left: retry and regrade.

use std::path::Path;

use axum::body::Body;
use axum::http::Request;
use se_testkit::sim::{NodeState, Pod, PodOptions};
use serde_json::{Value, json};

use crate::harness::{Service, zip};

const RUBRIC: &str = "apiVersion: pav1\nkind: EvaluationRuleset\nmetadata: {name: rubric}\nspec:\n  max_points: 3\n  items:\n\
     \x20   - {id: 1, points: 1, description: an ACL, checks: [{source: rtr01.acl, regex: MGMTOPS}]}\n\
     \x20   - {id: 2, points: 2, description: NTP, checks: [{source: rtr02.ntp, regex: '192\\.0\\.2\\.9'}]}\n";

const GRADE: &str = "apiVersion: pav1\nkind: JobDefinition\nmetadata: {name: grade, version: v1}\nspec:\n  process_type: Grading\n  steps:\n\
     \x20   - id: change\n      uses: exec@v1\n      target: rtr01\n      with: {script: \"configure terminal\\nhostname rtr01\\nend\"}\n\
     \x20   - id: optional\n      uses: pause@v1\n      when: \"${ false }\"\n      with: {seconds: 3600}\n\
     \x20   - id: acl\n      uses: collect@v1\n      stage: collect\n      target: rtr01\n      with: {command: show access-list}\n      capture: {output: rtr01.acl}\n\
     \x20   - id: ntp\n      uses: collect@v1\n      stage: collect\n      needs: [acl]\n      target: rtr02\n      with: {command: show ntp associations}\n      capture: {output: rtr02.ntp}\n\
     \x20   - id: evaluate\n      uses: evaluate.regex@v1\n      stage: evaluate\n      with: {ruleset: rubric}\n      capture: {items: graded}\n";

const LIFECYCLE: &str = "apiVersion: pav1\nkind: Lifecycle\nmetadata: {lablet: POD}\nspec:\n  phases:\n\
     \x20   - name: grade\n      jobs: [{definition: grade@v1, process_type: Grading, rubric: rubric, report: score}]\n";

const SCORE: &str = "apiVersion: pav1\nkind: ProcessReportSpec\nmetadata: {name: score}\nspec:\n  process_type: Grading\n  report_class: ScoreReport\n";

/// A package for two routers of the example's pod.
fn package(rubric: &str) -> Vec<(&'static str, String)> {
    let connector = |name: &str| {
        format!(
            "    - name: {name}\n      class: cisco_common\n      transport: telnet\n      timeout: 3\n\
             \x20     prompt: \"${{ runtime_env.devices.{name}.prompt }}\"\n\
             \x20     enable_password: \"${{ runtime_env.devices.{name}.enable_password }}\"\n\
             \x20     port: \"${{ runtime_env.devices.{name}.serial_port }}\"\n"
        )
    };
    let connectors = format!(
        "apiVersion: pav1\nkind: ConnectorModel\nmetadata: {{name: POD}}\nspec:\n  connectors:\n{}{}",
        connector("rtr01"),
        connector("rtr02")
    );
    let manifest = "apiVersion: pav1\nkind: LabletDefinition\nmetadata: {name: POD, title: Pod, content_version: \"1\"}\n\
                    spec: {pod_type: CML_ON_AWS, summary: Two routers.}\n";
    let example = |path: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/lab-0.1/PAv1");
        std::fs::read_to_string(folder.join(path)).unwrap()
    };
    vec![
        ("manifest.yaml", manifest.to_owned()),
        ("connectors.yaml", connectors),
        ("lifecycle.yaml", LIFECYCLE.to_owned()),
        ("jobs/grade.yaml", GRADE.to_owned()),
        ("grading/rubric.yaml", rubric.to_owned()),
        ("reports/score.yaml", SCORE.to_owned()),
        ("topology/cml.yaml", example("topology/cml.yaml")),
        ("topology/devices.json", example("topology/devices.json")),
        ("topology/ports.json", example("topology/ports.json")),
    ]
}

async fn sync(service: &Service, version: &str, rubric: &str) {
    let documents = package(rubric);
    let documents: Vec<(&str, &str)> = documents.iter().map(|it| (it.0, it.1.as_str())).collect();
    let uri = zip(
        service.folder.path(),
        &format!("pod{version}.zip"),
        &documents,
    );
    let body = json!({"definition_id": "pod", "version": version, "s3_uri": uri});
    let (status, answer) = service.post("/api/v1/content/sync", body).await;
    assert_eq!(
        (status, &answer["status"]),
        (202, &json!("ready")),
        "{answer}"
    );
}

async fn pod() -> Pod {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/lab-0.1");
    let pod = Pod::start(PodOptions::new(example).unwrap()).await.unwrap();
    for node in ["rtr01", "rtr02"] {
        pod.power().set(node, NodeState::Booted);
    }
    pod
}

/// The commands that a device was given, but for leaving it.
fn commands(pod: &Pod, device: &str) -> Vec<String> {
    let own = pod.journal().entries().into_iter();
    own.filter(|it| it.subject == device && it.action == "command")
        .map(|it| it.detail)
        .filter(|it| it != "end" && it != "exit")
        .collect()
}

fn pointers(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().unwrap().iter();
    errors.map(|it| it["pointer"].as_str().unwrap()).collect()
}

fn statuses(job: &Value) -> Vec<(&str, &str)> {
    let steps = job["steps"].as_array().unwrap().iter();
    steps
        .map(|it| (it["id"].as_str().unwrap(), it["status"].as_str().unwrap()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_is_mended_retried_and_graded_again() {
    let service = Service::start().await;
    sync(&service, "1", RUBRIC).await;
    let pod = pod().await;
    let mut body = pod.facts();
    // Every secret and, as it is the same text as a password, a user name.
    let given = body["runtime_env"].clone();
    body["runtime_env"]["devices"]["rtr02"]["enable_password"] = json!("wrong-one");
    let more = json!({"definition_id": "pod", "version": "1", "phase": "grade", "session_id": "s"});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let (status, answer) = service.post("/api/v1/jobs", body).await;
    assert_eq!(status, 202, "{answer}");
    let first = answer["job_id"].as_str().unwrap().to_owned();
    service.followed(&first).await;
    let (_, job) = service.get(&format!("/api/v1/jobs/{first}")).await;
    assert_eq!(job["status"], "faulted", "{job}");
    assert!(statuses(&job).contains(&("acl", "completed")), "{job}");
    assert!(statuses(&job).contains(&("ntp", "faulted")), "{job}");

    // Secrets were erased: those that are missing are named.
    let path = format!("/api/v1/jobs/{first}/retry");
    let (status, problem) = service.call("POST", &path, "").await;
    assert_eq!(status, 422, "{problem}");
    let missing = pointers(&problem);
    for pointer in [
        "/worker/cml_password",
        "/runtime_env/devices/rtr02/enable_password",
    ] {
        assert!(missing.contains(&pointer), "{pointer}: {problem}");
    }

    let (rtr01, rtr02) = (commands(&pod, "rtr01"), commands(&pod, "rtr02"));
    assert!(rtr01.iter().any(|it| it == "show access-list"), "{rtr01:?}");
    let body = json!({"worker": {"cml_password": "admin-pw"}, "runtime_env": given});
    let (status, answer) = service.post(&path, body).await;
    assert_eq!(
        (status, &answer["retry_of"]),
        (202, &json!(first)),
        "{answer}"
    );
    let second = answer["job_id"].as_str().unwrap().to_owned();
    service.followed(&second).await;
    let (_, job) = service.get(&format!("/api/v1/jobs/{second}")).await;
    assert_eq!(job["status"], "completed", "{job}");
    assert_eq!(job["retry_of"], json!(first));
    // Nothing was done twice.
    assert_eq!(commands(&pod, "rtr01"), rtr01);
    let now = commands(&pod, "rtr02");
    assert!(
        now.len() > rtr02.len() && now.iter().any(|it| it.starts_with("show ntp")),
        "{now:?}"
    );
    let (_, report) = service.get(&format!("/api/v1/jobs/{second}/report")).await;
    assert_eq!(report["totals"]["points_awarded"], json!(1), "{report}");
    drop(pod);

    regraded(&service, &second).await;
}

/// Another rubric gives other points to the same evidence; the pod is gone.
async fn regraded(service: &Service, graded: &str) {
    sync(
        service,
        "2",
        &RUBRIC.replace("192\\.0\\.2\\.9", "192\\.168\\.10\\.254"),
    )
    .await;
    let path = format!("/api/v1/jobs/{graded}/regrade");
    for (body, version, points) in [(json!({"version": "2"}), "2", 3), (json!({}), "1", 1)] {
        let (status, answer) = service.post(&path, body).await;
        assert_eq!(
            (status, &answer["version"]),
            (202, &json!(version)),
            "{answer}"
        );
        assert_eq!(answer["regrade_of"], json!(graded));
        let id = answer["job_id"].as_str().unwrap().to_owned();
        service.followed(&id).await;
        let (_, job) = service.get(&format!("/api/v1/jobs/{id}")).await;
        assert_eq!(job["status"], "completed", "{job}");
        assert!(statuses(&job).contains(&("optional", "skipped")), "{job}");
        let (_, report) = service.get(&format!("/api/v1/jobs/{id}/report")).await;
        assert_eq!(
            report["totals"]["points_awarded"],
            json!(points),
            "{report}"
        );
    }
    let (status, problem) = service.post(&path, json!({"version": "9"})).await;
    assert_eq!((status, pointers(&problem)), (422, vec!["/version"]));
}

#[tokio::test]
async fn a_cancelled_job_goes_on_and_one_that_runs_or_completed_does_not() {
    let service = Service::ready(|_| {}).await;
    let id = service
        .submit("wait", json!({"metadata": {"a": 1, "b": 1}}))
        .await;
    service.reaches(&id, "step_started", "long").await;
    let path = format!("/api/v1/jobs/{id}/retry");
    let (status, problem) = service.call("POST", &path, "").await;
    assert_eq!(status, 409, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("cancel it"));
    service
        .call("DELETE", &format!("/api/v1/jobs/{id}"), "")
        .await;
    service.followed(&id).await;

    let retry = async |body: Value| {
        let request = Request::post(&path).header("Idempotency-Key", "again");
        service
            .send(request.body(Body::from(body.to_string())).unwrap())
            .await
    };
    let (status, first) = retry(json!({"metadata": {"b": 2}})).await;
    assert_eq!(status, 202, "{first}");
    let (_, repeated) = retry(json!({"metadata": {"b": 2}})).await;
    assert_eq!(repeated["job_id"], first["job_id"]);
    assert_eq!(retry(json!({"metadata": {"b": 3}})).await.0, 409);
    let again = first["job_id"].as_str().unwrap();
    service.reaches(again, "step_started", "long").await;
    let (_, job) = service.get(&format!("/api/v1/jobs/{again}")).await;
    assert_eq!(job["metadata"], json!({"a": 1, "b": 2}));
    assert_eq!(
        statuses(&job)[..2],
        [("first", "completed"), ("long", "running")]
    );
    let records = service
        .engine
        .store()
        .events(again, 0, 100)
        .await
        .unwrap()
        .records;
    let begun = records
        .iter()
        .filter(|it| it.event.kind() == "step_started");
    let begun: Vec<&str> = begun.filter_map(|it| it.event.step()).collect();
    assert_eq!(begun, ["first", "long"], "brought along, not begun again");

    let done = service.submit("judge", json!({})).await;
    service.followed(&done).await;
    for (what, says) in [("retry", "nothing left to do"), ("regrade", "no rubric")] {
        let (status, problem) = service
            .post(&format!("/api/v1/jobs/{done}/{what}"), json!({}))
            .await;
        assert_eq!(status, 409, "{problem}");
        assert!(
            problem["detail"].as_str().unwrap().contains(says),
            "{problem}"
        );
        let unknown = service
            .post(&format!("/api/v1/jobs/none/{what}"), json!({}))
            .await;
        assert_eq!(unknown.0, 404);
    }
}

#[tokio::test]
async fn content_that_is_gone_is_told_and_content_that_expired_serves() {
    let service = Service::ready(|_| {}).await;
    let id = service.submit("wait", json!({})).await;
    service.reaches(&id, "step_started", "long").await;
    service
        .call("DELETE", &format!("/api/v1/jobs/{id}"), "")
        .await;
    service.followed(&id).await;
    assert_eq!(
        service.call("DELETE", "/api/v1/content/tiny", "").await.0,
        204
    );
    let path = format!("/api/v1/jobs/{id}/retry");
    assert_eq!(service.post(&path, json!({})).await.0, 202);
    std::fs::remove_dir_all(service.folder.path().join("data/packages")).unwrap();
    let (status, problem) = service.post(&path, json!({})).await;
    assert_eq!(status, 409, "{problem}");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("not stored any more"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_retry_finds_secrets_in_the_folder_of_the_service() {
    let secrets = tempfile::tempdir().unwrap();
    let folder = secrets.path().to_path_buf();
    let service = Service::ready(move |config| config.secrets.dir = Some(folder)).await;
    let env = json!({"runtime_env": {"devices": {"r1": {"password": "hunter22"}}}});
    let id = service.submit("wait", env).await;
    service.reaches(&id, "step_started", "long").await;
    let job = format!("/api/v1/jobs/{id}");
    service.call("DELETE", &job, "").await;
    service.followed(&id).await;
    let path = format!("{job}/retry");
    let (status, problem) = service.post(&path, json!({})).await;
    let place = "/runtime_env/devices/r1/password";
    assert_eq!((status, pointers(&problem)), (422, vec![place]));
    std::fs::write(secrets.path().join("devices.r1.password"), "hunter23\n").unwrap();
    let (status, answer) = service.post(&path, json!({})).await;
    assert_eq!(status, 202, "{answer}");
    let again = answer["job_id"].as_str().unwrap();
    let known = service.engine.store().secrets(again).await.unwrap();
    let known: Vec<&str> = known.iter().map(se_runtime::Secret::expose).collect();
    assert_eq!(known, ["hunter23"]);
}
