//! Which SSH servers are spoken to, and how: old algorithms, keys that are pinned, silence, slow lines.

use std::sync::Arc;
use std::time::Duration;

use se_adapters::connect::{Connectors, Sessions};
use se_dsl::checked::{ConnectorClass, Transport};
use se_runtime::{Endpoint, FaultKind, SshPolicy};
use se_testkit::testbed::{FrrLab, HostKey, OpenSsh, SSH_USER};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::bench::{Wall, collect, endpoint, exec, router, sessions};

fn with_key(server: &OpenSsh) -> Sessions {
    let connectors = Connectors::new(Arc::new(Wall));
    let connectors = connectors.with_identity(&server.user_key().unwrap());
    Sessions::new(Arc::new(connectors.unwrap()))
}

fn linux(server: &OpenSsh, ssh: SshPolicy) -> Endpoint {
    Endpoint {
        username: Some(SSH_USER.to_owned()),
        ssh,
        ..endpoint(ConnectorClass::Unix, Transport::Ssh, server.port())
    }
}

fn legacy() -> SshPolicy {
    SshPolicy {
        legacy: true,
        ..SshPolicy::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_devices_are_reached_where_the_connector_says_so() {
    FrrLab::require();
    let old = "KexAlgorithms diffie-hellman-group1-sha1";
    for (key, lines, what) in [
        (HostKey::Ed25519, vec![old], "diffie-hellman-group1-sha1"),
        (
            HostKey::Ed25519,
            vec!["KexAlgorithms diffie-hellman-group14-sha1"],
            "diffie-hellman-group14-sha1",
        ),
        (
            HostKey::Ed25519,
            vec!["KexAlgorithms diffie-hellman-group-exchange-sha1"],
            "diffie-hellman-group-exchange-sha1",
        ),
        (HostKey::Ed25519, vec!["Ciphers aes128-cbc"], "aes128-cbc"),
        (HostKey::Ed25519, vec!["Ciphers aes256-cbc"], "aes256-cbc"),
        (HostKey::Ed25519, vec!["Ciphers 3des-cbc"], "3des-cbc"),
        (
            HostKey::Ed25519,
            vec!["MACs hmac-sha1", "Ciphers aes128-ctr"],
            "hmac-sha1",
        ),
        (HostKey::Rsa, vec!["HostKeyAlgorithms ssh-rsa"], "ssh-rsa"),
        // All that IOS 12.4 has.
        (
            HostKey::Rsa,
            vec![
                old,
                "HostKeyAlgorithms ssh-rsa",
                "Ciphers 3des-cbc,aes128-cbc",
                "MACs hmac-sha1",
            ],
            "diffie-hellman-group1-sha1",
        ),
    ] {
        let server = OpenSsh::start(key, &lines).unwrap();
        let said = collect(&with_key(&server), &linux(&server, legacy()), "echo here").await;
        assert_eq!(said.as_deref(), Ok("here"), "{lines:?}");

        let off = linux(&server, SshPolicy::default());
        let fault = collect(&with_key(&server), &off, "echo here")
            .await
            .unwrap_err();
        assert_eq!(fault.kind, FaultKind::Communication, "{lines:?}: {fault}");
        for part in [what, "write `ssh: { legacy: true }`", "`ssh_legacy: true`"] {
            assert!(fault.detail.contains(part), "{lines:?}: {fault}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_key_is_the_only_one_that_is_taken() {
    FrrLab::require();
    let server = OpenSsh::start(HostKey::Ed25519, &[]).unwrap();
    let first = server.fingerprint().unwrap();
    let pinned = SshPolicy {
        host_key: Some(first.clone()),
        refuse_unknown: true,
        ..SshPolicy::default()
    };
    let pinned = linux(&server, pinned);
    let sessions = with_key(&server);
    assert_eq!(
        collect(&sessions, &pinned, "echo one").await.as_deref(),
        Ok("one")
    );
    let transcript = sessions.transcripts().remove("r1").unwrap().to_text();
    assert!(transcript.contains(&first), "{transcript}");

    server.change_key(HostKey::Rsa).unwrap();
    let second = server.fingerprint().unwrap();
    let fault = collect(&with_key(&server), &pinned, "echo two")
        .await
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Authentication, "{fault}");
    for part in [
        first.as_str(),
        &format!("its ssh-rsa key is {second}"),
        &format!("write `ssh: {{ host_key: \"{second}\" }}` in connector `r1`"),
        "runtime_env.devices.r1.host_key",
    ] {
        assert!(fault.detail.contains(part), "{part}: {fault}");
    }
    // What it says to write works.
    let mended = SshPolicy {
        host_key: Some(second),
        ..SshPolicy::default()
    };
    let mended = linux(&server, mended);
    assert_eq!(
        collect(&with_key(&server), &mended, "echo two")
            .await
            .as_deref(),
        Ok("two")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_keys_are_taken_or_refused_as_the_connector_says() {
    FrrLab::require();
    let server = OpenSsh::start(HostKey::Ed25519, &[]).unwrap();
    let any = linux(&server, SshPolicy::default());
    assert_eq!(
        collect(&with_key(&server), &any, "echo any")
            .await
            .as_deref(),
        Ok("any")
    );
    let strict = SshPolicy {
        refuse_unknown: true,
        ..SshPolicy::default()
    };
    let strict = linux(&server, strict);
    let fault = collect(&with_key(&server), &strict, "echo any")
        .await
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Authentication, "{fault}");
    let found = server.fingerprint().unwrap();
    for part in [
        &format!("its ssh-ed25519 key is {found}"),
        &format!("`ssh: {{ host_key: \"{found}\" }}`"),
    ] {
        assert!(fault.detail.contains(part), "{part}: {fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_says_nothing_for_too_long_is_given_up_before_its_time_is_over() {
    FrrLab::require();
    let server = OpenSsh::start(HostKey::Ed25519, &[]).unwrap();
    let host = Endpoint {
        idle_timeout: Some(Duration::from_secs(1)),
        ..linux(&server, SshPolicy::default())
    };
    let sessions = with_key(&server);
    // Longer than the limit altogether, and never silent for so long.
    let talking = "for n in 1 2 3 4; do echo $n; sleep 0.4; done";
    let said = collect(&sessions, &host, talking).await;
    assert_eq!(said.as_deref(), Ok("1\n2\n3\n4"));
    let began = Instant::now();
    let silent = json!({
        "command": "echo waiting; sleep 20",
        // A question that is not asked is not answered.
        "answers": [{ "prompt": "Sure?", "reply": "typed-for-nothing" }],
    });
    let fault = exec(&sessions, &host, silent).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Timeout, "{fault}");
    for part in ["said nothing for 1 s", "`idle_timeout`", "waiting"] {
        assert!(fault.detail.contains(part), "{part}: {fault}");
    }
    assert!(!fault.detail.contains("typed-for-nothing"), "{fault}");
    assert!(began.elapsed() < Duration::from_secs(10));
}

/// A serial line that keeps one character at a time: what comes within `SLOW` of the last one is lost.
async fn slow_line(listener: TcpListener) -> String {
    const SLOW: Duration = Duration::from_millis(4);
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(b"\r\nR1#").await.unwrap();
    let (mut kept, mut last, mut line) = (String::new(), Instant::now(), String::new());
    let mut byte = [0];
    while stream.read(&mut byte).await.is_ok_and(|read| read > 0) {
        let now = Instant::now();
        let lost = now - last < SLOW;
        last = now;
        if lost {
            continue;
        }
        stream.write_all(&byte).await.unwrap();
        match byte[0] {
            b'\r' => {
                if line.contains("show clock") {
                    kept.push_str(&line);
                    stream.write_all(b"\n12:00:00 UTC").await.unwrap();
                }
                line.clear();
                stream.write_all(b"\r\nR1#").await.unwrap();
            }
            other => line.push(char::from(other)),
        }
        if line == "exit" {
            break;
        }
    }
    kept
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_line_gets_its_characters_one_after_the_other() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let line = tokio::task::spawn_blocking(move || {
        tokio::runtime::Handle::current().block_on(slow_line(listener))
    });
    let slow = Endpoint {
        typing_delay: Duration::from_millis(20),
        ..router(port)
    };
    let sessions = sessions();
    let said = collect(&sessions, &slow, "show clock").await;
    assert_eq!(said.as_deref(), Ok("12:00:00 UTC"));
    sessions
        .close_all(Instant::now() + Duration::from_secs(3))
        .await;
    assert_eq!(line.await.unwrap(), "show clock");
}

/// Echoes, and gives a prompt after each line in which nothing is slow.
async fn answers_all_but_slow(listener: TcpListener) {
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.write_all(b"\r\nR1#").await.unwrap();
    let mut bytes = [0; 256];
    while let Ok(read @ 1..) = stream.read(&mut bytes).await {
        let said = bytes.get(..read).unwrap();
        stream.write_all(said).await.unwrap();
        let is_slow = said.windows(4).any(|it| it == b"slow");
        if !is_slow && said.ends_with(b"\r") {
            stream.write_all(b"\nR1#").await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_that_falls_silent_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let line = answers_all_but_slow(listener);
    let silent = Endpoint {
        idle_timeout: Some(Duration::from_secs(1)),
        ..router(port)
    };
    let sessions = sessions();
    let asking = async {
        assert_eq!(
            collect(&sessions, &silent, "quick").await.as_deref(),
            Ok("")
        );
        let fault = collect(&sessions, &silent, "slow").await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Timeout, "{fault}");
        for part in ["it said nothing for 1 s", "`idle_timeout`"] {
            assert!(fault.detail.contains(part), "{part}: {fault}");
        }
    };
    tokio::select! {
        () = line => panic!("the line ended"),
        () = asking => {}
    }
}
