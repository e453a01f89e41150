//! No secret is ever shown, sent, logged or stored in the clear.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::Request;
use se_testkit::sim::{NodeState, Pod, PodOptions};
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use crate::crash::example;
use crate::harness::{Service, text};
use crate::released::copy;

const SECRETS: [&str; 4] = [
    "s3cr3t-cml-pw",
    "s3cr3t-r1-pw",
    "s3cr3t-named",
    "s3cr3t-var-token",
];

/// What was logged.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// One that takes everything that this process logs from here on: one process a test.
    pub(crate) fn of_this_process() -> Self {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
        tracing::subscriber::set_global_default(subscriber.with_writer(log.clone()).finish())
            .unwrap();
        log
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    bytes
        .windows(secret.len())
        .any(|it| it == secret.as_bytes())
}

/// Everything that a caller can see of a job with secrets in it.
async fn everything_shown(service: &Service) -> String {
    let body = json!({
        "session_id": "s",
        "worker": {"ip": "127.0.0.1", "cml_username": "admin", "cml_password": SECRETS[0]},
        "runtime_env": {"devices": {"r1": {"password": SECRETS[1]}}},
        "secrets": {"vault_entry": SECRETS[2]},
        "session": {"extra": SECRETS[3]},
        "variables": {"api_token": SECRETS[3]},
        "metadata": {"note": SECRETS[2]},
        "callback_url": "http://127.0.0.1:9/nobody",
    });
    let id = service.submit("judge", body.clone()).await;
    let mut shown = service.followed(&id).await;
    for path in [
        format!("/api/v1/jobs/{id}"),
        format!("/api/v1/jobs/{id}/events?limit=1000"),
        format!("/api/v1/jobs/{id}/report"),
        "/api/v1/jobs".to_owned(),
        "/api/v1/deliveries".to_owned(),
        "/metrics".to_owned(),
    ] {
        let (status, answer) = service.get(&path).await;
        assert_eq!(status, 200, "{path}: {answer}");
        shown.push_str(&answer.to_string());
    }
    let (_, job) = service.get(&format!("/api/v1/jobs/{id}")).await;
    assert_eq!(
        (&job["worker"]["cml_password"], &job["status"]),
        (&json!("***"), &json!("completed"))
    );
    for delivery in service
        .engine
        .store()
        .outbox()
        .list(None, 100, None)
        .await
        .unwrap()
        .items
    {
        shown.push_str(&delivery.body);
    }
    for (key, value) in [
        ("dry_run", json!(true)),
        ("phase", json!("none")),
        ("worker", json!({"cml_password": [SECRETS[0]]})),
    ] {
        let mut body = body.clone();
        body["definition_id"] = json!("tiny");
        body["phase"] = json!("judge");
        body[key] = value;
        shown.push_str(&service.post("/api/v1/jobs", body).await.1.to_string());
    }
    let broken = body.to_string().replace("\"session_id\"", "session_id");
    shown.push_str(
        &service
            .call("POST", "/api/v1/jobs", broken)
            .await
            .1
            .to_string(),
    );
    shown
}

#[tokio::test]
async fn secrets_stay_where_they_belong() {
    let log = Log::of_this_process();
    let service = Service::ready(|_| {}).await;
    let shown = everything_shown(&service).await;
    let mut stored = service.folder.stored();
    service.engine.stop().await;
    stored.extend(service.folder.stored());
    let logged = log.0.lock().unwrap().clone();
    assert!(
        holds(&logged, "job accepted") && holds(&stored, "job_accepted"),
        "it is all looked at"
    );
    for secret in SECRETS {
        assert!(
            !holds(shown.as_bytes(), secret),
            "{secret} is shown: {shown}"
        );
        assert!(
            !holds(&logged, secret),
            "{secret} is logged: {}",
            String::from_utf8_lossy(&logged)
        );
        assert!(!holds(&stored, secret), "{secret} is stored");
    }
}

