//! Files both ways: SFTP and SCP of OpenSSH, and a router that has no SFTP and one channel to a connection.

use std::path::Path;
use std::sync::{Arc, Mutex};

use se_adapters::connect::{Connectors, Sessions};
use se_adapters::device;
use se_dsl::checked::{ConnectorClass, Transport};
use se_runtime::port::Progress;
use se_runtime::{Done, Endpoint, Fault, FaultKind};
use se_testkit::testbed::{FrrLab, HostKey, OpenSsh, SSH_USER};
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::bench::{Wall, call, collect, endpoint};

#[derive(Default)]
struct Told(Mutex<Vec<(u8, String)>>);

impl Progress for Told {
    fn report(&self, percent: u8, message: &str) {
        self.0.lock().unwrap().push((percent, message.to_owned()));
    }
}

fn with_key(server: &OpenSsh) -> Sessions {
    let connectors = Connectors::new(Arc::new(Wall));
    let connectors = connectors.with_identity(&server.user_key().unwrap());
    Sessions::new(Arc::new(connectors.unwrap()))
}

fn host(server: &OpenSsh, class: ConnectorClass) -> Endpoint {
    Endpoint {
        username: Some(SSH_USER.to_owned()),
        ..endpoint(class, Transport::Ssh, server.port())
    }
}

async fn put(
    sessions: &Sessions,
    host: &Endpoint,
    source: &Path,
    dest: &str,
    told: &Told,
) -> Result<Done, Fault> {
    let inputs = json!({ "source": "payload", "dest": dest, "mode": "0640" });
    device::copy(sessions, &call("copy", host, inputs), source, told).await
}

async fn get(
    sessions: &Sessions,
    host: &Endpoint,
    source: &str,
    told: &Told,
) -> Result<Done, Fault> {
    let inputs = json!({ "direction": "get", "source": source });
    device::fetch(sessions, &call("transfer_file", host, inputs), told).await
}

fn noise(length: u32) -> Vec<u8> {
    let byte = |it: u32| it.wrapping_mul(2_654_435_761).to_be_bytes()[1];
    (0..length).map(byte).collect()
}

