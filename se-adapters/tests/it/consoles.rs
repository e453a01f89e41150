//! The console of a node, by every way that a worker may offer.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use se_adapters::connect::Connectors;
use se_adapters::{
    ConsoleWay, FilesIn, LabSource, PodActions, PodOptions, PodPorts, Registry, Trust, Worker,
};
use se_dsl::catalog;
use se_dsl::checked::{ConnectorClass, PodType, Transport};
use se_runtime::port::Progress;
use se_runtime::{Actions as _, Call, Endpoint, Endpoints, FaultKind, Outcome, Secret};
use se_testkit::sim::{Pod, PodOptions as Simulated};
use serde_json::{Value, json};

use crate::bench::{Wall, endpoint};
use crate::cml::TOPOLOGY;

struct Unheard;

impl Progress for Unheard {
    fn report(&self, _percent: u8, _message: &str) {}
}

/// The pod of the example, and a worker that offers these ways.
async fn simulated() -> Pod {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/lab-0.1");
    Pod::start(Simulated::new(package).unwrap()).await.unwrap()
}

fn actions(pod: &Pod, ways: &[ConsoleWay]) -> PodActions {
    let facts = pod.facts();
    let text = |key: &str| facts["worker"][key].as_str().unwrap().to_owned();
    let worker = Worker {
        ip: text("ip"),
        cml_url: Some(text("cml_url")),
        cml_username: text("cml_username"),
        cml_password: Secret::new(text("cml_password")),
        region: None,
        adapter: None,
        trust: Trust::Anything,
        capabilities: Vec::new(),
        consoles: ways.to_vec(),
        console_port: pod.cml().console_port(),
    };
    PodActions::new(PodOptions {
        worker,
        selected: Registry::standard()
            .select(PodType::CmlOnAws, None, &[])
            .unwrap(),
        lab: Some(LabSource {
            topology: TOPOLOGY.to_owned(),
            title: Some("LAB-0.1".to_owned()),
            session_id: None,
        }),
        files: Arc::new(FilesIn::new(".")),
        connectors: Arc::new(Connectors::new(Arc::new(Wall))),
        ports: PodPorts::in_memory("job"),
        clock: Arc::new(Wall),
    })
}

/// A connector that is the console of the node.
fn console(pod: &Pod, node: &str, port: u16) -> Endpoint {
    let facts = pod.facts();
    let facts = &facts["runtime_env"]["devices"][node];
    let text = |key: &str| facts[key].as_str().map(str::to_owned);
    Endpoint {
        name: node.to_owned(),
        device: node.to_owned(),
        username: text("username"),
        password: text("password").map(Secret::new),
        enable_password: text("enable_password").map(Secret::new),
        ..endpoint(ConnectorClass::CiscoCommon, Transport::Console, port)
    }
}

async fn run(actions: &PodActions, uses: &str, target: Option<Endpoint>, with: Value) -> Outcome {
    let call = Call {
        job: "job".to_owned(),
        step: "step".to_owned(),
        attempt: 1,
        part: None,
        primitive: catalog::find(uses, "v1").unwrap(),
        inputs: with.as_object().unwrap().clone(),
        target: target.map(Arc::new),
        endpoints: Arc::new(Endpoints::new([])),
        runtime_env: Arc::new(json!({})),
        timeout: Duration::from_secs(20),
    };
    actions.call(call, &Unheard).await
}

fn ways_used(pod: &Pod) -> Vec<String> {
    let all = pod.journal().entries();
    let all = all.into_iter().filter(|it| it.action == "console");
    all.map(|it| it.detail).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_is_the_same_by_every_way() {
    let pod = simulated().await;
    run(&actions(&pod, &[]), "lab_start", None, json!({}))
        .await
        .unwrap();
    let port = pod.facts()["runtime_env"]["devices"]["rtr02"]["serial_port"]
        .as_u64()
        .unwrap();
    let port = u16::try_from(port).unwrap();
    for (way, port) in [
        (ConsoleWay::Telnet, port),
        (ConsoleWay::Ssh, Endpoint::NO_PORT),
        (ConsoleWay::Websocket, Endpoint::NO_PORT),
    ] {
        let actions = actions(&pod, &[way]);
        for _ in 0..3 {
            let target = console(&pod, "rtr02", port);
            let with = json!({"command": "show interface Loopback0"});
            let done = run(&actions, "collect", Some(target), with).await;
            let expected =
                "Loopback0 is up, line protocol is up\n  Internet address is 10.255.81.2/32";
            assert_eq!(done.unwrap().output["output"], expected, "{way:?}");
        }
        let transcript = actions.sessions().transcripts()["rtr02"].to_text();
        assert_eq!(
            transcript.matches("| connected to").count(),
            1,
            "{transcript}"
        );
        actions.finish(Duration::from_secs(3)).await;
        assert!(
            actions.sessions().transcripts()["rtr02"]
                .to_text()
                .contains("> exit")
        );
    }
    assert_eq!(ways_used(&pod), ["ssh", "websocket"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_worker_does_not_offer_is_passed_over() {
    let pod = simulated().await;
    run(&actions(&pod, &[]), "lab_start", None, json!({}))
        .await
        .unwrap();
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    // No PATty on this worker: its ports are shut, and the console server does.
    let every = actions(&pod, &ConsoleWay::ALL);
    let with = json!({"command": "show clock"});
    let target = console(&pod, "rtr01", port);
    run(&every, "collect", Some(target), with.clone())
        .await
        .unwrap();
    assert_eq!(ways_used(&pod), ["ssh"]);
    every.finish(Duration::from_secs(3)).await;

    let telnet = actions(&pod, &[ConsoleWay::Telnet]);
    for (port, why) in [(port, "refused"), (Endpoint::NO_PORT, "no serial port")] {
        let target = console(&pod, "rtr01", port);
        let fault = run(&telnet, "collect", Some(target), with.clone())
            .await
            .unwrap_err();
        assert_eq!(fault.kind, FaultKind::Communication);
        assert!(fault.detail.contains(why), "{}", fault.detail);
        assert!(
            fault.detail.contains("`worker.consoles`"),
            "{}",
            fault.detail
        );
    }
    // A node that the lab has not.
    let mut target = console(&pod, "rtr01", Endpoint::NO_PORT);
    target.device = "rtr09".to_owned();
    let fault = run(&every, "collect", Some(target), with)
        .await
        .unwrap_err();
    assert!(
        fault.detail.contains("has no node labelled `rtr09`"),
        "{}",
        fault.detail
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_does_not_let_in_is_said() {
    let pod = simulated().await;
    run(&actions(&pod, &[]), "lab_start", None, json!({}))
        .await
        .unwrap();
    let fault = |path: &str, status| se_testkit::sim::CmlFault {
        path: path.to_owned(),
        status: Some(status),
        description: None,
        kind: None,
        times: None,
    };
    pod.cml().add_fault(&fault("GET /ws/.*", 403)).unwrap();
    let web = actions(&pod, &[ConsoleWay::Websocket]);
    let target = console(&pod, "rtr01", Endpoint::NO_PORT);
    let with = json!({"command": "show clock"});
    let fault = run(&web, "collect", Some(target), with).await.unwrap_err();
    assert!(fault.detail.contains("it answered 403"), "{}", fault.detail);
    // The key opens the console.
    assert!(!fault.detail.contains("c0de"), "{}", fault.detail);
}