#[tokio::test]
async fn a_job_cannot_read_a_secret_that_it_was_not_given() {
    let own = tempfile::tempdir().unwrap();
    // The engine has it; no connector of the content asks for it.
    let name = own.path().join("devices.r1.password");
    std::fs::write(name, "s3cr3t-of-the-server").unwrap();
    let service = Service::ready(|config| {
        config.secrets.dir = Some(own.path().to_path_buf());
    })
    .await;
    let given = json!({"secrets": {"devices.r1.password": "s3cr3t-of-another-job"}});
    let other = service.submit("judge", given).await;
    service.followed(&other).await;
    let id = service.submit("judge", json!({"session_id": "s"})).await;
    let mut shown = service.followed(&id).await;
    let path = format!("/api/v1/jobs/{id}/events?limit=1000");
    let (_, events) = service.get(&path).await;
    let started = events["events"].as_array().unwrap().iter();
    let look: Vec<_> = started
        .filter(|it| it["event"] == "step_started" && it["step"] == "look")
        .collect();
    assert_eq!(look[0]["inputs"]["source"], "seen null null", "{events}");
    shown.push_str(&events.to_string());
    assert!(!shown.contains("s3cr3t"), "{shown}");
    service.engine.stop().await;
}

/// Digits that occur nowhere by chance.
const NUMBERS: [u64; 3] = [8_675_309_424_242, 9_192_631_770_123, 6_626_070_150_345];

/// The example's pod with this password, and the package in the service.
async fn opened_by(service: &Service, package: &Path, password: &str) -> Pod {
    let bytes = se_content::pack(package, &se_content::Limits::default()).unwrap();
    let zip = service.folder.path().join("lab.zip");
    std::fs::write(&zip, bytes).unwrap();
    let uri = format!("file://{}", zip.display());
    let body = json!({"definition_id": "lab", "version": "1", "s3_uri": uri});
    let (_, answer) = service.post("/api/v1/content/sync", body).await;
    assert_eq!(answer["status"], "ready", "{answer}");
    let mut options = PodOptions::new(example()).unwrap();
    options.profile.defaults.enable_password = Some(password.to_owned());
    let pod = Pod::start(options).await.unwrap();
    pod.power().set("rtr01", NodeState::Booted);
    pod
}

