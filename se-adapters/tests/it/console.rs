//! Consoles that misbehave: refused, silent, noisy, half closed, with dialogs of their own.

use std::time::Duration;

use se_adapters::connect::Sessions;
use se_adapters::device;
use se_dsl::checked::{ConnectorClass, Transport};
use se_runtime::{Endpoint, FaultKind, Secret};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::bench::{call, collect, endpoint, exec, sessions};

/// What a scripted device does: says something when a line has come (or at once, for `""`).
type Script = &'static [(&'static str, &'static str)];

/// Serves the script to one user after the other; at other lines, what it waits with is shown again.
async fn serve(listener: TcpListener, script: Script) {
    while let Ok((stream, _)) = listener.accept().await {
        // The user may hang up at any time.
        drop(answer(stream, script).await);
    }
}

/// A device that waits at an empty line comes to its prompt.
fn last_line(says: &str) -> &str {
    let last = says.rsplit('\n').next();
    last.filter(|it| !it.is_empty()).unwrap_or("R1#")
}

async fn answer(mut stream: TcpStream, script: Script) -> std::io::Result<()> {
    let mut steps = script.iter().peekable();
    let mut line = Vec::new();
    let mut waits = "R1#";
    loop {
        while let Some((_, says)) = steps.next_if(|(on, _)| on.is_empty()) {
            stream.write_all(says.as_bytes()).await?;
            waits = last_line(says);
        }
        let byte = stream.read_u8().await?;
        match byte {
            0x15 | 0x03 => line.clear(),
            b'\r' => {
                let typed = String::from_utf8_lossy(&line).into_owned();
                line.clear();
                match steps.next_if(|(on, _)| *on == typed) {
                    Some((_, "CLOSE")) => return stream.shutdown().await,
                    Some((_, says)) => {
                        stream.write_all(says.as_bytes()).await?;
                        waits = last_line(says);
                    }
                    None => {
                        let again = format!("{typed}\r\n{waits}");
                        stream.write_all(again.as_bytes()).await?;
                    }
                }
            }
            other => line.push(other),
        }
    }
}

/// What a `show clock` comes to on a device with that script.
async fn on(
    script: Script,
    endpoint: impl FnOnce(Endpoint) -> Endpoint,
) -> Result<String, (FaultKind, String)> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let endpoint = endpoint(Endpoint {
        timeout: Duration::from_secs(3),
        ..super::bench::router(port)
    });
    let sessions = sessions();
    tokio::select! {
        // Neither holds anything that a drop would lose.
        () = serve(listener, script) => panic!("the script server ended"),
        shown = collect(&sessions, &endpoint, "show clock") => {
            shown.map_err(|fault| (fault.kind, fault.detail))
        }
    }
}

fn with_login(endpoint: Endpoint) -> Endpoint {
    Endpoint {
        username: Some("alice".to_owned()),
        password: Some(Secret::new("s3cret")),
        enable_password: Some(Secret::new("enable-me")),
        ..endpoint
    }
}

const CLOCK: (&str, &str) = ("show clock", "show clock\r\n12:00:01 UTC\r\nR1#");
const LENGTH: (&str, &str) = ("terminal length 0", "terminal length 0\r\nR1#");
const WIDTH: (&str, &str) = ("terminal width 511", "terminal width 511\r\nR1#");

#[tokio::test]
async fn dialogs_are_answered_on_the_way_to_the_prompt() {
    for script in [
        &[("", "R1#"), LENGTH, WIDTH, CLOCK] as Script,
        &[(
            "",
            "\r\nR1 con0 is now available\r\n\r\nPress RETURN to get started.\r\n\r\n",
        )],
        &[
            (
                "",
                "\r\nWould you like to enter the initial configuration dialog? [yes/no]: ",
            ),
            ("no", "no\r\n\r\nPress RETURN to get started!\r\n\r\n"),
        ],
        &[
            ("", "\r\nUser Access Verification\r\n\r\nUsername: "),
            ("alice", "alice\r\nPassword: "),
            ("s3cret", "\r\nR1>"),
            ("enable", "enable\r\nPassword: "),
            ("enable-me", "\r\nR1#"),
            LENGTH,
            WIDTH,
            CLOCK,
        ],
        &[
            ("", "Would you like to terminate autoinstall? [yes]: "),
            ("yes", "yes\r\nR1>"),
            ("enable", "enable\r\nR1#"),
            (
                "terminal length 0",
                "terminal length 0\r\n% Invalid input detected\r\nR1#",
            ),
            WIDTH,
            CLOCK,
        ],
    ] {
        match on(script, with_login).await {
            Ok(shown) if script.contains(&CLOCK) => assert_eq!(shown, "12:00:01 UTC", "{script:?}"),
            Ok(shown) => assert_eq!(shown, "", "{script:?}"),
            Err(fault) => panic!("{script:?}: {fault:?}"),
        }
    }
}

