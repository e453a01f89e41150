//! FRRouting's telnet command lines and its consoles behind ser2net.

use std::sync::Arc;
use std::time::Duration;

use se_adapters::connect::Sessions;
use se_adapters::device;
use se_runtime::FaultKind;
use se_testkit::testbed::{FrrLab, ROUTER_PASSWORD};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::bench::{call, collect, connectors, exec, router, sessions, with_passwords};

#[tokio::test(flavor = "multi_thread")]
async fn a_telnet_command_line_is_logged_into_enabled_and_read() {
    let lab = FrrLab::up().unwrap();
    let [port, _] = lab.ports().ospfd;
    let r1 = with_passwords(router(port), ROUTER_PASSWORD, ROUTER_PASSWORD);
    let sessions = sessions();

    let neighbors = collect(&sessions, &r1, "show ip ospf neighbor")
        .await
        .unwrap();
    assert!(neighbors.starts_with("\nNeighbor ID"), "{neighbors:?}");
    assert!(neighbors.contains("Full"), "{neighbors}");
    assert!(!neighbors.contains("R1"), "{neighbors}");

    let done = exec(
        &sessions,
        &r1,
        json!({ "command": "show bogus", "suppress_error": true }),
    );
    let output = done.await.unwrap().output;
    assert_eq!(output.get("ok"), Some(&json!(false)));
    assert_eq!(
        output.get("error"),
        Some(&json!("`show bogus`: % [OSPF] Unknown command: show bogus"))
    );
    let fault = exec(&sessions, &r1, json!({ "command": "show bogus" }))
        .await
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Validation);
    assert!(fault.detail.contains("% [OSPF] Unknown command"), "{fault}");

    let transcript = sessions.transcripts().remove("r1").unwrap().to_text();
    assert!(
        transcript.contains("> show ip ospf neighbor"),
        "{transcript}"
    );
    assert!(!transcript.contains(ROUTER_PASSWORD), "{transcript}");
    sessions
        .close_all(Instant::now() + Duration::from_secs(3))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_or_missing_password_is_an_authentication_fault_that_says_what_to_set() {
    let lab = FrrLab::up().unwrap();
    let [port, _] = lab.ports().zebra;
    for (endpoint, expect) in [
        (router(port), "set `password` of connector `r1`"),
        (
            with_passwords(router(port), "not-it", "x"),
            "check `username` and `password`",
        ),
        (
            with_passwords(router(port), ROUTER_PASSWORD, "not-it-either"),
            "check `enable_password` of connector `r1`",
        ),
    ] {
        let fault = collect(&sessions(), &endpoint, "show version")
            .await
            .unwrap_err();
        assert_eq!(fault.kind, FaultKind::Authentication, "{fault}");
        assert!(fault.detail.contains(expect), "{fault}");
        assert!(
            fault.detail.contains(&format!("127.0.0.1:{port}")),
            "{fault}"
        );
        assert!(!fault.detail.contains("not-it"), "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn long_output_is_read_whole_through_a_pager() {
    let lab = FrrLab::up().unwrap();
    let [paged, plain] = lab.ports().console;
    let sessions = sessions();
    let mut lists = Vec::new();
    for port in [paged, plain] {
        let list = collect(&sessions, &router(port), "list").await.unwrap();
        assert!(list.lines().count() > 300, "{} lines", list.lines().count());
        assert!(!list.contains("--More--"), "{list}");
        assert!(!list.contains('\u{1b}'), "{list}");
        lists.push(list);
    }
    assert_eq!(lists.first(), lists.last());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_left_in_any_state_comes_back() {
    let lab = FrrLab::up().unwrap();
    let [paged, plain] = lab.ports().console;
    for (port, left) in [
        (lab.ports().raw_console, "configure terminal\r"),
        (plain, "\r"),
        (plain, "configure terminal\rinterface eth0\r"),
        (plain, "show ip ospf neigh"),
        (plain, "configure terminal\rrouter ospf\rnetwork 1.2.3"),
        (plain, "exit\r"),
        (plain, "ping 127.0.0.1\r"),
        (paged, "list\r"),
    ] {
        leave(port, left).await;
        let shown = collect(&sessions(), &router(port), "show ip ospf neighbor").await;
        let shown = shown.unwrap_or_else(|fault| panic!("left at {left:?}: {fault}"));
        assert!(
            shown.starts_with("\nNeighbor ID"),
            "left at {left:?}: {shown:?}"
        );
        assert!(shown.contains("Full"), "left at {left:?}: {shown}");
    }
}

/// Somebody types on a console and walks away.
async fn leave(port: u16, keys: &str) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    for line in keys.split_inclusive('\r') {
        stream.write_all(line.as_bytes()).await.unwrap();
        // Whatever it answers within this time is left unread.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interface_is_shut_and_opened_and_bounced() {
    let lab = FrrLab::up().unwrap();
    let [port, _] = lab.ports().console;
    let r1 = router(port);
    let sessions = sessions();
    let interface = |word: &str| json!({ "script": format!("configure terminal\ninterface eth0\n{word}\nend") });
    let is_full = async || {
        let shown = collect(&sessions, &r1, "show ip ospf neighbor")
            .await
            .unwrap();
        shown.contains("Full")
    };
    assert!(is_full().await);

    let done = exec(&sessions, &r1, interface("shutdown")).await.unwrap();
    assert_eq!(done.output.get("ok"), Some(&json!(true)));
    assert_eq!(done.output.get("stdout"), Some(&json!("")));
    assert!(!is_full().await);

    exec(&sessions, &r1, interface("no shutdown"))
        .await
        .unwrap();
    wait_until(&is_full).await;

    let inputs = json!({ "device": "r1", "interface": "eth0" });
    let bounced = device::bounce(&sessions, &call("cml.bounce_interface", &r1, inputs)).await;
    assert_eq!(bounced.unwrap().output.get("ok"), Some(&json!(true)));
    wait_until(&is_full).await;

    // Cut off while the interface is shut, it opens it before anybody else gets the console.
    for left in [100, 600] {
        let inputs = json!({ "device": "r1", "interface": "eth0" });
        let bounce = call("cml.bounce_interface", &r1, inputs);
        let cut = tokio::time::timeout(
            Duration::from_millis(left),
            device::bounce(&sessions, &bounce),
        );
        assert!(cut.await.is_err(), "it ended within {left} ms");
        let running = collect(&sessions, &r1, "show running-config")
            .await
            .unwrap();
        assert!(
            running.contains("interface eth0") && !running.contains(" shutdown"),
            "{running}"
        );
        wait_until(&is_full).await;
    }

    let inputs =
        json!({ "script": "configure terminal\ninterface eth0\nno bogus\ndescription never" });
    let fault = exec(&sessions, &r1, inputs).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Validation);
    assert!(
        fault.detail.contains("`no bogus`: % Unknown command"),
        "{fault}"
    );
    // The step after it does not begin within the configuration.
    let running = collect(&sessions, &r1, "show running-config")
        .await
        .unwrap();
    assert!(running.contains("hostname R1"), "{running}");
    assert!(!running.contains("description never"), "{running}");
}

/// OSPF needs a second or two.
async fn wait_until(is_so: &impl AsyncFn() -> bool) {
    for _ in 0..60 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("the routers did not become neighbours again");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_console_has_one_user_at_a_time() {
    let lab = FrrLab::up().unwrap();
    let [_, port] = lab.ports().console;
    let r1 = router(port);
    let shared = connectors();
    let [first, second] = [(); 2].map(|()| Sessions::new(Arc::clone(&shared)));
    let deadline = Instant::now() + Duration::from_secs(20);
    let lease = first.lease(&Arc::new(r1.clone()), deadline).await.unwrap();

    let mut short = call("collect", &r1, json!({ "command": "show version" }));
    short.timeout = Duration::from_millis(300);
    let fault = device::collect(&second, &short).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Timeout);
    assert!(fault.detail.contains("waiting for the console"), "{fault}");

    let waiting = collect(&second, &r1, "show version");
    let freeing = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        lease.keep();
    };
    let (shown, ()) = tokio::join!(waiting, freeing);
    assert!(shown.unwrap().contains("FRRouting"));
    // The first job gets it back, logged in again.
    assert!(
        collect(&first, &r1, "show version")
            .await
            .unwrap()
            .contains("FRRouting")
    );
    first.close_all(deadline).await;
    second.close_all(deadline).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_command_is_stopped_and_the_console_is_free_for_the_next() {
    let lab = FrrLab::up().unwrap();
    let [_, port] = lab.ports().console;
    let r1 = router(port);
    let sessions = sessions();
    assert_eq!(collect(&sessions, &r1, "").await.unwrap(), "");
    let endless = exec(&sessions, &r1, json!({ "command": "ping 127.0.0.1" }));
    let dropped = tokio::time::timeout(Duration::from_millis(1500), endless).await;
    assert!(dropped.is_err(), "{dropped:?}");
    let transcript = sessions.transcripts().remove("r1").unwrap().to_text();
    assert!(
        transcript.contains("64 bytes from 127.0.0.1"),
        "{transcript}"
    );

    let since = Instant::now();
    let shown = collect(&sessions, &r1, "show ip ospf neighbor")
        .await
        .unwrap();
    assert!(shown.starts_with("\nNeighbor ID"), "{shown:?}");
    assert!(
        since.elapsed() < Duration::from_secs(5),
        "{:?}",
        since.elapsed()
    );
}
