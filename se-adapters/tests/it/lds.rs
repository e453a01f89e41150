//! Showing a pod to a candidate, against a simulated LDS.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use se_adapters::{
    CONSOLE_PORT, ConsoleWay, FilesIn, Lds, LdsService, PodActions, PodOptions, PodPorts, Selected,
    Trust, Worker,
};
use se_dsl::catalog;
use se_runtime::port::Progress;
use se_runtime::{Actions as _, Call, Endpoints, Fault, FaultKind, Outcome, Secret};
use se_testkit::sim::{LdsCall, LdsFault, LdsSim};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::bench::{Wall, connectors};

const PASSWORD: &str = "lds-secret-pw";
const DEVICE_PASSWORD: &str = "device-secret-pw";

#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Progress for Told {
    fn report(&self, _: u8, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

async fn lds() -> LdsSim {
    LdsSim::start("se", PASSWORD).await.unwrap()
}

fn service(url: String, password: &str) -> LdsService {
    LdsService {
        url,
        username: "se".to_owned(),
        password: Some(Secret::new(password)),
        ca_file: None,
    }
}

fn pod(region: &str, services: BTreeMap<String, LdsService>) -> PodActions {
    let options = PodOptions {
        worker: Worker {
            ip: "192.0.2.10".to_owned(),
            cml_url: None,
            cml_username: String::new(),
            cml_password: Secret::new(""),
            region: Some(region.to_owned()),
            adapter: None,
            trust: Trust::System,
            capabilities: Vec::new(),
            consoles: ConsoleWay::ALL.to_vec(),
            console_port: CONSOLE_PORT,
        },
        selected: Selected::devices_only(),
        lab: None,
        files: Arc::new(FilesIn::new(".")),
        connectors: connectors(),
        ports: PodPorts::in_memory("s1"),
        clock: Arc::new(Wall),
    };
    let session = json!({ "candidate_id": "c-7", "first_name": "Ada", "rack_number": 4 });
    PodActions::new(options).with_lds(Lds {
        services: Arc::new(services),
        form: Some("Exam Associate AUTO v1.1 LAB 1".to_owned()),
        session: session.as_object().cloned().unwrap(),
        session_id: Some("s1".to_owned()),
        host: "192.0.2.10".to_owned(),
        region: Some(region.to_owned()),
    })
}

fn on(sim: &LdsSim) -> PodActions {
    let services = [("default".to_owned(), service(sim.url(), PASSWORD))];
    pod("eu", services.into())
}

fn call(primitive: &str, inputs: Value, runtime_env: Value) -> Call {
    Call {
        job: "job".to_owned(),
        step: "show".to_owned(),
        attempt: 1,
        part: None,
        primitive: catalog::find(primitive, "v1").unwrap(),
        inputs: inputs.as_object().cloned().unwrap(),
        target: None,
        endpoints: Arc::new(Endpoints::default()),
        runtime_env: Arc::new(runtime_env),
        timeout: Duration::from_secs(20),
    }
}

async fn provision(pod: &PodActions, inputs: Value, runtime_env: Value) -> Outcome {
    let call = call("lds_provision", inputs, runtime_env);
    pod.call(call, &Told::default()).await
}

async fn deregister(pod: &PodActions, runtime_env: Value) -> Outcome {
    let call = call("lds_deregister", json!({}), runtime_env);
    pod.call(call, &Told::default()).await
}

fn facts() -> Value {
    json!({ "devices": {
        "desk": { "serial_port": 5003, "vnc_port": 5004, "pat_port": 5005, "password": DEVICE_PASSWORD },
        "rtr01": { "serial_port": 5001 },
        "far": { "pat_port": 22, "host": "192.0.2.99" },
        "hidden": { "prompt": "x" },
    }})
}

#[track_caller]
fn is_secret(fault: &Fault) {
    for secret in [PASSWORD, DEVICE_PASSWORD, "bGRz", "c2U6"] {
        assert!(!fault.detail.contains(secret), "{secret}: {fault}");
    }
}

#[tokio::test]
async fn a_pod_is_shown_and_released() {
    let sim = lds().await;
    let pod = on(&sim);
    let done = provision(&pod, json!({}), facts()).await.unwrap();
    let output = json!({
        "ok": true,
        "lds_session_id": "lds-1",
        "launch_url": "https://lds.example/launch/lds-1",
        "devices": 3,
        "reused": false,
    });
    assert_eq!(Value::Object(done.output), output);
    let learned = json!({ "lds_session_id": "lds-1", "lds_registered": true });
    assert_eq!(Value::Object(done.learned.clone()), learned);
    let session = sim.sessions().remove("lds-1").unwrap();
    let devices = json!([
        { "device_label": "desk", "protocol": "vnc", "host": "192.0.2.10", "port": 5004 },
        { "device_label": "far", "protocol": "ssh", "host": "192.0.2.99", "port": 22 },
        { "device_label": "rtr01", "protocol": "serial", "host": "192.0.2.10", "port": 5001 },
    ]);
    assert_eq!(Value::Array(session.devices), devices);
    let made_from = json!({
        "origin": "scenario-engine",
        "auth_id_type": "ordered_session",
        "location": "cloud",
        "session_parts": [{
            "repository_type": "minio",
            "form_qualified_name": "Exam Associate AUTO v1.1 LAB 1",
        }],
        "auth_id": "s1",
        "candidate_id": "c-7",
        "first_name": "Ada",
        "rack_number": 4,
    });
    assert_eq!(session.made_from, made_from);

    let known = Value::Object(done.learned);
    for released in [true, false] {
        let done = deregister(&pod, known.clone()).await.unwrap();
        assert_eq!(
            Value::Object(done.output),
            json!({ "ok": true, "released": released })
        );
        let learned = json!({ "lds_session_id": null, "lds_registered": false });
        assert_eq!(Value::Object(done.learned), learned);
        assert!(sim.sessions()["lds-1"].released);
    }
    let done = deregister(&pod, json!({ "lds_session_id": "never-there" })).await;
    assert_eq!(done.unwrap().output["released"], false);
    let before = sim.calls().len();
    assert_eq!(
        deregister(&pod, json!({})).await.unwrap().output["released"],
        false
    );
    assert_eq!(sim.calls().len(), before, "there was nothing to ask for");
}

#[tokio::test]
async fn a_session_that_is_there_is_told_the_devices_again() {
    let sim = lds().await;
    let pod = on(&sim);
    provision(&pod, json!({}), facts()).await.unwrap();
    let again = json!({ "devices": [
        { "device_label": "rtr01", "protocol": "telnet", "port": 1, "password": DEVICE_PASSWORD },
    ]});
    let done = provision(&pod, again, json!({ "lds_session_id": "lds-1" }))
        .await
        .unwrap();
    assert_eq!(done.output["reused"], true);
    let sessions = sim.sessions();
    assert_eq!(sessions.len(), 1);
    let shown = json!([{
        "device_label": "rtr01",
        "protocol": "telnet",
        "host": "192.0.2.10",
        "port": 1,
        "password": DEVICE_PASSWORD,
    }]);
    assert_eq!(Value::Array(sessions["lds-1"].devices.clone()), shown);
    // It was made by an earlier step: what goes wrong now does not end it.
    sim.fail(LdsCall::Devices, &[LdsFault::Status(400)]);
    let known = json!({ "lds_session_id": "lds-1" });
    let ports = json!({ "devices": { "rtr01_serial": 2, "rtr01_vnc": 3 } });
    let fault = provision(&pod, ports.clone(), known.clone())
        .await
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Validation, "{fault}");
    assert!(!sim.sessions()["lds-1"].released);
    provision(&pod, ports, known.clone()).await.unwrap();
    assert_eq!(sim.sessions()["lds-1"].devices[0]["protocol"], "vnc");
    // One that was released is not.
    deregister(&pod, known.clone()).await.unwrap();
    let done = provision(&pod, json!({}), known).await.unwrap();
    assert_eq!(done.output["lds_session_id"], "lds-2");
}