#[tokio::test]
async fn output_is_clean_whatever_the_console_adds() {
    for (answer, expect) in [
        ("show clock\r\n12:00\r\nR1#", "12:00"),
        ("show clock\r\r\n12:00\r\r\nR1# ", "12:00"),
        (
            "show clock\r\n*Mar  1 00:01:02.003: %LINK-3-UPDOWN: Interface Gi0/1, changed state to up\r\n12:00\r\nR1#",
            "12:00",
        ),
        (
            "show clock\r\n12:00\r\nR1#\r\n*Mar  1 00:01:02.003: %SYS-5-CONFIG_I: Configured from console\r\n",
            "12:00",
        ),
        (
            "show clock\r\n\u{1b}[6n\u{1b}[7m12:00\u{1b}[m\r\nR1#",
            "12:00",
        ),
        ("show clock\r\n12:00\r\nfoo#\r\nR1#", "12:00\nfoo#"),
        (
            "show clock\r\n12:00\r\n--More-- \u{8}\u{8}\u{8}\u{8}\u{8}\u{8}\u{8}\u{8}\u{8}         \u{8}\u{8}\u{8}\u{8}\u{8}\u{8}\u{8}\u{8}\u{8}13\r\nR1#",
            "12:00\n13",
        ),
        ("show clock\r\n12:00\r\nR2#", "12:00"),
    ] {
        let clock = ("show clock", answer);
        let script = vec![("", "R1#"), LENGTH, WIDTH, clock].leak();
        assert_eq!(
            on(script, with_login).await,
            Ok(expect.to_owned()),
            "{answer:?}"
        );
    }
}

/// What a fault has to say, on a device with that script.
async fn check_fault(
    script: Script,
    endpoint: fn(Endpoint) -> Endpoint,
    kind: FaultKind,
    says: &[&str],
) {
    let Err((found, detail)) = on(script, endpoint).await else {
        panic!("{script:?} works");
    };
    assert_eq!(found, kind, "{script:?}: {detail}");
    for it in says {
        assert!(detail.contains(it), "{script:?}: no {it:?} in: {detail}");
    }
    assert!(!detail.contains("s3cret"), "{detail}");
    assert!(!detail.contains("enable-me"), "{detail}");
}

/// A script, a connector's keys, the kind of fault and what it says.
type Case = (
    Script,
    fn(Endpoint) -> Endpoint,
    FaultKind,
    &'static [&'static str],
);

#[tokio::test]
async fn logins_that_cannot_work_say_why() {
    let nobody = |it| it;
    let cases: [Case; 5] = [
        (
            &[("", "Username: ")],
            nobody,
            FaultKind::Authentication,
            &[
                "Username:",
                "set `username` and `password` of connector `r1`",
            ],
        ),
        (
            &[
                ("", "Username: "),
                ("alice", "alice\r\nPassword: "),
                ("s3cret", "\r\n% Login invalid\r\n\r\nUsername: "),
            ],
            with_login,
            FaultKind::Authentication,
            &["the login was refused", "% Login invalid"],
        ),
        (
            &[
                ("", "Username: "),
                ("alice", "alice\r\nPassword: "),
                ("s3cret", "CLOSE"),
            ],
            with_login,
            FaultKind::Authentication,
            &["the login was refused"],
        ),
        (
            &[("", "Enter PASSCODE for alice: ")],
            with_login,
            FaultKind::Authentication,
            &[
                "something that no connector key answers",
                "Enter PASSCODE for ***:",
            ],
        ),
        (
            &[
                ("", "R1>"),
                ("enable", "enable\r\nPassword: "),
                ("enable-me", "\r\n% Bad secrets\r\n\r\nR1>"),
            ],
            with_login,
            FaultKind::Authentication,
            &["`enable` was refused", "% Bad secrets", "`enable_password`"],
        ),
    ];
    for (script, endpoint, kind, says) in cases {
        check_fault(script, endpoint, kind, says).await;
    }
}

#[tokio::test]
async fn what_stops_a_session_is_shown() {
    let cases: [Case; 3] = [
        (
            &[("", "rommon 1 > ")],
            with_login,
            FaultKind::Conflict,
            &["boot loader", "rommon 1 >"],
        ),
        (
            &[
                ("", "R1#"),
                LENGTH,
                WIDTH,
                ("show clock", "show clock\r\nReally? [confirm]"),
            ],
            with_login,
            FaultKind::Validation,
            &[
                "`show clock` waits for a reply",
                "Really? [confirm]",
                "`answers`",
            ],
        ),
        (
            &[("", "R1#"), LENGTH, WIDTH, ("show clock", "CLOSE")],
            with_login,
            FaultKind::Communication,
            &["it hung up"],
        ),
    ];
    for (script, endpoint, kind, says) in cases {
        check_fault(script, endpoint, kind, says).await;
    }
}

