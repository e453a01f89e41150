//! Every connector of the example package against its simulated pod.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use se_adapters::connect::Sessions;
use se_dsl::checked::{ConnectorClass, Transport};
use se_runtime::{Endpoint, Secret};
use se_testkit::sim::{NodeState, Pod, PodOptions};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::bench::{collect, connectors, endpoint, exec, router, sessions};

/// The example with everything booted.
async fn booted() -> Pod {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/lab-0.1");
    let pod = Pod::start(PodOptions::new(package).unwrap()).await.unwrap();
    for node in ["rtr01", "rtr02", "sw01", "sw02", "workstation"] {
        pod.power().set(node, NodeState::Booted);
    }
    pod
}

const PING: &str = "ping 192.0.2.1 repeat 1000000";

/// A router that does what only Ctrl-^ stops.
#[tokio::test(flavor = "multi_thread")]
async fn a_ping_is_stopped_with_its_step() {
    let pod = booted().await;
    let facts = pod.facts();
    let known = &facts["runtime_env"]["devices"]["rtr02"];
    let text = |key: &str| known[key].as_str().map(str::to_owned);
    let port = u16::try_from(known["serial_port"].as_u64().unwrap()).unwrap();
    let rtr02 = Endpoint {
        username: text("username"),
        password: text("password").map(Secret::new),
        enable_password: text("enable_password").map(Secret::new),
        ..router(port)
    };
    let connectors = connectors();
    let cancelled = Sessions::new(Arc::clone(&connectors));
    collect(&cancelled, &rtr02, "show interface Loopback0")
        .await
        .unwrap();
    let step = Duration::from_millis(500);
    let pinging = timeout(step, collect(&cancelled, &rtr02, PING)).await;
    assert!(pinging.is_err(), "{pinging:?}");
    let since = Instant::now();
    let next = Sessions::new(connectors);
    collect(&next, &rtr02, "show interface Loopback0")
        .await
        .unwrap();
    assert!(
        since.elapsed() < Duration::from_secs(2),
        "{:?}",
        since.elapsed()
    );
    next.close_all(Instant::now() + Duration::from_secs(3))
        .await;

    // One that somebody else has begun, and left: the line is never silent.
    let mut other = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let login = [
        rtr02.username.clone(),
        text("password"),
        Some("enable".to_owned()),
        text("enable_password"),
    ];
    for line in std::iter::once(String::new()).chain(login.into_iter().flatten()) {
        other
            .write_all(format!("{line}\r").as_bytes())
            .await
            .unwrap();
    }
    other
        .write_all(format!("{PING}\r").as_bytes())
        .await
        .unwrap();
    tokio::time::sleep(step).await;
    drop(other);
    collect(&next, &rtr02, "show interface Loopback0")
        .await
        .unwrap();
    let stopped = pod.journal().entries();
    let stopped = stopped.iter().filter(|it| it.action == "escape");
    assert_eq!(stopped.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_device_of_the_example_answers() {
    let pod = booted().await;
    let facts = pod.facts();
    let device = |name: &str, class, transport, port: &str| {
        let known = facts
            .pointer(&format!("/runtime_env/devices/{name}"))
            .unwrap();
        let text = |key: &str| known.get(key).and_then(Value::as_str).map(str::to_owned);
        let port = known.get(port).and_then(Value::as_u64).unwrap();
        Endpoint {
            name: name.to_owned(),
            prompt: text("prompt"),
            username: text("username"),
            password: text("password").map(Secret::new),
            enable_password: text("enable_password").map(Secret::new),
            ..endpoint(class, transport, u16::try_from(port).unwrap())
        }
    };
    let sessions = sessions();
    let cisco = |name| {
        device(
            name,
            ConnectorClass::CiscoCommon,
            Transport::Telnet,
            "serial_port",
        )
    };
    for _ in 0..5 {
        let shown = collect(&sessions, &cisco("rtr02"), "show interface Loopback0")
            .await
            .unwrap();
        let expect = "Loopback0 is up, line protocol is up\n  Internet address is 10.255.81.2/32";
        assert_eq!(shown, expect);
    }
    let shown = collect(&sessions, &cisco("rtr01"), "show ip ospf neighbor")
        .await
        .unwrap();
    assert!(shown.contains("EXSTART/BDR"), "{shown}");
    let script =
        json!({ "script": "configure terminal\ninterface gi0/1\nshutdown\nno shutdown\nend" });
    let done = exec(&sessions, &cisco("sw01"), script).await.unwrap();
    assert_eq!(done.output.get("ok"), Some(&json!(true)));
    let host = device(
        "workstation",
        ConnectorClass::Unix,
        Transport::Telnet,
        "serial_port",
    );
    let failing = json!({ "command": "echo a; exit 4", "suppress_error": true });
    let output = exec(&sessions, &host, failing).await.unwrap().output;
    assert_eq!(output.get("stdout"), Some(&json!("a")));
    assert_eq!(output.get("exit_code"), Some(&json!(4)));
    let deployed = collect(&sessions, &host, "./py_deploy now").await.unwrap();
    assert_eq!(deployed, "deployed 2 devices");
    sessions
        .close_all(Instant::now() + Duration::from_secs(3))
        .await;
}
