//! The same commands on the same devices through these connectors and through netmiko: two programs that know
//! nothing of each other read the same text.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use se_runtime::Endpoint;
use se_testkit::testbed::{FrrLab, ROUTER_PASSWORD};
use se_testkit::unicon::MockDevice;
use serde_json::Value;

use crate::bench::{collect, router, sessions, with_passwords};

const INSTALL: &str = "needs netmiko: `python3 -m venv target/netmiko && \
    target/netmiko/bin/pip install netmiko==4.8.0`";

/// What netmiko says that the commands print. The login is name, password, enable secret, empty for none.
fn through_netmiko(kind: &str, port: u16, login: [&str; 3], commands: &[String]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = root.join("target/netmiko/bin/python");
    assert!(python.exists(), "{INSTALL}");
    let mut driver = Command::new(python)
        .current_dir(root)
        .arg("se-adapters/tests/it/netmiko/driver.py")
        .args([kind, &port.to_string()])
        .args(login)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = driver.stdin.take().unwrap();
    let typed = commands.join("\n") + "\n";
    // It reads a command when it has answered the last one: more than a pipe holds would wait for ever.
    let typing = std::thread::spawn(move || stdin.write_all(typed.as_bytes()));
    let ended = driver.wait_with_output().unwrap();
    typing.join().unwrap().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "netmiko: {said}");
    let lines = String::from_utf8(ended.stdout).unwrap();
    let answers = lines
        .lines()
        .map(|it| serde_json::from_str::<Value>(it).unwrap());
    answers
        .filter_map(|it| it.get("output")?.as_str().map(str::to_owned))
        .collect()
}

/// Where both may differ, and why: netmiko drops empty lines at either end and blanks at the end of the output;
/// here empty lines at the start are kept, because they are what the device printed.
fn comparable(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines.join("\n").trim_matches('\n').trim_end().to_owned()
}

async fn check(kind: &str, endpoint: &Endpoint, login: [&str; 3], commands: &[String]) {
    let sessions = sessions();
    let mut ours = Vec::new();
    for command in commands {
        let shown = collect(&sessions, endpoint, command).await;
        ours.push(shown.unwrap_or_else(|fault| panic!("`{command}`: {fault}")));
    }
    let goodbye = tokio::time::Instant::now() + Duration::from_secs(3);
    sessions.close_all(goodbye).await;
    let port = endpoint.port;
    let theirs = through_netmiko(kind, port, login, commands);
    assert_eq!(theirs.len(), commands.len());
    for ((command, ours), theirs) in commands.iter().zip(&ours).zip(&theirs) {
        assert_eq!(comparable(ours), comparable(theirs), "{kind}: `{command}`");
    }
    let said = ours.iter().filter(|it| !it.is_empty()).count();
    assert!(said * 4 >= commands.len() * 3, "only {said} say anything");
}

/// Commands whose answers do not depend on the time: they look, search, are wrong, or are not whole.
fn router_commands() -> Vec<String> {
    let looks = [
        "list",
        "show version",
        "show running-config",
        "show interface brief",
        "show vrf",
        "show ip prefix-list",
        "show ip access-list",
        "show route-map",
        "show debugging zebra",
        "show interface description",
        "show ip forwarding",
        "show ipv6 forwarding",
        "show router-id",
    ];
    let words = [
        "ip",
        "ipv6",
        "route",
        "interface",
        "debug",
        "no",
        "show",
        "clear",
        "vrf",
        "mpls",
        "evpn",
        "bfd",
        "zebra",
        "table",
        "nexthop",
        "prefix",
        "access",
        "map",
        "match",
        "set",
        "log",
        "line",
        "terminal",
        "write",
        "copy",
        "exit",
        "end",
        "banner",
        "service",
        "password",
    ];
    let found = words.iter().flat_map(|it| {
        [
            format!("find {it}"),
            format!("find ^{it}"),
            format!("find {it} [A-Z]+"),
        ]
    });
    let wrong = (0..50).map(|it| format!("show bogus-{it} # interface"));
    let partial = words.iter().map(|it| format!("show {it} nothing"));
    let looks = looks.iter().map(|it| (*it).to_owned());
    let all: Vec<String> = looks.chain(found).chain(wrong).chain(partial).collect();
    all.into_iter().cycle().take(200).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_commands_on_a_router_read_the_same() {
    let lab = FrrLab::up().unwrap();
    let [port, _] = lab.ports().zebra;
    let endpoint = with_passwords(router(port), ROUTER_PASSWORD, ROUTER_PASSWORD);
    let login = ["", ROUTER_PASSWORD, ROUTER_PASSWORD];
    check("cisco_ios_telnet", &endpoint, login, &router_commands()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_on_simulated_devices_read_the_same() {
    // netmiko's drivers for these type `terminal length 0` before the prompt is there, and the simulated devices
    // forget what was typed too early: so the driver that prepares nothing.
    for (os, state, commands) in [
        (
            "ios",
            "enable",
            &[
                "show version",
                "show int e0/0",
                "not a real command",
                "show bogus",
                "show command with backspace",
            ][..],
        ),
        (
            "iosxe",
            "general_enable",
            &["show version", "show install summary", "show bogus"][..],
        ),
        (
            "nxos",
            "exec",
            &[
                "show vdc",
                "show module",
                "not a real command",
                "show bogus",
            ][..],
        ),
        (
            "iosxr",
            "enable",
            &[
                "show version",
                "show route ipv4 next-hop MgmtEth0/RP0/CPU0/0",
                "show bogus",
            ][..],
        ),
        ("asa", "asa_enable", &["show version", "show bogus"][..]),
    ] {
        let device = MockDevice::start(os, state, "gw7").unwrap();
        let endpoint = router(device.port());
        let commands: Vec<String> = commands.iter().map(|it| (*it).to_owned()).collect();
        check("generic_telnet", &endpoint, ["", "", ""], &commands).await;
    }
}