fn sftp_and_scp() -> [OpenSsh; 2] {
    FrrLab::require();
    let start = |lines| OpenSsh::start(HostKey::Ed25519, lines).unwrap();
    [start(&["Subsystem sftp internal-sftp"]), start(&[])]
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_put_and_verified() {
    for server in sftp_and_scp() {
        let sessions = with_key(&server);
        let host = host(&server, ConnectorClass::Unix);
        let source = server.folder().join("payload.bin");
        let bytes = noise(4 * 1024 * 1024);
        std::fs::write(&source, &bytes).unwrap();
        let folder = server.folder().join("to");
        std::fs::create_dir(&folder).unwrap();
        let dest = folder.join("it's here");
        let told = Told::default();
        let done = put(
            &sessions,
            &host,
            &source,
            &dest.display().to_string(),
            &told,
        )
        .await
        .unwrap();
        assert_eq!(done.output.get("bytes"), Some(&json!(bytes.len())));
        assert_eq!(done.output.get("ok"), Some(&json!(true)));
        let digest = done.output.get("sha256").unwrap().as_str().unwrap();
        let known = collect(&sessions, &host, &format!("sha256sum {}", source.display())).await;
        assert!(known.unwrap().starts_with(digest), "{digest}");
        assert!(std::fs::read(&dest).unwrap() == bytes, "the copy differs");
        let asked = format!("stat -c %a \"{}\"", dest.display());
        assert_eq!(collect(&sessions, &host, &asked).await.unwrap(), "640");
        let (percent, message) = told.0.lock().unwrap().last().cloned().unwrap();
        assert_eq!(percent, 100);
        assert!(message.starts_with("all 4194304 bytes to /"), "{message}");
        let transcript = sessions.transcripts().remove("r1").unwrap().to_text();
        assert!(
            transcript.contains("the device has the same digest"),
            "{transcript}"
        );

        let nowhere = server.folder().join("nowhere/file").display().to_string();
        let fault = put(&sessions, &host, &source, &nowhere, &told)
            .await
            .unwrap_err();
        assert_eq!(fault.kind, FaultKind::NotFound, "{fault}");
        assert!(fault.detail.contains("nowhere"), "{fault}");
        let dest = dest.display().to_string();
        let fault = put(&sessions, &host, Path::new("/no/source"), &dest, &told)
            .await
            .unwrap_err();
        assert_eq!(fault.kind, FaultKind::NotFound, "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_goes_into_a_folder_keeps_its_name() {
    for server in sftp_and_scp() {
        let source = server.folder().join("payload.bin");
        std::fs::write(&source, "text").unwrap();
        let folder = server.folder().join("to");
        std::fs::create_dir(&folder).unwrap();
        let host = host(&server, ConnectorClass::Unix);
        let dest = folder.display().to_string();
        let sessions = with_key(&server);
        let told = Told::default();
        put(&sessions, &host, &source, &dest, &told).await.unwrap();
        let there = std::fs::read_to_string(folder.join("payload.bin"));
        assert_eq!(there.unwrap(), "text");
        let transcript = sessions.transcripts().remove("r1").unwrap().to_text();
        let compared = "the device has the same digest";
        assert!(transcript.contains(compared), "{transcript}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_got_and_become_outputs() {
    for server in sftp_and_scp() {
        let sessions = with_key(&server);
        let host = host(&server, ConnectorClass::Unix);
        let at = |name: &str| server.folder().join(name).display().to_string();
        let large = noise(20 * 1024 * 1024);
        for (name, bytes, is_text) in [
            ("it's a text", "Größe\nline\n".as_bytes(), true),
            ("empty", b"", true),
            ("binary", &large[..100_000], false),
            ("zeros", &[0; 16 * 1024 * 1024], true),
            (
                "more zeros than are kept",
                &[0; 16 * 1024 * 1024 + 1],
                false,
            ),
            ("large", &large, false),
        ] {
            std::fs::write(at(name), bytes).unwrap();
            let told = Told::default();
            let done = get(&sessions, &host, &at(name), &told).await;
            let done = done.unwrap_or_else(|fault| panic!("{name}: {fault}"));
            assert_eq!(
                done.output.get("bytes"),
                Some(&json!(bytes.len())),
                "{name}"
            );
            let asked = format!("sha256sum < \"{}\"", at(name));
            let known = collect(&sessions, &host, &asked).await.unwrap();
            let digest = done.output.get("sha256").unwrap().as_str().unwrap();
            assert!(known.starts_with(digest), "{name}: {known} {digest}");
            let output = done.output.get("output").unwrap();
            assert_eq!(output.is_string(), is_text, "{name}");
            let is_same = |text: &str| text.as_bytes() == bytes;
            assert!(output.as_str().is_none_or(is_same), "{name}");
            let last = told.0.lock().unwrap().last().cloned().unwrap();
            assert_eq!(
                last,
                (100, format!("all {} bytes of {}", bytes.len(), at(name)))
            );
        }
        let fault = get(&sessions, &host, &at("nothing"), &Told::default())
            .await
            .unwrap_err();
        assert_eq!(fault.kind, FaultKind::NotFound, "{fault}");
        assert!(fault.detail.contains("nothing"), "{fault}");
        let folder = server.folder().display().to_string();
        let fault = get(&sessions, &host, &folder, &Told::default())
            .await
            .unwrap_err();
        assert_eq!(fault.kind, FaultKind::Validation, "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_both_ways_through_an_address_translation() {
    let [server, _] = sftp_and_scp();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pat = listener.local_addr().unwrap().port();
    let inside = server.port();
    let translating = async move {
        loop {
            let (mut outer, _) = listener.accept().await.unwrap();
            let mut inner = TcpStream::connect(("127.0.0.1", inside)).await.unwrap();
            copy_bidirectional(&mut outer, &mut inner).await.ok();
        }
    };
    // The connector's own port leads nowhere.
    let host = Endpoint {
        port: 1,
        ..host(&server, ConnectorClass::Unix)
    };
    let source = server.folder().join("a");
    std::fs::write(&source, "through").unwrap();
    let dest = server.folder().join("b").display().to_string();
    let moving = async {
        let told = Told::default();
        let putting = call(
            "transfer_file",
            &host,
            json!({ "source": "a", "dest": dest, "via_port": pat }),
        );
        let sessions = with_key(&server);
        device::copy(&sessions, &putting, &source, &told)
            .await
            .unwrap();
        let getting = json!({ "direction": "get", "source": dest, "via_port": pat });
        let done = device::fetch(&sessions, &call("transfer_file", &host, getting), &told).await;
        assert_eq!(done.unwrap().output.get("output"), Some(&json!("through")));
        let wrong = json!({ "direction": "get", "source": dest, "dest": "/tmp/x" });
        let wrong = device::fetch(&sessions, &call("transfer_file", &host, wrong), &told).await;
        assert!(wrong.unwrap_err().detail.contains("takes no `dest`"));
    };
    tokio::select! {
        () = translating => panic!("the translation ended"),
        () = moving => {}
    }
}

/// What answers as IOS does: a command line in a shell, `scp` and `verify /md5` as commands, no SFTP, one channel
/// to a connection. `verify` lies about files that are called so.
const ROUTER: &str = r#"#!/bin/sh
cd "$(dirname "$0")/flash" || exit 1
case "$SSH_ORIGINAL_COMMAND" in
  "scp "*) exec $(echo "$SSH_ORIGINAL_COMMAND" | sed 's/flash:\/*//') ;;
  "verify /md5 flash:/lie"*) echo 'verify /md5 (flash:/lie) = 00000000000000000000000000000000' ;;
  "verify /md5 "*)
    file=$(echo "$SSH_ORIGINAL_COMMAND" | sed 's/verify .md5 flash:\/*//')
    printf '....Done!\r\nverify /md5 (flash:/%s) = %s\r\n' "$file" "$(md5sum < "$file" | cut -d' ' -f1)" ;;
  "") printf '\r\nR1#'; while read -r line; do printf '\r\nR1#'; done ;;
  *) echo '% Invalid input detected' ;;
esac
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_router_without_sftp_takes_and_gives_files_on_connections_of_their_own() {
    use std::os::unix::fs::PermissionsExt as _;
    FrrLab::require();
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("router");
    std::fs::write(&program, ROUTER).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let flash = folder.path().join("flash");
    std::fs::create_dir(&flash).unwrap();
    let force = format!("ForceCommand {}", program.display());
    let server = OpenSsh::start(HostKey::Ed25519, &["MaxSessions 1", &force]).unwrap();
    let sessions = with_key(&server);
    let router = host(&server, ConnectorClass::CiscoCommon);
    let source = folder.path().join("image.bin");
    let bytes = noise(300_000);
    std::fs::write(&source, &bytes).unwrap();

    let told = Told::default();
    let done = put(&sessions, &router, &source, "flash:/image.bin", &told).await;
    assert_eq!(done.unwrap().output.get("bytes"), Some(&json!(300_000)));
    assert!(std::fs::read(flash.join("image.bin")).unwrap() == bytes);
    let done = get(&sessions, &router, "flash:/image.bin", &told)
        .await
        .unwrap();
    assert_eq!(done.output.get("bytes"), Some(&json!(300_000)));
    let transcript = sessions.transcripts().remove("r1").unwrap().to_text();
    let same = transcript.matches("the device has the same digest").count();
    assert_eq!(same, 2, "{transcript}");

    let fault = put(&sessions, &router, &source, "flash:/lie", &told)
        .await
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Validation, "{fault}");
    for part in [
        "the device has 00000000000000000000000000000000",
        "check the device's disk",
    ] {
        assert!(fault.detail.contains(part), "{part}: {fault}");
    }
    let fault = get(&sessions, &router, "flash:/none", &told)
        .await
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotFound, "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_has_no_files() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let console = endpoint(
        ConnectorClass::CiscoCommon,
        Transport::Telnet,
        listener.local_addr().unwrap().port(),
    );
    let serving = async {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"\r\nR1#").await.unwrap();
        let mut bytes = [0; 256];
        while let Ok(read @ 1..) = stream.read(&mut bytes).await {
            stream.write_all(bytes.get(..read).unwrap()).await.unwrap();
            stream.write_all(b"\nR1#").await.unwrap();
        }
        std::future::pending::<()>().await;
    };
    let asking = async {
        let sessions = crate::bench::sessions();
        let fault = get(&sessions, &console, "flash:/a", &Told::default())
            .await
            .unwrap_err();
        assert_eq!(fault.kind, FaultKind::Validation, "{fault}");
        assert!(fault.detail.contains("`transport: ssh`"), "{fault}");
    };
    tokio::select! {
        () = serving => {}
        () = asking => {}
    }
}