#[tokio::test]
async fn a_session_that_was_made_for_nothing_is_released() {
    let password = json!({ "devices": [
        { "device_label": "rtr01", "protocol": "ssh", "port": 22, "password": DEVICE_PASSWORD },
    ]});
    for (failing, faults, kind) in [
        (
            LdsCall::Devices,
            vec![LdsFault::Status(400)],
            FaultKind::Validation,
        ),
        (
            LdsCall::Devices,
            vec![LdsFault::Status(503); 3],
            FaultKind::Communication,
        ),
        (
            LdsCall::Launch,
            vec![LdsFault::Status(404)],
            FaultKind::NotFound,
        ),
        (LdsCall::Launch, vec![LdsFault::Silence], FaultKind::Timeout),
    ] {
        let sim = lds().await;
        sim.fail(failing, &faults);
        let mut call = call("lds_provision", password.clone(), json!({}));
        call.timeout = Duration::from_secs(8);
        let fault = on(&sim).call(call, &Told::default()).await.unwrap_err();
        assert_eq!(fault.kind, kind, "{failing:?}: {fault}");
        let told = "the LDS session lds-1 was released again";
        assert!(fault.detail.contains(told), "{failing:?}: {fault}");
        assert!(sim.sessions()["lds-1"].released, "{failing:?}");
        is_secret(&fault);
    }
    let sim = lds().await;
    sim.fail(LdsCall::Launch, &[LdsFault::Status(400)]);
    sim.fail(LdsCall::Release, &[LdsFault::Status(500)]);
    let fault = provision(&on(&sim), json!({}), facts()).await.unwrap_err();
    for part in ["lds-1", "could not be released, release it by hand", "500"] {
        assert!(fault.detail.contains(part), "{part}: {fault}");
    }
}

#[tokio::test]
async fn a_step_that_is_dropped_leaves_no_session() {
    let sim = lds().await;
    sim.fail(LdsCall::Launch, &[LdsFault::Silence]);
    let pod = on(&sim);
    let (inputs, env) = (json!({}), facts());
    tokio::select! {
        done = provision(&pod, inputs, env) => panic!("{done:?}"),
        () = until(|| sim.calls().contains(&LdsCall::Launch)) => {}
    }
    until(|| sim.sessions()["lds-1"].released).await;
}

