//! Consoles, key by key.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::time::Duration;

use se_testkit::sim::{NodeState, Pod, PodOptions, Profile};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The longest anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The example package's pod with another profile.
pub(crate) async fn pod(profile: &str) -> Pod {
    let package = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/lab-0.1");
    let mut options = PodOptions::new(package).unwrap();
    options.profile = Profile::read(profile).unwrap();
    Pod::start(options).await.unwrap()
}

/// A port of a device, from the pod's facts.
pub(crate) fn port(pod: &Pod, device: &str, which: &str) -> u16 {
    let facts = pod.facts();
    let port = facts.pointer(&format!("/runtime_env/devices/{device}/{which}"));
    u16::try_from(port.unwrap().as_u64().unwrap()).unwrap()
}

/// One client of a console.
struct Client {
    stream: TcpStream,
    seen: String,
}

impl Client {
    async fn new(pod: &Pod, device: &str) -> Self {
        let port = port(pod, device, "serial_port");
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let seen = String::new();
        Self { stream, seen }
    }

    /// Reads until `text` has come, and gives everything up to it.
    async fn until(&mut self, text: &str) -> String {
        let found = timeout(PATIENCE, async {
            while !self.seen.contains(text) {
                assert!(
                    self.read().await > 0,
                    "the end before {text:?}: {:?}",
                    self.seen
                );
            }
        });
        found.await.expect(text);
        let end = self.seen.find(text).unwrap() + text.len();
        let rest = self.seen.split_off(end);
        std::mem::replace(&mut self.seen, rest)
    }

    async fn read(&mut self) -> usize {
        let mut buffer = [0; 1024];
        let read = self.stream.read(&mut buffer).await.unwrap_or(0);
        self.seen += &String::from_utf8_lossy(&buffer[..read]);
        read
    }

    async fn at_end(&mut self) -> bool {
        timeout(PATIENCE, async { while self.read().await > 0 {} })
            .await
            .is_ok()
    }

    async fn line(&mut self, text: &str) {
        self.stream
            .write_all(format!("{text}\r").as_bytes())
            .await
            .unwrap();
    }

    /// What comes between the echo of `text` and `prompt`.
    async fn ask(&mut self, text: &str, prompt: &str) -> String {
        self.line(text).await;
        self.until(&format!("{text}\r\n")).await;
        let answer = self.until(prompt).await;
        answer.strip_suffix(prompt).unwrap().to_owned()
    }
}

#[tokio::test]
async fn enable_takes_the_password_and_the_mode_outlives_the_client() {
    let pod = pod("defaults: {enable_password: cisco}").await;
    let mut client = Client::new(&pod, "sw01").await;
    client.line("").await;
    client.until("sw01>").await;
    assert!(
        client
            .ask("configure terminal", "sw01>")
            .await
            .contains("Invalid input")
    );
    client.line("enable").await;
    for _ in 0..3 {
        client.until("Password: ").await;
        client.line("wrong").await;
    }
    client.until("% Bad secrets").await;
    client.until("sw01>").await;
    client.line("enable").await;
    client.until("Password: ").await;
    client.line("cisco").await;
    assert_eq!(
        client.until("sw01#").await,
        "\r\nsw01#",
        "a password is not echoed"
    );
    client.ask("conf t", "sw01(config)#").await;
    client.ask("interface Vl99", "sw01(config-if)#").await;
    client.ask("shutdown", "sw01(config-if)#").await;
    drop(client);
    let mut client = Client::new(&pod, "sw01").await;
    client.line("").await;
    client.until("sw01(config-if)#").await;
    client.ask("hostname other", "other(config-if)#").await;
    client.ask("end", "other#").await;
    let running = client.ask("show running-config", "other#").await;
    assert!(
        running.contains("interface Vlan99\r\n shutdown\r\n"),
        "{running}"
    );
    let done = pod.journal().entries();
    assert!(
        done.iter()
            .any(|it| it.detail == "interface Vlan99: shutdown")
    );
}

#[tokio::test]
async fn a_login_is_asked_for_and_a_wrong_one_refused() {
    let pod = pod("defaults: {login: {username: admin, password: right}}").await;
    let mut client = Client::new(&pod, "rtr01").await;
    client.line("").await;
    for (password, then) in [("wrong", "% Login invalid"), ("right", "rtr01>")] {
        client.until("Username: ").await;
        client.line("admin").await;
        client.until("Password: ").await;
        client.line(password).await;
        client.until(then).await;
    }
}

