//! OpenSSH (commands, files, a router's shell), a server with passwords, and a shell on a serial line.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::PrivateKey;
use russh::server::{Auth, Handler, Server};
use russh::{MethodKind, MethodSet};
use se_adapters::connect::{Connectors, Sessions};
use se_adapters::device;
use se_dsl::checked::{ConnectorClass, Transport};
use se_runtime::{Endpoint, FaultKind, Secret};
use se_testkit::testbed::{FrrLab, LINUX_LOGIN, SSH_USER};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::bench::{Wall, call, collect, endpoint, exec, sessions};

fn with_key(lab: &FrrLab) -> Sessions {
    let connectors = Connectors::new(Arc::new(Wall));
    Sessions::new(Arc::new(connectors.with_identity(lab.user_key()).unwrap()))
}

fn linux(port: u16) -> Endpoint {
    Endpoint {
        username: Some(SSH_USER.to_owned()),
        ..endpoint(ConnectorClass::Unix, Transport::Ssh, port)
    }
}

fn serial(lab: &FrrLab, (username, password): (&str, &str)) -> Endpoint {
    Endpoint {
        username: Some(username.to_owned()),
        password: Some(Secret::new(password)),
        ..endpoint(
            ConnectorClass::Unix,
            Transport::Telnet,
            lab.ports().linux_console,
        )
    }
}

/// The same shell commands give the same outputs over SSH and over a serial line.
async fn check_shell(sessions: &Sessions, host: &Endpoint) {
    for (inputs, output) in [
        (
            json!({ "command": "echo one; echo two >&2" }),
            json!({ "ok": true, "stdout": "one\ntwo", "exit_code": 0, "error": null }),
        ),
        (
            json!({ "command": "true" }),
            json!({ "ok": true, "stdout": "", "exit_code": 0, "error": null }),
        ),
        (
            json!({ "command": "echo broken; exit 3", "suppress_error": true }),
            json!({ "ok": false, "stdout": "broken" , "exit_code": 3, "error": "exit status 3" }),
        ),
        (
            json!({ "script": "for n in 1 2 3; do\n  echo \"it's $n !\"\ndone\ncd /tmp\npwd\n" }),
            json!({ "ok": true, "stdout": "it's 1 !\nit's 2 !\nit's 3 !\n/tmp", "exit_code": 0, "error": null }),
        ),
        (
            json!({ "command": "printf 'a\\r\\nno end'" }),
            json!({ "ok": true, "stdout": "a\nno end", "exit_code": 0, "error": null }),
        ),
        (
            json!({
                "command": "printf 'Sure? '; read sure; printf 'Name: '; read name; echo \"$sure-$name\" | tr a-z A-Z",
                "answers": [{ "prompt": "Sure?", "reply": "yes" }, { "prompt": "~ ^Name: $", "reply": "bob" }],
            }),
            json!({ "ok": true, "stdout": "YES-BOB", "exit_code": 0, "error": null }),
        ),
    ] {
        let asks = inputs.get("answers").is_some();
        let done = exec(sessions, host, inputs.clone()).await;
        let mut done = done.unwrap_or_else(|fault| panic!("{inputs}: {fault}"));
        if asks {
            // The terminal shows the questions and replies, too.
            let stdout = done.output.get_mut("stdout").unwrap();
            *stdout = json!(stdout.as_str().unwrap().lines().last());
        }
        if let Some(error) = done.output.get_mut("error").filter(|it| it.is_string()) {
            let short = error
                .as_str()
                .unwrap()
                .split(':')
                .next()
                .unwrap()
                .to_owned();
            *error = json!(short);
        }
        assert_eq!(Value::Object(done.output), output, "{inputs}");
    }
    let fault = exec(sessions, host, json!({ "command": "echo oh no; false" }))
        .await
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Validation);
    assert!(
        fault.detail.contains("oh no") && fault.detail.contains("exit status 1"),
        "{fault}"
    );
    let kept = json!({ "command": "echo version 17.3 of it", "match": "version (\\S+)" });
    let kept = device::collect(sessions, &call("collect", host, kept))
        .await
        .unwrap();
    assert_eq!(kept.output.get("output"), Some(&json!("17.3")));
}

