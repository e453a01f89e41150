//! Cisco's own simulated command lines: what their prompts, dialogs, pagers and log lines come to.

use std::time::Duration;

use se_runtime::{Endpoint, Fault, FaultKind, Secret};
use se_testkit::unicon::MockDevice;
use serde_json::{Value, json};

use crate::bench::{collect, exec, router, sessions};

/// A device in its first state, and what somebody wants to see on it.
struct Case {
    os: &'static str,
    state: &'static str,
    command: &'static str,
    /// What the capture has to be, from its start.
    shows: &'static str,
}

/// User name, password and enable password; empty for none.
type Login = [&'static str; 3];

const CISCO: Login = ["cisco", "cisco", "cisco"];
const ADMIN: Login = ["admin", "admin", ""];

fn endpoint(port: u16, [username, password, enable]: Login) -> Endpoint {
    let secret = |text: &str| (!text.is_empty()).then(|| Secret::new(text));
    Endpoint {
        username: (!username.is_empty()).then(|| username.to_owned()),
        password: secret(password),
        enable_password: secret(enable),
        timeout: Duration::from_secs(15),
        ..router(port)
    }
}

/// What a command comes to on a new device called gw7.
async fn on(os: &str, state: &str, login: Login, command: &str) -> Result<String, Fault> {
    let device = MockDevice::start(os, state, "gw7").unwrap();
    collect(&sessions(), &endpoint(device.port(), login), command).await
}

/// Each case on a new device; nothing of the console is in what is kept.
async fn check(cases: &[Case], login: Login) {
    for Case {
        os,
        state,
        command,
        shows,
    } in cases
    {
        let shown = on(os, state, login, command).await;
        let shown = shown.unwrap_or_else(|fault| panic!("{os} {state}: {fault}"));
        assert!(shown.starts_with(shows), "{os} {state}: {shown:?}");
        for noise in ["\u{1b}", "\u{8}", "gw7", "More", "%SYS-", "%SELINUX"] {
            assert!(
                !shown.contains(noise),
                "{os} {state}: {noise:?} in {shown:?}"
            );
        }
    }
}

/// A case whose command is `show version`.
const fn version(os: &'static str, state: &'static str, shows: &'static str) -> Case {
    let command = "show version";
    Case {
        os,
        state,
        command,
        shows,
    }
}

const IOS: &str = "Cisco IOS Software, 7200 Software";
const XE: &str = "Cisco IOS Software, IOS-XE Software";
const XR: &str = "\nThu Jul 27 14:00:42.051 UTC\n\nCisco IOS XR Software";
const ASA: &str = "Cisco Adaptive Security Appliance Software Version 9.6(4)8";

#[tokio::test(flavor = "multi_thread")]
async fn ios_is_logged_into_enabled_and_read_from_any_state() {
    let clock = |state| version("ios", state, IOS);
    let cases = [
        clock("login"),
        clock("exec"),
        clock("ios_setup"),
        clock("ios_connect_console_server"),
        clock("ios_connect_console_server_with_username"),
        clock("execHashCharacters"),
        clock("messup_prompt"),
        clock("config_line"),
        Case {
            os: "ios",
            state: "exec",
            command: "show int e0/0",
            shows: "Ethernet0/0 is up, line protocol is up",
        },
        Case {
            os: "ios",
            state: "enable",
            command: "show command with backspace",
            shows: "test",
        },
    ];
    check(&cases, CISCO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ios_xe_is_read_through_log_messages_and_modes() {
    let cases = [
        version("iosxe", "general_login", XE),
        // Its log lines run for longer than anybody should wait before a key.
        version("iosxe", "connect_syslog", XE),
        version("iosxe", "disable_to_enable_with_msg", XE),
        version("iosxe", "error_opening_syslog", XE),
        version("iosxe", "enable_msg", XE),
        version("iosxe", "general_maintenance_mode", XE),
    ];
    check(&cases, CISCO).await;
    let shown = on("iosxe", "unlicensed_prompt", CISCO, "show version").await;
    assert!(
        shown
            .unwrap()
            .starts_with("% Invalid command 'show version'")
    );
    // A message that lands behind the prompt hides it.
    let shown = on(
        "iosxe",
        "guestshell_prompt_obscure_enable",
        CISCO,
        "show version",
    )
    .await;
    let expect = "Cisco IOS XE Software, Version BLD_POLARIS_DEV_LATEST_20220726_143256\ngw7#Guestshell destroyed successfully";
    assert_eq!(shown.unwrap(), expect);
}

#[tokio::test(flavor = "multi_thread")]
async fn nx_os_ios_xr_and_asa_are_read() {
    let nxos = [
        Case {
            os: "nxos",
            state: "login",
            command: "show module",
            shows: "",
        },
        Case {
            os: "nxos",
            state: "vdc3_exec",
            command: "show vdc",
            shows: "",
        },
        Case {
            os: "nxos",
            state: "config_maint",
            command: "show vdc",
            shows: "",
        },
    ];
    check(&nxos, CISCO).await;
    check(
        &[version("nxos", "user_access_veri", "")],
        ["admin", "lab", ""],
    )
    .await;
    let xr = [
        version("iosxr", "login", XR),
        version("iosxr", "connect_serial", XR),
        version("iosxr", "config", XR),
        Case {
            os: "iosxr",
            state: "enable",
            command: "show command with more",
            shows: "output1\noutput2",
        },
    ];
    check(&xr, ADMIN).await;
    let asa = [
        version("asa", "asa_disable", ASA),
        version("asa", "asa_username", ASA),
        version("asa", "asa_username_replication", ASA),
        version("asa", "asa_config", ASA),
        version("asa", "asa_begin_replication_message", ASA),
        // Behind `<--- More --->` it goes on at the prompt.
        version(
            "asa",
            "asa_enable_more",
            "Cisco Adaptive Security Appliance Software Version 9.8(3)235",
        ),
    ];
    check(&asa, CISCO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pager_of_an_asa_is_turned_off_in_its_own_words() {
    let device = MockDevice::start("asa", "asa_enable", "ciscoasa").unwrap();
    let sessions = sessions();
    collect(&sessions, &endpoint(device.port(), CISCO), "show version")
        .await
        .unwrap();
    let transcript = sessions.transcripts().remove("r1").unwrap().to_text();
    assert!(transcript.contains("> terminal pager 0"), "{transcript}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dialog_of_a_first_boot_is_left_without_saving_anything() {
    let device = MockDevice::start("iosxe", "initial_config_dialog", "R1").unwrap();
    let login = ["", "", "Secret12345!"];
    let sessions = sessions();
    let shown = collect(&sessions, &endpoint(device.port(), login), "show version").await;
    let transcript = sessions.transcripts().remove("r1").unwrap().to_text();
    assert!(
        shown
            .unwrap_or_else(|fault| panic!("{fault}\n{transcript}"))
            .starts_with(XE)
    );
    assert!(transcript.contains("> 0"), "{transcript}");
    assert!(!transcript.contains("Secret12345!"), "{transcript}");

    let fault = on(
        "iosxe",
        "initial_config_dialog",
        ["", "", ""],
        "show version",
    )
    .await
    .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Authentication, "{fault}");
    assert!(
        fault
            .detail
            .contains("set `enable_password` of connector `r1`"),
        "{fault}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn output_that_shows_the_prompt_and_pauses_is_read_to_its_end() {
    let device = MockDevice::start("ios", "enable", "Router").unwrap();
    let endpoint = endpoint(device.port(), CISCO);
    let sessions = sessions();
    let shown = collect(&sessions, &endpoint, "show command with transient match").await;
    assert_eq!(shown.unwrap(), "head\nRouter#\ntail");
    let next = collect(&sessions, &endpoint, "show version").await.unwrap();
    assert!(next.starts_with(IOS), "{next}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_name_may_change_on_the_way() {
    let device = MockDevice::start("iosxr", "config_lock_enable", "R1").unwrap();
    let script = json!({ "script": "configure terminal\nhostname R2\ncommit" });
    let fault = exec(&sessions(), &endpoint(device.port(), ADMIN), script)
        .await
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Validation, "{fault}");
    assert!(
        fault.detail.contains("`commit`: % Failed to commit"),
        "{fault}"
    );

    let device = MockDevice::start("nxos", "exec", "R1").unwrap();
    let endpoint = endpoint(device.port(), CISCO);
    let sessions = sessions();
    let switched = exec(
        &sessions,
        &endpoint,
        json!({ "command": "switchto vdc N77_3" }),
    )
    .await;
    assert_eq!(
        switched.unwrap().output.get("stdout"),
        Some(&Value::from(""))
    );
    let shown = collect(&sessions, &endpoint, "not a real command")
        .await
        .unwrap();
    assert!(shown.contains("% Invalid"), "{shown}");
    assert!(!shown.contains("N77_3"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_or_secret_is_a_refusal_that_says_what_to_check() {
    for (os, state, login, says) in [
        (
            "ios",
            "login",
            ["cisco", "abc", ""],
            "check `username` and `password`",
        ),
        (
            "ios",
            "login",
            ["cisco", "abc2", ""],
            "check `username` and `password`",
        ),
        (
            "ios",
            "login",
            ["cisco", "abc3", ""],
            "check `username` and `password`",
        ),
        (
            "ios",
            "console_test_enable_bad_secret",
            ["", "", "wrong_enable"],
            "check `enable_password`",
        ),
        (
            "iosxe",
            "general_login",
            ["cisco", "cisco", "wrong"],
            "check `enable_password`",
        ),
        (
            "nxos",
            "login",
            ["cisco", "wrong", ""],
            "check `username` and `password`",
        ),
        (
            "iosxr",
            "login",
            ["", "", ""],
            "set `username` and `password`",
        ),
        (
            "asa",
            "asa_disable",
            ["", "", "wrong"],
            "check `enable_password`",
        ),
    ] {
        let fault = on(os, state, login, "show version").await.unwrap_err();
        assert_eq!(
            fault.kind,
            FaultKind::Authentication,
            "{os} {state}: {fault}"
        );
        assert!(fault.detail.contains(says), "{os} {state}: {fault}");
        for secret in ["abc", "wrong"] {
            assert!(!fault.detail.contains(secret), "{os} {state}: {fault}");
        }
    }
}