/// Looks again and again until it is so.
async fn until(is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < end, "it did not come to that");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn what_may_be_asked_twice_is_and_a_session_is_made_once() {
    let sim = lds().await;
    sim.fail(
        LdsCall::Devices,
        &[LdsFault::Status(503), LdsFault::Status(502)],
    );
    sim.fail(LdsCall::Release, &[LdsFault::Status(503)]);
    let pod = on(&sim);
    provision(&pod, json!({}), facts()).await.unwrap();
    let known = json!({ "lds_session_id": "lds-1" });
    assert_eq!(
        deregister(&pod, known).await.unwrap().output["released"],
        true
    );

    sim.fail(LdsCall::Make, &[LdsFault::Status(503)]);
    let fault = provision(&pod, json!({}), facts()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Communication, "{fault}");
    assert!(!fault.detail.contains("may have made"), "{fault}");

    sim.fail(LdsCall::Make, &[LdsFault::DoneInSilence]);
    let mut call = call("lds_provision", json!({}), facts());
    call.timeout = Duration::from_secs(2);
    let fault = pod.call(call, &Told::default()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Timeout, "{fault}");
    assert!(
        fault
            .detail
            .contains("LDS may have made a session all the same"),
        "{fault}"
    );
    let made = sim
        .calls()
        .iter()
        .filter(|it| **it == LdsCall::Make)
        .count();
    assert_eq!(made, 3);
}

#[tokio::test]
async fn logins_regions_and_inputs_that_cannot_work_say_why() {
    let sim = lds().await;
    let wrong = [("default".to_owned(), service(sim.url(), "lds-wrong-pw"))];
    let fault = provision(&pod("eu", wrong.into()), json!({}), facts())
        .await
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Authentication, "{fault}");
    assert!(
        fault.detail.contains("check username and password of LDS"),
        "{fault}"
    );
    assert!(!fault.detail.contains("lds-wrong-pw"), "{fault}");
    is_secret(&fault);
    assert!(sim.sessions().is_empty());

    let nobody = provision(&pod("eu", BTreeMap::new()), json!({}), facts())
        .await
        .unwrap_err();
    assert!(nobody.detail.contains("[lds.eu]"), "{nobody}");
    let other = [("us".to_owned(), service(sim.url(), PASSWORD))];
    let other = pod("eu", other.into());
    let fault = provision(&other, json!({}), facts()).await.unwrap_err();
    assert!(fault.detail.contains("there are: us"), "{fault}");
    provision(&other, json!({ "region": "us" }), facts())
        .await
        .unwrap();
    let mut unknown = service(sim.url(), PASSWORD);
    unknown.password = None;
    let unknown = pod("eu", [("eu".to_owned(), unknown)].into());
    let fault = provision(&unknown, json!({}), facts()).await.unwrap_err();
    assert!(fault.detail.contains("set lds.eu.password"), "{fault}");

    let pod = on(&sim);
    for (devices, part) in [
        (json!("rtr01"), "must be a list"),
        (json!([{ "protocol": "ssh" }]), "`with.devices[0]`"),
        (
            json!([{ "device_label": "a", "protocol": "morse" }]),
            "`morse`",
        ),
        (
            json!([{ "device_label": "a", "protocol": "ssh", "port": 0 }]),
            "the port 0",
        ),
        (
            json!([{ "device_label": "a", "protocol": "ssh" }, { "device_label": "a", "protocol": "vnc" }]),
            "`a` twice",
        ),
        (json!({ "a_morse": 5 }), "`morse`"),
    ] {
        let inputs = json!({ "devices": devices });
        let fault = provision(&pod, inputs, json!({})).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Validation, "{fault}");
        assert!(fault.detail.contains(part), "{part}: {fault}");
    }
    let odd = json!({ "lds_session_id": "../../users" });
    let fault = deregister(&pod, odd).await.unwrap_err();
    assert!(fault.detail.contains("no id of a session"), "{fault}");
    assert_eq!(
        sim.sessions().len(),
        1,
        "nothing was made for what cannot work"
    );
}

/// Refuses whatever it is asked, with this text.
async fn refuse(listener: TcpListener, body: &str) {
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut asked = [0; 4096];
        drop(stream.read(&mut asked).await);
        drop(stream.write_all(answer.as_bytes()).await);
    }
}

#[tokio::test]
async fn a_password_is_not_shown_wherever_a_long_answer_is_cut() {
    for before in [290, 295] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let services = [("default".to_owned(), service(url, PASSWORD))];
        let pod = pod("eu", services.into());
        let body = format!("{}{PASSWORD}", "x".repeat(before));
        let fault = tokio::select! {
            // Neither holds anything that a drop would lose.
            () = refuse(listener, &body) => panic!("the server ended"),
            done = provision(&pod, json!({}), facts()) => done.unwrap_err(),
        };
        assert!(fault.detail.contains("400 Bad Request"), "{fault}");
        assert!(!fault.detail.contains("lds-s"), "{fault}");
    }
}