#[tokio::test]
async fn what_asks_is_answered_in_order() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let script: Script = &[
        ("", "R1#"),
        LENGTH,
        WIDTH,
        (
            "copy run start",
            "copy run start\r\nDestination filename [startup-config]? ",
        ),
        ("other", "other\r\nOverwrite? [confirm]"),
        ("y", "y\r\n[OK]\r\nR1#"),
    ];
    let inputs = json!({
        "command": "copy run start",
        "answers": [
            { "prompt": "~ Destination filename", "reply": "other" },
            { "prompt": "[confirm]", "reply": "y" },
        ],
    });
    let sessions = sessions();
    let r1 = super::bench::router(port);
    let done = tokio::select! {
        // Neither holds anything that a drop would lose.
        () = serve(listener, script) => panic!("the script server ended"),
        done = exec(&sessions, &r1, inputs) => done.unwrap(),
    };
    let stdout = done.output.get("stdout").unwrap().as_str().unwrap();
    assert!(stdout.ends_with("[OK]"), "{stdout}");
}

#[tokio::test]
async fn a_line_without_end_costs_no_more_than_its_length() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let line = vec![b'x'; 4 << 20];
    let talking = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(&line).await.unwrap();
        std::future::pending::<()>().await;
    };
    let r1 = Endpoint {
        timeout: Duration::from_secs(5),
        ..super::bench::router(port)
    };
    let sessions = sessions();
    let since = Instant::now();
    let fault = tokio::select! {
        // Neither holds anything that a drop would lose.
        () = talking => panic!("the server ended"),
        shown = collect(&sessions, &r1, "show clock") => shown.unwrap_err(),
    };
    assert_eq!(fault.kind, FaultKind::Timeout, "{fault}");
    assert!(fault.detail.len() < 2000, "{}", fault.detail.len());
    assert!(
        since.elapsed() < Duration::from_secs(8),
        "{:?}",
        since.elapsed()
    );
}

/// The fault of a connector on a port where something is wrong, and how long it took.
async fn broken(
    sessions: &Sessions,
    transport: Transport,
    class: ConnectorClass,
    port: u16,
) -> (FaultKind, String) {
    let endpoint = Endpoint {
        username: Some("alice".to_owned()),
        password: Some(Secret::new("s3cret")),
        timeout: Duration::from_millis(1500),
        ..endpoint(class, transport, port)
    };
    let call = call("collect", &endpoint, json!({ "command": "show clock" }));
    let since = Instant::now();
    let fault = device::collect(sessions, &call).await.unwrap_err();
    assert!(
        since.elapsed() < Duration::from_millis(2500),
        "{:?}: {fault}",
        since.elapsed()
    );
    (fault.kind, fault.detail)
}

/// What a broken server does with a connection.
type Behaviour = fn(TcpStream) -> futures_util::future::BoxFuture<'static, ()>;

async fn misbehave(listener: TcpListener, behaviour: Option<Behaviour>) {
    let mut users = tokio::task::JoinSet::new();
    while let (Ok((stream, _)), Some(behaviour)) = (listener.accept().await, behaviour) {
        users.spawn(behaviour(stream));
    }
}

#[tokio::test]
async fn broken_servers_are_told_apart_within_the_connectors_timeout() {
    let refuses = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = refuses.local_addr().unwrap().port();
    drop(refuses);
    let silent: Behaviour = |stream| {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(60)).await;
            drop(stream);
        })
    };
    let garbage: Behaviour = |mut stream| {
        Box::pin(async move {
            let noise: Vec<u8> = (0..=255).cycle().step_by(7).take(4000).collect();
            drop(stream.write_all(&noise).await);
            tokio::time::sleep(Duration::from_secs(60)).await;
        })
    };
    let half_closed: Behaviour = |mut stream| {
        Box::pin(async move {
            drop(stream.write_all(b"booting").await);
            drop(stream.shutdown().await);
            tokio::time::sleep(Duration::from_secs(60)).await;
        })
    };
    use FaultKind::{Communication, Timeout};
    for (behaviour, telnet, ssh) in [
        (None, Communication, Communication),
        (Some(silent), Timeout, Timeout),
        (Some(garbage), Timeout, Communication),
        (Some(half_closed), Communication, Communication),
    ] {
        for (transport, class, expect) in [
            (Transport::Telnet, ConnectorClass::CiscoCommon, telnet),
            (Transport::Telnet, ConnectorClass::Unix, telnet),
            (Transport::Telnet, ConnectorClass::Control, telnet),
            (Transport::Ssh, ConnectorClass::Unix, ssh),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = match behaviour {
                Some(_) => listener.local_addr().unwrap().port(),
                None => closed,
            };
            let serving = misbehave(listener, behaviour);
            let sessions = sessions();
            let (kind, detail) = tokio::select! {
                // Neither holds anything that a drop would lose.
                () = serving => panic!("the server ended"),
                fault = broken(&sessions, transport, class, port) => fault,
            };
            assert_eq!(kind, expect, "{transport:?} {class:?}: {detail}");
            assert!(detail.contains(&format!("127.0.0.1:{port}")), "{detail}");
            assert!(detail.contains("check"), "{detail}");
        }
    }
}
