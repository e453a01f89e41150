//! Devices that refuse, hang, drop the line or ask for a login nobody gave: each is told of by itself, and
//! holds up no other.

use std::path::Path;

use se_testkit::sim::{Pod, PodOptions, Profile};
use serde_json::{Value, json};

use crate::harness::Home;
use crate::process::Server;

/// What each connector of the example says of its console.
const TROUBLE: &str = r#"
cml: { boot_seconds: 0, username: admin, password: admin-pw }
defaults: { login: none, enable_password: cisco }
devices:
  rtr01: { faults: [ { on: connect, kind: hang, times: 9 } ] }
  rtr02: { faults: [ { on: connect, kind: refuse, times: 9 } ] }
  sw01: { login: { username: admin, password: unknown-pw } }
  sw02: { faults: [ { on: connect, kind: drop, times: 9 } ] }
  workstation: { kind: unix, login: { username: cisco, password: cisco-pw } }
"#;

fn step<'a>(job: &'a Value, id: &str) -> &'a Value {
    let steps = job["steps"].as_array().unwrap();
    steps.iter().find(|it| it["id"] == id).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_device_in_trouble_is_told_of_and_holds_up_no_other() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/lab-0.1");
    let profile = Profile::read(TROUBLE).unwrap();
    let options = PodOptions {
        profile,
        ..PodOptions::new(&example).unwrap()
    };
    let pod = Pod::start(options).await.unwrap();
    let folder = Home::new();
    let zip = se_content::pack(&example, &se_content::Limits::default()).unwrap();
    std::fs::write(folder.path().join("lab.zip"), zip).unwrap();
    let server = Server::start(&folder).await;
    server.sync("lab", &folder.path().join("lab.zip")).await;
    let facts = pod.facts();
    let mut env = facts["runtime_env"].clone();
    // The pod knows this login; the job does not give it.
    if let Some(switch) = env["devices"]["sw01"].as_object_mut() {
        switch.remove("username");
        switch.remove("password");
    }
    let phase = |name: &str| {
        json!({
            "definition_id": "lab", "version": "1", "session_id": "s", "phase": name,
            "worker": facts["worker"], "runtime_env": env,
        })
    };
    let started = server.post("/api/v1/jobs", &phase("instantiate")).await;
    server.ended(started["job_id"].as_str().unwrap()).await;
    let job = server.post("/api/v1/jobs", &phase("ready")).await;
    let id = job["job_id"].as_str().unwrap();
    let ended = server.ended(id).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    for (device, kinds) in [
        ("rtr01", &["timeout", "communication"][..]),
        ("rtr02", &["communication"]),
        ("sw01", &["authentication"]),
        ("sw02", &["communication"]),
    ] {
        let error = &step(&ended, &format!("prompt_{device}"))["error"];
        let kind = error["type"].as_str().unwrap_or_default();
        assert!(
            kinds.iter().any(|it| kind.ends_with(it)),
            "{device}: {error:#}"
        );
        let detail = error["detail"].as_str().unwrap();
        let port = &env["devices"][device]["serial_port"];
        assert!(
            detail.contains(&format!("`{device}` (telnet 127.0.0.1:{port})")),
            "{detail}"
        );
        assert!(
            !detail.contains("cisco-pw") && !detail.contains("unknown-pw"),
            "{detail}"
        );
    }
    let at = |id: &str| {
        step(&ended, id)["completed_at"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        step(&ended, "prompt_workstation_22")["status"],
        "completed",
        "{ended:#}"
    );
    assert!(
        at("prompt_workstation_22") < at("prompt_rtr01"),
        "a hanging console held it up"
    );
    let report = server.get(&format!("/api/v1/jobs/{id}/report")).await;
    assert_eq!(report["ready"], false, "{report:#}");
}