/// Runs a job that needs its numbers, stops one and goes on from it, and gives all that is shown.
async fn shown_of_numbers(service: &Service, pod: &Pod) -> String {
    let mut body = pod.facts();
    body["definition_id"] = json!("lab");
    body["scenario_name"] = json!("exec");
    body["input_data"] = json!({"target": "rtr01", "command": "show running-config"});
    body["runtime_env"]["devices"]["rtr01"]["enable_password"] = json!(NUMBERS[0]);
    body["secrets"] = json!({"pin": NUMBERS[1], "more": [{"pin": NUMBERS[1]}]});
    body["session"] = json!({"access_token": NUMBERS[2]});
    body["variables"] = json!({"api_key": NUMBERS[2]});
    let (status, answer) = service.post("/api/v1/jobs", body.clone()).await;
    assert_eq!(status, 202, "{answer}");
    let id = answer["job_id"].as_str().unwrap();
    let mut shown = service.followed(id).await;
    let (_, job) = service.get(&format!("/api/v1/jobs/{id}")).await;
    assert_eq!(job["status"], "completed", "{job:#}");
    body["dry_run"] = json!(true);
    shown.push_str(&service.post("/api/v1/jobs", body).await.1.to_string());

    let given = json!({"runtime_env": {"devices": {"r1": {"password": NUMBERS[0]}}}});
    let stopped = service.submit("wait", given.clone()).await;
    let path = format!("/api/v1/jobs/{stopped}");
    assert_eq!(service.call("DELETE", &path, "").await.0, 204);
    service.followed(&stopped).await;
    let (status, problem) = service.post(&format!("{path}/retry"), json!({})).await;
    assert_eq!(status, 422, "it was a secret: {problem}");
    let (status, again) = service.post(&format!("{path}/retry"), given).await;
    assert_eq!(status, 202, "{again}");
    for id in [id, &stopped, again["job_id"].as_str().unwrap()] {
        for path in ["", "/events?limit=1000", "/report", "/transcripts"] {
            let (_, answer) = service.get(&format!("/api/v1/jobs/{id}{path}")).await;
            shown.push_str(&answer.to_string());
        }
    }
    shown
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_as_good_a_secret_and_as_well_kept() {
    let service = Service::ready(|_| {}).await;
    let pod = opened_by(&service, &example(), &NUMBERS[0].to_string()).await;
    let shown = shown_of_numbers(&service, &pod).await;
    let mut stored = service.folder.stored();
    service.engine.stop().await;
    stored.extend(service.folder.stored());
    for number in NUMBERS {
        let number = number.to_string();
        assert!(!shown.contains(&number), "{number} is shown: {shown}");
        assert!(!holds(&stored, &number), "{number} is stored");
    }
}

/// Two lines of a key.
const LINES: [&str; 2] = ["bGluZS1vbmUtb2YtYS1rZXk", "bGluZS10d28tb2YtYS1rZXk"];
/// A password that is not called so.
const OPENS: &str = "s3cr3t-opens-rtr01";

/// What is shown of a job that runs one command.
async fn shown_of_exec(service: &Service, body: &Value, target: &str, command: &str) -> String {
    let mut body = body.clone();
    body["input_data"] = json!({"target": target, "command": command});
    let (status, answer) = service.post("/api/v1/jobs", body).await;
    assert_eq!(status, 202, "{answer}");
    let id = answer["job_id"].as_str().unwrap();
    let mut shown = service.followed(id).await;
    for path in ["", "/events?limit=1000"] {
        let (_, answer) = service.get(&format!("/api/v1/jobs/{id}{path}")).await;
        shown.push_str(&answer.to_string());
    }
    assert!(shown.contains("\"completed\""), "{shown}");
    let said = Request::get(format!("/api/v1/jobs/{id}/transcripts/{target}"));
    let said = service.raw(said.body(Body::empty()).unwrap()).await;
    shown + &text(said).await
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_a_key_and_passwords_of_other_names_are_kept_as_well() {
    let service = Service::ready(|_| {}).await;
    let package = service.folder.path().join("package");
    copy(&example(), &package);
    let connectors = package.join("PAv1/connectors.yaml");
    let before = std::fs::read_to_string(&connectors).unwrap();
    let after = before.replace("devices.rtr01.enable_password", "devices.rtr01.opens");
    assert_ne!(before, after);
    std::fs::write(&connectors, after).unwrap();
    let pod = opened_by(&service, &package, OPENS).await;
    let key = format!(
        "-----BEGIN KEY-----\n{}\n-----END KEY-----\n",
        LINES.join("\n")
    );
    let mut body = pod.facts();
    body["definition_id"] = json!("lab");
    body["scenario_name"] = json!("exec");
    body["secrets"] = json!({"deploy": key});
    body["runtime_env"]["devices"]["rtr01"] = json!({
        "opens": OPENS, "note": format!("it was {OPENS} once"),
        "serial_port": body["runtime_env"]["devices"]["rtr01"]["serial_port"],
    });
    let mut shown = shown_of_exec(&service, &body, "rtr01", "show running-config").await;
    let print = format!(
        "printf '%s\\n' '-----BEGIN KEY-----' {} end-of-key",
        LINES.join(" ")
    );
    shown += &shown_of_exec(&service, &body, "workstation_serial", &print).await;
    assert!(shown.contains("-----BEGIN KEY-----"), "{shown}");
    assert!(shown.contains("end-of-key"), "{shown}");
    let mut stored = service.folder.stored();
    service.engine.stop().await;
    stored.extend(service.folder.stored());
    for secret in LINES.into_iter().chain([OPENS]) {
        assert!(!shown.contains(secret), "{secret} is shown: {shown}");
        assert!(!holds(&stored, secret), "{secret} is stored");
    }
}

#[tokio::test]
async fn what_can_be_no_secret_is_refused() {
    let service = Service::ready(|_| {}).await;
    for value in [json!(true), json!(["text", {"more": false}])] {
        let body = json!({"definition_id": "tiny", "phase": "judge", "secrets": {"a/b": value}});
        for path in ["/api/v1/jobs", "/api/v1/jobs/nobody/retry"] {
            let (status, problem) = service.post(path, body.clone()).await;
            let pointer = &problem["errors"][0]["pointer"];
            assert_eq!(
                (status, pointer),
                (422, &json!("/secrets/a~1b")),
                "{problem}"
            );
        }
    }
}
