//! FRRouting's telnet command lines and its consoles behind ser2net.

use std::time::Duration;

use se_runtime::FaultKind;
use se_testkit::testbed::{FrrLab, ROUTER_PASSWORD};
use serde_json::json;

use crate::bench::{collect, exec, router, sessions, with_passwords};

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
        .close_all(tokio::time::Instant::now() + Duration::from_secs(3))
        .await;
}