/// A command that is dropped ends on the host, and the next one runs.
async fn check_drop(sessions: &Sessions, host: &Endpoint, folder: &Path) {
    let alive = folder.join(format!("alive-{:?}", host.transport));
    let command = format!("while :; do date >> {}; sleep 0.1; done", alive.display());
    let endless = exec(sessions, host, json!({ "command": command }));
    let dropped = tokio::time::timeout(Duration::from_millis(1500), endless).await;
    assert!(dropped.is_err(), "{dropped:?}");
    assert_eq!(collect(sessions, host, "echo next").await.unwrap(), "next");
    tokio::time::sleep(Duration::from_millis(500)).await;
    let size = || std::fs::metadata(&alive).unwrap().len();
    let before = size();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(size(), before, "the dropped command still runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_over_openssh() {
    let lab = FrrLab::up().unwrap();
    let sessions = with_key(&lab);
    let host = linux(lab.ports().ssh_linux);
    check_shell(&sessions, &host).await;
    check_drop(&sessions, &host, lab.folder()).await;
    let background = exec(
        &sessions,
        &host,
        json!({ "command": "sleep 30 & echo started" }),
    );
    let background = tokio::time::timeout(Duration::from_secs(5), background)
        .await
        .unwrap();
    assert_eq!(
        background.unwrap().output.get("stdout"),
        Some(&json!("started"))
    );
    let mut slow = call(
        "exec",
        &host,
        json!({ "command": "echo waiting; sleep 30" }),
    );
    slow.timeout = Duration::from_secs(1);
    let fault = device::exec(&sessions, &slow).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Timeout);
    assert!(fault.detail.contains("waiting"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_in_a_shell_on_a_serial_line() {
    let lab = FrrLab::up().unwrap();
    let sessions = sessions();
    let host = serial(&lab, LINUX_LOGIN);
    check_shell(&sessions, &host).await;
    check_drop(&sessions, &host, lab.folder()).await;
    let unbalanced = json!({ "command": "echo 'oops", "suppress_error": true });
    let unbalanced = exec(&sessions, &host, unbalanced).await.unwrap();
    assert_eq!(unbalanced.output.get("ok"), Some(&json!(false)));
    assert_eq!(
        collect(&sessions, &host, "echo fine").await.unwrap(),
        "fine"
    );
    let transcript = sessions.transcripts().remove("r1").unwrap().to_text();
    assert!(!transcript.contains(LINUX_LOGIN.1), "{transcript}");
    sessions
        .close_all(Instant::now() + Duration::from_secs(3))
        .await;

    let (user, _) = LINUX_LOGIN;
    let fault = collect(&sessions, &serial(&lab, (user, "wrong-pw")), "true")
        .await
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Authentication, "{fault}");
    assert!(fault.detail.contains("Login incorrect"), "{fault}");
    assert!(!fault.detail.contains("wrong-pw"), "{fault}");
    let nobody = Endpoint {
        username: None,
        ..serial(&lab, LINUX_LOGIN)
    };
    let fault = collect(&sessions, &nobody, "true").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Authentication, "{fault}");
    assert!(fault.detail.contains("linux1 login:"), "{fault}");
    assert!(
        fault
            .detail
            .contains("set `username` and `password` of connector `r1`"),
        "{fault}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_is_driven_through_an_ssh_shell() {
    let lab = FrrLab::up().unwrap();
    let sessions = with_key(&lab);
    let [port, _] = lab.ports().ssh_router;
    let r1 = Endpoint {
        username: Some(SSH_USER.to_owned()),
        ..endpoint(ConnectorClass::CiscoCommon, Transport::Ssh, port)
    };
    let shown = collect(&sessions, &r1, "show ip ospf neighbor")
        .await
        .unwrap();
    assert!(
        shown.starts_with("\nNeighbor ID") && shown.contains("Full"),
        "{shown}"
    );
    let fault = exec(&sessions, &r1, json!({ "command": "show bogus" }))
        .await
        .unwrap_err();
    assert!(
        fault.detail.contains("% Unknown command: show bogus"),
        "{fault}"
    );
    let deadline = Instant::now() + Duration::from_secs(3);
    sessions.close_all(deadline).await;
    assert!(Instant::now() < deadline);
}

/// How the password server takes passwords.
#[derive(Clone, Copy)]
struct Passwords(MethodKind);

impl Server for Passwords {
    type Handler = Self;

    fn new_client(&mut self, _: Option<std::net::SocketAddr>) -> Self {
        *self
    }
}

impl Handler for Passwords {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(match (self.0, user, password) {
            (MethodKind::Password, "cisco", "right-pw") => Auth::Accept,
            _ => Auth::reject(),
        })
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _: &str,
        _: &str,
        response: Option<russh::server::Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let Some(mut answers) = response else {
            return Ok(Auth::Partial {
                name: "".into(),
                instructions: "".into(),
                prompts: vec![("Password: ".into(), false)].into(),
            });
        };
        let is_right = answers.next().is_some_and(|it| it.as_ref() == b"right-pw");
        Ok(if is_right {
            Auth::Accept
        } else {
            Auth::reject()
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_work_plain_and_interactive_and_a_wrong_one_says_what_to_check() {
    for method in [MethodKind::Password, MethodKind::KeyboardInteractive] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let host_key = PrivateKey::random(
            &mut russh::keys::key::safe_rng(),
            russh::keys::Algorithm::Ed25519,
        );
        let config = russh::server::Config {
            methods: MethodSet::from([method].as_slice()),
            auth_rejection_time: Duration::from_millis(10),
            keys: vec![host_key.unwrap()],
            ..russh::server::Config::default()
        };
        let mut server = Passwords(method);
        let serving = server.run_on_socket(Arc::new(config), &listener);
        let asking = async {
            let user = |password: Option<&str>| Endpoint {
                username: Some("cisco".to_owned()),
                password: password.map(Secret::new),
                ..endpoint(ConnectorClass::Unix, Transport::Ssh, port)
            };
            // An empty command only waits until the device is ready.
            assert_eq!(
                collect(&sessions(), &user(Some("right-pw")), "").await,
                Ok(String::new())
            );
            let fault = collect(&sessions(), &user(Some("wrong-pw")), "")
                .await
                .unwrap_err();
            assert_eq!(fault.kind, FaultKind::Authentication, "{fault}");
            assert!(!fault.detail.contains("wrong-pw"), "{fault}");
            let fault = collect(&sessions(), &user(None), "").await.unwrap_err();
            assert_eq!(fault.kind, FaultKind::Authentication, "{fault}");
            assert!(fault.detail.contains("`password`"), "{fault}");
        };
        tokio::select! {
            // Neither holds anything that a drop would lose.
            ended = serving => panic!("the server ended: {ended:?}"),
            () = asking => {}
        }
    }
}