#[tokio::test]
async fn long_answers_come_in_pages() {
    let pod =
        pod("devices: {rtr01: {paging: 3, commands: {show it: \"1\\n2\\n3\\n4\\n5\\n\"}}}").await;
    let mut client = Client::new(&pod, "rtr01").await;
    client.line("").await;
    client.until("rtr01>").await;
    assert_eq!(client.ask("show it", " --More-- ").await, "1\r\n2\r\n");
    client.stream.write_all(b"\r").await.unwrap();
    assert!(
        client
            .until(" --More-- ")
            .await
            .ends_with("3\r\n --More-- ")
    );
    client.stream.write_all(b" ").await.unwrap();
    assert!(client.until("rtr01>").await.ends_with("4\r\n5\r\nrtr01>"));
    client.ask("show it", " --More-- ").await;
    client.stream.write_all(b"q").await.unwrap();
    assert!(!client.until("rtr01>").await.contains('3'));
    client.ask("terminal length 0", "rtr01>").await;
    assert_eq!(
        client.ask("show it", "rtr01>").await,
        "1\r\n2\r\n3\r\n4\r\n5\r\n"
    );
}

#[tokio::test]
async fn the_caret_stands_under_what_is_wrong() {
    let pod = pod("").await;
    let mut client = Client::new(&pod, "rtr01").await;
    client.line("").await;
    client.until("rtr01>").await;
    let answer = client.ask("show bogus", "rtr01>").await;
    let line = format!(
        "{}^\r\n% Invalid input detected at '^' marker.\r\n\r\n",
        " ".repeat(11)
    );
    assert_eq!(answer, line);
    assert_eq!(
        client.ask("terminal", "rtr01>").await,
        "% Incomplete command.\r\n\r\n"
    );
}

#[tokio::test]
async fn a_node_without_power_is_silent_and_a_wiped_one_forgets() {
    let pod = pod("").await;
    let mut client = Client::new(&pod, "rtr01").await;
    client.line("").await;
    client.until("rtr01>").await;
    client.ask("enable", "rtr01#").await;
    client.ask("conf t", "rtr01(config)#").await;
    client.ask("hostname other", "other(config)#").await;
    client.ask("end", "other#").await;
    client.ask("write memory", "other#").await;
    for (down, name) in [
        (NodeState::Stopped, "other>"),
        (NodeState::DefinedOnCore, "rtr01>"),
    ] {
        pod.power().set("rtr01", down);
        pod.power().set("rtr01", NodeState::Started);
        client.until("Loading kernel image").await;
        client.line("show version").await;
        pod.power().set("rtr01", NodeState::Booted);
        let silent = client.until("Press RETURN to get started!").await;
        assert!(!silent.contains("show version"), "{silent}");
        client.line("").await;
        client.until(name).await;
    }
}

#[tokio::test]
async fn faults_happen_as_often_as_they_are_to() {
    let pod = pod("devices: {rtr01: {commands: {show it: fine}, faults: [\
         {on: connect, kind: refuse, times: 1},\
         {on: command, match: show it, kind: drop, times: 1},\
         {on: command, match: show it, kind: half_close, times: 1},\
         {on: command, match: show it, kind: garbage, times: 1}]}}")
    .await;
    assert!(Client::new(&pod, "rtr01").await.at_end().await);
    for _ in 0..2 {
        let mut client = Client::new(&pod, "rtr01").await;
        client.line("").await;
        client.until("rtr01>").await;
        client.line("show it").await;
        assert!(client.at_end().await);
        assert!(!client.seen.contains("fine"), "{}", client.seen);
    }
    let mut client = Client::new(&pod, "rtr01").await;
    client.line("").await;
    client.until("rtr01>").await;
    assert!(client.ask("show it", "rtr01>").await.contains('\u{fffd}'));
    assert_eq!(client.ask("show it", "rtr01>").await, "fine\r\n");
}

#[tokio::test]
async fn a_pasted_script_runs_in_a_real_shell_with_scripted_answers() {
    let pod = pod(
        "devices: {workstation: {kind: unix, login: {username: cisco, password: pw}, commands: {\
         '~ py_deploy': {output: \"deployed\\n\", exit_code: 3}}}}",
    )
    .await;
    let mut client = Client::new(&pod, "workstation").await;
    client.line("").await;
    client.until("login: ").await;
    client.line("cisco").await;
    client.until("Password: ").await;
    client.line("pw").await;
    client.until("cisco@workstation:~$ ").await;
    client
        .line("cd /home/cisco\rfor i in 1 2\rdo echo \"<$i>\"\rdone")
        .await;
    client.until("<1>\r\n<2>\r\n").await;
    client
        .line("python ./py_deploy.py | tr a-z A-Z; echo \"[${PIPESTATUS[0]}]\"")
        .await;
    client.until("DEPLOYED\r\n[").await;
    client.line("python ./py_deploy.py; echo \"[$?]\"").await;
    client.until("deployed\r\n[3]").await;
    client
        .line("bash -c './other 2>/dev/null; py_deploy'; echo \"[$?]\"")
        .await;
    client.until("deployed\r\n[3]").await;
    // It says itself that it runs: between the shell's fork and its exec a signal would be nobody's.
    client
        .line("sh -c \"echo run''ning; exec sleep 600\"")
        .await;
    client.until("running\r\n").await;
    client.stream.write_all(b"\x03").await.unwrap();
    client.until("cisco@workstation:~$ ").await;
    client.line("exit").await;
    client.until("login: ").await;
}
